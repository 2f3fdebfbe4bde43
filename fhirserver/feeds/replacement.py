"""Merges of patients and of visits: the one that goes out of use, and all that refers to it.

As ``Patient/$merge`` does it (``fhirserver.operations.merge``), in the transaction of the message: the victim
is not active, its numbers are old ones, and what referred to it refers to the survivor.
"""

from dataclasses import dataclass, field
from typing import Final, NoReturn

from fhirserver.errors import TooCostly
from fhirserver.feeds.entries import Entry
from fhirserver.feeds.identity import may_be
from fhirserver.feeds.lookup import Found, Key, find_ids, identifier_key, named
from fhirserver.feeds.merge import absent
from fhirserver.interactions.integrity import referring_to
from fhirserver.model.json import Resource
from fhirserver.operations import merging
from fhirserver.operations.merge import KEPT, MOST, moves
from fhirserver.server import Server
from fhirserver.storage.documents import instant
from fhirserver.storage.repository import now
from mappings.core.effects import Effects
from mappings.core.identity import is_ins
from mappings.core.result import Held, Issue

_ENTERED_IN_ERROR: Final = {"status": "entered-in-error"}


@dataclass(slots=True)
class Replaced:
    """``updates`` are stored resources, by reference, that change with a merge, and what they become;
    ``records`` the Provenance of each merge, which tells what it changed."""

    updates: dict[str, tuple[Found, Resource]] = field(default_factory=dict)
    records: list[Resource] = field(default_factory=list)


async def replace(
    entries: list[Entry], replaced: dict[str, str], server: Server, issues: list[Issue]
) -> Replaced:
    """Prepare the entries of the victims and survivors, and find what is to refer to a survivor.

    Raises:
        Held: a person must decide: the victim was merged into another one, or two persons would be one.
        TooCostly: more refers to a victim than one commit changes.
    """
    by_url = {entry.url: entry for entry in entries}
    done = Replaced()
    for url in replaced:
        victim, survivor = by_url[url], by_url[_last(url, replaced)]
        direct = by_url[replaced[url]]
        if victim.is_stored and victim.id == direct.id:
            _swap_numbers(victim, direct, issues)
            continue
        if victim.is_stored:
            _check(victim, direct, by_url, replaced)
            await _move(victim, survivor, entries, done, server)
        _hand_over_numbers(victim, direct)
        if victim.is_stored:
            _retire(victim, direct, server.base_url)
        else:
            victim.resource = _old_numbers(victim.resource)
    return done


async def move(entries: list[Entry], moved: set[str], server: Server) -> Replaced:
    """What belongs to a visit that is another patient's from now on, for that patient.

    Raises:
        TooCostly: more refers to the visit than one commit changes.
    """
    by_url = {entry.url: entry for entry in entries}
    done = Replaced()
    for entry in (by_url[url] for url in moved):
        before = _patient_of(entry.stored)
        patient = by_url.get(_patient_of(entry.resource))
        if not before or patient is None or entry.found is None:
            continue
        after = f"Patient/{patient.id}" if patient.id else patient.url
        for found in await _belonging(entry.found, server):
            resource = merging.moved(found.resource, before, after, server.base_url)
            if resource != found.resource:
                done.updates[found.stored.reference] = found, resource
    return done


async def _belonging(moved: Found, server: Server) -> list[Found]:
    """What refers to a visit, or to an account and to the visits on it."""
    belonging: dict[str, Found] = {}
    waiting = [moved]
    while waiting:
        names = await referring_to(waiting.pop().stored, server, MOST + 1)
        wanted = [tuple(name.split("/")) for name in names if name not in belonging]
        if len(wanted) + len(belonging) > MOST:
            raise TooCostly(f"More than {MOST} resources refer to {moved.stored.reference}")
        there = await find_ids([(type, id) for type, id in wanted if type not in KEPT], server)
        found = [found for found in there.values() if found.resource]
        belonging |= {one.stored.reference: one for one in found}
        waiting += [one for one in found if one.stored.type == "Encounter"]
    return list(belonging.values())


