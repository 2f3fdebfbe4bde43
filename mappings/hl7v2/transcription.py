"""TXA[DocumentReference]: documents of MDM messages and what becomes of them.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-txa-to-documentreference.html; HL7 v2.9 chapter 9
"""

import re
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from mappings.core.bundle import change, prune
from mappings.core.codes import V3
from mappings.core.result import Element, Held, Issue
from mappings.hl7v2.content import PLAIN_TEXT, Content, mime_of, obx_to_contents
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    LOINC,
    cwe_to_codeable_concept,
    dtm_to_date_time,
    dtm_to_instant,
    ei_to_identifier,
)
from mappings.hl7v2.document import AUTHORS, Draft, add_draft, check_control, check_patient, doc_status_of
from mappings.hl7v2.groups import Order, Result
from mappings.hl7v2.metadata import Visibility, is_metadata, visibility_of
from mappings.hl7v2.observation import is_document
from mappings.hl7v2.order import order_identifiers
from mappings.hl7v2.participation import participants
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import (
    CONFIDENTIALITY,
    DOCUMENT_AVAILABILITY,
    DOCUMENT_COMPLETION,
    DOCUMENT_TYPE,
)

RELATION: Final = {"T05": "appends", "T06": "appends", "T09": "replaces", "T10": "replaces"}
"""Trigger event -> what its document is to the one in TXA-13."""

EDITS: Final = frozenset({"T07", "T08"})
CANCEL: Final = "T11"
CHANGES: Final = frozenset({"T03", CANCEL})
"""Events that change a document that must be here."""
ANNOUNCES: Final = frozenset({"T01", "T03", "T05", "T07", "T09", "T11"})
"""Events that come without the document's content."""

_LOINC_CODE: Final = re.compile(r"[0-9]{1,7}-[0-9]")


def add_document(
    txa: Segment, order: Order, subject: Subject, encounter: Element | None, context: Context
) -> Element:
    """Add the DocumentReference of an MDM, its Binary entries and the coded content of a CDA inside; or the
    change of one. Gives a reference to it.

    ``order`` holds what stands beside TXA: ORC, OBR, and the OBX as its results.

    Raises:
        Held: there is no content, it cannot be read, it is of another patient, or nothing tells which
            document is meant.
    """
    for segment in (txa, order.orc, order.obr):
        if segment is not None:
            segment.mark_read(1)
    trigger = context.message.trigger
    results = [result for result in order.results if not is_metadata(result.obx)]
    visibility = visibility_of([result.obx for result in order.results], context)
    contents = _contents(results, context)
    check_patient(contents, subject)
    number = ei_to_identifier(txa[12], context)
    elements = _elements(txa, order, results, encounter, visibility, trigger, context)
    if trigger in CHANGES or (trigger in EDITS | {"T04"} and not contents):
        return _change(number, elements, visibility, subject, context)
    if not contents and trigger not in ANNOUNCES:
        issue = Issue("error", "required", "The document has no content", "OBX-5")
        raise Held(issue.text, issue)
    relations = _relations(txa, trigger, number, elements, context)
    draft = Draft(
        contents,
        context.derived(
            "DocumentReference", subject.key, str(txa[2][1]), str(txa[6][1]), txa[16].text, str(txa[4][1])
        ),
        elements,
        visibility,
        number,
        relations,
        created=dtm_to_date_time(txa[7], context),
        title=txa[16].text,
        content_type=mime_of(str(txa[3])),
        only_labels=visibility.changes and elements["status"] == "current",
    )
    return add_draft(draft, subject, context).reference


def _elements(
    txa: Segment,
    order: Order,
    results: list[Result],
    encounter: Element | None,
    visibility: Visibility,
    trigger: str,
    context: Context,
) -> Element:
    participations = [prt for result in order.results for prt in result.participations]
    authors = [
        *practitioners(txa, 9, context),
        *(who for _, who in participants([*order.participations, *participations], AUTHORS, context)),
    ]
    start = dtm_to_date_time(txa[4], context)
    return {
        **_status(txa, order, results, trigger, context),
        "type": _document_type(txa[2], context),
        "date": dtm_to_instant(txa[6], context),
        "author": authors or practitioners(txa, 5, context),
        "authenticator": next(iter(practitioners(txa, 10, context) or practitioners(txa, 22, context)), None),
        "description": txa[25].text,
        "securityLabel": [_confidentiality(txa[18], context), *visibility.labels],
        "context": {
            "encounter": [encounter] if encounter else None,
            "period": {"start": start} if start else None,
            "related": _orders(txa, order, context),
        },
    }


