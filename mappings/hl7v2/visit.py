"""What the events of a visit mean for its Encounter: status, places, times. HL7 v2.9 chapter 3.3

PAM France: the segment ZBE names each movement, so that it can be corrected and taken back.
"""

from dataclasses import dataclass
from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.effects import Action, Movement
from mappings.core.identity import is_ins
from mappings.core.result import Element
from mappings.hl7v2.account import add_account
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import cx_to_identifier, dtm_to_date_time, ei_to_identifier
from mappings.hl7v2.encounter import NUMBERS, PLANNED_END, encounter_url, pv1_to_encounter
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import xon_to_reference
from mappings.hl7v2.segment import Segment

MOVEMENT: Final = "urn:x-fhirserver:movement"
"""Extension of Encounter.location: the identifier of the movement that brought the patient there (ZBE-1)."""


@dataclass(frozen=True, slots=True)
class VisitEvent:
    """``status`` is the Encounter's afterwards, "" where the event says nothing of it; ``cancels`` says that
    the event only takes something back: other data in it change nothing that is stored."""

    status: str = ""
    action: Action = "none"
    cancels: bool = False


VISIT_EVENTS: Final = {
    "A01": VisitEvent("in-progress", "insert"),
    "A02": VisitEvent("", "insert"),
    "A03": VisitEvent("finished"),
    "A04": VisitEvent("", "insert"),
    "A05": VisitEvent("planned", "insert"),
    "A06": VisitEvent("in-progress", "insert"),
    "A07": VisitEvent("in-progress", "insert"),
    "A08": VisitEvent("", "update"),
    "A10": VisitEvent("", "insert"),
    "A11": VisitEvent("cancelled", cancels=True),
    "A12": VisitEvent("", "cancel"),
    "A13": VisitEvent("in-progress"),
    "A14": VisitEvent("planned", "insert"),
    "A21": VisitEvent("onleave"),
    "A22": VisitEvent("in-progress"),
    "A23": VisitEvent("entered-in-error", cancels=True),
    "A27": VisitEvent("cancelled", cancels=True),
    "A38": VisitEvent("cancelled", cancels=True),
    "A52": VisitEvent("in-progress"),
    "A53": VisitEvent("onleave"),
    "Z99": VisitEvent("", "update"),
}
"""Where the event decides; elsewhere the patient class tells a status, of a visit that is not known yet. The
official table has A04 as planned, but A04 registers a patient who is there, and A08 as unknown, which would
undo what an A01 said. A09, A15, A16, A25, A26, A54, A55 say nothing of it."""

_PLACE_NOT_TAKEN: Final = frozenset({"planned", "cancelled", "entered-in-error"})


def add_visit(
    pv1: Segment | None,
    pv2: Segment | None,
    zbe: Segment | None,
    subject: Subject,
    context: Context,
    known_by: Element | None = None,
) -> Element | None:
    """Add the Encounter entry of an ADT event and give its reference; None when the visit has no number, and
    is not ``known_by`` anything else."""
    if pv1 is None:
        return None
    encounter = pv1_to_encounter(pv1, pv2, subject, context, known_by)
    if encounter is None:
        return None
    trigger = str(context.message.msh[9][2])
    event = VISIT_EVENTS.get(trigger, VisitEvent())
    identifier = encounter["identifier"][0]
    url = encounter_url(identifier, context)
    of_class = encounter["status"]
    encounter["status"] = _status(event, trigger, of_class)
    states = event.status or of_class == "finished" or (trigger == "A04" and of_class != "unknown")
    assumed = set() if states else {"status"}
    if not pv1[2]:
        assumed.add("class")
    _add_account(encounter, subject, context)
    _time(encounter, trigger, zbe, url, context)
    movement = _movement(zbe, event.action, encounter, context)
    _place(encounter, movement, dtm_to_date_time(zbe[3], context) if zbe else None)
    if zbe is not None:
        encounter |= zbe_to_encounter(zbe, context)
    if event.cancels:
        assumed = set(encounter) - {"resourceType", "identifier", "status", "subject"}
    context.effects.movements[url] = movement
    context.effects.assumed[url] = assumed
    if trigger == "A25":
        context.effects.withdrawn[url] = {"extension": [{"url": PLANNED_END}]}
    if trigger == "A26":
        context.effects.withdrawn[url] = {"location": [{"status": "planned"}]}
    context.entries.append(put(url, prune(encounter), identifier))
    return {"reference": url}


