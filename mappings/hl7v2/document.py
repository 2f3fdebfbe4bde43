"""TXA[DocumentReference], OBX[DocumentReference].

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-txa-to-documentreference.html; CI-SIS MetaDMPMSS
"""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Final, NamedTuple

from mappings import cda
from mappings.core import times
from mappings.core.bundle import prune, put
from mappings.core.codes import V3
from mappings.core.identity import ins_values
from mappings.core.result import Element, Held, Issue
from mappings.hl7v2.content import PLAIN_TEXT, Content, add_binary, obx_to_contents
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    LOINC,
    cwe_to_codeable_concept,
    dtm_to_date_time,
    dtm_to_instant,
    ei_to_identifier,
)
from mappings.hl7v2.observation import is_document, is_metadata
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import (
    CONFIDENTIALITY,
    DOCUMENT_AVAILABILITY,
    DOCUMENT_COMPLETION,
    DOCUMENT_STATUS_OF_OBSERVATION,
    DOCUMENT_TYPE,
    TERMINOLOGY,
    VISIBILITY,
    VISIBILITY_SYSTEM,
)

_LOINC_CODE: Final = re.compile(r"[0-9]{1,7}-[0-9]")


class Visibility(NamedTuple):
    """Codings of who must not see a document; ``stated`` also when the message says that all may."""

    codings: list[Element]
    stated: bool

    @property
    def labels(self) -> list[Element]:
        return [{"coding": [coding]} for coding in self.codings]


def add_document(
    txa: Segment, segments: list[Segment], subject: Subject, encounter: Element | None, context: Context
) -> None:
    """Add the DocumentReference of an MDM, its Binary entries and the coded content of a CDA inside.

    Raises:
        Held: there is no content, it cannot be read, or it is of another patient.
    """
    txa.mark_read(1, 3)
    contents = _contents([obx for obx in segments if not is_metadata(obx)], context)
    if not contents:
        issue = Issue("error", "required", "The document has no content", "OBX-5")
        raise Held(issue.text, issue)
    _check_patient(contents, subject)
    number = ei_to_identifier(txa[12], context)
    fallback = context.derived(
        "DocumentReference", subject.key, str(txa[2][1]), str(txa[6][1]), txa[16].text, str(txa[4][1])
    )
    status = context.code("status", txa[19], DOCUMENT_AVAILABILITY, "0273", "current")
    doc_status = context.code("docStatus", txa[17], DOCUMENT_COMPLETION, "0271")
    flags = {str(obx[11]).upper() for obx in segments if not is_metadata(obx)}
    if flags and flags <= {"D", "W"}:
        status, doc_status = {"status": "entered-in-error"}, {"docStatus": "entered-in-error"}
    elif not txa[17] and len(flags) == 1:
        doc_status = {"docStatus": DOCUMENT_STATUS_OF_OBSERVATION.get(flags.pop())}
    visibility = visibility_of(segments, context)
    start = dtm_to_date_time(txa[4], context)
    elements = {
        **status,
        **doc_status,
        "type": _document_type(txa[2], context),
        "date": dtm_to_instant(txa[6], context),
        "author": practitioners(txa, 9, context) or practitioners(txa, 5, context),
        "authenticator": next(iter(practitioners(txa, 10, context) or practitioners(txa, 22, context)), None),
        "description": txa[25].text,
        "securityLabel": [_confidentiality(txa[18], context), *visibility.labels],
        "context": {
            "encounter": [encounter] if encounter else None,
            "period": {"start": start} if start else None,
            "related": [
                *_orders(txa, 14, "PLAC", context),
                *_orders(txa, 15, "FILL", context),
            ],
        },
    }
    _add(contents, number, fallback, elements, subject, context, visibility, txa)


def add_document_of_result(
    obx: Segment,
    orc: Segment | None,
    subject: Subject,
    encounter: Element | None,
    visibility: Visibility,
    context: Context,
    *order: str,
) -> list[Element]:
    """Add the DocumentReference of an ED or RP result and give its attachments, for the report to present.

    A CDA is identified by its own id, anything else by the order and what is observed.

    Raises:
        Held: the content cannot be read, or is of another patient.
    """
    obx.mark_read(1)
    contents = obx_to_contents(obx, context)
    if not contents:
        return []
    _check_patient(contents, subject)
    fallback = context.derived(
        "DocumentReference", *order, f"{obx[3][1]}^{obx[3][3]}", obx[4].text, str(obx[21][1]), obx[3][2].text
    )
    flag = str(obx[11]).upper()
    cancelled = flag in {"D", "W"} or (orc is not None and str(orc[1]).upper() in {"CA", "OC"})
    elements = {
        "status": "entered-in-error" if cancelled else "current",
        "docStatus": "entered-in-error" if cancelled else DOCUMENT_STATUS_OF_OBSERVATION.get(flag),
        "type": cwe_to_codeable_concept(obx[3], context),
        "date": dtm_to_instant(obx[14], context),
        "author": practitioners(obx, 16, context),
        "securityLabel": visibility.labels,
        "context": {"encounter": [encounter] if encounter else None},
    }
    return _add(contents, None, fallback, elements, subject, context, visibility)


