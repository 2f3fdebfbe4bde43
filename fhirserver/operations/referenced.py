"""The resources that others refer to, found level by level."""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from fhirserver.errors import TooCostly
from fhirserver.interactions import links
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server


async def referenced(
    resources: Iterable[Resource],
    known: Collection[str],
    wanted: Callable[[str], bool],
    server: "Server",
    *,
    limit: int,
) -> list[Stored]:
    """What resources refer to on this server, and what that refers to, each once, nearest first.

    ``known`` are references (``Patient/1``) that are not to be followed, ``wanted`` says of which types.
    What does not exist is left out.

    Raises:
        TooCostly: there are more than ``limit``.
    """
    seen = set(known)
    found: list[Stored] = []
    level = list(resources)
    while level:
        addresses: dict[tuple[str, str], None] = {}
        for resource in level:
            for literal, _ in links.references(resource):
                parsed = reference.parse(literal)
                if parsed.is_local and parsed.address not in seen and wanted(parsed.type):
                    seen.add(parsed.address)
                    addresses[parsed.type, parsed.id] = None
        stored = [
            s
            for s in await server.repository.find_many(a for a in addresses if a[0] in server.types)
            if s and not s.deleted
        ]
        found += stored
        if len(found) > limit:
            raise TooCostly(f"More than {limit} resources are referred to")
        level = [json.stored(s.body) for s in stored]
    return found