def _patient_of(resource: Resource) -> str:
    """The reference to whom a visit or an account is of."""
    subject = resource.get("subject") or {}
    reference = (subject[0] if isinstance(subject, list) else subject).get("reference", "")
    return str(reference)


def follow_merged(entries: list[Entry], effects: Effects) -> list[Issue]:
    """What comes for a number of a merged patient is about the survivor, whose data it does not change."""
    about = {*effects.replaced, *effects.replaced.values(), *effects.renamed}
    about |= {url for pair in effects.unlinked for url in pair}
    issues = []
    for entry in entries:
        if entry.type != "Patient" or not entry.asserts or not entry.is_stored or entry.url in about:
            continue
        merged = any(link["type"] == merging.REPLACES for link in entry.stored.get("link", ()))
        if merged and is_by_old_number(entry):
            entry.resource, entry.cleared = absent(entry.stored, entry.resource), set()
            text = "The patient was merged: of the survivor it only adds what is absent"
            issues.append(Issue("information", "informational", text, "PID-3"))
    return issues


def check_renamed(entry: Entry, found: dict[Key, list[Found]]) -> None:
    """Raises Held: the new number of what is looked up by its old one is another's."""
    keys = [identifier_key(entry.type, i) for i in entry.resource.get("identifier", ())]
    if any(f.stored.id != entry.id for key in keys for f in found.get(key, ())):
        _hold(f"The new number is that of another {entry.type}: to make them one is a merge", "MRG-1")
    entry.withdrawn.setdefault("identifier", []).extend(
        {**dict(zip(("system", "value"), merging.identity(i), strict=True)), "use": "old"}
        for i in entry.resource.get("identifier", ())
        if i.get("use") != "old"
    )


def _check(victim: Entry, survivor: Entry, by_url: dict[str, Entry], replaced: dict[str, str]) -> None:
    stored = victim.stored
    if victim.type != "Patient":
        # Patients that the message makes one, too, are one here.
        ids = {by_url[url].id: by_url[_last(url, replaced)].id for url in replaced}
        here, there = (_patient_of(e.stored).removeprefix("Patient/") for e in (victim, survivor))
        if here and there and ids.get(here, here) != ids.get(there, there):
            _hold(f"One {victim.type} would be of two patients", f"{victim.type}.subject")
        return
    merged = any(link["type"] == merging.REPLACES for link in stored.get("link", ()))
    if merged and is_by_old_number(victim):
        _hold("The patient to be merged was merged into another one before", "MRG-1")
    if not may_be(survivor.resource, stored) or not may_be(survivor.stored, stored):
        _hold("The patients have two national identities (INS)", "MRG-1")


def is_by_old_number(entry: Entry) -> bool:
    """Whether an entry was found by a number that is an old one."""
    key = entry.key
    return key is not None and any(
        merging.identity(i) == (key.system, key.value) and i.get("use") == "old"
        for i in entry.stored.get("identifier", ())
    )


async def _move(victim: Entry, survivor: Entry, entries: list[Entry], done: Replaced, server: Server) -> None:
    if victim.found is None:
        return
    source = victim.found.stored
    target = f"{survivor.type}/{survivor.id}" if survivor.id else survivor.url
    by_reference = {e.found.stored.reference: e for e in entries if e.found and e is not victim}
    changed = []
    for change in await moves(source, target, server):
        name = change.previous.reference
        changed.append(f"{name}/_history/{change.previous.version + 1}")
        if (entry := by_reference.get(name)) is not None:
            entry.base = merging.moved(entry.stored, source.reference, target, server.base_url)
            continue
        # Another merge of the message may have changed it as well.
        found, now_says = done.updates.get(name, (Found(change.previous, {}), change.resource))
        done.updates[name] = found, merging.moved(now_says, source.reference, target, server.base_url)
    if "Provenance" in server.types:
        done.records.append(_record(victim.found, survivor, target, changed))


