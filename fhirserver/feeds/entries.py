"""The entries of a mapped Bundle on their way to the transaction."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from fhirserver.feeds.lookup import Found, Key, key_of
from fhirserver.feeds.merge import merge, point, unrefer
from fhirserver.model.json import Resource
from mappings.core.effects import Effects, Movement
from mappings.core.result import Issue, Mapped


@dataclass(slots=True)
class Entry:
    """One entry: the ``key`` it is looked up by, its ``id`` once known, what was ``found``; ``dropped`` says
    that it is not to be written. ``assumed``, ``withdrawn`` and ``movement`` are what is to be done with what
    is stored (``mappings.core.effects``); ``base`` is what it is joined with, where that is not as found."""

    url: str
    type: str
    resource: Resource
    request: Resource
    cleared: set[str]
    key: Key | None = None
    id: str = ""
    found: Found | None = None
    dropped: bool = False
    assumed: frozenset[str] = frozenset()
    withdrawn: dict[str, list[Any]] = field(default_factory=dict)
    movement: Movement | None = None
    base: Resource | None = None

    @property
    def asserts(self) -> bool:
        """PUT: the input states this; POST with a condition only mentions it."""
        return bool(self.request["method"] == "PUT")

    @property
    def changes(self) -> bool:
        """PUT with ``ifMatch: *``: the input states a part of what must be stored already."""
        return self.request.get("ifMatch") == "*"

    @property
    def always_new(self) -> bool:
        return self.request["method"] == "POST" and "ifNoneExist" not in self.request

    @property
    def stored(self) -> Resource:
        """What it is joined with; empty where nothing is stored."""
        if self.base is not None:
            return self.base
        return self.found.resource if self.found else {}

    @property
    def is_stored(self) -> bool:
        """Whether what it is about was found and is not deleted."""
        return self.found is not None and bool(self.found.resource)

    def join(self, other: "Entry") -> None:
        """Also state what another entry about the same resource states."""
        self.resource = merge(self.resource, other.resource, other.cleared)
        self.cleared = (self.cleared | other.cleared) - self.resource.keys()


def fold(mapped: Mapped) -> tuple[list[Entry], Effects]:
    """The entries, of which those of one key are one, and the effects on them."""
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
    return entries, _with_first_urls(mapped.effects, aliases)


def leave_out_types(entries: list[Entry], served: Collection[str]) -> tuple[list[Entry], list[Issue]]:
    """The entries of types that are served, without references to others; issues name the types left out."""
    gone = {entry.url: entry.type for entry in entries if entry.type not in served}
    kept = [entry for entry in entries if entry.url not in gone]
    urls = frozenset(gone)
    for entry in kept if gone else ():
        entry.resource = unrefer(entry.resource, urls)
    return kept, [
        Issue("information", "not-supported", f"{type} is not served here: left out", type)
        for type in sorted(set(gone.values()))
    ]


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


def _with_first_urls(effects: Effects, aliases: dict[str, str]) -> Effects:
    """Effects on entries that are one with an earlier one are effects on that one."""

    def first(url: str) -> str:
        return aliases.get(url, url)

    return Effects(
        replaced={first(url): first(other) for url, other in effects.replaced.items()},
        renamed={first(url) for url in effects.renamed},
        moved={first(url) for url in effects.moved},
        unlinked=[(first(one), first(other)) for one, other in effects.unlinked],
        snapshots=[replace(listed, patient=first(listed.patient)) for listed in effects.snapshots],
    )


def _read(given: Any, mapped: Mapped) -> Entry:
    url, resource = given["fullUrl"], given["resource"]
    effects = mapped.effects
    return Entry(
        url,
        resource["resourceType"],
        resource,
        given["request"],
        mapped.cleared.get(url, set()),
        key_of(given),
        assumed=frozenset(effects.assumed.get(url, ())),
        withdrawn={name: list(items) for name, items in effects.withdrawn.get(url, {}).items()},
        movement=effects.movements.get(url),
    )
