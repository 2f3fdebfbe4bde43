"""Documents: one uniqueId is one document, and a replaced one is superseded in the same transaction.

Which stored documents are meant, by uniqueId, entryUUID or setId; what becomes of them is
``interactions.documents``. IHE XDS: https://profiles.ihe.net/ITI/TF/Volume3/ch-4.2.html#4.2.2; MHD 4.2
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NoReturn

from fhirserver.feeds.lookup import Found, Key, identifier_key
from fhirserver.interactions.documents import is_version_of, set_identifier, set_version, superseded
from fhirserver.model.json import Resource
from mappings.core.bundle import KEY_SYSTEM
from mappings.core.result import Held, Issue

UNRESOLVED: Final = "UnresolvedReferenceException"
"""XDS's word for a related document that is not here."""

_CHANGES: Final = ("amended", "entered-in-error")


class ParentUnknown(Held):
    """A related document is not here; ``awaits`` are the identifiers by which it would be known."""

    def __init__(self, text: str, issue: Issue, awaits: tuple[str, ...]) -> None:
        super().__init__(text, issue)
        self.awaits = awaits


@dataclass(slots=True)
class Content:
    """What a DocumentReference of a Bundle comes to where the document is stored already.

    ``known``: it is the same document, nothing is to be written. ``targets`` are fullUrls of its Binary
    entries and what stands for them.
    """

    known: bool = False
    targets: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Related:
    """A document with its relations resolved; the stored documents that it replaces, and the later version
    that replaces it (and does not say so yet)."""

    document: Resource
    replaced: list[Found] = field(default_factory=list)
    replaced_by: Found | None = None


def compare(sent: Resource, stored: Resource) -> Content:
    """Compare by the attachments' hashes.

    Raises:
        Held: the same uniqueId with other content, and no word that it is an amendment.
    """
    here = {a["hash"]: a.get("url", "") for a in attachments(stored) if "hash" in a}
    came = {a["hash"]: a.get("url", "") for a in attachments(sent) if "hash" in a}
    common = here.keys() & came.keys()
    changes = (
        not came
        or sent.get("docStatus") in _CHANGES
        or sent.get("status") == "entered-in-error"
        or _is_further(sent, stored)
    )
    if came and here and not common and not changes and _has_unique_id(sent):
        text = "A document with the same uniqueId and other content is stored already"
        text += f" ({sent['masterIdentifier']['value']})"
        where = "DocumentReference.masterIdentifier"
        raise Held(text, Issue("error", "conflict", text, where, "XDSNonIdenticalHash"))
    known = {came[h]: here[h] for h in common if came[h] and _is_kept(here[h])}
    return Content(bool(common) and not changes, known)


def with_files(stored: Resource, sent: Resource, files: Collection[str]) -> Resource:
    """A document that was registered with its content elsewhere, when that comes: it is here from now on.

    ``files`` are the fullUrls of the Binary entries that are sent.
    """
    came = {a["hash"]: a["url"] for a in attachments(sent) if "hash" in a and a.get("url") in files}
    contents = []
    for content in stored.get("content", ()):
        attachment = content.get("attachment", {})
        url = came.get(attachment.get("hash", ""), "")
        if url and not _is_kept(attachment.get("url", "")):
            content = {**content, "attachment": {**attachment, "url": url}}
        contents.append(content)
    return stored if contents == stored.get("content", []) else {**stored, "content": contents}


def _is_kept(url: str) -> bool:
    """Whether an attachment's content is stored here."""
    return "Binary/" in url


def _is_further(sent: Resource, stored: Resource) -> bool:
    """Whether what is sent is later in a document's life: a copy that comes late takes nothing back."""
    stages = (stored.get("docStatus"), sent.get("docStatus"))
    return stages == ("preliminary", "final") and sent.get("status") == stored.get("status")


def attachments(document: Resource) -> Iterator[Resource]:
    for content in document.get("content", ()):
        yield content.get("attachment", {})


def related_keys(document: Resource) -> Iterator[Key]:
    """What must be looked up to relate a document: its relations' targets, and the other versions of it."""
    for relation in _unresolved(document):
        yield identifier_key("DocumentReference", relation["target"]["identifier"])
    if own := set_identifier(document):
        yield identifier_key("DocumentReference", own)


def is_late(document: Resource, found: dict[Key, list[Found]]) -> bool:
    """Whether a later version of the document is stored: this one was superseded before it came."""
    return bool(_versions(document, found, later=True))


