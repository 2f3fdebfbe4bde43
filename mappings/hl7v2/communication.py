"""Communication: who a document or a result is sent to, one for each recipient.

There is no official map. Recipients are TXA-23, OBR-28, PRT of kind RCT and, in the CI-SIS profile, what
MetaDMPMSS says about mail (MSSanté); nothing else becomes a Communication but alerts (``alert.py``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mappings.core.bundle import mention, prune
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import URI_SYSTEM, dtm_to_date_time
from mappings.hl7v2.delivery import delivery_identifier
from mappings.hl7v2.document import AUTHORS
from mappings.hl7v2.metadata import Dispatch
from mappings.hl7v2.participation import RECIPIENT, participants, participation_of, prt_to_address
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.tables import TERMINOLOGY

PATIENT_DOMAIN: Final = "@patient.mssante.fr"
"""What mail addresses of patients end with in France; before it stands the INS."""

MAIL: Final = {"coding": [{"system": f"{TERMINOLOGY}v3-ParticipationMode", "code": "EMAILWRIT"}]}
NOTIFICATION: Final = {"coding": [{"system": f"{TERMINOLOGY}communication-category", "code": "notification"}]}
_FROM_OUTSIDE: Final = "CISIS_CDA_HL7_LPS"
"""MSH-21 of documents that came by mail and are handed on: the mail is over."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is sent: documents or reports, of whom, in which visit; ``hidden`` are codings of who must not see
    them, nor that they are sent."""

    about: list[Element]
    subject: Subject
    encounter: Element | None
    hidden: list[Element]


def add_copies(segment: Segment | None, number: int, status: str, sent: Sent, context: Context) -> None:
    """Add a Communication for each person in TXA-23 or OBR-28: distributed copies, result copies."""
    for who in practitioners(segment, number, context) if segment else ():
        _add(who, "", status, None, sent, context)


def add_dispatches(
    participations: Iterable[Segment], dispatch: Dispatch, sent: Sent, context: Context
) -> None:
    """Add a Communication for each PRT of kind RCT that the sender wants the document mailed to.

    A document hidden from professionals or from the patient is not mailed to them: an issue says so.
    """
    participations = list(participations)
    hidden = {coding["code"] for coding in sent.hidden}
    status = "completed" if _FROM_OUTSIDE in context.message.msh[21].raw else "in-progress"
    senders = [who for _, who in participants(participations, AUTHORS, context)] if dispatch.texts else []
    sender = senders[0] if senders else None
    to_patient = False
    for prt, who in participants(participations, [RECIPIENT], context):
        address = prt_to_address(prt)
        is_patient = address.endswith(PATIENT_DOMAIN)
        wanted = dispatch.patient if is_patient else dispatch.professionals
        if wanted is False:
            continue
        if is_patient:
            to_patient = True
            who = {**sent.subject.reference, "identifier": who.get("identifier")}
        if ("INVISIBLE_PATIENT" if is_patient else "MASQUE_PS") in hidden:
            text = "The document is hidden from a recipient of it: not sent to them"
            context.issue("warning", "business-rule", text, prt.location)
            continue
        text = dispatch.texts.get("patient" if is_patient else "professionals", "")
        _add(who, address, status, sender, sent, context, text)
    words = dispatch.texts.get("patient", "")
    if (dispatch.patient or (dispatch.patient is None and words)) and not to_patient:
        if "INVISIBLE_PATIENT" in hidden:
            text = "The document is hidden from the patient: not sent to them"
            context.issue("warning", "business-rule", text, "OBX-3")
            return
        address = next((f"{ins}{PATIENT_DOMAIN}" for ins in sorted(sent.subject.sent_ins)), "")
        _add(sent.subject.reference, address, status, sender, sent, context, words)
    for prt in participations:
        if participation_of(prt) == "REPLY":
            prt.mark_read(1, 2, 3, 15)  # where a mail program would answer to


def _add(
    who: Element,
    address: str,
    status: str,
    sender: Element | None,
    sent: Sent,
    context: Context,
    text: str = "",
) -> None:
    recipient: Element = prune(
        {
            **who,
            "identifier": who.get("identifier")
            or ({"system": URI_SYSTEM, "value": f"mailto:{address}"} if address else None),
        }
    )
    name = address or who.get("reference") or who.get("display", "")
    key = context.derived("Communication", *(about["reference"] for about in sent.about), name)
    time = dtm_to_date_time(context.message.msh[7], context)
    communication: Element = prune(
        {
            "resourceType": "Communication",
            "meta": {"security": sent.hidden},
            "identifier": [key, delivery_identifier(context.message, address) if address else None],
            "status": status,
            "category": [NOTIFICATION],
            "medium": [MAIL] if address else None,
            "subject": sent.subject.reference,
            "about": sent.about,
            "encounter": sent.encounter,
            "sent": time if status == "completed" else None,
            "recipient": [recipient],
            "sender": sender,
            "payload": [
                {"contentString": text} if text else None,
                *({"contentReference": about} for about in sent.about),
            ],
        }
    )
    url = context.url("Communication", key["system"], key["value"])
    # It is sent once: a copy of the message says nothing of what has become of it since.
    context.entries.append(mention(url, communication, key))
