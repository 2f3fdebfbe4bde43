"""PV1[Encounter], PV2[Encounter].

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-pv1-to-encounter.html
"""

from typing import Final

from mappings.core.bundle import mention, prune, put
from mappings.core.codes import V3
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import cwe_to_codeable_concept, cx_to_identifier, dr_to_period, dtm_to_date_time
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import ENCOUNTER_CLASS, ENCOUNTER_STATUS

PARTICIPANTS: Final = {7: "ATND", 8: "REF", 9: "CON", 17: "ADM", 52: "PART"}
"""PV1 field -> v3-ParticipationType."""

PLANNED_START: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedStartDate"
PLANNED_END: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Encounter.plannedEndDate"
ARRIVAL: Final = "http://hl7.org/fhir/StructureDefinition/encounter-modeOfArrival"

NUMBERS: Final = (19, 5, 50)
"""PV1 fields with the numbers of a visit: its own, that of the preadmission, alternate ones."""


def add_encounter(
    pv1: Segment | None, subject: Subject, context: Context, *, pv2: Segment | None = None, assert_it: bool
) -> Element | None:
    """Add the Encounter entry and give its reference; None when the visit has no number (PV1-19)."""
    encounter = pv1_to_encounter(pv1, pv2, subject, context) if pv1 is not None else None
    if encounter is None:
        return None
    identifier = encounter["identifier"][0]
    url = encounter_url(identifier, context)
    entry = put if assert_it else mention
    context.entries.append(entry(url, encounter, identifier))
    return {"reference": url}


def encounter_url(identifier: Element, context: Context) -> str:
    return context.url("Encounter", identifier["system"], identifier["value"])


def visit_numbers(pv1: Segment, context: Context) -> list[Element]:
    """Identifiers of the visit, the one it is known by first: PV1-19, else the preadmission number PV1-5."""
    numbers: list[Element] = []
    for field in NUMBERS:
        for cx in pv1.all(field):
            identifier = cx_to_identifier(cx, context)
            if identifier and identifier not in numbers:
                numbers.append(identifier)
    return numbers


def pv1_to_encounter(
    pv1: Segment,
    pv2: Segment | None,
    subject: Subject,
    context: Context,
    known_by: Element | None = None,
) -> Element | None:
    """The Encounter as the visit's data alone tell it; None when the visit has no number, and is not
    ``known_by`` anything else.
    """
    pv1.mark_read(1)
    numbers = visit_numbers(pv1, context) or ([known_by] if known_by else [])
    if not numbers:
        return None
    period = dr_to_period(pv1[44], pv1[45], context)
    encounter: Element = prune(
        {
            "resourceType": "Encounter",
            "identifier": numbers,
            "status": _status(pv1, period),
            "class": _class(pv1[2], context),
            "type": [
                cwe_to_codeable_concept(pv1[4], context, "0007"),
                cwe_to_codeable_concept(pv1[18], context, "0018"),
            ],
            "serviceType": cwe_to_codeable_concept(pv1[10], context, "0069"),
            "subject": subject.reference,
            "participant": [
                {
                    "type": [{"coding": [{"system": f"{V3}ParticipationType", "code": code}]}],
                    "individual": reference,
                }
                for number, code in PARTICIPANTS.items()
                for reference in practitioners(pv1, number, context)
            ],
            "period": period,
            "hospitalization": _hospitalization(pv1, context),
            "location": [
                place(pv1[6], "completed"),
                place(pv1[3], "active"),
                place(pv1[42], "planned"),
            ],
        }
    )
    if pv2 is not None:
        encounter |= pv2_to_encounter(pv2, context)
    return encounter


def pv2_to_encounter(pv2: Segment, context: Context) -> Element:
    """https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-pv2-to-encounter.html"""
    arrival = cwe_to_codeable_concept(pv2[38], context, "0430")
    elements: Element | None = prune(
        {
            "extension": [
                _planned(PLANNED_START, pv2[8], context),
                _planned(PLANNED_END, pv2[9], context),
                {"url": ARRIVAL, "valueCoding": arrival["coding"][0]}
                if arrival and "coding" in arrival
                else None,
            ],
            "priority": cwe_to_codeable_concept(pv2[25], context, "0217"),
            "reasonCode": [cwe_to_codeable_concept(pv2[3], context)],
        }
    )
    return elements or {}


def place(pl: Field, status: str) -> Element | None:
    """An Encounter.location; None where no place is named."""
    display = pl_to_display(pl)
    return {"location": {"display": display}, "status": status} if display else None


def pl_to_display(pl: Field) -> str:
    """A location as people read it: facility, building, floor, point of care, room, bed."""
    return " ".join(filter(None, (str(pl[n]) for n in (4, 7, 8, 1, 2, 3)))) or pl[9].text


def _hospitalization(pv1: Segment, context: Context) -> Element:
    destination = pv1[37].text if not pv1[37][2] else str(pv1[37][1])
    return {
        "admitSource": cwe_to_codeable_concept(pv1[14], context, "0023"),
        "reAdmission": cwe_to_codeable_concept(pv1[13], context, "0092"),
        "dietPreference": [cwe_to_codeable_concept(pv1[38], context, "0114")],
        "specialCourtesy": [cwe_to_codeable_concept(pv1[16], context, "0099")],
        "specialArrangement": [cwe_to_codeable_concept(cwe, context, "0009") for cwe in pv1.all(15)],
        "destination": {"display": destination} if destination else None,
        "dischargeDisposition": cwe_to_codeable_concept(pv1[36], context, "0112"),
    }


def _planned(url: str, time: Field, context: Context) -> Element | None:
    value = dtm_to_date_time(time, context)
    return {"url": url, "valueDateTime": value} if value else None


def _status(pv1: Segment, period: Element | None) -> str:
    if period and "end" in period:
        return "finished"
    return ENCOUNTER_STATUS.get(str(pv1[2]).upper(), "unknown")


def _class(patient_class: Field, context: Context) -> Element:
    sent = str(patient_class).upper()
    if (code := ENCOUNTER_CLASS.get(sent)) is not None:
        return {"system": f"{V3}ActCode", "code": code}
    if sent:
        return context.table_coding("0004", sent)
    context.warn("No patient class", patient_class, "required")
    return {"system": f"{V3}NullFlavor", "code": "UNK"}
