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
    cwe_to_codeable_concept,
    dtm_to_date,
    dtm_to_date_time,
    ei_to_identifier,
    quantity,
    translated,
)
from mappings.hl7v2.observation import ObservationEntries, comments
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import cwe_to_organization_reference, practitioners
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import COMPLETION_STATUS, ROUTE, TERMINOLOGY

DATA_ABSENT: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
DUMMY_NUMBERS: Final = frozenset({"9999", "NA", "N/A", "0", "UNKNOWN"})
"""ORC-3 of doses that were not given here: the same for many, so it identifies none."""

NO_VACCINE: Final = "998"
"""CVX: no vaccine administered; the segment only carries other facts."""

UNKNOWN_AMOUNT: Final = frozenset({"999", "9999", "0"})
"""RXA-6 when the amount is not known."""


@dataclass(slots=True)
class Vaccination:
    """ORC, RXA, RXR and the OBX and NTE after them."""

    orc: Segment | None
    rxa: Segment
    rxr: Segment | None = None
    notes: list[Segment] = field(default_factory=list)
    facts: list[Segment] = field(default_factory=list)


def vaccinations(segments: Iterable[Segment]) -> Iterator[Vaccination]:
    """Group by RXA; an ORC belongs to the RXA after it."""
    current: Vaccination | None = None
    orc: Segment | None = None
    for segment in segments:
        match segment.name:
            case "ORC":
                orc = segment
            case "RXA":
                if current is not None:
                    yield current
                current, orc = Vaccination(orc, segment), None
            case "RXR" if current is not None:
                current.rxr = segment
            case "OBX" if current is not None:
                current.facts.append(segment)
            case "NTE" if current is not None:
                current.notes.append(segment)
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
        if group.orc is not None:
            group.orc.mark_read(1)
        if str(group.rxa[5][1]) == NO_VACCINE and str(group.rxa[20]).upper() != "RE":
            text = "No vaccine was administered: left out"
            context.issue("information", "informational", text, group.rxa[5].location)
            continue
        number = group.orc[3] if group.orc else None
        if number and len(doses[number.raw]) > 1 and str(number[1]).upper() not in DUMMY_NUMBERS:
            context.warn("The number of several doses, so of none", number, "duplicate")
            number = None
        _add_immunization(group, number, subject, context)


def _add_immunization(group: Vaccination, number: Field | None, subject: Subject, context: Context) -> None:
    filler = ei_to_identifier(number, context, "FILL") if number else None
    if filler and filler["value"].upper() in DUMMY_NUMBERS:
        filler = None
    placer = ei_to_identifier(group.orc[2], context, "PLAC") if group.orc else None
    key = filler or context.derived("Immunization", subject.key, _dose(group.rxa), str(group.rxa[20]).upper())
    immunization = rxa_to_immunization(group, subject, context)
    immunization["identifier"] = [key, *([placer] if placer else [])]
    _add_facts(immunization, group.facts, key, subject, context)
    url = context.url("Immunization", key["system"], key["value"])
    context.entries.append(put(url, prune(immunization), key))


def _dose(rxa: Segment) -> str:
    """The vaccine and the date."""
    vaccine = f"{rxa[5][1]}^{rxa[5][3]}" if str(rxa[5][1]) else rxa[5][2].text.casefold()
    return f"{vaccine}@{rxa[3]}"


def rxa_to_immunization(vaccination: Vaccination, subject: Subject, context: Context) -> Element:
    rxa, rxr, orc = vaccination.rxa, vaccination.rxr, vaccination.orc
    occurrence = dtm_to_date_time(rxa[3], context)
    amount = rxa[6].text if rxa[6].text not in UNKNOWN_AMOUNT else ""
    note = comments(vaccination.notes)
    site = cwe_to_codeable_concept(rxr[2], context, "0163") if rxr else None
    vaccine = cwe_to_codeable_concept(rxa[5], context)
    if vaccine is None:
        context.warn("No vaccine is named", rxa[5], "required")
        vaccine = {"text": "?"}
    recorded = dtm_to_date_time(rxa[22], context) or (dtm_to_date_time(orc[9], context) if orc else None)
    return {
        "resourceType": "Immunization",
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
        ],
        "note": [{"text": note}] if note else [],
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


def _add_facts(
    immunization: Element, facts: list[Segment], key: Element, subject: Subject, context: Context
) -> None:
    """What OBX after RXA say of the dose, by their LOINC code; others stay unread."""
    education: dict[str, Element] = {}
    protocol: Element = {}
    reactions = ObservationEntries(subject, context, key["system"], key["value"])
    for obx in facts:
        obx.mark_read(1, 2, 4, 11)
        match str(obx[3][1]):
            case "64994-7":
                immunization["programEligibility"] = [cwe_to_codeable_concept(obx[5], context)]
            case "30963-3":
                immunization["fundingSource"] = cwe_to_codeable_concept(obx[5], context)
            case "30973-2":
                protocol |= _count("doseNumber", obx[5])
            case "59782-3":
                protocol |= _count("seriesDoses", obx[5])
            case "69764-9":
                education.setdefault(obx[4].text, {})["documentType"] = obx[5][2].text or str(obx[5][1])
            case "29768-9":
                education.setdefault(obx[4].text, {})["publicationDate"] = dtm_to_date_time(obx[5], context)
            case "29769-7":
                education.setdefault(obx[4].text, {})["presentationDate"] = dtm_to_date_time(obx[5], context)
            case "31044-1":
                detail = reactions.add(obx, [], {})
                immunization.setdefault("reaction", []).append({"detail": detail})
            case "48767-8":
                immunization["note"].append({"text": obx[5].text})
            case "59785-6":
                immunization["reasonCode"].append(cwe_to_codeable_concept(obx[5], context))
            case "30945-0" if immunization["status"] == "not-done" and not immunization.get("statusReason"):
                concept = cwe_to_codeable_concept(obx[5], context) or {}
                coding = {"system": f"{V3}ActReason", "code": "MEDPREC"}
                immunization["statusReason"] = concept | {"coding": [coding, *concept.get("coding", [])]}
    # imm-1: education has a document type or a reference
    immunization["education"] = [part for part in education.values() if part.get("documentType")]
    if "doseNumberPositiveInt" in protocol or "doseNumberString" in protocol:
        immunization["protocolApplied"] = [protocol]


def _count(element: str, value: Field) -> Element:
    text = value[1].text
    if text.isdecimal() and int(text) > 0:
        return {f"{element}PositiveInt": int(text)}
    return {f"{element}String": text} if text else {}


def _performers(segment: Segment, number: int, function: str, context: Context) -> list[Element]:
    coding = {"system": f"{TERMINOLOGY}v2-0443", "code": function}
    return [
        {"function": {"coding": [coding]}, "actor": actor}
        for actor in practitioners(segment, number, context)
    ]


def _location(rxa: Segment) -> str:
    return str(rxa[27][4][1]) or str(rxa[27][1]) or str(rxa[11][4][1]) or str(rxa[11][1])


def _unknown() -> Element:
    return {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}
