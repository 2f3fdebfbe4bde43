"""PV1[Encounter], PV2[Encounter].

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-pv1-to-encounter.html
"""

from typing import Final

from mappings.core.bundle import mention, prune, put
from mappings.core.codes import V3
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import cwe_to_codeable_concept, cx_to_identifier, dr_to_period
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import ENCOUNTER_CLASS, ENCOUNTER_STATUS, TERMINOLOGY

STATUS_OF_EVENT: Final = {"A01": "in-progress", "A05": "planned"}
"""Where the event decides; elsewhere the patient class does. The official table has A04 as planned, but A04
registers a patient who is there, and A08 as unknown, which would undo what an A01 said."""

PARTICIPANTS: Final = {7: "ATND", 8: "REF", 9: "CON", 17: "ADM"}
"""PV1 field -> v3-ParticipationType."""


def add_encounter(
    pv1: Segment | None, subject: Subject, context: Context, *, pv2: Segment | None = None, assert_it: bool
) -> Element | None:
    """Add the Encounter entry and give its reference; None when the visit has no number (PV1-19)."""
    if pv1 is None:
        return None
    pv1.mark_read(1)
    number = next((cx for cx in pv1.all(19)), None)
    identifier = cx_to_identifier(number, context) if number else None
    if identifier is None:
        return None
    encounter = pv1_to_encounter(pv1, identifier, subject, context)
    if pv2 is not None:
        encounter |= prune({"reasonCode": [cwe_to_codeable_concept(pv2[3], context)]}) or {}
    url = context.url("Encounter", identifier["system"], identifier["value"])
    entry = put if assert_it else mention
    context.entries.append(entry(url, encounter, identifier))
    return {"reference": url}


def pv1_to_encounter(pv1: Segment, identifier: Element, subject: Subject, context: Context) -> Element:
    trigger = str(context.message.msh[9][2])
    period = dr_to_period(pv1[44], pv1[45], context)
    encounter: Element = prune(
        {
            "resourceType": "Encounter",
            "identifier": [identifier],
            "status": _status(pv1, trigger, period),
            "class": _class(pv1[2], context),
            "type": [cwe_to_codeable_concept(pv1[4], context, "0007")],
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
            "hospitalization": {
                "admitSource": cwe_to_codeable_concept(pv1[14], context, "0023"),
                "reAdmission": cwe_to_codeable_concept(pv1[13], context, "0092"),
                "dischargeDisposition": cwe_to_codeable_concept(pv1[36], context, "0112"),
            },
            "location": [
                {"location": {"display": pl_to_display(pv1[3])}, "status": "active"},
                {"location": {"display": pl_to_display(pv1[6])}, "status": "completed"},
            ],
        }
    )
    encounter["location"] = [place for place in encounter.get("location", []) if "location" in place]
    result: Element = prune(encounter)
    return result


def pl_to_display(pl: Field) -> str:
    """A location as people read it: facility, building, floor, point of care, room, bed."""
    return " ".join(filter(None, (str(pl[n]) for n in (4, 7, 8, 1, 2, 3)))) or pl[9].text


def _status(pv1: Segment, trigger: str, period: Element | None) -> str:
    if period and "end" in period:
        return "finished"
    return STATUS_OF_EVENT.get(trigger) or ENCOUNTER_STATUS.get(str(pv1[2]).upper(), "unknown")


def _class(patient_class: Field, context: Context) -> Element:
    sent = str(patient_class).upper()
    if (code := ENCOUNTER_CLASS.get(sent)) is not None:
        return {"system": f"{V3}ActCode", "code": code}
    if sent:
        return {"system": f"{TERMINOLOGY}v2-0004", "code": sent}
    context.warn("No patient class", patient_class, "required")
    return {"system": f"{V3}NullFlavor", "code": "UNK"}
