"""The life of a document: what becomes of its DocumentReference, whoever asks for it.

Pure functions from a DocumentReference to the next one. IHE XDS metadata update and MHD 4.2; PDSm 3.1;
DMP TD2.1 (replace), TD3.3 (mask, delete, archive). ``feeds.documents`` finds which documents are meant.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from fhirserver.model.json import Resource
from mappings.core.codes import V3
from mappings.core.versions import SET_ID_TYPE, VERSION_NUMBER
from mappings.xds.kept import SLOT

IS_ARCHIVED: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"
_DESCRIBED: Final = frozenset(("type", "category", "author", "authenticator", "description", "securityLabel"))
"""The elements that are attributes of a DocumentEntry."""
_CONTEXT: Final = {
    "event": "event",
    "facilityType": "facilityType",
    "practiceSetting": "practiceSetting",
    "period": "period",
    "encounter": "related",
    "related": "related",
    "sourcePatientInfo": "source",
}
"""The elements of context that are."""
_ATTACHED: Final = frozenset(("title", "language", "creation"))
CONFIDENTIALITY: Final = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
_KEPT: Final = frozenset(("id", "resourceType", "meta", "masterIdentifier", "subject", "content"))
"""What an update of metadata never changes: it would be another document."""


class SetVersion(NamedTuple):
    """Which version of which set of documents, as setId and versionNumber say; ``number`` 0: not said."""

    system: str
    value: str
    number: int


def set_identifier(document: Resource) -> Resource | None:
    """The identifier that all versions of the document share (CDA setId)."""
    for identifier in document.get("identifier", ()):
        codings: Iterable[Resource] = identifier.get("type", {}).get("coding", ())
        if any(coding in SET_ID_TYPE["coding"] for coding in codings) and identifier.get("value"):
            found: Resource = identifier
            return found
    return None


def set_version(document: Resource) -> SetVersion | None:
    """The document's place in its set; None when it names none."""
    identifier = set_identifier(document)
    if identifier is None:
        return None
    numbers = (
        int(extension["valueInteger"])
        for extension in identifier.get("extension", ())
        if extension.get("url") == VERSION_NUMBER
    )
    return SetVersion(identifier.get("system", ""), identifier["value"], next(numbers, 0))


def is_version_of(one: Resource, other: Resource) -> bool:
    """Whether both are versions of one document: of one set, one patient and one type.

    setIds are copied between documents by real software: the patient and the type must agree, too.
    """
    here, there = set_version(one), set_version(other)
    if here is None or there is None or here[:2] != there[:2]:
        return False
    if one.get("subject", {}).get("reference") != other.get("subject", {}).get("reference"):
        return False
    codes = [set(_codings(document.get("type", {}))) for document in (one, other)]
    return not all(codes) or not codes[0].isdisjoint(codes[1])


def unique_id(document: Resource) -> tuple[str, str] | None:
    """The uniqueId (system, value) that makes it this document and no other."""
    master = document.get("masterIdentifier", {})
    return (master.get("system", ""), master["value"]) if master.get("value") else None


def superseded(document: Resource) -> Resource:
    """Another document has taken its place."""
    return {**document, "status": "superseded"}


def withdrawn(document: Resource) -> Resource:
    """Deleted by its author: kept and traced, found by nobody who asks for current documents."""
    return {**document, "status": "entered-in-error", "docStatus": "entered-in-error"}


def is_archived(document: Resource) -> bool:
    return any(
        extension.get("url") == IS_ARCHIVED and extension.get("valueBoolean") is True
        for extension in document.get("extension", ())
    )


def archived(document: Resource, value: bool) -> Resource:
    """Put away by the patient or a professional, or fetched back: PDSm's extension isArchived."""
    others = [e for e in document.get("extension", ()) if e.get("url") != IS_ARCHIVED]
    return {**document, "extension": [*others, {"url": IS_ARCHIVED, "valueBoolean": value}]}


def with_labels(stored: Resource, sent: Resource) -> Resource:
    """The stored document with the labels it lacks; those it has are never taken away: the stricter wins."""
    labels = stored.get("securityLabel", [])
    codes = {code for label in labels for code in _codings(label)}
    # The codings of one label are translations of each other: one in common makes two labels the same.
    new = [
        label
        for label in sent.get("securityLabel", ())
        if label not in labels and codes.isdisjoint(_codings(label))
    ]
    return {**stored, "securityLabel": [*labels, *new]} if new else stored


def with_confidentiality(before: Resource, after: Resource) -> Resource:
    """The document after a change of its labels, with the level of confidentiality that it had, where the
    change leaves none: a label of visibility put in its place is another matter."""
    levels = [label for label in before.get("securityLabel", ()) if _is_level(label)]
    labels = after.get("securityLabel", [])
    if not levels or not isinstance(labels, list) or any(_is_level(label) for label in labels):
        return after
    return {**after, "securityLabel": [*levels, *labels]}


def _is_level(label: Any) -> bool:
    codings = label.get("coding", ()) if isinstance(label, dict) else ()
    return any(isinstance(coding, dict) and coding.get("system") == CONFIDENTIALITY for coding in codings)


def without_label(document: Resource, system: str, code: str) -> Resource:
    """The document without one label; the others, and the confidentiality code among them, stay."""
    labels = document.get("securityLabel", [])
    left = [label for label in labels if (system, code) not in set(_codings(label))]
    if len(left) == len(labels):
        return document
    changed = {**document, "securityLabel": left}
    return changed if left else {k: v for k, v in changed.items() if k != "securityLabel"}


