"""Documents -> a submission: its ebRIM metadata, and the XDM zip around it.

IHE ITI TF-2 3.32 (XDM), https://profiles.ihe.net/ITI/TF/Volume2/ITI-32.html
"""

import hashlib
import html
import io
import zipfile
from dataclasses import dataclass, field
from typing import Final

from mappings.core.bundle import full_url
from mappings.core.result import Element, Issue
from mappings.xds import metadata
from mappings.xds.export import datatypes
from mappings.xds.export.document_entry import (
    File,
    Resolve,
    author_slots,
    patient_id,
    patient_of,
    reference_to_entry,
    within,
)
from mappings.xds.export.ebrim import Registry
from mappings.xds.export.identity import entry_id
from mappings.xds.kept import ASSOCIATION

FOLDER: Final = "IHE_XDM/SUBSET01"
_ASSOCIATION: Final = {"replaces": "RPLC", "appends": "APND", "transforms": "XFRM", "signs": "signs"}
_ENDING: Final = {
    **dict.fromkeys(("text/xml", "application/xml"), "XML"),
    "application/pdf": "PDF",
    "text/plain": "TXT",
    **dict.fromkeys(("application/rtf", "text/rtf"), "RTF"),
    "image/jpeg": "JPG",
    "image/tiff": "TIF",
    "image/png": "PNG",
}
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The time of every file, so that the same documents give the same bytes."""


@dataclass(frozen=True, slots=True)
class Document:
    """A DocumentReference and the bytes of its first content."""

    reference: Element
    content: bytes = field(repr=False)


def submission(
    documents: list[Document], *, source_id: str, time: str, resolve: Resolve, issues: list[Issue]
) -> bytes:
    """Describe documents of one patient as a new submission set.

    Args:
        source_id: OID of who submits.
        time: when, a FHIR instant.
        issues: gets what cannot be said in XDS.
    """
    registry = Registry()
    known = {_reference_of(document.reference): entry_id(document.reference) for document in documents}
    for document, name in zip(documents, names(documents), strict=True):
        digest = hashlib.sha1(document.content, usedforsecurity=False).hexdigest()
        file = File(len(document.content), digest, name)
        reference_to_entry(document.reference, file, registry, resolve, issues)
    set_id = _submission_set(documents, source_id, time, registry, resolve)
    for document in documents:
        registry.association("HasMember", set_id, entry_id(document.reference), status="Original")
    for document in documents:
        for relation in document.reference.get("relatesTo", ()):
            _relate(document.reference, relation, known, registry, resolve, issues)
    return registry.submission()


def xdm(
    documents: list[Document], *, source_id: str, time: str, resolve: Resolve, issues: list[Issue]
) -> bytes:
    """The XDM zip of documents of one patient; arguments as of ``submission``."""
    described = submission(documents, source_id=source_id, time=time, resolve=resolve, issues=issues)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _write(archive, "INDEX.HTM", _index(documents))
        _write(archive, "README.TXT", _readme(issues))
        _write(archive, f"{FOLDER}/METADATA.XML", described)
        for document, name in zip(documents, names(documents), strict=True):
            _write(archive, f"{FOLDER}/{name}", document.content)
    return buffer.getvalue()


def names(documents: list[Document]) -> list[str]:
    """The file of each document: 8.3 characters, as ISO 9660 wants them."""
    found = []
    for number, document in enumerate(documents, 1):
        media_type = document.reference["content"][0]["attachment"].get("contentType", "").partition(";")[0]
        found.append(f"DOC{number:05}.{_ENDING.get(media_type, 'BIN')}")
    return found


def _submission_set(
    documents: list[Document], source_id: str, time: str, registry: Registry, resolve: Resolve
) -> str:
    first = documents[0].reference
    seed = hashlib.sha256(
        "\x1f".join([time, *(entry_id(d.reference) for d in documents)]).encode()
    ).hexdigest()
    id = full_url("SubmissionSet", source_id, seed)
    node = registry.object("RegistryPackage", id)
    registry.slot(node, "submissionTime", [datatypes.dtm(time)])
    for author in first.get("author", ()):
        if slots := author_slots(author, within(first, resolve)):
            registry.author(node, metadata.SET_AUTHOR, slots)
            break
    content_type = next(iter(first.get("category", ())), first.get("type", {}))
    coding: Element = next(iter(content_type.get("coding", ())), {})
    registry.code(node, metadata.CONTENT_TYPE_CODE, coding, content_type.get("text", ""))
    registry.kind(node, metadata.SUBMISSION_SET_NODE)
    patient = patient_id(patient_of(first, resolve))
    registry.identifier(node, metadata.SET_PATIENT_ID, patient, "XDSSubmissionSet.patientId")
    registry.identifier(node, metadata.SOURCE_ID, source_id, "XDSSubmissionSet.sourceId")
    unique_id = datatypes.unique_id({"system": datatypes.URI, "value": id})
    registry.identifier(node, metadata.SET_UNIQUE_ID, unique_id, "XDSSubmissionSet.uniqueId")
    return id


def _relate(
    reference: Element,
    relation: Element,
    known: dict[str, str],
    registry: Registry,
    resolve: Resolve,
    issues: list[Issue],
) -> None:
    """relatesTo -> an association with the entryUUID of its target."""
    target = relation.get("target", {})
    literal = target.get("reference", "")
    other = resolve(literal) if literal and literal not in known else None
    id = known.get(literal, "") or (entry_id(other) if other else "")
    id = id or datatypes.entry_uuid([{**target.get("identifier", {}), "use": "official"}])
    if not id:
        text = f"The document that this one {relation['code']} has no entryUUID: no association tells of it"
        issues.append(Issue("warning", "not-found", text, "DocumentReference.relatesTo"))
        return
    registry.association(relation_type(relation), entry_id(reference), id)


def relation_type(relation: Element) -> str:
    """relatesTo -> the type of the association, as it was sent."""
    sent = (e.get("valueCode") for e in relation.get("extension", ()) if e.get("url") == ASSOCIATION)
    return str(next(sent, "") or _ASSOCIATION[relation["code"]])


def _reference_of(reference: Element) -> str:
    return f"DocumentReference/{reference.get('id', '')}"


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)


def _index(documents: list[Document]) -> bytes:
    """The page that a person opens first."""
    rows = []
    for document, name in zip(documents, names(documents), strict=True):
        title = document.reference["content"][0]["attachment"].get("title", "") or name
        rows.append(f'<li><a href="{FOLDER}/{name}">{html.escape(title)}</a></li>')
    page = (
        '<!DOCTYPE html><html lang="fr"><head><meta charset="utf-8"><title>Documents</title></head><body>'
        f'<ul>{"".join(rows)}</ul><p><a href="README.TXT">README</a></p></body></html>'
    )
    return page.encode()


def _readme(issues: list[Issue]) -> bytes:
    """What this is, and what the metadata could not say."""
    lines = [
        "Documents of one patient, as an IHE XDM submission.",
        f"INDEX.HTM lists them; {FOLDER}/METADATA.XML describes them for programs.",
        "Made by fhirserver.",
        *(f"{issue.location}: {issue.text}" for issue in issues),
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()