def _record(victim: Found, survivor: Entry, target: str, changed: list[str]) -> Resource:
    """What was merged and moved; its id is known by the two that were merged, for who takes it back."""
    before = [victim.versioned, *([survivor.found.versioned] if survivor.found else [])]
    written = [victim.stored.reference, target, *changed]
    record = merging.record(written, before, instant(now()))
    return {**record, "id": record_id(victim.stored.reference, target)}


def record_id(victim: str, survivor: str) -> str:
    return named("merge", victim, survivor)


def _hand_over_numbers(victim: Entry, survivor: Entry) -> None:
    """The survivor is found by the victim's numbers, which are old ones of it; a national identity stays."""
    sent = survivor.resource.get("identifier", [])
    known = {merging.identity(i) for i in (*sent, *survivor.stored.get("identifier", ()))}
    handed = {
        merging.identity(i): i if is_ins(i) else {**i, "use": "old"}
        for i in (*victim.stored.get("identifier", ()), *victim.resource.get("identifier", ()))
        if i.get("value")
    }
    survivor.resource = {
        **survivor.resource,
        "identifier": [*sent, *(i for key, i in handed.items() if key not in known)],
    }


def _retire(victim: Entry, survivor: Entry, base_url: str) -> None:
    target = f"{survivor.type}/{survivor.id}" if survivor.id else survivor.url
    stored = {merging.identity(i) for i in victim.stored.get("identifier", ())}
    new = [i for i in victim.resource.get("identifier", ()) if merging.identity(i) not in stored]
    if victim.type == "Patient":
        victim.base = merging.retired(victim.stored, target, base_url)
        # Who was only linked before is one now.
        other = {"other": {"reference": victim.found.stored.reference}} if victim.found else {}
        survivor.withdrawn.setdefault("link", []).append({**other, "type": "seealso"})
    else:
        victim.base = _old_numbers({**victim.stored, **_ENTERED_IN_ERROR})
    kept = {name: value for name, value in victim.resource.items() if name in ("resourceType", "link")}
    victim.resource = _old_numbers({**kept, "identifier": new} if new else kept)
    victim.movement, victim.cleared, victim.assumed = None, set(), frozenset()


def _swap_numbers(victim: Entry, survivor: Entry, issues: list[Issue]) -> None:
    """Both are one record already: the merge again, or the other way round; numbers change their use."""
    stored = {merging.identity(i): i for i in survivor.stored.get("identifier", ())}
    now = survivor.resource.get("identifier", [])
    old = [
        {**stored.get(merging.identity(i), i), "use": "old"}
        for i in victim.resource.get("identifier", ())
        if not is_ins(i)
    ]
    survivor.withdrawn.setdefault("identifier", []).extend(
        {"system": system, "value": value, "use": "old"} for system, value in map(merging.identity, now)
    )
    survivor.resource = {
        **survivor.resource,
        "identifier": [*now, *old],
        "link": [
            link for link in survivor.resource.get("link", ()) if link["other"].get("reference") != victim.url
        ],
    }
    if not survivor.resource["link"]:
        del survivor.resource["link"]
    victim.dropped = True
    text = "Both numbers are of one record already: only which of them is in use may change"
    issues.append(Issue("information", "informational", text, "MRG-1"))


def _old_numbers(resource: Resource) -> Resource:
    if "identifier" not in resource:
        return resource
    return {**resource, "identifier": [{**i, "use": "old"} for i in resource["identifier"]]}


def _last(url: str, replaced: dict[str, str]) -> str:
    """Who is left of a chain in one message (A into B, B into C); the mapping refuses circles."""
    while url in replaced:
        url = replaced[url]
    return url


def _hold(text: str, where: str) -> NoReturn:
    raise Held(text, Issue("error", "conflict", text, where))
