"""RXA[Immunization], RXR[Immunization], ORC[Immunization] and the facts VXU sends as OBX.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-rxa-to-immunization.html
and the CDC implementation guide for immunization messaging, HL7 2.5.1
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.codes import V3
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    DATA_ABSENT,
    cwe_to_codeable_concept,
    dtm_to_date,
    dtm_to_date_time,
    ei_to_identifier,
    quantity,
    translated,
)
from mappings.hl7v2.groups import Result
from mappings.hl7v2.observation import ObservationEntries, annotation
from mappings.hl7v2.order import security_of
from mappings.hl7v2.participation import participants, participation_of
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import cwe_to_organization_reference, practitioners
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import COMPLETION_STATUS, ROUTE, TERMINOLOGY

DUMMY_NUMBERS: Final = frozenset({"9999", "NA", "N/A", "0", "UNKNOWN"})
"""ORC-3 of doses that were not given here: the same for many, so it identifies none."""

NO_VACCINE: Final = "998"
"""CVX: no vaccine administered; the segment only carries other facts."""

PERFORMERS: Final = ("AP", "OP", "EP")
"""Tables 0443 and 0912: who gave it, who ordered it, who entered it."""

UNKNOWN_AMOUNT: Final = frozenset({"999", "9999", "0"})
"""RXA-6 when the amount is not known."""


@dataclass(slots=True)
class Vaccination:
    """ORC, RXA, RXR and the NTE, PRT and OBX after them; ``facts`` are the OBX with theirs."""

    orc: Segment | None
    rxa: Segment
    rxr: Segment | None = None
    notes: list[Segment] = field(default_factory=list)
    participations: list[Segment] = field(default_factory=list)
    facts: list[Result] = field(default_factory=list)


def vaccinations(segments: Iterable[Segment]) -> Iterator[Vaccination]:
    """Group by RXA; an ORC belongs to the RXA after it."""
    current: Vaccination | None = None
    orc: Segment | None = None
    before: list[Segment] = []
    for segment in segments:
        match segment.name:
            case "ORC":
                if current is not None:
                    yield current
                current, orc, before = None, segment, []
            case "RXA":
                if current is not None:
                    yield current
                current, orc, before = Vaccination(orc, segment, participations=before), None, []
            case "RXR" if current is not None and current.rxr is None:
                current.rxr = segment
            case "OBX" if current is not None:
                current.facts.append(Result(segment))
            case "NTE" if current is not None:
                (current.facts[-1].notes if current.facts else current.notes).append(segment)
            case "PRT" if current is not None:
                owner = current.facts[-1].participations if current.facts else current.participations
                owner.append(segment)
            case "PRT" if orc is not None:
                before.append(segment)
    if current is not None:
        yield current


def add_immunizations(groups: list[Vaccination], subject: Subject, context: Context) -> None:
    """Add an entry per dose.

    A dose is the same by its ORC-3; where that is a dummy, or one message has it on different doses, by the
    patient, the vaccine, the date and the completion status.
    """
    doses: dict[str, set[str]] = {}
    for group in groups:
        if group.orc is not None:
            doses.setdefault(group.orc[3].raw, set()).add(_dose(group.rxa))
    for group in groups:
        group.rxa.mark_read(1, 2)
        if group.rxa[4].raw in {group.rxa[3].raw, "999"}:  # over when it began, or so it says
            group.rxa.mark_read(4)
        if group.orc is not None:
            group.orc.mark_read(1)
        if str(group.rxa[5][1]) == NO_VACCINE and str(group.rxa[20]).upper() != "RE":
            _add_observations(group, subject, context)
            continue
        number = group.orc[3] if group.orc else None
        if number and len(doses[number.raw]) > 1 and str(number[1]).upper() not in DUMMY_NUMBERS:
            context.warn("The number of several doses, so of none", number, "duplicate")
            number = None
        _add_immunization(group, number, subject, context)


def _add_observations(group: Vaccination, subject: Subject, context: Context) -> None:
    """Where no vaccine was given the OBX say something of the patient: immunity, a contraindication."""
    if not group.facts:
        text = "No vaccine was administered: left out"
        context.issue("information", "informational", text, group.rxa[5].location)
    observations = ObservationEntries(subject, context, subject.key, str(group.rxa[3]))
    effective = dtm_to_date_time(group.rxa[3], context)
    for fact in group.facts:
        observations.add(fact, {"effectiveDateTime": effective} if effective else {})


def _add_immunization(group: Vaccination, number: Field | None, subject: Subject, context: Context) -> None:
    filler = ei_to_identifier(number, context, "FILL") if number else None
    if filler and filler["value"].upper() in DUMMY_NUMBERS:
        filler = None
    placer = ei_to_identifier(group.orc[2], context, "PLAC") if group.orc else None
    key = filler or context.derived("Immunization", subject.key, _dose(group.rxa), str(group.rxa[20]).upper())
    url = context.url("Immunization", key["system"], key["value"])
    immunization = rxa_to_immunization(group, subject, context)
    immunization["identifier"] = [key, *([placer] if placer else [])]
    facts = _Facts(immunization, url, ObservationEntries(subject, context, key["system"], key["value"]))
    for fact in group.facts:
        facts.add(fact, context)
    facts.finish()
    context.entries.append(put(url, prune(immunization), key))


def _dose(rxa: Segment) -> str:
    """The vaccine and the date."""
    vaccine = f"{rxa[5][1]}^{rxa[5][3]}" if str(rxa[5][1]) else rxa[5][2].text.casefold()
    return f"{vaccine}@{rxa[3]}"


def rxa_to_immunization(vaccination: Vaccination, subject: Subject, context: Context) -> Element:
    rxa, rxr, orc = vaccination.rxa, vaccination.rxr, vaccination.orc
    occurrence = dtm_to_date_time(rxa[3], context)
    amount = rxa[6].text if rxa[6].text not in UNKNOWN_AMOUNT else ""
    site = cwe_to_codeable_concept(rxr[2], context, "0163") if rxr else None
    vaccine = cwe_to_codeable_concept(rxa[5], context)
    if vaccine is None:
        context.warn("No vaccine is named", rxa[5], "required")
        vaccine = {"text": "?"}
    recorded = dtm_to_date_time(rxa[22], context) or (dtm_to_date_time(orc[9], context) if orc else None)
    return {
        "resourceType": "Immunization",
        "meta": security_of(orc, context),
        "identifier": [],
        **_status(rxa, context),
        "vaccineCode": vaccine,
        "patient": subject.reference,
        "occurrenceDateTime": occurrence,
        # 1..1 in FHIR: a date nobody sent is said to be unknown
        "_occurrenceDateTime": None if occurrence else _unknown(),
        "recorded": recorded,
        **_origin(rxa, context),
        "location": {"display": _location(rxa)} if _location(rxa) else None,
        "manufacturer": cwe_to_organization_reference(rxa[17]),
        "lotNumber": next((lot.text for lot in rxa.all(15)), None),
        "expirationDate": dtm_to_date(rxa[16], context),
        "site": site,
        "route": translated(rxr[1], context, ROUTE, f"{V3}RouteOfAdministration", "0162") if rxr else None,
        "doseQuantity": quantity(amount, rxa[7], context) if amount else None,
        "performer": [
            *_performers(rxa, 10, "AP", context),
            *(_performers(orc, 12, "OP", context) if orc else []),
            *(
                _performer(who, participation_of(prt))
                for prt, who in participants(vaccination.participations, PERFORMERS, context)
            ),
        ],
        "note": [note] if (note := annotation(vaccination.notes, context)) else [],
        "reasonCode": [cwe_to_codeable_concept(cwe, context) for cwe in rxa.all(19)],
    }


def _status(rxa: Segment, context: Context) -> Element:
    """RXA-21 D wins, then RXA-20, then a refusal reason alone (RXA-18)."""
    completion = str(rxa[20]).upper()
    reason = cwe_to_codeable_concept(rxa[18], context)
    if str(rxa[21]).upper() == "D":
        return {"status": "entered-in-error"}
    elements = context.code("status", rxa[20], COMPLETION_STATUS, "0322", "completed")
    if not completion and reason:
        elements["status"] = "not-done"
    if completion == "PA":
        elements["isSubpotent"] = True
    if elements["status"] == "not-done":
        if reason is None and completion == "RE":
            reason = {"coding": [{"system": f"{V3}ActReason", "code": "PATOBJ"}]}
        elements["statusReason"] = reason
    return elements


def _origin(rxa: Segment, context: Context) -> Element:
    """RXA-9 (NIP001): 00 is a dose given here, others say where the report of an old one comes from."""
    for cwe in rxa.all(9):
        code = str(cwe[1])
        if code == "00":
            return {"primarySource": True}
        if code.isdecimal():
            return {"primarySource": False, "reportOrigin": cwe_to_codeable_concept(cwe, context)}
    return {}


class _Facts:
    """What OBX after RXA say of the dose, by LOINC code; others are Observations that are part of it."""

    def __init__(self, immunization: Element, url: str, observations: ObservationEntries) -> None:
        self._immunization = immunization
        self._url = url
        self._observations = observations
        self._education: dict[str, Element] = {}
        self._protocol: Element = {}

    def add(self, fact: Result, context: Context) -> None:
        before = len(context.entries)
        self._add(fact, context)
        # What is no Observation of its own has no other place for its notes than the dose.
        if before == len(context.entries) and (note := annotation(fact.notes, context)):
            self._immunization["note"].append(note)

    def _add(self, fact: Result, context: Context) -> None:
        obx, dose = fact.obx, self._immunization
        obx.mark_read(1, 2, 4, 11)
        value = obx[5]
        match str(obx[3][1]):
            case "64994-7":
                dose["programEligibility"] = [cwe_to_codeable_concept(value, context)]
            case "30963-3":
                dose["fundingSource"] = cwe_to_codeable_concept(value, context)
            case "30973-2":
                self._protocol |= _count("doseNumber", value)
            case "59782-3":
                self._protocol |= _count("seriesDoses", value)
            case "59780-7":
                self._protocol["series"] = value[2].text or str(value[1])
            case "30956-7" | "38890-0":
                self._protocol["targetDisease"] = [cwe_to_codeable_concept(value, context)]
            case "69764-9":
                self._sheet(obx)["documentType"] = value[2].text or str(value[1])
            case "29768-9":
                self._sheet(obx)["publicationDate"] = dtm_to_date_time(value, context)
            case "29769-7":
                self._sheet(obx)["presentationDate"] = dtm_to_date_time(value, context)
            case "31044-1":
                if detail := self._observations.add(fact, {}):
                    dose.setdefault("reaction", []).append({"detail": detail})
            case "48767-8":
                dose["note"].append({"text": value.text})
            case "59785-6":
                dose["reasonCode"].append(cwe_to_codeable_concept(value, context))
            case "30945-0" if dose["status"] == "not-done" and not dose.get("statusReason"):
                self._reason(value, "MEDPREC", context)
            case "59784-9" if dose["status"] == "not-done" and not dose.get("statusReason"):
                self._reason(value, "IMMUNE", context)
            case _:
                self._observations.add(fact, {"partOf": [{"reference": self._url}]})

    def finish(self) -> None:
        # imm-1: education has a document type or a reference
        sheets = [sheet for sheet in self._education.values() if sheet.get("documentType")]
        self._immunization["education"] = sheets
        if "doseNumberPositiveInt" in self._protocol or "doseNumberString" in self._protocol:
            self._immunization["protocolApplied"] = [self._protocol]

    def _sheet(self, obx: Segment) -> Element:
        """The information sheet that a group of OBX (OBX-4) is about."""
        return self._education.setdefault(obx[4].text, {})

    def _reason(self, value: Field, code: str, context: Context) -> None:
        concept = cwe_to_codeable_concept(value, context) or {}
        coding = {"system": f"{V3}ActReason", "code": code}
        self._immunization["statusReason"] = concept | {"coding": [coding, *concept.get("coding", [])]}


def _count(element: str, value: Field) -> Element:
    text = value[1].text
    if text.isdecimal() and int(text) > 0:
        return {f"{element}PositiveInt": int(text)}
    return {f"{element}String": text} if text else {}


def _performers(segment: Segment, number: int, function: str, context: Context) -> list[Element]:
    return [_performer(actor, function) for actor in practitioners(segment, number, context)]


def _performer(actor: Element, function: str) -> Element:
    return {"function": {"coding": [{"system": f"{TERMINOLOGY}v2-0443", "code": function}]}, "actor": actor}


def _location(rxa: Segment) -> str:
    """Where it was given: RXA-27, RXA-11 of earlier versions, or else the address in RXA-28."""
    address = ", ".join(part for n in (1, 3, 5) if (part := rxa[28][n].text))
    return _place(rxa) or address


def _place(rxa: Segment) -> str:
    return str(rxa[27][4][1]) or str(rxa[27][1]) or str(rxa[11][4][1]) or str(rxa[11][1])


def _unknown() -> Element:
    return {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}
