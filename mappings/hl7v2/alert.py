"""Alerts (ORU R40) -> Communication, for which there is no official map. IHE PCD-04, Report Alert

https://wiki.ihe.net/index.php/PCD_Profile_Alert_Communication_Management
"""

from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    concept_text,
    cwe_to_codeable_concept,
    dtm_to_date_time,
    ei_to_identifier,
)
from mappings.hl7v2.groups import Order, Result
from mappings.hl7v2.observation import ObservationEntries, annotation
from mappings.hl7v2.participation import RECIPIENT, participants
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import hd_to_reference, practitioners
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.specimen import eip
from mappings.hl7v2.tables import TERMINOLOGY

# IEEE 11073 (MDC): what an OBX says of an alert
EVENTS: Final = frozenset({"196616", "196648", "196670"})
SOURCE, PHASE, STATE, INACTIVATION, PRIORITY, KIND, TEXT = (
    "68480", "68481", "68482", "68483", "68484", "68485", "68546",
)  # fmt: skip
_FACETS: Final = frozenset({SOURCE, PHASE, STATE, INACTIVATION, PRIORITY, KIND, TEXT})

# MDC_ATTR_EVENT_PHASE -> event-status
STATUS_OF_PHASE: Final = {
    **dict.fromkeys(
        ("start", "continue", "update", "escalate", "deescalate", "present", "tpoint"), "in-progress"
    ),
    **dict.fromkeys(("end", "reset"), "completed"),
}
# MDC_ATTR_ALARM_PRIORITY -> request-priority
URGENCY: Final = {"PH": "stat", "PM": "urgent", "PL": "routine", "PI": "routine", "PN": "routine"}

ALERT: Final = {"coding": [{"system": f"{TERMINOLOGY}communication-category", "code": "alert"}]}


def add_alert(order: Order, subject: Subject, encounter: Element | None, context: Context) -> None:
    """Add the Communication of one alert and the Observations that it is about.

    The phases of an alert are one Communication: it is the same by its parent (OBR-29), else by OBR-3.
    """
    obr = order.obr
    key = _key(obr, order, subject, context)
    facets: dict[str, Result] = {}
    evidence: list[Result] = []
    for result in order.results:
        code = str(result.obx[3][1])
        if code in EVENTS:
            facets.setdefault("event", result)
        elif code in _FACETS:
            facets.setdefault(code, result)
        else:
            evidence.append(result)
    observations = ObservationEntries(subject, context, key["system"], key["value"])
    about = [reference for result in evidence if (reference := observations.add(result, {}))]
    communication = _communication(order, facets, subject, context)
    communication |= prune({"identifier": [key], "encounter": encounter, "about": about}) or {}
    url = context.url("Communication", key["system"], key["value"])
    context.entries.append(put(url, communication, key))


def _key(obr: Segment | None, order: Order, subject: Subject, context: Context) -> Element:
    if obr is not None:
        obr.mark_read(1)
        parent = eip(obr[29][2], context, "FILL") or eip(obr[29][1], context, "PLAC")
        identifier = parent or ei_to_identifier(obr[3], context, "FILL")
        if identifier is not None:
            return identifier
    event = next((result.obx for result in order.results), None)
    sub_id = event[4].text if event else ""
    return context.derived("Communication", subject.key, context.message.msh[10].text, sub_id)


def _communication(order: Order, facets: dict[str, Result], subject: Subject, context: Context) -> Element:
    obr = order.obr
    event = facets["event"].obx if "event" in facets else None
    for result in facets.values():
        result.obx.mark_read(1, 2, 4, 11)
    kind = cwe_to_codeable_concept(event[5], context) if event else None
    topic = kind or (cwe_to_codeable_concept(obr[4], context) if obr else None)
    text = _value(facets, TEXT) or concept_text(kind) or concept_text(topic)
    recipients = [
        *(practitioners(obr, 28, context) if obr else []),
        *(
            who
            for group in (order.participations, *(r.participations for r in order.results))
            for _, who in participants(group, [RECIPIENT], context)
        ),
    ]
    sent = (dtm_to_date_time(event[14], context) if event else None) or (
        dtm_to_date_time(obr[7], context) if obr else None
    )
    communication: Element = prune(
        {
            "resourceType": "Communication",
            **_status(facets, context),
            "category": [ALERT],
            **_urgency(facets, event, context),
            "subject": subject.reference,
            "topic": topic,
            "sent": sent or dtm_to_date_time(context.message.msh[7], context),
            "recipient": recipients,
            "sender": _sender(event, context),
            "payload": [{"contentString": text}, _phase(facets)],
            "note": [annotation(order.notes, context)],
        }
    )
    return communication


def _status(facets: dict[str, Result], context: Context) -> Element:
    """The phase; an alert whose state has become inactive is over."""
    if _value(facets, STATE).lower() == "inactive":
        _value(facets, PHASE)
        return {"status": "completed"}
    phase = facets.get(PHASE)
    if phase is None:
        return {"status": "in-progress"}
    value = phase.obx[5]
    sent = str(value)
    if sent and sent.lower() not in STATUS_OF_PHASE:
        context.warn(f"Unknown phase {sent[:40]!r}", value, "code-invalid")
    return {"status": STATUS_OF_PHASE.get(sent.lower(), "unknown")}


def _urgency(facets: dict[str, Result], event: Segment | None, context: Context) -> Element:
    """The priority facet, else the first of those OBX-8 lists (PH, PM, PL) with the event."""
    if PRIORITY in facets:
        value: Field | None = facets[PRIORITY].obx[5]
    else:
        flags = event.all(8) if event else []
        value = next((flag for flag in flags if str(flag).upper() in URGENCY), None)
    if value is None:
        return {}
    sent = str(value).upper()
    if sent not in URGENCY:
        context.warn(f"Unknown priority {sent[:40]!r}", value, "code-invalid")
    return {"priority": URGENCY.get(sent)}


def _phase(facets: dict[str, Result]) -> Element | None:
    """What the device says of the state it is in, in its own words."""
    said = [f"{name}: {value}" for name, code in _SHOWN.items() if (value := _value(facets, code))]
    return {"contentString": ", ".join(said)} if said else None


_SHOWN: Final = {
    "source": SOURCE,
    "phase": PHASE,
    "state": STATE,
    "inactivation": INACTIVATION,
    "priority": PRIORITY,
    "type": KIND,
}


def _value(facets: dict[str, Result], code: str) -> str:
    result = facets.get(code)
    if result is None:
        return ""
    value = result.obx[5]
    return value[2].text or str(value)


def _sender(event: Segment | None, context: Context) -> Element | None:
    """The device of OBX-18, else who sent the message."""
    identifier = ei_to_identifier(event[18], context) if event else None
    if identifier is not None:
        return {"type": "Device", "identifier": identifier}
    msh = context.message.msh
    return hd_to_reference(msh[4], context) or hd_to_reference(msh[3], context)
