"""The entries of a mapped Bundle on their way to the transaction."""

from dataclasses import dataclass
from typing import Any

from fhirserver.feeds.lookup import Found, Key, key_of
from fhirserver.feeds.merge import merge, point
from fhirserver.model.json import Resource
from mappings.core.result import Mapped


@dataclass(slots=True)
class Entry:
    """One entry: the ``key`` it is looked up by, its ``id`` once known, what was ``found``; ``dropped`` says
    that it is not to be written."""

    url: str
    type: str
    resource: Resource
    request: Resource
    cleared: set[str]
    key: Key | None = None
    id: str = ""
    found: Found | None = None
    dropped: bool = False

    @property
    def asserts(self) -> bool:
        """PUT: the input states this; POST with a condition only mentions it."""
        return bool(self.request["method"] == "PUT")

    @property
    def always_new(self) -> bool:
        return self.request["method"] == "POST" and "ifNoneExist" not in self.request

    @property
    def is_stored(self) -> bool:
        """Whether what it is about was found and is not deleted."""
        return self.found is not None and bool(self.found.resource)

    def join(self, other: "Entry") -> None:
        """Also state what another entry about the same resource states."""
        self.resource = merge(self.resource, other.resource, other.cleared)
        self.cleared = (self.cleared | other.cleared) - self.resource.keys()


def fold(mapped: Mapped) -> list[Entry]:
    """The entries; those of one key are one."""
    first: dict[Key, Entry] = {}
    entries = []
    aliases: dict[str, str] = {}
    for given in mapped.bundle.get("entry", ()):
        entry = _read(given, mapped)
        earlier = first.setdefault(entry.key, entry) if entry.key else entry
        if earlier is entry:
            entries.append(entry)
            continue
        aliases[entry.url] = earlier.url
        if entry.asserts and not earlier.asserts:
            earlier.resource, earlier.request, earlier.cleared = entry.resource, entry.request, entry.cleared
        elif entry.asserts:
            earlier.join(entry)
    if aliases:
        for entry in entries:
            entry.resource = point(entry.resource, aliases)
    return entries


def join(entries: list[Entry]) -> list[Entry]:
    """What is to be written; entries that turn out to be of one stored resource are one."""
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if not entry.id or entry.dropped or (entry.found and not entry.asserts):
            continue
        earlier = first.setdefault((entry.type, entry.id), entry)
        if earlier is not entry:
            earlier.join(entry)
            entry.dropped = True
    return [entry for entry in entries if not entry.dropped]


def _read(given: Any, mapped: Mapped) -> Entry:
    url, resource = given["fullUrl"], given["resource"]
    cleared = mapped.cleared.get(url, set())
    return Entry(url, resource["resourceType"], resource, given["request"], cleared, key_of(given))
