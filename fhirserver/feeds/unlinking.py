"""Patients that are not linked, or not one, after all (HL7v2 A37).

A link goes. A merge is undone by the record that was made of it (``fhirserver.feeds.replacement``): what was
moved and has not changed hands since goes back, and the victim is what it was before.
"""

from typing import NoReturn

from fhirserver.feeds.entries import Entry
from fhirserver.feeds.lookup import Found, find_ids
from fhirserver.feeds.replacement import Replaced, record_id
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.operations import merging
from fhirserver.operations.merging import REPLACED_BY, REPLACES
from fhirserver.server import Server
from mappings.core.identity import is_ins
from mappings.core.result import Held, Issue


async def unlink(
    entries: list[Entry], pairs: list[tuple[str, str]], server: Server, issues: list[Issue]
) -> Replaced:
    """Prepare the entries of patients that are two.

    Raises:
        Held: they are one record, and no merge that is known here made them one.
    """
    by_url = {entry.url: entry for entry in entries}
    done = Replaced()
    for one, other in ((by_url[a], by_url[b]) for a, b in pairs):
        if one.id and one.id == other.id:
            await _undo(one, other, done, server)
            continue
        for here, there in ((one, other), (other, one)):
            reference = there.found.stored.reference if there.found else there.url
            if any(
                link["other"].get("reference") == reference and link["type"] in merging.IDENTITY
                for link in here.stored.get("link", ())
            ):
                _hold()
            here.withdrawn.setdefault("link", []).append({"other": {"reference": reference}})
        if not (one.is_stored and other.is_stored):
            text = "One of the patients is not known: there was no link to take back"
            issues.append(Issue("information", "informational", text, "PID-3"))
    return done


async def _undo(one: Entry, other: Entry, done: Replaced, server: Server) -> None:
    """Let the one that was merged be a patient of its own again."""
    survivor = one.found
    victim_of = await _victims(survivor, server) if survivor else []
    pair = next(
        ((e, v) for e in (one, other) for v in victim_of if survivor and _is_of(e, v, survivor)), None
    )
    if pair is None or survivor is None:
        _hold()
    entry, victim = pair
    left = other if entry is one else one
    was = await _before(victim, server)
    entry.found, entry.id = victim, victim.stored.id
    entry.base = _restored(victim.resource, was, server.base_url)
    left.base = _without(left.stored, victim, entry.base, server.base_url)
    for found in await _moved(victim, survivor, server):
        back = merging.moved(
            found.resource, survivor.stored.reference, victim.stored.reference, server.base_url
        )
        if back != found.resource:
            done.updates[found.stored.reference] = found, back


async def _victims(survivor: Found, server: Server) -> list[Found]:
    names = merging.linked(survivor.resource, REPLACES, server.base_url)
    wanted = [("Patient", name.partition("/")[2]) for name in names if name.startswith("Patient/")]
    return [found for found in (await find_ids(wanted, server)).values() if found.resource]


def _is_of(entry: Entry, victim: Found, survivor: Found) -> bool:
    """Whether a message names a victim: by a number of it that is an old one of the survivor."""
    named = {merging.identity(i) for i in entry.resource.get("identifier", ())}
    own = {merging.identity(i) for i in victim.resource.get("identifier", ())}
    current = {merging.identity(i) for i in survivor.resource.get("identifier", ()) if i.get("use") != "old"}
    return bool(named & own - current)


async def _before(victim: Found, server: Server) -> Resource:
    """The victim before it was merged, as far as it is known."""
    for version in range(victim.stored.version - 1, 0, -1):
        stored = await server.repository.find_version("Patient", victim.stored.id, version)
        if stored is None or stored.deleted:
            break
        resource = json.stored(stored.body)
        if not merging.linked(resource, REPLACED_BY, server.base_url):
            return resource
    return {}


def _restored(victim: Resource, was: Resource, base_url: str) -> Resource:
    """The victim in use again: with its numbers, and without the link, of before the merge."""
    restored = {name: value for name, value in victim.items() if name not in ("active", "link")}
    uses = {merging.identity(i): i for i in was.get("identifier", ())}
    restored["identifier"] = [
        uses.get(merging.identity(i), {name: part for name, part in i.items() if name != "use"})
        for i in victim.get("identifier", ())
    ]
    links = [link for link in victim.get("link", ()) if link["type"] != REPLACED_BY]
    active = {"active": was["active"]} if was.get("active") else {}
    return restored | active | ({"link": links} if links else {})


def _without(survivor: Resource, victim: Found, restored: Resource, base_url: str) -> Resource:
    """The survivor without the link to the victim and without its numbers."""
    theirs = {merging.identity(i) for i in restored.get("identifier", ())}
    left = {name: value for name, value in survivor.items() if name not in ("link", "identifier")}
    links = [
        link
        for link in survivor.get("link", ())
        if link["type"] != REPLACES
        or victim.stored.reference not in merging.linked({"link": [link]}, REPLACES, base_url)
    ]
    numbers = [
        i
        for i in survivor.get("identifier", ())
        if merging.identity(i) not in theirs or not (i.get("use") == "old" or is_ins(i))
    ]
    return left | ({"link": links} if links else {}) | ({"identifier": numbers} if numbers else {})


async def _moved(victim: Found, survivor: Found, server: Server) -> list[Found]:
    """What the merge moved, as it is stored now."""
    id = record_id(victim.stored.reference, survivor.stored.reference)
    record = (await find_ids([("Provenance", id)], server)).get(("Provenance", id))
    names = [target["reference"].split("/") for target in record.resource.get("target", ())] if record else []
    wanted = [(parts[0], parts[1]) for parts in names if len(parts) > 1 and parts[0] != "Patient"]
    return [found for found in (await find_ids(wanted, server)).values() if found.resource]


def _hold() -> NoReturn:
    text = "The patients are one record, and it is not known which merge made them one"
    raise Held(text, Issue("error", "conflict", text, "PID-3"))
