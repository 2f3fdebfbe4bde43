"""A mail -> Communication, with the documents of its XDM zip; a receipt -> what became of a Communication.

There is no official map. https://esante.gouv.fr/produits-services/mssante, CI-SIS volet "courriel MSS".
"""

import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import pybase64

from mappings import xds
from mappings.core.bundle import change, full_url, post, prune, put, transaction
from mappings.core.identity import has_valid_key, ins_identifier, ins_values, is_ins_oid
from mappings.core.result import Element, Held, Issue, Mapped, Unreadable
from mappings.core.source import Source
from mappings.mail.message import XDM_SUBJECT, Address, Attachment, Mail, Receipt

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
PATIENT_DOMAIN: Final = "patient.mssante.fr"
"""Where the mailboxes of patients are; before the @ stands the INS."""
INS_OID: Final = "1.2.250.1.213.1.4.8"
"""The kind of INS in a mail address, unless the source's authorities map the domain to another."""
REPLY_CLOSED: Final = "urn:x-fhirserver:reply-closed"
XDM_NAME: Final = "ihe_xdm.zip"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"
_NOTIFICATION: Final = {
    "coding": [{"system": f"{_TERMINOLOGY}communication-category", "code": "notification"}]
}
_MAIL: Final = {"coding": [{"system": f"{_TERMINOLOGY}v3-ParticipationMode", "code": "EMAILWRIT"}]}
_AGENT: Final = f"{_TERMINOLOGY}provenance-participant-type"
_DELIVERED: Final = ("delivered", "relayed", "expanded")
_INS = re.compile(r"[0-9]{5}(?:[0-9]{2}|2[ab])[0-9]{8}")