def visibility_of(segments: Iterable[Segment], context: Context) -> Visibility:
    """Read the OBX of MetaDMPMSS that say who must not see the document."""
    codes: list[str] = []
    stated = False
    for obx in segments:
        if not is_metadata(obx):
            continue
        obx.mark_read(1, 2, 11)
        if (code := VISIBILITY.get(str(obx[3][1]).upper())) is not None:
            stated = True
            # An answer that cannot be understood hides the document: the stricter reading wins.
            if context.boolean(obx[5][1]) is not False and code not in codes:
                codes.append(code)
    return Visibility([{"system": VISIBILITY_SYSTEM, "code": code} for code in codes], stated)


def _contents(segments: list[Segment], context: Context) -> list[Content]:
    """One content per ED and RP; lines of text under the same OBX-3 are one."""
    contents: list[Content] = []
    for (kind, _), group in groupby(segments, key=_content_key):
        lines = list(group)
        for obx in lines:
            obx.mark_read(1, 11)
        found = [content for obx in lines for content in obx_to_contents(obx, context)]
        if kind == "text" and found:
            data = b"\n".join(content.data for content in found)
            found = [Content(PLAIN_TEXT, data, title=found[0].title)]
        contents += found
    return contents


def _content_key(obx: Segment) -> tuple[str, str]:
    return ("file", str(obx.number)) if is_document(obx) else ("text", obx[3].raw)


def _add(
    contents: list[Content],
    number: Element | None,
    fallback: Element,
    elements: Element,
    subject: Subject,
    context: Context,
    visibility: Visibility,
    txa: Segment | None = None,
) -> list[Element]:
    """Add DocumentReference, Binary and the coded content of a CDA; give the attachments."""
    document = next((content.document for content in contents if content.document), None)
    own = document.unique_identifier if document else None
    master = number or own
    identifiers = [] if master else [fallback]
    if own and master and _pair(own) != _pair(master):
        context.issue("information", "value", "The document's own id is not TXA-12: both are kept", "TXA-12")
        identifiers.append(own)
    key = master or fallback
    url = context.url("DocumentReference", key["system"], key["value"])
    created = (dtm_to_date_time(txa[7], context) if txa else None) or _effective(document, context)
    attachments = [add_binary(content, url, created, context) for content in contents]
    if txa is not None and (title := txa[16].text):
        attachments[0]["title"] = title
    labels = elements.pop("securityLabel")
    if document is not None and not any(label and not _is_visibility(label) for label in labels):
        labels = [document.confidentiality, *labels]
    reference: Element = prune(
        {
            "resourceType": "DocumentReference",
            "masterIdentifier": master,
            "identifier": identifiers,
            "subject": subject.reference,
            **elements,
            "type": elements["type"] or (document.code if document else None),
            "relatesTo": _relations(document),
            "securityLabel": labels,
            "content": [{"attachment": attachment} for attachment in attachments],
        }
    )
    context.entries.append(put(url, reference, key))
    if visibility.stated and "securityLabel" not in reference:
        context.cleared.setdefault(url, set()).add("securityLabel")
    if reference["status"] == "current":
        for content in contents:
            _add_coded_content(content, url, subject, context)
    return attachments


def _add_coded_content(content: Content, url: str, subject: Subject, context: Context) -> None:
    if content.document is None:
        return
    entries, issues = cda.clinical_entries(
        content.document, patient=subject.url, document_reference=url, source=context.source
    )
    context.entries += entries
    context.issues += issues
    for name, elements in cda.cleared(entries).items():
        context.cleared.setdefault(name, set()).update(elements)


def _check_patient(contents: list[Content], subject: Subject) -> None:
    """A document of another person must not enter this one's record: CI-SIS application error 904."""
    for content in contents:
        if content.document is None:
            continue
        inside = ins_values(content.document.patient_identifiers)
        if inside and subject.sent_ins and not inside & subject.sent_ins:
            text = "904 The INS of the document and of the message differ"
            raise Held(text, Issue("error", "conflict", text, "PID-3"))


def _relations(document: cda.ClinicalDocument | None) -> list[Element]:
    if document is None:
        return []
    return [
        {"code": code, "target": {"identifier": identifier}}
        for code, targets in (
            ("replaces", document.replaces),
            ("appends", document.appends),
            ("transforms", document.transforms),
        )
        for identifier in targets
    ]


def _document_type(kind: Field, context: Context) -> Element | None:
    """TXA-2: table 0270 with its LOINC code, or LOINC outright as French senders write it."""
    code = str(kind[1])
    if _LOINC_CODE.fullmatch(code) and not kind[3]:
        coding: Element = prune({"system": LOINC, "code": code, "display": kind[2].text})
        return {"coding": [coding]}
    concept = cwe_to_codeable_concept(kind, context, "0270")
    if concept and (loinc := DOCUMENT_TYPE.get(code.upper())):
        concept["coding"] = [{"system": LOINC, "code": loinc}, *concept["coding"]]
    return concept


def _confidentiality(status: Field, context: Context) -> Element | None:
    sent = str(status).upper()
    if not sent:
        return None
    codings = [{"system": f"{TERMINOLOGY}v2-0272", "code": sent}]
    if (code := CONFIDENTIALITY.get(sent)) is not None:
        codings.insert(0, {"system": f"{V3}Confidentiality", "code": code})
    else:
        context.warn(f"Code {sent[:40]!r} of table 0272 has no mapping", status, "code-invalid")
    return {"coding": codings}


def _orders(txa: Segment, number: int, kind: str, context: Context) -> list[Element]:
    identifiers = (ei_to_identifier(ei, context, kind) for ei in txa.all(number))
    return [{"type": "ServiceRequest", "identifier": identifier} for identifier in identifiers if identifier]


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