def updated(stored: Resource, sent: Resource) -> Resource:
    """The next version of the same document with other metadata (ITI-57, MDM without content).

    What is sent replaces what is stored, labels included: that is how a document is unmasked. Its content,
    uniqueId and patient stay, its identifiers are added to: every update has another entryUUID.
    """
    changed = {**stored, **{name: value for name, value in sent.items() if name not in _KEPT}}
    identifiers = [*stored.get("identifier", ())]
    identifiers += [i for i in sent.get("identifier", ()) if i not in identifiers]
    if identifiers:
        changed["identifier"] = identifiers
    first, *others = stored.get("content", [{}])
    described: Resource = next(iter(sent.get("content", ())), {})
    attachment = {
        **first.get("attachment", {}),
        **{
            k: v for k, v in described.get("attachment", {}).items() if k in ("title", "language", "creation")
        },
    }
    merged = {**first, **{k: v for k, v in described.items() if k != "attachment"}, "attachment": attachment}
    return {**changed, "content": [merged, *others]} if "content" in stored else changed


def revised(stored: Resource, sent: Resource, same: frozenset[str]) -> Resource:
    """The next version of the same document with all other metadata (ITI-57): what is sent replaces what an
    XDS DocumentEntry says, and what is not sent goes.

    ``same`` are the elements about which nothing new is said (``mappings.xds.comparison``): they stay as they
    are, for FHIR may say more of them. Content, uniqueId, patient, status, relations and what XDS has no
    attribute for stay, too; and so does the confidentiality code (N, R, V) where none is sent: hiding a
    document is no word on that.
    """
    changed = {name: value for name, value in stored.items() if name not in _DESCRIBED - same}
    changed |= {name: sent[name] for name in _DESCRIBED - same if name in sent}
    if "date" in sent and "creation" not in same:
        changed["date"] = sent["date"]
    if "securityLabel" not in same:
        changed["securityLabel"] = _labels(stored, sent)
    changed["context"] = _context(stored.get("context", {}), sent.get("context", {}), same)
    if "slots" not in same:
        others = [e for e in stored.get("extension", ()) if e.get("url") != SLOT]
        changed["extension"] = [*others, *(e for e in sent.get("extension", ()) if e.get("url") == SLOT)]
    described: Resource = next(iter(sent.get("content", ())), {})
    first, *rest = stored.get("content", [{}])
    attached = _ATTACHED - same
    attachment = {k: v for k, v in first.get("attachment", {}).items() if k not in attached}
    attachment |= {k: v for k, v in described.get("attachment", {}).items() if k in attached}
    content = {**first, "attachment": attachment}
    if "format" not in same:
        content = {k: v for k, v in content.items() if k != "format"}
        content |= {"format": described["format"]} if "format" in described else {}
    changed["content"] = [content, *rest]
    changed["contained"] = _still_contained(
        stored, () if "source" in same else sent.get("contained", ()), changed
    )
    return {name: value for name, value in changed.items() if value not in ([], {})}


def _labels(stored: Resource, sent: Resource) -> list[Resource]:
    """The labels sent, as they are stored where they are, with the confidentiality code if none is sent."""
    before, labels = stored.get("securityLabel", []), []
    for label in sent.get("securityLabel", ()):
        codes = set(_codings(label))
        labels.append(next((known for known in before if codes & set(_codings(known))), label))
    if not any(_is_confidentiality(label) for label in labels):
        labels = [*filter(_is_confidentiality, before), *labels]
    return labels


def _context(stored: Resource, sent: Resource, same: frozenset[str]) -> Resource:
    """The context with what is sent; references to resources, which XDS cannot say, stay."""
    context = dict(stored)
    for name, what in _CONTEXT.items():
        if what in same:
            continue
        literal = [e for e in stored.get(name, ()) if "reference" in e] if what == "related" else []
        value = [*literal, *sent.get(name, ())] if what == "related" else sent.get(name)
        context.pop(name, None)
        if value:
            context[name] = value
    return context


def _is_confidentiality(label: Resource) -> bool:
    return any(system == f"{V3}Confidentiality" for system, _ in _codings(label))


def _still_contained(stored: Resource, sent: Iterable[Resource], changed: Resource) -> list[Resource]:
    """What is sent, and what the rest of the document still points to."""
    contained = list(sent)
    ids = {each.get("id") for each in contained}
    rest = {name: value for name, value in changed.items() if name != "contained"}
    pointed = set(_pointers(rest))
    named = (each for each in stored.get("contained", ()) if each.get("id") not in ids)
    return [*contained, *(each for each in named if f"#{each.get('id')}" in pointed)]


def _pointers(value: Any) -> Iterator[str]:
    """The references in an element, into what it contains among them."""
    if isinstance(value, dict):
        if isinstance(name := value.get("reference"), str):
            yield name
        value = list(value.values())
    for each in value if isinstance(value, list) else ():
        yield from _pointers(each)


def replacing(document: Resource, target: str, unique: Resource | None = None) -> Resource:
    """The document with the statement that it replaces another, once."""
    relations = document.get("relatesTo", [])
    if any(r.get("code") == "replaces" and r["target"].get("reference") == target for r in relations):
        return document
    identified = {"identifier": unique} if unique else {}
    relation = {"code": "replaces", "target": {"reference": target, **identified}}
    return {**document, "relatesTo": [*relations, relation]}


def _codings(concept: Resource) -> Iterator[tuple[str, str]]:
    for coding in concept.get("coding", ()):
        yield coding.get("system", ""), coding.get("code", "")