@dataclass(slots=True)
class _Content:
    """What the mail brings besides its text: the entries of its submissions, their patient and documents,
    the parts that are no submission."""

    entries: list[Element] = field(default_factory=list)
    cleared: dict[str, set[str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    patient: Element | None = None

    @property
    def documents(self) -> list[Element]:
        return [e for e in self.entries if e["resource"]["resourceType"] == "DocumentReference"]


def to_bundle(mail: Mail, source: Source) -> Mapped:
    """Map a mail, or a receipt.

    Raises:
        Held: it concerns no patient, several, or another than its documents do; a document may not be shown
            to a recipient; a receipt does not say of which mail.
        Unreadable: it announces an XDM zip and has none that can be read.
    """
    if mail.receipts:
        return _receipts(mail)
    content = _content(mail, source)
    entry = _patient(mail, content, source)
    _check_visibility(mail, content)
    communication = _communication(mail, content, entry["fullUrl"])
    identifier = _mail_identifier(mail.id)
    url = full_url("Communication", mail.id)
    made = put(url, communication, identifier)
    targets = [e["fullUrl"] for e in content.documents]
    entries = [entry, *(e for e in content.entries if e["fullUrl"] != entry["fullUrl"]), made]
    entries.append(_provenance(mail, [*targets, url], communication))
    patient = entry["resource"]["identifier"][0]
    return Mapped(
        bundle=transaction(entries),
        issues=[*mail.issues, *content.issues],
        unread=content.unread,
        cleared=content.cleared,
        patient=f"{patient['system']}|{patient['value']}",
    )


# --- what comes with it


def _content(mail: Mail, source: Source) -> _Content:
    content = _Content()
    for attachment in mail.attachments:
        submission = _submission(attachment, content)
        if submission is None:
            content.attachments.append(attachment)
            continue
        mapped = xds.to_bundle(submission, source, sends=False)
        patient = next(e for e in mapped.bundle["entry"] if e["resource"]["resourceType"] == "Patient")
        if content.patient and patient["fullUrl"] != content.patient["fullUrl"]:
            raise _held("The submissions of the mail are about several patients", "XDM")
        content.patient = content.patient or patient
        content.entries += mapped.bundle["entry"]
        content.cleared |= mapped.cleared
        content.unread += mapped.unread
        content.issues += mapped.issues
    if content.patient is None and mail.subject.startswith(XDM_SUBJECT):
        text = "The subject announces an XDM zip, and there is none"
        raise Unreadable(text, Issue("error", "required", text, "Subject"))
    return content


def _submission(attachment: Attachment, content: _Content) -> xds.Submission | None:
    """Raises Unreadable: it is called IHE_XDM.zip and is no submission."""
    if not attachment.may_be_xdm:
        return None
    try:
        return xds.read_xdm(attachment.content)
    except Unreadable as error:
        if attachment.name.lower() == XDM_NAME:
            raise
        content.issues.append(Issue("information", "informational", f"A zip is kept as it is: {error}"))
        return None


# --- who it is for


def _patient(mail: Mail, content: _Content, source: Source) -> Element:
    """The entry of the patient: that of the documents, else the one whose mailbox takes part."""
    boxes = (*mail.recipients, *((mail.sender,) if mail.sender else ()))
    numbers = {number for box in boxes if (number := ins_of(box))}
    if len(numbers) > 1:
        raise _held("The mail is about several patients", "To")
    if content.patient:
        known = ins_values(content.patient["resource"]["identifier"])
        if numbers and known and not numbers & known:
            raise _held("The mail goes to another patient than its documents are about", "To")
        return content.patient
    if not numbers:
        raise _held("Neither an address nor a document says which patient it is about", "To")
    [number] = numbers
    if not has_valid_key(number):
        raise _held("The key of the INS in the address is wrong", "To")
    domain = next(box.domain for box in boxes if ins_of(box))
    oid = source.authorities.get(domain, "").removeprefix("urn:oid:")
    identifier = ins_identifier(oid if is_ins_oid(oid) else INS_OID, number)
    # Nobody is registered by a mail: who has no record here is a case for people.
    part = {"resourceType": "Patient", "identifier": [identifier]}
    return change(full_url("Patient", identifier["system"], number), part, identifier)


def ins_of(box: Address) -> str:
    """The INS of a patient's mailbox, "" for any other."""
    if box.domain != PATIENT_DOMAIN and not box.domain.startswith("patient."):
        return ""
    return box.local.upper() if _INS.fullmatch(box.local) else ""


def _check_visibility(mail: Mail, content: _Content) -> None:
    """Raises Held: a document is hidden from a recipient."""
    hidden = {
        coding.get("code")
        for entry in content.documents
        for label in entry["resource"].get("securityLabel", ())
        for coding in label.get("coding", ())
    }
    if "INVISIBLE_PATIENT" in hidden and any(ins_of(box) for box in mail.recipients):
        raise _held("A document is hidden from the patient, to whom the mail goes", "To", "security")
    if "MASQUE_PS" in hidden and any(not ins_of(box) for box in mail.recipients):
        raise _held("A document is hidden from professionals, to whom the mail goes", "To", "security")


# --- what it becomes


def _communication(mail: Mail, content: _Content, patient: str) -> Element:
    references = [{"reference": entry["fullUrl"]} for entry in content.documents]
    reply: Element = {"type": "Communication", "identifier": _mail_identifier(mail.in_reply_to)}
    made: Element = prune(
        {
            "resourceType": "Communication",
            "extension": [] if mail.may_be_answered else [{"url": REPLY_CLOSED, "valueBoolean": True}],
            "identifier": [_mail_identifier(mail.id)],
            "inResponseTo": [reply] if mail.in_reply_to else None,
            "status": "completed",
            "category": [_NOTIFICATION],
            "priority": "urgent" if mail.urgent else None,
            "medium": [_MAIL],
            "subject": {"reference": patient},
            "topic": {"text": mail.subject},
            "about": references,
            "sent": mail.sent,
            "received": mail.received,
            "recipient": [_box(box, patient) for box in mail.recipients],
            "sender": _box(mail.sender, patient) if mail.sender else None,
            "payload": [
                {"contentString": mail.text},
                *({"contentReference": reference} for reference in references),
                *({"contentAttachment": _attachment(part)} for part in content.attachments),
            ],
        }
    )
    return made


def _box(box: Address, patient: str) -> Element:
    """A patient by reference; the address, which holds the INS, is then not repeated."""
    if ins_of(box):
        return {"reference": patient}
    return {"identifier": {"system": URI_SYSTEM, "value": f"mailto:{box.address}"}, "display": box.name}


def _attachment(part: Attachment) -> Element:
    return {
        "contentType": part.media_type,
        "data": pybase64.b64encode_as_string(part.content),
        "size": len(part.content),
        "title": part.name,
    }


def _mail_identifier(id: str) -> Element:
    """A Message-ID as a URI: https://www.rfc-editor.org/rfc/rfc2392"""
    return {"system": URI_SYSTEM, "value": f"mid:{quote(id, safe='@.-_+=')}"}


def _provenance(mail: Mail, targets: list[str], communication: Element) -> Element:
    who = communication.get("sender") or {"display": "unknown"}
    resource: dict[str, Any] = {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": mail.received or mail.sent,
        "agent": [{"type": {"coding": [{"system": _AGENT, "code": "author"}]}, "who": who}],
        "entity": [{"role": "source", "what": {"identifier": _mail_identifier(mail.id)}}],
    }
    if not resource["recorded"]:
        absent = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
        resource["_recorded"] = {"extension": [{"url": absent, "valueCode": "unknown"}]}
    pruned: Element = prune(resource)
    return post(full_url("Provenance", "mail", mail.id), pruned)


# --- receipts


def _receipts(mail: Mail) -> Mapped:
    """Change the Communications that receipts are about; one that is not here waits for a person."""
    entries = []
    for receipt in mail.receipts:
        if not receipt.about:
            raise _held("The receipt does not say of which mail", "Original-Message-ID")
        identifier = _mail_identifier(receipt.about)
        part = {"resourceType": "Communication", "identifier": [identifier], **_told(receipt, mail)}
        entries.append(change(full_url("Communication", receipt.about), prune(part), identifier))
    return Mapped(bundle=transaction(entries), issues=list(mail.issues))


def _told(receipt: Receipt, mail: Mail) -> Element:
    time = mail.sent or mail.received
    if receipt.kind == "disposition":
        text = "Read" if receipt.action == "displayed" else f"Not read: {receipt.action}"
        return {"note": [{"time": time, "text": text}]}
    if receipt.action in _DELIVERED:
        return {"status": "completed", "received": time}
    if receipt.action == "failed":
        return {"status": "not-done", "statusReason": {"text": receipt.reason or "Not delivered"}}
    return {"note": [{"time": time, "text": f"Not delivered yet: {receipt.reason or receipt.action}"}]}


def _held(text: str, location: str, code: str = "business-rule") -> Held:
    return Held(text, Issue("error", code, text, location))
