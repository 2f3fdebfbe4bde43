"""PRB[Condition]: the problems of a patient. HL7 v2.9 chapter 12

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-prb-to-condition.html
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import cwe_to_codeable_concept, dtm_to_date_time, ei_to_identifier
from mappings.hl7v2.groups import Result
from mappings.hl7v2.observation import ObservationEntries, annotation
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import TERMINOLOGY

ASSERTED: Final = "http://hl7.org/fhir/StructureDefinition/condition-assertedDate"

# PRB-14 Problem Life Cycle Status, as it is written -> condition-clinical; the table is any site's
CLINICAL: Final = {
    "A": "active",
    "ACTIVE": "active",
    "RECURRENCE": "recurrence",
    "RELAPSE": "relapse",
    "I": "inactive",
    "INACTIVE": "inactive",
    "REMISSION": "remission",
    "R": "resolved",
    "RESOLVED": "resolved",
    "CLOSED": "resolved",
}
# PRB-13 Problem Confirmation Status, as it is written -> condition-ver-status
VERIFICATION: Final = {
    "C": "confirmed",
    "CONFIRMED": "confirmed",
    "D": "differential",
    "DIFFERENTIAL": "differential",
    "P": "provisional",
    "PROVISIONAL": "provisional",
    "UNCONFIRMED": "unconfirmed",
    "U": "unconfirmed",
    "REFUTED": "refuted",
    "R": "refuted",
}
_IN_ERROR: Final = frozenset({"DELETED", "ERROR", "ENTERED-IN-ERROR"})
_ENDED: Final = frozenset({"inactive", "resolved", "remission"})


@dataclass(slots=True)
class Problem:
    """A PRB with the NTE after it, and what was observed of it."""

    prb: Segment
    notes: list[Segment] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)


def problems(segments: Iterable[Segment]) -> Iterator[Problem]:
    """What follows a PRB belongs to it, up to the next one; goals and orders are none of it."""
    problem: Problem | None = None
    notes: list[Segment] = []
    for segment in segments:
        match segment.name:
            case "PRB":
                if problem:
                    yield problem
                problem = Problem(segment)
                notes = problem.notes
            case "NTE" if problem:
                notes.append(segment)
            case "OBX" if problem:
                result = Result(segment)
                problem.results.append(result)
                notes = result.notes
            case "GOL" | "ORC" | "OBR" if problem:
                yield problem
                problem = None
    if problem:
        yield problem


def add_problems(
    found: Iterable[Problem], subject: Subject, encounter: Element | None, context: Context
) -> None:
    """Add a Condition per PRB, known by PRB-4, else by the patient and the problem; PRB-1 DE says that it was
    an error."""
    for problem in found:
        prb = problem.prb
        condition = prb_to_condition(prb, subject, encounter, context)
        if "code" not in condition:
            context.issue(
                "warning", "required", "A problem without a code or text: left out", prb[3].location
            )
            continue
        key = condition["identifier"][0]
        observations = ObservationEntries(subject, context, key["value"])
        stated = {"encounter": encounter} if encounter else {}
        found_of_it = [one for result in problem.results if (one := observations.add(result, stated))]
        condition |= (
            prune({"note": [annotation(problem.notes, context)], "evidence": [{"detail": found_of_it}]}) or {}
        )
        url = context.url("Condition", key["system"], key["value"])
        context.entries.append(put(url, condition, key))


def prb_to_condition(prb: Segment, subject: Subject, encounter: Element | None, context: Context) -> Element:
    action, stage = str(prb[1][1]).upper(), _word(prb[14])
    wrong = action == "DE" or stage in _IN_ERROR
    own = ei_to_identifier(prb[4], context)
    what = f"{prb[3][1]}^{prb[3][3]}" if str(prb[3][1]) else prb[3].text.casefold()
    # Some senders number the problems of each patient: only with the patient it says which one it is.
    key = ("PRB-4", own["system"], own["value"]) if own else ("PRB", what)
    ended, onset = dtm_to_date_time(prb[9], context), dtm_to_date_time(prb[16], context)
    clinical = CLINICAL.get(stage) or ("resolved" if ended else "active")
    if ended and clinical not in _ENDED:
        context.issue("warning", "value", "It has ended (PRB-9) and is active: taken as resolved", "PRB-14")
        clinical = "resolved"
    asserted = dtm_to_date_time(prb[7], context)
    condition: Element = prune(
        {
            "resourceType": "Condition",
            "extension": [{"url": ASSERTED, "valueDateTime": asserted}] if asserted else None,
            "identifier": [context.derived("Condition", subject.key, *key), own],
            # con-5: what was entered in error has no clinical status
            "clinicalStatus": None
            if wrong
            else _status(prb[14], CLINICAL, "condition-clinical", clinical, context),
            "verificationStatus": _coded("condition-ver-status", "entered-in-error")
            if wrong
            else _status(
                prb[13], VERIFICATION, "condition-ver-status", VERIFICATION.get(_word(prb[13])), context
            ),
            "category": [
                _coded("condition-category", "problem-list-item"),
                cwe_to_codeable_concept(prb[10], context),
            ],
            "severity": cwe_to_codeable_concept(prb[26], context),
            "code": cwe_to_codeable_concept(prb[3], context),
            "subject": subject.reference,
            "encounter": encounter,
            "onsetDateTime": onset,
            "onsetString": None if onset else prb[17].text,
            "abatementDateTime": None if wrong else ended,
            "recordedDate": dtm_to_date_time(prb[2], context) if action == "AD" else None,
        }
    )
    if action != "AD":
        prb.mark_read(2)
    return condition


def _word(status: Field) -> str:
    """A status by its code or, without one that is known, its words."""
    code, words = str(status[1]).upper(), status[2].text.upper()
    return code if code in CLINICAL or code in VERIFICATION or code in _IN_ERROR else words or code


def _status(
    sent: Field, table: dict[str, str], system: str, code: str | None, context: Context
) -> Element | None:
    """The status, with the sender's words for it where they say the same; one not known is an issue."""
    said = table.get(_word(sent))
    if sent and said is None:
        context.warn("The status of the problem has no mapping", sent, "code-invalid")
    concept = _coded(system, code)
    if concept and said == code and sent[2]:
        concept["text"] = sent[2].text
    return concept


def _coded(system: str, code: str | None) -> Element | None:
    return {"coding": [{"system": f"{TERMINOLOGY}{system}", "code": code}]} if code else None
