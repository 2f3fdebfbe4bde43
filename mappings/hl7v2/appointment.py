"""SCH[Appointment], AIS, AIG, AIL, AIP[Appointment]: scheduling (SIU).

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-sch-to-appointment.html
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from mappings.core.bundle import change, prune, put
from mappings.core.result import Element, Held, Issue
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import concept_text, cwe_to_codeable_concept, dtm_to_instant, ei_to_identifier
from mappings.hl7v2.encounter import pl_to_display
from mappings.hl7v2.observation import comments
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioner_reference
from mappings.hl7v2.segment import Field, Segment

# The trigger events that decide -> appointment-status
STATUS_OF_EVENT: Final = {
    "S15": "cancelled",
    "S16": "cancelled",
    "S17": "entered-in-error",
    "S26": "noshow",
}
# 0278 Filler Status Codes -> appointment-status
FILLER_STATUS: Final = {
    "PENDING": "pending",
    "WAITLIST": "waitlist",
    "BOOKED": "booked",
    "OVERBOOK": "booked",
    "STARTED": "arrived",
    "COMPLETE": "fulfilled",
    "CANCELLED": "cancelled",
    "DC": "cancelled",
    "DELETED": "entered-in-error",
    "NOSHOW": "noshow",
}
# 0278 Filler Status Codes, of one participant -> participationstatus
PARTICIPATION_STATUS: Final = {
    "PENDING": "tentative",
    "WAITLIST": "tentative",
    "BOOKED": "accepted",
    "OVERBOOK": "accepted",
    "STARTED": "accepted",
    "COMPLETE": "accepted",
    "CANCELLED": "declined",
    "DC": "declined",
    "DELETED": "declined",
    "NOSHOW": "declined",
}
_MINUTES: Final = {"S": 1 / 60, "SEC": 1 / 60, "M": 1, "MIN": 1, "MN": 1, "H": 60, "HR": 60, "D": 1440, "": 1}
"""Units of durations, as they begin -> minutes."""
_START: Final = {"AIS": 4, "AIG": 8, "AIL": 6, "AIP": 6}
"""Segment -> its start; three fields on stands the duration, then its unit."""
_NONE: Final = 99
"""A field that no segment has."""
_WITHOUT_TIME: Final = frozenset({"proposed", "cancelled", "waitlist", "noshow", "entered-in-error"})


def add_appointment(segments: list[Segment], subjects: list[Subject], context: Context) -> None:
    """Add the Appointment of an SIU: one for each patient, so that no patient's record names another.

    Raises:
        Held: nothing identifies the appointment.
    """
    sch = next((segment for segment in segments if segment.name == "SCH"), None)
    if sch is None:
        raise _held("There is no SCH segment", "SCH")
    filler, placer = ei_to_identifier(sch[2], context, "FILL"), ei_to_identifier(sch[1], context, "PLAC")
    number = filler or placer
    if number is None:
        raise _held("The appointment has no number", "SCH-2")
    appointment = sch_to_appointment(sch, segments, context)
    participants = list(_participants(segments, context))
    for position, subject in enumerate(subjects):
        # The number finds the appointment of the first patient; the others' are known by their patient, too.
        key = number
        if position:
            key = context.derived("Appointment", number["system"], number["value"], subject.key)
        own: Element = prune(
            {
                **appointment,
                "identifier": [key] if position else [filler, placer],
                "participant": [
                    {"actor": subject.reference, "required": "required", "status": "accepted"},
                    *participants,
                ],
            }
        )
        url = context.url("Appointment", key["system"], key["value"])
        # FHIR forbids it to lack a time (app-3): then it must be stored already.
        partial = "start" not in own and own["status"] in {"noshow", "entered-in-error"}
        context.entries.append(change(url, own, key) if partial else put(url, own, key))


def sch_to_appointment(sch: Segment, segments: list[Segment], context: Context) -> Element:
    """What SCH says, with the services (AIS), timings (TQ1), notes and diagnoses; without participants."""
    services = [s for s in segments if s.name == "AIS" and str(s[2]).upper() != "D"]
    start, end, minutes = _times(sch, segments, context)
    status = _status(sch, start, end, context)
    orders = (ei_to_identifier(sch[26], context, "PLAC"), ei_to_identifier(sch[27], context, "FILL"))
    for segment in segments:
        if segment.name in {"AIS", "DG1", "NTE"}:
            segment.mark_read(1)
    # Why somebody did not come: R4 misspells noshow in the rule that would allow a cancelationReason (app-4).
    missed = status["status"] == "noshow"
    reason = concept_text(cwe_to_codeable_concept(sch[6], context)) if missed else ""
    return {
        "resourceType": "Appointment",
        **status,
        "cancelationReason": cwe_to_codeable_concept(sch[6], context)
        if status["status"] == "cancelled"
        else None,
        "serviceType": [cwe_to_codeable_concept(ais[3], context) for ais in services],
        "appointmentType": cwe_to_codeable_concept(sch[8], context, "0277"),
        "reasonCode": [
            cwe_to_codeable_concept(sch[7], context, "0276"),
            *(cwe_to_codeable_concept(s[3], context) for s in segments if s.name == "DG1"),
        ],
        "start": start,
        "end": end,
        "minutesDuration": minutes,
        "comment": "\n".join(filter(None, (reason, comments([s for s in segments if s.name == "NTE"])))),
        "basedOn": [
            {"type": "ServiceRequest", "identifier": identifier} for identifier in orders if identifier
        ],
    }


def _status(sch: Segment, start: str | None, end: str | None, context: Context) -> Element:
    trigger = context.message.trigger
    if (decided := STATUS_OF_EVENT.get(trigger)) is not None:
        sch.mark_read(25)
        return {"status": decided}
    elements = context.code("status", sch[25], FILLER_STATUS, "0278", "booked")
    if not (start and end) and elements["status"] not in _WITHOUT_TIME:
        # app-3: only what is not fixed yet may lack a time
        context.issue("warning", "required", "No start and end: taken as proposed", "SCH-11")
        elements["status"] = "proposed"
    return elements


def _times(
    sch: Segment, segments: Iterable[Segment], context: Context
) -> tuple[str | None, str | None, int | None]:
    """Start, end and minutes, of TQ1, else SCH-11, else the first service or resource."""
    minutes = _minutes(sch[9], sch[10])
    timings, resources = [], []
    for segment in segments:
        if segment.name == "TQ1":
            segment.mark_read(1)
            timings.append((segment[7], segment[8]))
        elif segment.name == "RGS":
            segment.mark_read(1, 2)
        elif (number := _START.get(segment.name)) is not None:
            resources.append((segment[number], segment[_NONE]))
            minutes = minutes or _minutes(segment[number + 3], segment[number + 4])
    spans = [*timings, (sch[11][4], sch[11][5]), *resources]
    first = next(((start, end) for start, end in spans if start), None)
    if first is None:
        return None, None, minutes
    start, end = dtm_to_instant(first[0], context), dtm_to_instant(first[1], context)
    if start and not end and minutes:
        end = (datetime.fromisoformat(start) + timedelta(minutes=minutes)).isoformat()
    if start and end and datetime.fromisoformat(end) < datetime.fromisoformat(start):
        context.warn("The end is before the start: left out", first[1])
        end = None
    return (start, end, minutes) if start and end else (None, None, minutes)


def _minutes(value: Field, units: Field) -> int | None:
    text, unit = value.text, str(units[1]).upper()
    factor = next((f for name, f in _MINUTES.items() if unit == name), None) or next(
        (f for name, f in _MINUTES.items() if name and unit.startswith(name)), None
    )
    if not text.isdecimal() or factor is None:
        return None
    return round(int(text[:9]) * factor) or None


def _participants(segments: Iterable[Segment], context: Context) -> Iterator[Element]:
    """AIP people, AIL places, AIG other resources; those with the action code D are no longer part of it."""
    for segment in segments:
        number = {"AIP": 12, "AIL": 12, "AIG": 14}.get(segment.name)
        if number is None:
            continue
        segment.mark_read(1)
        if str(segment[2]).upper() == "D":
            segment.mark_read(*range(3, number + 1))
            continue
        kind = cwe_to_codeable_concept(segment[4], context)
        for actor in _actors(segment, context):
            yield {
                "type": [kind],
                "actor": actor,
                **context.code("status", segment[number], PARTICIPATION_STATUS, "0278", "accepted"),
            }


def _actors(segment: Segment, context: Context) -> list[Element]:
    match segment.name:
        case "AIP":
            found = [practitioner_reference(xcn, context) for xcn in segment.all(3)]
        case "AIL":
            shown = (pl_to_display(pl) for pl in segment.all(3))
            found = [{"type": "Location", "display": display} for display in shown if display]
        case _:
            concepts = (cwe_to_codeable_concept(cwe, context) for cwe in segment.all(3))
            found = [
                {"type": "Device", "display": display} for c in concepts if c and (display := concept_text(c))
            ]
    return [actor for actor in found if actor]


def _held(text: str, location: str) -> Held:
    return Held(text, Issue("error", "required", text, location))
