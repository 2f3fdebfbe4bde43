"""https://hl7.org/fhir/R4/search.html#include: what a page refers to, and what refers to it"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fhirserver.errors import Issue
from fhirserver.model import json
from fhirserver.model.reference import Reference
from fhirserver.search.includes import referred
from fhirserver.search.query import Include, Keys, Query
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

MOST = 1000
"""So many resources are included with one page; what is left out is announced."""


@dataclass(slots=True)
class Included:
    """What is included with a page, each once, no match; ``complete`` is False when there is more.

    ``seen`` are the references that were followed and the resources that were read, with a version where the
    reference names one; ``shown`` the versions that are on the page.
    """

    resources: list[Stored] = field(default_factory=list)
    complete: bool = True
    seen: set[tuple[str, str, str]] = field(default_factory=set)
    shown: set[tuple[str, str, int]] = field(default_factory=set)

    @property
    def room(self) -> int:
        return MOST - len(self.resources)

    def add(self, resources: Iterable[Stored]) -> list[Stored]:
        """Those that are new, as far as there is room."""
        new = {(s.type, s.id, s.version): s for s in resources if (s.type, s.id, s.version) not in self.shown}
        if len(new) > self.room:
            self.complete = False
        added = list(new.values())[: self.room]
        self.seen.update((s.type, s.id, "") for s in added)
        self.shown.update((s.type, s.id, s.version) for s in added)
        self.resources += added
        return added

    def issues(self) -> list[Issue]:
        """What the client is told about it."""
        if self.complete:
            return []
        return [
            Issue(
                "warning",
                "too-costly",
                f"Only {MOST} resources are included with a page and there are more; ask for fewer matches "
                "with _count, or search for what is missing",
            )
        ]


async def included(matches: Sequence[Stored], includes: Sequence[Include], server: "Server") -> Included:
    """Follow the includes from a page's matches, those with ``:iterate`` from what was included as well."""
    found = Included()
    if not includes:
        return found
    found.seen = {(s.type, s.id, "") for s in matches}
    found.shown = {(s.type, s.id, s.version) for s in matches}
    followed = list(matches)
    while followed and includes and found.complete:
        new = await _forward(followed, [i for i in includes if not i.reverse], found, server)
        if found.complete:
            new += await _backward(followed, [i for i in includes if i.reverse], found, server)
        followed = new
        includes = [i for i in includes if i.iterate]
    return found


async def _forward(
    resources: Iterable[Stored], includes: Sequence[Include], found: Included, server: "Server"
) -> list[Stored]:
    """What resources refer to; what does not exist or is deleted is left out without a word."""
    wanted: dict[tuple[str, str, str], Reference] = {}
    for stored in resources:
        own = [i for i in includes if i.source == stored.type]
        for reference in referred(json.stored(stored.body), own, server.indexer) if own else ():
            version = (reference.type, reference.id, reference.version)
            if reference.type in server.types and version not in found.seen:
                wanted.setdefault(version, reference)
    found.seen.update(wanted)
    read = await asyncio.gather(*(_find(reference, server) for reference in wanted.values()))
    return found.add(stored for stored in read if stored is not None and not stored.deleted)


async def _find(reference: Reference, server: "Server") -> Stored | None:
    if not reference.version:
        return await server.repository.find(reference.type, reference.id)
    if not reference.version.isdecimal():
        return None
    return await server.repository.find_version(reference.type, reference.id, int(reference.version))


async def _backward(
    resources: Iterable[Stored], includes: Sequence[Include], found: Included, server: "Server"
) -> list[Stored]:
    """What refers to resources, newest first: one search for each type that refers."""
    ids: dict[str, list[str]] = defaultdict(list)
    for stored in resources:
        ids[stored.type].append(stored.id)
    keys: dict[str, dict[str, None]] = defaultdict(dict)
    for include in includes:
        for code in include.parameters:
            for id in ids.get(include.target, ()):
                keys[include.source][f"{code}|{include.target}/{id}"] = None
    new: list[Stored] = []
    for source, asked in keys.items():
        # Matches and what is included already are read again and left out.
        most = found.room + sum(1 for type, _, _ in found.seen if type == source)
        page = await server.repository.search(Query(source, Keys(tuple(asked))), None, most)
        new += found.add(page.resources)
        found.complete = found.complete and page.next is None
        if not found.complete:
            break
    return new
