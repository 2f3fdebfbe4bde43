"""DG1[Condition], DG1[Encounter].

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-dg1-to-condition.html
"""

from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import coded_by, cwe_to_codeable_concept, dtm_to_date_time, ei_to_identifier
from mappings.hl7v2.patient import Subject, positive_int
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.tables import TERMINOLOGY

VERIFICATION: Final = {"W": "provisional", "F": "confirmed"}
"""DG1-6, table 0052 Diagnosis Type -> condition-ver-status."""

ROLE: Final = {"A": "AD", "F": "DD"}
"""DG1-6, table 0052 Diagnosis Type -> diagnosis-role."""


def add_diagnoses(
    segments: list[Segment], subject: Subject, encounter: Element | None, context: Context
) -> None:
    """Add an entry per DG1 and list them in the Encounter; DG1-21 D says that it was an error."""
    listed = []
    for dg1 in segments:
        dg1.mark_read(1)
        condition = dg1_to_condition(dg1, subject, encounter, context)
        if "code" not in condition:
            context.issue(
                "warning", "required", "A diagnosis without a code or text: left out", dg1[3].location
            )
            continue
        identifier = condition["identifier"][0]
        url = context.url("Condition", identifier["system"], identifier["value"])
        context.entries.append(put(url, condition, identifier))
        use = ROLE.get(str(dg1[6][1]).upper())
        if "clinicalStatus" in condition:
            listed.append(
                prune(
                    {
                        "condition": {"reference": url},
                        "use": _coded("diagnosis-role", use),
                        "rank": positive_int(str(dg1[15])),
                    }
                )
            )
    if encounter and listed:
        resource = next(e["resource"] for e in context.entries if e["fullUrl"] == encounter["reference"])
        resource["diagnosis"] = listed


def dg1_to_condition(dg1: Segment, subject: Subject, encounter: Element | None, context: Context) -> Element:
    kind = str(dg1[6][1]).upper()
    wrong = str(dg1[21]).upper() == "D"
    code = coded_by(dg1[2], cwe_to_codeable_concept(dg1[3], context), context) or {}
    if dg1[4] and "text" not in code:
        code["text"] = dg1[4].text
    visit = encounter["reference"] if encounter else ""
    what = f"{dg1[3][1]}^{dg1[3][3]}" if str(dg1[3][1]) else (dg1[3].text or dg1[4].text).casefold()
    own = ei_to_identifier(dg1[20], context)
    # Some senders number the diagnoses of each patient: only with the patient it says which one it is.
    key = ("DG1-20", own["system"], own["value"]) if own else (visit, kind, what)
    condition: Element = prune(
        {
            "resourceType": "Condition",
            "identifier": [context.derived("Condition", subject.key, *key), own],
            # con-5: what was entered in error has no clinical status
            "clinicalStatus": None if wrong else _coded("condition-clinical", "active"),
            "verificationStatus": _coded(
                "condition-ver-status", "entered-in-error" if wrong else VERIFICATION.get(kind)
            ),
            "category": [_coded("condition-category", "encounter-diagnosis")],
            "code": code,
            "subject": subject.reference,
            "encounter": encounter,
            "onsetDateTime": dtm_to_date_time(dg1[5], context),
            "recordedDate": dtm_to_date_time(dg1[19], context),
            "asserter": next(iter(practitioners(dg1, 16, context)), None),
        }
    )
    return condition


def _coded(system: str, code: str | None) -> Element | None:
    return {"coding": [{"system": f"{TERMINOLOGY}{system}", "code": code}]} if code else None