def stay_without_number(pv1: Segment, pid: Segment, subject: Subject, context: Context) -> Element | None:
    """What a visit without a number (PV1-19) is known by: its account, else the patient and the admission;
    None where there is no visit (class N), or nothing to know it by."""
    if str(pv1[2]).upper() == "N" or any(pv1.all(number) for number in NUMBERS):
        return None
    if (account := cx_to_identifier(pid[18], context)) is not None:
        return context.derived("Encounter", account["system"], account["value"])
    if (admitted := dtm_to_date_time(pv1[44], context)) is None:
        return None
    # The INS may come later than the visit: the establishment's own number is what stays.
    own = min(subject.identifiers, key=is_ins)
    return context.derived("Encounter", own["system"], own["value"], admitted)


def zbe_to_encounter(zbe: Segment, context: Context) -> Element:
    """The unit that is responsible: ZBE-7 medical, else ZBE-8 nursing (PAM France 2.11)."""
    zbe.mark_read(5, 6, 9)
    medical, nursing = (xon_to_reference(zbe[number], context) for number in (7, 8))
    elements: Element = prune({"serviceProvider": medical or nursing}) or {}
    return elements


def event_time(context: Context) -> str:
    """When it happened, as dateTime: EVN-6, else EVN-2, else MSH-7; "" when nothing says it."""
    message = context.message
    evn = message.find("EVN")
    fields = [evn[6], evn[2]] if evn else []
    return next((time for f in (*fields, message.msh[7]) if (time := dtm_to_date_time(f, context))), "")


def _status(event: VisitEvent, trigger: str, of_class: str) -> str:
    """A visit that has ended (PV1-45) is finished, whatever else is said of it but that it has not ended."""
    if of_class == "finished" and trigger != "A13" and not event.cancels:
        return "finished"
    return event.status or ("in-progress" if of_class == "finished" else of_class)


def _add_account(encounter: Element, subject: Subject, context: Context) -> None:
    """PID-18 of a message about one patient."""
    pids = context.message.all("PID")
    if len(pids) == 1 and (account := add_account(pids[0], subject, context)):
        encounter["account"] = [account]


def _time(encounter: Element, trigger: str, zbe: Segment | None, url: str, context: Context) -> None:
    """Admission begins and discharge ends the period; the cancel of a discharge opens it again."""
    period = encounter.get("period", {})
    if trigger == "A03" and "end" not in period:
        time = (dtm_to_date_time(zbe[2], context) if zbe else None) or event_time(context)
        if time and _is_in_order(period.get("start", ""), time):
            encounter["period"] = {**period, "end": time}
        elif time:
            text = "The discharge is before the admission (PV1-44): the stay has no end"
            context.issue("warning", "value", text, "PV1-44")
    if trigger == "A13":
        encounter["period"] = {name: value for name, value in period.items() if name == "start"}
        context.cleared[url] = {"period.end", "hospitalization.dischargeDisposition"}


def _movement(zbe: Segment | None, action: Action, encounter: Element, context: Context) -> Movement:
    if zbe is None:
        start = encounter.get("period", {}).get("start", "")
        first = str(context.message.msh[9][2]) in {"A01", "A04"}
        return Movement(action, (first and start) or event_time(context))
    identifier = ei_to_identifier(zbe[1], context)
    time = dtm_to_date_time(zbe[2], context) or event_time(context)
    sent = str(zbe[4]).upper()
    if sent not in {"INSERT", "UPDATE", "CANCEL"}:
        context.warn("Neither INSERT nor UPDATE nor CANCEL: taken as the event says", zbe[4], "code-invalid")
    elif sent == "CANCEL":
        action = "cancel"
    elif encounter["status"] not in {"finished", "onleave"}:
        action = "insert"
    return Movement(action, time, identifier)


def _place(encounter: Element, movement: Movement, left: str | None) -> None:
    """Say since when the patient is in the place that is sent, and by which movement; ``left`` is ZBE-3."""
    status, ended = encounter["status"], encounter.get("period", {}).get("end")
    for location in encounter.get("location", ()):
        if location["status"] == "active" and status in _PLACE_NOT_TAKEN:
            location["status"] = "planned"
        elif location["status"] == "active" and movement.action == "insert":
            end = left if left and _is_in_order(movement.time, left) else None
            location["period"] = {"start": movement.time, "end": end}
            if movement.identifier:
                location["extension"] = [{"url": MOVEMENT, "valueIdentifier": movement.identifier}]
        if location["status"] == "completed" and movement.action == "insert":
            location["period"] = {"end": movement.time}
        if location["status"] == "active" and status == "finished":
            location["status"] = "completed"
            start = location.get("period", {}).get("start")
            in_order = not (start and ended) or _is_in_order(start, ended)
            location["period"] = {"start": start if in_order else None, "end": ended}


def _is_in_order(start: str, end: str) -> bool:
    """Whether two times of one message, which have one offset, follow each other."""
    length = min(len(start), len(end))
    return start[:length] <= end[:length]