def _status(txa: Segment, order: Order, results: list[Result], trigger: str, context: Context) -> Element:
    """``status`` and ``docStatus``: a deletion wins, then TXA-19 and TXA-17, then what OBX-11 says."""
    orc = order.orc
    flags = {flag for result in results if (flag := str(result.obx[11]).upper())}
    control = str(orc[1]).upper() if orc else ""
    if results:
        check_control(control, flags, results[0].obx[11], context)
    if trigger == CANCEL and str(txa[19]).upper() == "AV":
        context.warn("Cancelled after it was made available", txa[19], "business-rule")
    default = None if trigger in CHANGES else "current"
    status = context.code("status", txa[19], DOCUMENT_AVAILABILITY, "0273", default)
    doc_status = context.code("docStatus", txa[17], DOCUMENT_COMPLETION, "0271")
    if trigger == CANCEL or (flags and flags <= {"D", "W"}):
        return {**_ERROR}
    if trigger in EDITS:
        doc_status = {"docStatus": "amended"}
    elif not txa[17]:
        doc_status = doc_status_of((result.obx for result in results), context)
    return status | doc_status


_ERROR: Final = {"status": "entered-in-error", "docStatus": "entered-in-error"}


def _change(
    number: Element | None, elements: Element, visibility: Visibility, subject: Subject, context: Context
) -> Element:
    """Change a document that is here: what the message says of it, its content stays."""
    if number is None:
        issue = Issue("error", "required", "Nothing tells which document is meant", "TXA-12")
        raise Held(issue.text, issue)
    stated: Element = prune(
        {
            "resourceType": "DocumentReference",
            "masterIdentifier": number,
            "subject": subject.reference,
            **elements,
        }
    )
    url = context.url("DocumentReference", number["system"], number["value"])
    context.entries.append(change(url, stated, number))
    if visibility.stated and "securityLabel" not in stated:
        context.cleared.setdefault(url, set()).add("securityLabel")
    return {"reference": url}


def _relations(
    txa: Segment, trigger: str, number: Element | None, elements: Element, context: Context
) -> list[Element]:
    """The document in TXA-13. A replacement under the same number, or of none, is an edit."""
    code = RELATION.get(trigger)
    parent = ei_to_identifier(txa[13], context)
    if code is None or (parent and parent != number):
        if code is None and parent is not None and parent != number:
            context.warn("Only an addendum or a replacement has a parent: left out", txa[13], "business-rule")
            return []
        return [{"code": code, "target": {"identifier": parent}}] if parent else []
    if elements["status"] == "current":
        elements["docStatus"] = "amended"
    if parent is None:
        context.warn("No document is named that this one is to: taken as an edit", txa[13], "required")
    return []


def _contents(results: Iterable[Result], context: Context) -> list[Content]:
    """One content per ED and RP; lines of text under the same OBX-3 are one."""
    contents: list[Content] = []
    for (kind, _), group in groupby((result.obx for result in results), key=_content_key):
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
    codings = [context.table_coding("0272", sent)]
    if (code := CONFIDENTIALITY.get(sent)) is not None:
        codings.insert(0, {"system": f"{V3}Confidentiality", "code": code})
    else:
        context.warn(f"Code {sent[:40]!r} of table 0272 has no mapping", status, "code-invalid")
    return {"coding": codings}


def _orders(txa: Segment, order: Order, context: Context) -> list[Element]:
    """The orders the document is about: TXA-14 and 15, else ORC and OBR."""
    identifiers = [
        identifier
        for number, kind in ((14, "PLAC"), (15, "FILL"))
        for ei in txa.all(number)
        if (identifier := ei_to_identifier(ei, context, kind))
    ]
    if order.orc or order.obr:
        identifiers += [i for i in order_identifiers(order, context) if i not in identifiers]
    return [{"type": "ServiceRequest", "identifier": identifier} for identifier in identifiers]
