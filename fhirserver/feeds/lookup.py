"""Which resources the entries of a mapped Bundle are about, found with few round trips."""

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.search.query import Query
from fhirserver.server import Server
from fhirserver.storage.documents import Stored
from fhirserver.storage.lookups import TO_DECIDE
from mappings.cda.datatypes import URI
from mappings.core.bundle import KEY_SYSTEM
from mappings.xds.export import entry_id, logical_ids

_NAMES: Final = uuid.UUID("6f6d7a52-3b0e-4f0c-9d57-0c1d2b7a9f11")
_REPLACED: Final = 10
"""So many times is followed who has replaced a patient."""
_MATCHES: Final = 20
"""So many resources of one identifier are read."""


@dataclass(frozen=True, slots=True)
class Key:
    """What identifies a resource: its type and an identifier. ``token`` is the search value (escaped)."""

    type: str
    system: str
    value: str
    token: str

    @property
    def id(self) -> str:
        """The logical id of a resource whose identifier the mappings derive: it needs no search, no lock."""
        return named(self.type, self.token) if self.system.startswith(KEY_SYSTEM) else ""


@dataclass(frozen=True, slots=True)
class Found:
    """A stored resource, decoded; of a deleted one ``resource`` is empty."""

    stored: Stored
    resource: Resource

    @property
    def versioned(self) -> str:
        return f"{self.stored.reference}/_history/{self.stored.version}"


def named(*parts: str) -> str:
    """An id that the same parts always give."""
    return str(uuid.uuid5(_NAMES, "\x1f".join(parts)))


def key_of(entry: Resource) -> Key | None:
    """The identifier in an entry's criteria; None for criteria of another form."""
    request = entry["request"]
    type, _, query = request["url"].partition("?")
    pairs = parse_qsl(request.get("ifNoneExist", query), keep_blank_values=True)
    if len(pairs) != 1 or pairs[0][0] != "identifier":
        return None
    return token_key(type, pairs[0][1])


def identifier_key(type: str, identifier: Resource) -> Key:
    system, value = str(identifier.get("system", "")), str(identifier.get("value", ""))
    return Key(type, system, value, f"{_escape(system)}|{_escape(value)}")


def token_key(type: str, token: str) -> Key | None:
    parts = list(_split(token))
    return Key(type, parts[0], parts[1], token) if len(parts) == 2 and parts[1] else None


def identifiers(resource: Resource) -> Iterator[Resource]:
    """All identifiers that the search parameter ``identifier`` looks at."""
    yield from resource.get("identifier", ())
    if master := resource.get("masterIdentifier"):
        yield master


async def find(keys: Iterable[Key], server: Server) -> dict[Key, list[Found]]:
    """The stored resources of each key, newest first; of many the oldest; a deleted one only by its id.

    What is asked by inputs that are processed at the same time shares round trips.
    """
    keys = list(dict.fromkeys(keys))
    derived = [key for key in keys if key.id]
    searched = [key for key in keys if not key.id]
    queries = [_query(key, server) for key in searched]
    matches = await server.repository.lookups.matching_each(queries)
    by_id = await find_ids([(key.type, key.id) for key in derived], server)
    found = {key: [by_id[(key.type, key.id)]] for key in derived if (key.type, key.id) in by_id}
    for key, stored in zip(searched, matches, strict=True):
        if len(stored) >= TO_DECIDE:
            oldest = _query(key, server, ("_sort", "_lastUpdated"))
            stored = (await server.repository.search(oldest, None, _MATCHES)).resources[::-1]
        if results := _of_key(key, stored):
            found[key] = results
    return found | await _by_entry_uuid([key for key in searched if key not in found], server)


async def _by_entry_uuid(keys: list[Key], server: Server) -> dict[Key, list[Found]]:
    """What goes by an entryUUID that it came without: one that this server has told (stored queries)."""
    ids = {
        key: [(key.type, id) for id in logical_ids(key.value, key.type)]
        for key in keys
        if key.type in ("DocumentReference", "List") and key.system == URI
    }
    there = await find_ids([one for each in ids.values() for one in each], server) if ids else {}
    return {
        key: [there[one]]
        for key, each in ids.items()
        for one in each
        if one in there and there[one].resource and entry_id(there[one].resource) == key.value.lower()
    }


async def find_ids(wanted: list[tuple[str, str]], server: Server) -> dict[Any, Any]:
    """The stored resources by (type, id)."""
    stored = await server.repository.find_many(wanted)
    return {
        key: Found(one, {} if one.deleted else json.stored(one.body))
        for key, one in zip(wanted, stored, strict=True)
        if one is not None
    }


async def survivor_of(found: Found, server: Server) -> Found:
    """The patient that has replaced this one, and the one that has replaced that; itself when none has.

    Raises:
        Unavailable.
    """
    for _ in range(_REPLACED):
        links = found.resource.get("link", ()) if found.stored.type == "Patient" else ()
        names = [link["other"].get("reference", "") for link in links if link.get("type") == "replaced-by"]
        ids = [name.removeprefix("Patient/") for name in names if name.startswith("Patient/")]
        there = await find_ids([("Patient", id) for id in ids], server) if ids else {}
        left = next((f for f in there.values() if f.resource), None)
        if left is None:
            break
        found = left
    return found


def _query(key: Key, server: Server, *more: tuple[str, str]) -> Query:
    server.check_type(key.type)
    return server.compile(key.type, [("identifier", key.token), *more])


def _of_key(key: Key, stored: Iterable[Stored]) -> list[Found]:
    found = [Found(one, json.stored(one.body)) for one in stored]
    # A search without a system also finds those that have one.
    pair = (key.system, key.value)
    return _remaining(
        [
            f
            for f in found
            if pair in {(i.get("system", ""), i.get("value", "")) for i in identifiers(f.resource)}
        ]
    )


def _remaining(found: list[Found]) -> list[Found]:
    """Without the patients that another one of them has replaced, and visits and accounts that were merged
    into another one: it has their identifiers since."""
    names = {f.stored.reference for f in found}

    def replaced(resource: Resource) -> bool:
        if resource["resourceType"] in ("Encounter", "Account"):
            return bool(resource.get("status") == "entered-in-error")
        return any(
            link.get("type") == "replaced-by" and link["other"].get("reference") in names
            for link in resource.get("link", ())
        )

    # Where each is replaced by another, nobody knows who is left.
    return [f for f in found if not replaced(f.resource)] or found


def _split(token: str) -> Iterator[str]:
    """The parts of a token at its ``|``, unescaped. https://hl7.org/fhir/R4/search.html#escaping"""
    part, characters = "", iter(token)
    for character in characters:
        if character == "\\":
            part += next(characters, "")
        elif character == "|":
            yield part
            part = ""
        else:
            part += character
    yield part


def _escape(value: str) -> str:
    for character in ("\\", "|", ",", "$"):
        value = value.replace(character, f"\\{character}")
    return value
