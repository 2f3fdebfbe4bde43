"""What comes again: a document or submission that is stored already brings nothing back.

A copy may be older than what has happened since: its clinical content would undo what later versions of the
document said.
"""

from dataclasses import dataclass, field
from typing import Final

from fhirserver.feeds import documents
from fhirserver.feeds.entries import Entry
from fhirserver.feeds.lookup import Found
from fhirserver.interactions.documents import with_labels
from fhirserver.model.json import Resource
from mappings.core.result import Held, Issue

_DUPLICATE: Final = "XDSDuplicateUniqueIdInRegistry"


@dataclass(slots=True)
class Known:
    """``targets`` are fullUrls of Binary entries and the stored Binary that each is; ``completed`` the
    stored documents, by reference, that get labels or content they lack."""

    targets: dict[str, str] = field(default_factory=dict)
    completed: dict[str, tuple[Found, Resource]] = field(default_factory=dict)


def leave_out(entries: list[Entry], late: set[str]) -> Known:
    """Drop the entries of what is stored: documents, their files and clinical content, signatures.

    Of ``late`` documents (fullUrls), of which a later version is stored, only the content is dropped.

    A Provenance of a known document stays when it says that the document itself came: every arrival is kept.

    Raises:
        Held: a document's uniqueId is stored with other content, or a submission set's with other documents.
    """
    _check_submissions(entries)
    known = Known()
    urls = {entry.url for entry in entries if entry.type == "List" and entry.is_stored and not entry.asserts}
    files = {entry.url for entry in entries if entry.type == "Binary"}
    for entry in entries:
        if entry.type != "DocumentReference" or not entry.found or not entry.found.resource:
            continue
        content = documents.compare(entry.resource, entry.found.resource)
        known.targets |= content.targets
        if content.known:
            entry.dropped = True
            urls.add(entry.url)
            completed = with_labels(entry.found.resource, entry.resource)
            completed = documents.with_files(completed, entry.resource, files)
            if completed is not entry.found.resource:
                known.completed[entry.found.stored.reference] = (entry.found, completed)
    for entry in entries:
        if entry.url in known.targets:
            entry.dropped, entry.id = True, ""
        elif entry.type == "Binary" and _is_signature(entry, entries, urls):
            entry.dropped = True
    _leave_out_content(entries, urls | late)
    return known


def _check_submissions(entries: list[Entry]) -> None:
    """A submission that is stored is closed: under its uniqueId nothing new can come."""
    new = {entry.url for entry in entries if entry.type == "DocumentReference" and not entry.is_stored}
    for entry in entries:
        if entry.type != "List" or entry.asserts or not entry.is_stored or not _is_submission(entry.resource):
            continue
        members = {each.get("item", {}).get("reference") for each in entry.resource.get("entry", ())}
        if not members.isdisjoint(new):
            text = f"{_DUPLICATE}: the submission set is stored already, with other documents"
            raise Held(text, Issue("error", "conflict", text, "List.identifier", _DUPLICATE))


def _is_submission(resource: Resource) -> bool:
    codings = resource.get("code", {}).get("coding", ())
    return any(coding.get("code") == "submissionset" for coding in codings)


def _is_signature(binary: Entry, entries: list[Entry], known: set[str]) -> bool:
    """Whether it is read by who may read a known submission."""
    context = binary.resource.get("securityContext", {}).get("reference")
    return context in known and any(entry.url == context and entry.type == "List" for entry in entries)


def _leave_out_content(entries: list[Entry], known: set[str]) -> None:
    """Drop what only known documents assert: the other targets of a document's Provenance are its content."""
    provenances = [entry for entry in entries if entry.type == "Provenance"]
    old: set[str] = set()
    new: set[str] = set()
    for entry in provenances:
        if not _named(entry, "derivation").isdisjoint(known):
            entry.dropped = True  # the arrival of a submission that is known itself
        if sources := _named(entry, "source"):
            (old if sources <= known else new).update(_targets(entry))
    gone = old - new - known
    if not gone:
        return
    for entry in entries:
        entry.dropped = entry.dropped or entry.url in gone
    for entry in provenances:
        if entry.dropped or gone.isdisjoint(_targets(entry)):
            continue
        left = [target for target in entry.resource["target"] if target.get("reference") not in gone]
        entry.resource = {**entry.resource, "target": left}
        entry.dropped = not left


def _named(provenance: Entry, role: str) -> set[str]:
    """What a Provenance names in a role, as far as by reference."""
    entities = (e for e in provenance.resource.get("entity", ()) if e.get("role") == role)
    return {e["what"]["reference"] for e in entities if "reference" in e.get("what", {})}


def _targets(provenance: Entry) -> set[str]:
    return {target["reference"] for target in provenance.resource["target"] if "reference" in target}
