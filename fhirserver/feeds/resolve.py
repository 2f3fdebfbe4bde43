"""From what an input says to the transaction that makes the record say it.

A mapped Bundle is conditional (see ``mappings.core.result.Mapped``): its entries are looked up, merged with
what is stored, and left out where nothing changes; what is new gets an id that a repetition gets again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from fhirserver.feeds import documents
from fhirserver.feeds.changes import check_patients, check_stored
from fhirserver.feeds.entries import Entry, fold, join, leave_out_types
from fhirserver.feeds.filing import extended, folders
from fhirserver.feeds.identity import (
    check_identity,
    find_patient,
    find_visit,
    leave_out_foreign_numbers,
    other_keys,
)
from fhirserver.feeds.known import leave_out
from fhirserver.feeds.lateness import keep_what_is_newer
from fhirserver.feeds.lookup import Found, Key, find, find_ids, identifier_key, named, survivor_of
from fhirserver.feeds.merge import equal, point
from fhirserver.feeds.places import contradicted, joined
from fhirserver.feeds.replacement import check_renamed, follow_merged, move, replace
from fhirserver.feeds.snapshot import end_what_is_not_listed, find_lists
from fhirserver.feeds.subject import check_documents, check_subjects
from fhirserver.feeds.traits import check_traits
from fhirserver.feeds.unlinking import unlink
from fhirserver.feeds.withdrawal import withdrawn
from fhirserver.interactions import assertions
from fhirserver.interactions.documents import replacing, superseded
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.server import Server
from mappings.core.bundle import full_url
from mappings.core.effects import Effects
from mappings.core.result import Held, Issue, Mapped


@dataclass(slots=True)
class Resolved:
    """``bundle`` is the transaction, None when nothing is to be written. ``unchanged`` are the references,
    with versions, of the resources that the input says nothing new about; ``targets`` what the fullUrls of
    entries are stored as, as far as that is decided."""

    bundle: Resource | None
    issues: list[Issue]
    unchanged: list[str]
    targets: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Work:
    entries: list[Entry]
    issues: list[Issue] = field(default_factory=list)
    targets: dict[str, str] = field(default_factory=dict)
    related: dict[Key, list[Found]] = field(default_factory=dict)
    updates: dict[str, tuple[Found, Resource]] = field(default_factory=dict)
    """What is stored, by reference, and changes because of the entries, and what it becomes."""
    records: list[Resource] = field(default_factory=list)
    """Provenance of what was merged."""


async def resolve(mapped: Mapped, server: Server, seed: str, *, repeated: bool) -> Resolved:
    """Resolve against what is stored now.

    ``seed`` names the input: entries that are always new get ids made of it, so that processing the input
    again (``repeated``) finds them.

    Raises:
        Held: a person must decide: several resources match, an identity disagrees, a document is in doubt.
        Unavailable: the database does not answer.
    """
    entries, effects = fold(mapped)
    work = _Work(*leave_out_types(entries, server.types))
    await _look_up(work, effects.renamed, server, seed, repeated)
    check_stored(work.entries)
    work.issues += check_traits(work.entries)
    lists = await find_lists(work.entries, effects.snapshots, server)
    await _replace(work, effects, server)
    zone = ZoneInfo(server.settings.timezone)
    newer, issues = await keep_what_is_newer(work.entries, server, zone, snapshot=bool(effects.snapshots))
    ended, more = end_what_is_not_listed(work.entries, lists, newer)
    work.issues += [*issues, *more]
    work.updates |= ended
    known = leave_out(work.entries, _late(work))
    work.targets = known.targets
    work.updates |= known.completed
    for entry in work.entries:
        if entry.id:
            work.targets[entry.url] = f"{entry.type}/{entry.id}"
    check_documents(work.entries, work.targets)
    for entry in work.entries:
        if not entry.dropped:
            entry.resource = point(entry.resource, work.targets)
    check_patients(work.entries)
    check_subjects(work.entries, effects.moved, work.issues)
    gone = _relate_documents(work)
    await _file(gone, work, server)
    work.updates |= await _taken_back([found.stored.reference for found, _ in gone], work, server)
    deleted, remarks = await withdrawn(work.entries, server)
    work.issues += remarks
    work.updates |= await _taken_back(deleted, work, server, in_error=True)
    written = [made for entry in join(work.entries) if (made := _write(entry, zone, work.issues))]
    written += [
        _put(resource, reference, ifMatch=found.stored.etag)
        for reference, (found, resource) in work.updates.items()
    ]
    written += [_put(record, f"Provenance/{record['id']}") for record in work.records]
    touched = {entry["fullUrl"] for entry in written}
    unchanged = {
        e.found.versioned: None
        for e in work.entries
        if e.found and e.found.resource and e.found.stored.reference not in touched
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": written} if written else None
    return Resolved(bundle, work.issues, list(unchanged), work.targets)


async def _replace(work: _Work, effects: Effects, server: Server) -> None:
    """Follow, make and undo merges."""
    work.issues += follow_merged(work.entries, effects)
    for done in (
        await unlink(work.entries, effects.unlinked, server, work.issues),
        await replace(work.entries, effects.replaced, server, work.issues),
        await move(work.entries, effects.moved, server),
    ):
        work.updates |= done.updates
        work.records += done.records


async def _look_up(work: _Work, renamed: Collection[str], server: Server, seed: str, repeated: bool) -> None:
    sent = [e.resource for e in work.entries if e.type == "DocumentReference"]
    related = [key for document in sent for key in documents.related_keys(document)]
    own = [entry.key for entry in work.entries if entry.key]
    others = [key for entry in work.entries for keys in other_keys(entry) for key in keys]
    new = {
        e.url: [identifier_key(e.type, i) for i in e.resource["identifier"]]
        for e in work.entries
        if e.url in renamed
    }
    found = await find([*own, *others, *related, *(key for keys in new.values() for key in keys)], server)
    for entry in work.entries:
        if entry.always_new:
            entry.id = named(seed, entry.url)
            continue
        matches = found.get(entry.key, []) if entry.key else []
        if not matches and entry.url in renamed:  # the change of its number comes again
            matches = next((found[key] for key in new[entry.url] if key in found), [])
        if matches:
            left = [await survivor_of(match, server) for match in matches]
            one_each = list({match.stored.reference: match for match in left}.values())
            entry.found = _the_one(entry, one_each, work.issues)
            entry.id = entry.found.stored.id
            if entry.url in renamed:
                check_renamed(entry, found)
            elif entry.asserts:
                leave_out_foreign_numbers(entry, found, work.issues)
        elif entry.type == "Patient" and (patient := find_patient(entry, found, work.issues)):
            _take_for(entry, patient)
        elif visit := find_visit(entry, found):
            entry.found, entry.id = visit, visit.stored.id
        elif entry.key:
            entry.id = entry.key.id
    if repeated:
        always_new = [e for e in work.entries if e.always_new]
        there = await find_ids([(e.type, e.id) for e in always_new], server)
        for entry in always_new:
            entry.found = there.get((entry.type, entry.id))
    work.related = {key: found.get(key, []) for key in related}


def _take_for(entry: Entry, patient: Found) -> None:
    """Take a stored patient for the one that is meant; a mere mention then states the number it goes by."""
    entry.found, entry.id = patient, patient.stored.id
    if not entry.asserts and entry.key:
        numbers = [i for i in entry.resource["identifier"] if identifier_key("Patient", i) == entry.key]
        entry.resource = {"resourceType": "Patient", "identifier": numbers}
        entry.request = {**entry.request, "method": "PUT"}


def _the_one(entry: Entry, matches: list[Found], issues: list[Issue]) -> Found:
    """Of several matches the oldest, where an input only mentions something.

    Raises:
        Held: several match what it states, or the patient.
    """
    if len(matches) > 1:
        text = f"{len(matches)} resources of type {entry.type} have the same identifier"
        if entry.asserts or entry.type == "Patient":
            raise Held(text, Issue("error", "multiple-matches", text, entry.type))
        issues.append(Issue("warning", "multiple-matches", f"{text}: the oldest is taken", entry.type))
    return matches[-1]


def _late(work: _Work) -> set[str]:
    """The fullUrls of documents of which a later version is stored."""
    stored = {entry.url: f"{entry.type}/{entry.id}" for entry in work.entries if entry.id}
    sent = [e for e in work.entries if e.type == "DocumentReference" and not e.is_stored]
    return {e.url for e in sent if documents.is_late(point(e.resource, stored), work.related)}


def _relate_documents(work: _Work) -> list[tuple[Found, str]]:
    """Point documents at each other; those that are no longer valid, and the reference (or fullUrl) of what
    each is replaced by."""
    gone = []
    sent = [entry for entry in work.entries if entry.type == "DocumentReference"]
    beside = {e.found.stored.reference: e.found for e in sent if e.found and e.is_stored}
    for entry in sent:
        stated = entry.asserts or not entry.found
        if stated and not entry.dropped:
            own = {**entry.resource, "id": entry.id} if entry.found else entry.resource
            _link_inside(own, work)
            related = documents.relate(own, work.related, beside, work.issues)
            entry.resource = related.document
            for found in related.replaced:
                _update(found, superseded, work)
                gone.append((found, work.targets.get(entry.url, entry.url)))
            if related.replaced_by is not None:
                here, master = work.targets.get(entry.url, entry.url), own.get("masterIdentifier")
                _update(related.replaced_by, lambda later: replacing(later, here, master), work)  # noqa: B023  # called at once
    return gone


async def _file(gone: list[tuple[Found, str]], work: _Work, server: Server) -> None:
    """Put what replaces documents into the folders of these."""
    for folder, members in await folders(gone, server):
        sent = [
            e
            for e in work.entries
            if e.asserts and e.found and e.found.stored.reference == folder.stored.reference
        ]
        for entry in sent:
            entry.resource = extended(entry.resource, members)
        if not sent:
            _update(folder, lambda found: extended(found, members), work)  # noqa: B023  # called at once


def _update(found: Found, change: Callable[[Resource], Resource], work: _Work) -> None:
    """Change a stored document once more, beside what else this input changes of it."""
    reference = found.stored.reference
    _, now = work.updates.get(reference, (found, found.resource))
    work.updates[reference] = found, change(now)


async def _taken_back(
    gone: list[str], work: _Work, server: Server, *, in_error: bool = False
) -> dict[str, tuple[Found, Resource]]:
    """What only documents that are no longer valid asserted, and what becomes of it; a Provenance says so.

    ``in_error``: they never should have been.
    """
    made = [e for e in work.entries if e.type == "Provenance" and not e.dropped]
    if not gone or not made:
        return {}
    kept = {f"{entry.type}/{entry.id}" for entry in work.entries if not entry.dropped and entry.id}
    changes = await assertions.taken_back(gone, kept, server, in_error=in_error)
    if changes:
        said, url = made[0].resource, full_url("Provenance", "taken back", *gone, made[0].url)
        resource = assertions.provenance(
            (stored.reference for stored, _ in changes), gone, said["agent"], said.get("recorded", "")
        )
        if "_recorded" in said:
            resource = {**{k: v for k, v in resource.items() if v}, "_recorded": said["_recorded"]}
        request = {"method": "POST", "url": "Provenance"}
        entry = Entry(url, "Provenance", resource, request, set(), id=named(made[0].id, url))
        work.entries.append(entry)
        text = "What only a document said that is no longer valid is no longer asserted"
        work.issues.append(
            Issue("information", "informational", f"{text}: {len(changes)}", "relatedDocument")
        )
    return {s.reference: (Found(s, json.stored(s.body)), resource) for s, resource in changes}


def _link_inside(document: Resource, work: _Work) -> None:
    """A related document that comes in the same Bundle is referred to by its entry."""
    masters = {
        _pair(e.resource["masterIdentifier"]): work.targets.get(e.url, e.url)
        for e in work.entries
        if e.type == "DocumentReference" and "masterIdentifier" in e.resource
    }
    relations = []
    for relation in document.get("relatesTo", ()):
        target = relation.get("target", {})
        inside = masters.get(_pair(target.get("identifier", {})))
        known = work.related.get(_related_key(target)) if target.get("identifier") else None
        if inside and not known and "reference" not in target:
            relation = {**relation, "target": {**target, "reference": inside}}
        relations.append(relation)
    if relations:
        document["relatesTo"] = relations


def _related_key(target: Resource) -> Any:
    return next(documents.related_keys({"relatesTo": [{"target": target}]}), None)


def _pair(identifier: Resource) -> tuple[Any, Any]:
    return identifier.get("system"), identifier.get("value")


def _write(entry: Entry, zone: ZoneInfo, issues: list[Issue]) -> Resource | None:
    """The entry of the transaction; None when there is nothing to write."""
    if entry.found is None:
        return _create(entry)
    stored = entry.found.stored
    if entry.found.resource:
        if entry.type == "Patient":
            check_identity(entry.resource, entry.stored)
        if not entry.asserts and entry.base is None:
            return None
        resource = joined(entry, zone) if entry.asserts else entry.stored
        if contradicted(entry, resource):
            text = (
                "The stay would end before it begins: of what contradicts, what was said before is left out"
            )
            issues.append(Issue("warning", "business-rule", text, "Encounter.period"))
        if equal(resource, entry.found.resource):
            return None
    else:
        resource = {**entry.resource, "id": stored.id}
    return _put(resource, stored.reference, ifMatch=stored.etag)


def _create(entry: Entry) -> Resource:
    if entry.id:
        resource = {**entry.resource, "id": entry.id}
        condition = {} if entry.always_new else {"ifNoneMatch": "*"}
        return _put(resource, f"{entry.type}/{entry.id}", entry.url, **condition)
    request = {**entry.request, "ifNoneMatch": "*"} if entry.asserts else entry.request
    return {"fullUrl": entry.url, "resource": entry.resource, "request": request}


def _put(resource: Resource, reference: str, full_url: str = "", **conditions: str) -> Resource:
    return {
        "fullUrl": full_url or reference,
        "resource": resource,
        "request": {"method": "PUT", "url": reference, **conditions},
    }
