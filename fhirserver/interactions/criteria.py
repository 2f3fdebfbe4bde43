"""Search criteria in conditional interactions: what they match, race-safe.

https://hl7.org/fhir/R4/http.html#cond-update
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode

from fhirserver.errors import MultipleMatches, PreconditionFailed
from fhirserver.interactions.unit import Unit
from fhirserver.search.query import Everything
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

FILTERLESS = ("_count", "_sort", "_summary", "_elements", "_total", "_format", "_pretty")


def encode(pairs: Iterable[tuple[str, str]]) -> str:
    """Criteria as the text of an If-None-Exist header."""
    return urlencode(list(pairs))


async def single_match(type: str, criteria: str, server: "Server", unit: Unit) -> Stored | None:
    """The one resource that matches, None when there is none.

    Raises:
        MultipleMatches: several match.
        PreconditionFailed, UnknownParameter: see ``matches``.
    """
    found = await matches(type, criteria, server, unit)
    if len(found) > 1:
        raise MultipleMatches(f"The criteria match several resources of type {type}")
    return found[0] if found else None


async def matches(type: str, criteria: str, server: "Server", unit: Unit, limit: int = 2) -> list[Stored]:
    """At most ``limit`` resources that match, newest first.

    When there are none, the unit's commit fails if another request acts on the same criteria meanwhile. What
    matches is guarded by its version, if it is written at all: then there is nothing to wait for.

    Raises:
        PreconditionFailed: the criteria are empty (they would match everything).
        UnknownParameter: conditional writes are always strict.
    """
    pairs = [p for p in parse_qsl(criteria.lstrip("?"), keep_blank_values=True) if p[0] not in FILTERLESS]
    if not any(value for _, value in pairs):
        raise PreconditionFailed(
            f"The criteria {type}?{'...' if criteria else ''} select nothing in particular"
        )
    canonical = "&".join(f"{name}={value}" for name, value in sorted(pairs))
    query = server.compile(type, pairs)
    if isinstance(query.condition, Everything):
        raise PreconditionFailed(f"The criteria select every {type}")
    lookups = server.repository.lookups
    lock = await lookups.lock(hashlib.sha256(f"{type}?{canonical}".encode()).hexdigest())
    found = await lookups.matching(query, limit)
    if not found:
        unit.lock(lock)
    return found