def relate(
    document: Resource, found: dict[Key, list[Found]], beside: Mapping[str, Found], issues: list[Issue]
) -> Related:
    """Point relatesTo at the stored documents, and say which of them change by that.

    Versions of one set replace each other even where they do not say so, in whatever order they come.
    ``beside`` are the stored documents, by reference, that came again in the same input.

    Raises:
        ParentUnknown: a target is not here.
        Held: it is another patient's, or is no longer the current one.
    """
    related = Related(document)
    later = _versions(document, found, later=True)
    relations = []
    for relation in document.get("relatesTo", ()):
        if "identifier" not in relation.get("target", {}) or "reference" in relation["target"]:
            known = beside.get(relation.get("target", {}).get("reference", ""))
            if known and relation["code"] == "replaces" and known.resource.get("status") == "current":
                related.replaced.append(known)
            relations.append(relation)
            continue
        target = _target(document, relation, found, issues)
        if target.resource.get("subject") and not _same_subject(target.resource, document):
            text = "The related document is not known to be of the same patient"
            _hold(text, relation, "XDSPatientIdDoesNotMatch")
        if relation["code"] == "replaces" and not _replaced_by(document, target):
            if target.resource.get("status") == "current":
                related.replaced.append(target)
            elif not later:
                text = "The document to replace is not the current one any more"
                _hold(text, relation, "XDSRegistryDeprecatedDocumentError")
        reference = {**relation["target"], "reference": target.stored.reference}
        relations.append({**relation, "target": reference})
    if not any(relation["code"] == "replaces" for relation in relations):
        relations += _link_versions(document, found, related, issues)
    if relations:
        related.document = {**document, "relatesTo": relations}
    if later and document.get("status") == "current":
        related.document = superseded(related.document)
        first = later[0]
        if not any(r.get("code") == "replaces" for r in first.resource.get("relatesTo", ())):
            related.replaced_by = first
        _tell(issues, "A later version of this document is here already: it is stored as superseded")
    return related


def _link_versions(
    document: Resource, found: dict[Key, list[Found]], related: Related, issues: list[Issue]
) -> list[Resource]:
    """What a version that names no document replaces: the current one before it in its set."""
    if document.get("status") != "current":
        return []
    before = [v for v in _versions(document, found, later=False) if v.resource.get("status") == "current"]
    if not before:
        return []
    _tell(issues, "Names no document it replaces: linked by setId to the version before")
    known = {replaced.stored.reference for replaced in related.replaced}
    related.replaced += [version for version in before if version.stored.reference not in known]
    newest = before[-1]
    target: Resource = {"reference": newest.stored.reference}
    if master := newest.resource.get("masterIdentifier"):
        target["identifier"] = master
    return [{"code": "replaces", "target": target}]


def _versions(document: Resource, found: dict[Key, list[Found]], *, later: bool) -> list[Found]:
    """The stored versions of the document after it, or before it, by their numbers."""
    own, identifier = set_version(document), set_identifier(document)
    if own is None or identifier is None or not own.number:
        return []
    numbered = [
        (version.number, candidate)
        for candidate in found.get(identifier_key("DocumentReference", identifier), ())
        if (version := set_version(candidate.resource)) is not None
        and version.number
        and candidate.resource.get("status") in ("current", "superseded")
        and is_version_of(candidate.resource, document)
        and (version.number > own.number if later else version.number < own.number)
    ]
    return [candidate for _, candidate in sorted(numbered, key=lambda pair: pair[0])]


def _tell(issues: list[Issue], text: str) -> None:
    issues.append(Issue("information", "informational", text, "setId"))


def _unresolved(document: Resource) -> Iterator[Resource]:
    for relation in document.get("relatesTo", ()):
        target = relation.get("target", {})
        if target.get("identifier", {}).get("value") and "reference" not in target:
            yield relation


def _target(
    document: Resource, relation: Resource, found: dict[Key, list[Found]], issues: list[Issue]
) -> Found:
    key = identifier_key("DocumentReference", relation["target"]["identifier"])
    matches = found.get(key, [])
    if len(matches) > 1:
        text = "Several documents have the identifier of the related document"
        _hold(text, relation, UNRESOLVED)
    if matches:
        return matches[0]
    older = _versions(document, found, later=False)
    if not older:
        text = "The related document is not here"
        raise ParentUnknown(text, _issue(text, relation, UNRESOLVED), (key.token,))
    text = "The related document is not here: linked by setId to the version before"
    issues.append(Issue("information", "incomplete", text, "relatedDocument"))
    return older[-1]


def _hold(text: str, relation: Resource, fault: str) -> NoReturn:
    raise Held(text, _issue(text, relation, fault))


def _issue(text: str, relation: Resource, fault: str) -> Issue:
    identifier = relation["target"]["identifier"]
    name = f"{identifier.get('system', '')}|{identifier.get('value', '')}"
    return Issue("error", "not-found", f"{text} ({relation.get('code')} {name})", "relatesTo", fault)


def _same_subject(one: Resource, other: Resource) -> bool:
    return bool(one["subject"].get("reference") == other.get("subject", {}).get("reference"))


def _replaced_by(document: Resource, target: Found) -> bool:
    """Whether the target is superseded already, and by this document (an amendment of it comes in)."""
    own = document.get("id")
    return bool(own) and target.resource.get("status") == "superseded"


def _has_unique_id(document: Resource) -> bool:
    master = document.get("masterIdentifier", {})
    return bool(master.get("value")) and not str(master.get("system", "")).startswith(KEY_SYSTEM)
