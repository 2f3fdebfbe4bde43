"""OBX[DocumentReference], and what every document that comes in a message has in common.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-obx-to-documentreference.html; CI-SIS MetaDMPMSS
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from mappings import cda
from mappings.cda.document_reference import set_identifier
from mappings.core import times
from mappings.core.bundle import change, prune, put
from mappings.core.identity import ins_values
from mappings.core.result import Element, Held, Issue
from mappings.hl7v2.content import Content, add_binary, obx_to_contents
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    DATA_ABSENT,
    cwe_to_codeable_concept,
    dtm_to_instant,
)
from mappings.hl7v2.groups import Order, Result
from mappings.hl7v2.metadata import Visibility, is_metadata
from mappings.hl7v2.participation import participants
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import DOCUMENT_STATUS_OF_OBSERVATION, VISIBILITY_SYSTEM

AUTHORS = ("SB", "AUT")
"""Table 0912 as CI-SIS uses it: who wrote the document (SB), an author."""

_DELETES = frozenset({"CA", "OC"})
"""ORC-1 of orders to delete what was sent."""

_ERROR = {"status": "entered-in-error", "docStatus": "entered-in-error"}


@dataclass(slots=True)
class Draft:
    """What a message says of a document: ``number`` is its own (TXA-12), ``fallback`` what it is known by
    otherwise, ``relations`` are to other documents. ``only_labels``: it changes who may see it, no more."""

    contents: list[Content]
    fallback: Element
    elements: Element
    visibility: Visibility
    number: Element | None = None
    relations: list[Element] = field(default_factory=list)
    created: str | None = None
    title: str = ""
    content_type: str = ""
    only_labels: bool = False

    @property
    def document(self) -> cda.ClinicalDocument | None:
        """The CDA among the contents."""
        return next((content.document for content in self.contents if content.document), None)


class ResultDocument(NamedTuple):
    """A document that was added: a reference to it, and its attachments for a report to present; none of one
    that is deleted."""

    reference: Element
    attachments: list[Element]
    deleted: bool = False


def add_document_of_result(
    result: Result,
    order: Order,
    subject: Subject,
    encounter: Element | None,
    visibility: Visibility,
    context: Context,
    *key: str,
) -> ResultDocument | None:
    """Add the DocumentReference of an ED or RP result.

    A CDA is identified by its own id, anything else by the order and what is observed.

    Raises:
        Held: the content cannot be read, or is of another patient.
    """
    obx, orc = result.obx, order.orc
    obx.mark_read(1)
    contents = obx_to_contents(obx, context)
    if not contents:
        return None
    check_patient(contents, subject)
    fallback = context.derived(
        "DocumentReference", *key, f"{obx[3][1]}^{obx[3][3]}", obx[4].text, str(obx[21][1]), obx[3][2].text
    )
    flag, control = str(obx[11]).upper(), str(orc[1]).upper() if orc else ""
    check_control(control, {flag}, obx[11], context)
    cancelled = flag in {"D", "W"} or control in _DELETES
    authors = [who for _, who in participants(result.participations, AUTHORS, context)]
    elements = {
        "status": "current",
        **(_ERROR if cancelled else doc_status_of([obx], context)),
        "type": cwe_to_codeable_concept(obx[3], context),
        "date": dtm_to_instant(obx[14], context),
        "author": practitioners(obx, 16, context) or authors,
        "securityLabel": visibility.labels,
        "context": {"encounter": [encounter] if encounter else None},
    }
    draft = Draft(contents, fallback, elements, visibility, only_labels=visibility.changes and not cancelled)
    added = add_draft(draft, subject, context)
    return ResultDocument(added.reference, [], deleted=True) if cancelled else added


def add_draft(draft: Draft, subject: Subject, context: Context) -> ResultDocument:
    """Add DocumentReference, Binary and the coded content of a CDA."""
    document = draft.document
    own = document.unique_identifier if document else None
    master = draft.number or own
    identifiers = [] if master else [draft.fallback]
    if own and master and _pair(own) != _pair(master):
        context.issue("information", "value", "The document's own id is not TXA-12: both are kept", "TXA-12")
        identifiers.append(own)
    key = master or draft.fallback
    url = context.url("DocumentReference", key["system"], key["value"])
    labels = _labels(draft)
    relations = _relations(draft, context)
    if draft.only_labels and not relations:
        return _add_labels(url, key, labels, subject, context)
    created = draft.created or _effective(document, context)
    attachments = [add_binary(content, url, created, context) for content in draft.contents]
    attachments = attachments or [_absent(draft, created)]
    if draft.title:
        attachments[0]["title"] = draft.title
    reference: Element = prune(
        {
            "resourceType": "DocumentReference",
            "masterIdentifier": master,
            "identifier": [*identifiers, set_identifier(document) if document else None],
            "subject": subject.reference,
            **draft.elements,
            "type": draft.elements["type"] or (document.code if document else None),
            "relatesTo": relations,
            "securityLabel": labels,
            "content": [{"attachment": attachment} for attachment in attachments],
        }
    )
    context.entries.append(put(url, reference, key))
    if draft.visibility.stated and "securityLabel" not in reference:
        context.cleared.setdefault(url, set()).add("securityLabel")
    if reference["status"] == "current":
        for content in draft.contents:
            _add_coded_content(content, url, reference.get("securityLabel", []), subject, context)
    return ResultDocument({"reference": url}, attachments)


def doc_status_of(results: Iterable[Segment], context: Context) -> Element:
    """``docStatus`` as OBX-11 has it, where all say the same; a code that tells none is an issue."""
    flags = {str(obx[11]).upper(): obx for obx in results if obx[11]}
    if len(flags) != 1:
        return {}
    flag, obx = next(iter(flags.items()))
    if flag not in DOCUMENT_STATUS_OF_OBSERVATION:
        context.warn(f"Code {flag[:40]!r} of table 0085 says nothing of a document", obx[11], "code-invalid")
    return {"docStatus": DOCUMENT_STATUS_OF_OBSERVATION.get(flag)}


def check_control(control: str, flags: set[str], where: Field, context: Context) -> None:
    """CI-SIS: ORC-1 and OBX-11 must say the same of a document: NW F, RO C, CA D.

    Raises:
        Held: one of them deletes it and the other does not.
    """
    if not control or not flags or "CISIS_CDA_HL7" not in context.message.msh[21].raw:
        return
    if (control in _DELETES) != ("D" in flags):
        text = f"ORC-1 is {control[:10]} and OBX-11 {'/'.join(sorted(flags))[:10]}: one of them deletes"
        raise Held(text, Issue("error", "business-rule", text, where.location))
    if control in {"NW", "RO"} and flags.isdisjoint({"NW": "FP", "RO": "C"}[control]):
        context.warn(f"ORC-1 is {control} and OBX-11 {'/'.join(sorted(flags))[:10]}", where, "business-rule")


def check_patient(contents: list[Content], subject: Subject) -> None:
    """A document of another person must not enter this one's record: CI-SIS application error 904.

    Raises:
        Held.
    """
    for content in contents:
        if content.document is None:
            continue
        inside = ins_values(content.document.patient_identifiers)
        if inside and subject.sent_ins and not inside & subject.sent_ins:
            text = "904 The INS of the document and of the message differ"
            raise Held(text, Issue("error", "conflict", text, "PID-3"))


def _add_labels(
    url: str, key: Element, labels: list[Element | None], subject: Subject, context: Context
) -> ResultDocument:
    """Change who may see a document that is here already."""
    part = {
        "resourceType": "DocumentReference",
        "masterIdentifier": key,
        "subject": subject.reference,
        "securityLabel": labels,
    }
    context.entries.append(change(url, prune(part), key))
    if not any(labels):
        context.cleared.setdefault(url, set()).add("securityLabel")
    return ResultDocument({"reference": url}, [])


def _labels(draft: Draft) -> list[Element | None]:
    """The labels of the message; the confidentiality of a CDA where the message states none."""
    labels: list[Element | None] = draft.elements.pop("securityLabel")
    document = draft.document
    if document is not None and not any(label and not _is_visibility(label) for label in labels):
        return [document.confidentiality, *labels]
    return labels


def _relations(draft: Draft, context: Context) -> list[Element]:
    """Those of the CDA; those of the message where the CDA says nothing of the kind."""
    document = draft.document
    if document is None:
        return draft.relations
    found: list[Element] = [
        {"code": code, "target": {"identifier": identifier}}
        for code, targets in (
            ("replaces", document.replaces),
            ("appends", document.appends),
            ("transforms", document.transforms),
        )
        for identifier in targets
    ]
    for relation in draft.relations:
        same = [r["target"]["identifier"] for r in found if r["code"] == relation["code"]]
        if not same:
            found.append(relation)
        elif relation["target"]["identifier"] not in same:
            text = "The document names another one that it replaces: that is taken"
            context.issue("information", "value", text, "TXA-13")
    return found


def _absent(draft: Draft, created: str | None) -> Element:
    """The attachment of a document of which only is told that it exists."""
    attachment: Element = prune({"contentType": draft.content_type, "creation": created})
    return attachment or {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}


def _add_coded_content(
    content: Content, url: str, labels: list[Element], subject: Subject, context: Context
) -> None:
    if content.document is None:
        return
    entries, issues = cda.clinical_entries(
        content.document,
        patient=subject.url,
        document_reference=url,
        source=context.source,
        labels=None if _names_recipients(context) else labels,
    )
    context.entries += entries
    context.issues += issues
    for name, elements in cda.cleared(entries).items():
        context.cleared.setdefault(name, set()).update(elements)


def _names_recipients(context: Context) -> bool:
    """Whether the message itself says to whom it is sent: then it does so for the document inside, too."""
    message = context.message
    copies = (*(txa[23] for txa in message.all("TXA")), *(obr[28] for obr in message.all("OBR")))
    metadata = any(is_metadata(obx) for obx in message.all("OBX"))
    return metadata or bool(message.all("PRT")) or any(map(bool, copies))


def _effective(document: cda.ClinicalDocument | None, context: Context) -> str | None:
    if document is None or not document.effective_time:
        return None
    try:
        return times.parse(document.effective_time).in_zone(context.zone).date_time()
    except times.NotATime:
        return None


def _is_visibility(label: Element) -> bool:
    return any(coding.get("system") == VISIBILITY_SYSTEM for coding in label["coding"])


def _pair(identifier: Element) -> tuple[str, str]:
    return identifier["system"], identifier["value"]
