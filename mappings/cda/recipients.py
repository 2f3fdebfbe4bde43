"""informationRecipient -> Communication: to whom a document is sent, one for each recipient.

CI-SIS volet Structuration minimale, informationRecipient. There is no official map; as with the recipients of
HL7v2 (``mappings.hl7v2.communication``), the patient's is a message in their inbox.
"""

from collections.abc import Iterable
from typing import Any, Final

from mappings.cda.context import Context
from mappings.cda.datatypes import (
    ad_to_addresses,
    en_to_human_name,
    ii_to_identifiers,
    tel_to_telecom,
    ts_to_datetime,
)
from mappings.cda.document import ClinicalDocument
from mappings.cda.participants import (
    assigned_to_reference,
    organization_to_reference,
    practitioner_to_reference,
)
from mappings.cda.xml import Node
from mappings.core.bundle import derived_identifier, full_url, prune, put
from mappings.core.identity import ins_values, is_ins
from mappings.core.result import Element

ELEMENTS: Final = ("sent", "sender", "topic", "recipient", "about", "payload")
"""What a later version of the document says anew."""
NOTIFICATION: Final = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}
    ]
}
_HIDDEN_FROM_PATIENT: Final = "INVISIBLE_PATIENT"
_HIDDEN_FROM_PROFESSIONALS: Final = "MASQUE_PS"


def communications(
    document: ClinicalDocument,
    *,
    patient: str,
    document_reference: str,
    labels: Iterable[Element],
    context: Context,
) -> list[Element]:
    """The entries (PUT) of what a document sends to its recipients.

    ``patient`` and ``document_reference`` are the fullUrls of their entries, ``labels`` the document's
    security labels: what is hidden from somebody is not sent to them, and a remark says so. All versions of
    a document (setId) are one Communication for each recipient.
    """
    hidden = {coding.get("code") for label in labels for coding in label.get("coding", ())}
    found: dict[str, Element] = {}
    for node in document.root.findall("informationRecipient/intendedRecipient"):
        recipient, to_patient = _recipient(node, document, patient, context)
        if recipient is None:
            continue
        if (_HIDDEN_FROM_PATIENT if to_patient else _HIDDEN_FROM_PROFESSIONALS) in hidden:
            text = "The document is hidden from a recipient of it: not sent to them"
            context.warn(node, text, "business-rule")
            continue
        entry = _entry(recipient, to_patient, document, patient, document_reference, context)
        found.setdefault(entry["fullUrl"], entry)
    return list(found.values())


def _recipient(
    node: Node, document: ClinicalDocument, patient: str, context: Context
) -> tuple[Element | None, bool]:
    """Who it is, None where nothing says so; and whether that is the patient."""
    identifiers = ii_to_identifiers(node.findall("id"))
    own = document.patient_identifiers
    mailboxes = {
        (telecom.get("value") or "").removeprefix("mailto:").partition("@")[0].upper()
        for telecom in node.findall("telecom")
        if "@patient." in (telecom.get("value") or "")
    }
    if any(_is_among(one, own) for one in identifiers) or mailboxes & ins_values(own):
        return {"reference": patient}, True
    if mailboxes or any(is_ins(one) for one in identifiers):
        context.warn(node, "The document is sent to another patient: that is left out", "business-rule")
        return None, True
    organization = organization_to_reference(node.find("receivedOrganization"), context)
    names = [name for n in node.findall("informationRecipient/name") if (name := en_to_human_name(n))]
    if not identifiers and not names:
        return organization, False
    reference = practitioner_to_reference(
        identifiers=identifiers,
        name=names[0] if names else None,
        telecom=tel_to_telecom(node.findall("telecom")),
        address=ad_to_addresses(node.findall("addr")),
        organization=organization,
        code=None,
        context=context,
    )
    return reference, False


def _is_among(identifier: Element, others: list[Element]) -> bool:
    def key(one: Element) -> tuple[Any, Any]:
        return one.get("system"), one.get("value")

    return key(identifier) in {key(other) for other in others}


def _entry(
    recipient: Element,
    to_patient: bool,
    document: ClinicalDocument,
    patient: str,
    document_reference: str,
    context: Context,
) -> Element:
    series = document.set_id or document.unique_identifier
    name = "patient" if to_patient else recipient["reference"]
    key = derived_identifier("", "communication", series["system"], series["value"], name)
    about = {"reference": document_reference}
    known = {"identifier": document.patient_identifiers, "reference": patient}
    authors = (
        assigned_to_reference(node, context, patient=known)
        for node in document.root.findall("author/assignedAuthor")
    )
    communication: Element = prune(
        {
            "resourceType": "Communication",
            "identifier": [key],
            # In the patient's record it has reached the patient; of others the header says no more.
            "status": "completed" if to_patient else "unknown",
            "category": [NOTIFICATION],
            "subject": {"reference": patient},
            "topic": {"text": document.title},
            "about": [about],
            "sent": ts_to_datetime(document.root.find("effectiveTime"), context) if to_patient else None,
            "recipient": [recipient],
            "sender": next((author for author in authors if author), None),
            "payload": [{"contentReference": about}],
        }
    )
    return put(full_url("Communication", key["system"], key["value"]), communication, key)
