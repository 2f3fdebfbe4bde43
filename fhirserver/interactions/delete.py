"""https://hl7.org/fhir/R4/http.html#delete and #cdelete"""

from typing import TYPE_CHECKING

from fhirserver.errors import MultipleMatches
from fhirserver.interactions import prepare
from fhirserver.interactions.criteria import encode, matches
from fhirserver.interactions.respond import respond, save
from fhirserver.interactions.unit import Unit
from fhirserver.interactions.update import check_match
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored
from fhirserver.storage.repository import now

if TYPE_CHECKING:
    from fhirserver.server import Server


async def delete(request: Request, server: "Server") -> Result:
    """Make a deletion the next version; what does not exist, or no longer, is deleted already."""
    prepare.check_id(request.id)

    async def attempt() -> Result:
        previous = await server.repository.find(request.type, request.id)
        check_match(request, previous)
        return await _delete(previous, server.unit(request), request, server)

    return await server.repeat(attempt, request)


async def conditional_delete(request: Request, server: "Server") -> Result:
    """Delete the one resource that matches; several are 412."""
    criteria = encode(request.query)

    async def attempt() -> Result:
        unit = server.unit(request)
        found = await matches(request.type, criteria, server, unit)
        if len(found) > 1:
            raise MultipleMatches(f"The criteria match {len(found)} resources of type {request.type}")
        if found:
            request.id = found[0].id
            check_match(request, found[0])
        return await _delete(found[0] if found else None, unit, request, server)

    return await server.repeat(attempt, request)


async def _delete(previous: Stored | None, unit: Unit, request: Request, server: "Server") -> Result:
    if previous is None or previous.deleted:
        return Result(204, etag=previous.etag if previous else "")
    updated = max(now(), previous.updated + 1000)
    stored = Stored(previous.type, previous.id, previous.version + 1, updated, "DELETE", b"")
    unit.put(stored, previous)
    await save(unit, request)
    return await respond(204, stored, request, server)
