"""ZAM: what became of a document that was sent on: taken by the shared record, delivered, read. CI-SIS"""

import hashlib
from typing import Final

from mappings.core.bundle import change, prune
from mappings.core.result import Element, Held, Issue
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import cwe_to_codeable_concept, dtm_to_date_time
from mappings.hl7v2.reader import Message
from mappings.hl7v2.segment import Field, Segment

RECORD, RECEIVED, READ = "ACK_RECEPTION_DMP", "ACK_RECEPTION_MSS", "ACK_LECTURE_MSS"
_ANSWERS: Final = {"Z01": RECORD, "Z02": RECEIVED, "Z03": READ}
"""Trigger event -> the OBX-3 that holds its answer."""

_SYSTEM: Final = "urn:x-fhirserver:delivery"


def delivery_identifier(message: Message, address: str) -> Element:
    """What the answers to a mail name it by: who asked for it, in which message, to whom it went.

    It is a hash, because the address of a patient holds the INS.
    """
    msh = message.msh
    return _identifier(msh[3], msh[4], msh[10].text, address)


def add_delivery(context: Context) -> None:
    """Change the Communications that a ZAM message is about: received, read, or why not.

    Raises:
        Held: it names no message or no recipient.
    """
    message = context.message
    trigger = message.trigger
    answer = next((obx for obx in message.all("OBX") if str(obx[3][1]).upper() == _ANSWERS[trigger]), None)
    if answer is None:
        raise _held(f"There is no OBX of {_ANSWERS[trigger]}", "OBX-3")
    answer.mark_read(1, 2, 11)
    control_id, positive = answer[4].text, context.boolean(answer[5][1]) is True
    if not control_id:
        raise _held("It is said of no message", answer[4].location)
    why = _reason(message.find("ERR"), context)
    if trigger == "Z01":
        _report(positive, why, answer, context)
        return
    for obx in message.all("OBX"):
        if obx is answer:
            continue
        obx.mark_read(1, 2, 3, 4, 11)
        for xtn in obx.all(5):
            address = (str(xtn[4]) or str(xtn[1])).casefold()
            if "@" in address:
                _add_change(control_id, address, positive, why, context)
    if not context.entries:
        raise _held("It names no recipient", "OBX-5")


def _add_change(control_id: str, address: str, positive: bool, why: Element | None, context: Context) -> None:
    msh, evn = context.message.msh, context.message.find("EVN")
    # What answers is what was asked: its sender was the receiver.
    identifier = _identifier(msh[5], msh[6], control_id, address)
    when = (dtm_to_date_time(evn[2], context) if evn else None) or dtm_to_date_time(msh[7], context)
    elements: Element
    if context.message.trigger == "Z03":
        text = "Read" if positive else "Not read"
        elements = {"note": [{"time": when, "text": text}]}
    elif positive:
        elements = {"status": "completed", "received": when}
    else:
        elements = {"status": "not-done", "statusReason": why}
    part = prune({"resourceType": "Communication", "identifier": [identifier], **elements})
    url = context.url("Communication", identifier["system"], identifier["value"])
    context.entries.append(change(url, part, identifier))


def _report(positive: bool, why: Element | None, answer: Segment, context: Context) -> None:
    """Nothing here changes by what the shared record answers to somebody; people must see a refusal."""
    if positive:
        text = "The document is in the shared record"
        context.issue("information", "informational", text, answer.location)
        return
    coding = (why or {}).get("coding", [{}])[0]
    text = (
        f"The shared record did not take the document: {coding.get('code', '')} {coding.get('display', '')}"
    )
    context.issue("warning", "business-rule", text.strip(), answer.location)


def _reason(err: Segment | None, context: Context) -> Element | None:
    """ERR-5 (why a mail or a document was refused), else ERR-3."""
    if err is None:
        return None
    err.mark_read(1, 2, 4)
    general = cwe_to_codeable_concept(err[3], context, "0357")
    return cwe_to_codeable_concept(err[5], context) or general


def _identifier(application: Field, facility: Field, control_id: str, address: str) -> Element:
    parts = (str(application[1]), str(facility[1]), control_id, address.casefold())
    value = hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:40]
    return {"use": "secondary", "system": _SYSTEM, "value": value}


def _held(text: str, location: str) -> Held:
    return Held(text, Issue("error", "required", text, location))
