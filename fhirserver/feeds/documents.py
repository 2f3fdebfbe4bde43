"""Documents: one uniqueId is one document, and a replaced one is superseded in the same transaction.

IHE XDS: https://profiles.ihe.net/ITI/TF/Volume3/ch-4.2.html#4.2.2; MHD 4.2
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn

from fhirserver.feeds.lookup import Found, Key, identifier_key
from fhirserver.model.json import Resource
from mappings.cda.document_reference import SET_ID_TYPE, VERSION_NUMBER
from mappings.core.bundle import KEY_SYSTEM
from mappings.core.result import Held, Issue

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


def compare(sent: Resource, stored: Resource) -> Content:
    """Compare by the attachments' hashes.

    Raises:
        Held: the same uniqueId with other content, and no word that it is an amendment.
    """
    here = {a["hash"]: a.get("url", "") for a in attachments(stored) if "hash" in a}
    came = {a["hash"]: a.get("url", "") for a in attachments(sent) if "hash" in a}
    common = here.keys() & came.keys()
    changes = not came or sent.get("docStatus") in _CHANGES or sent.get("status") == "entered-in-error"
    if came and not common and not changes and _has_unique_id(sent):
        text = "A document with the same uniqueId and other content is stored already"
        raise Held(text, Issue("error", "conflict", text, "DocumentReference.masterIdentifier"))
    return Content(bool(common) and not changes, {came[h]: here[h] for h in common if came[h] and here[h]})


def attachments(document: Resource) -> Iterator[Resource]:
    for content in document.get("content", ()):
        yield content.get("attachment", {})


def related_keys(document: Resource) -> Iterator[Key]:
    """What must be looked up to resolve relatesTo: the targets, and the other versions of the document."""
    unresolved = list(_unresolved(document))
    for relation in unresolved:
        yield identifier_key("DocumentReference", relation["target"]["identifier"])
    if unresolved and (set_id := _set_id(document)):
        yield identifier_key("DocumentReference", set_id)


def relate(
    document: Resource, found: dict[Key, list[Found]], issues: list[Issue]
) -> tuple[Resource, list[Found]]:
    """Point relatesTo at the stored documents; also give those that this one replaces.

    Raises:
        ParentUnknown: a target is not here.
        Held: it is another patient's, or is no longer the current one.
    """
    replaced = []
    relations = []
    for relation in document.get("relatesTo", ()):
        if "identifier" not in relation.get("target", {}) or "reference" in relation["target"]:
            relations.append(relation)
            continue
        target = _target(document, relation, found, issues)
        if target.resource.get("subject") and not _same_subject(target.resource, document):
            _hold("The related document is not known to be of the same patient", relation)
        if relation["code"] == "replaces" and not _replaced_by(document, target):
            if target.resource.get("status") != "current":
                _hold("The document to replace is not the current one any more", relation)
            replaced.append(target)
        reference = {**relation["target"], "reference": target.stored.reference}
        relations.append({**relation, "target": reference})
    if not relations:
        return document, []
    return {**document, "relatesTo": relations}, replaced


def with_labels(stored: Resource, sent: Resource) -> Resource:
    """The stored document with the labels it lacks; those it has are never taken away: the stricter wins."""
    labels = stored.get("securityLabel", [])
    codes = {code for label in labels for code in _codes(label)}
    # The codings of one label are translations of each other: one in common makes two labels the same.
    new = [
        label
        for label in sent.get("securityLabel", ())
        if label not in labels and codes.isdisjoint(_codes(label))
    ]
    return {**stored, "securityLabel": [*labels, *new]} if new else stored


def _codes(label: Resource) -> set[tuple[str, str]]:
    return {(coding.get("system", ""), coding.get("code", "")) for coding in label.get("coding", ())}


def superseded(document: Resource) -> Resource:
    return {**document, "status": "superseded"}


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
        _hold("Several documents have the identifier of the related document", relation)
    if matches:
        return matches[0]
    older = list(_versions_before(document, found))
    if not older:
        text = "The related document is not here"
        raise ParentUnknown(text, _issue(text, relation), (key.token,))
    text = "The related document is not here: linked by setId to the version before"
    issues.append(Issue("information", "incomplete", text, "relatedDocument"))
    return max(older, key=lambda pair: pair[0])[1]


def _versions_before(document: Resource, found: dict[Key, list[Found]]) -> Iterator[tuple[int, Found]]:
    """The documents of the same setId with a lower version number, each with its number."""
    set_id = _set_id(document)
    own = _version(set_id)
    if set_id is None or own is None:
        return
    for candidate in found.get(identifier_key("DocumentReference", set_id), ()):
        number = _version(_set_id(candidate.resource))
        if number is not None and number < own:
            yield number, candidate


def _hold(text: str, relation: Resource) -> NoReturn:
    raise Held(text, _issue(text, relation))


def _issue(text: str, relation: Resource) -> Issue:
    identifier = relation["target"]["identifier"]
    name = f"{identifier.get('system', '')}|{identifier.get('value', '')}"
    return Issue("error", "not-found", f"{text} ({relation.get('code')} {name})", "relatesTo")


def _same_subject(one: Resource, other: Resource) -> bool:
    return bool(one["subject"].get("reference") == other.get("subject", {}).get("reference"))


def _replaced_by(document: Resource, target: Found) -> bool:
    """Whether the target is superseded already, and by this document (an amendment of it comes in)."""
    own = document.get("id")
    return bool(own) and target.resource.get("status") == "superseded"


def _has_unique_id(document: Resource) -> bool:
    master = document.get("masterIdentifier", {})
    return bool(master.get("value")) and not str(master.get("system", "")).startswith(KEY_SYSTEM)


def _set_id(document: Resource) -> Resource | None:
    for identifier in document.get("identifier", ()):
        codings: Iterable[Resource] = identifier.get("type", {}).get("coding", ())
        if any(coding in SET_ID_TYPE["coding"] for coding in codings) and identifier.get("value"):
            found: Resource = identifier
            return found
    return None


def _version(set_id: Resource | None) -> int | None:
    for extension in (set_id or {}).get("extension", ()):
        if extension.get("url") == VERSION_NUMBER:
            return int(extension["valueInteger"])
    return None
