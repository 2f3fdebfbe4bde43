"""https://hl7.org/fhir/R4/http.html#delete and #cdelete"""

from typing import TYPE_CHECKING

from fhirserver.errors import Issue, MultipleMatches
from fhirserver.interactions import prepare
from fhirserver.interactions.criteria import encode, matches
from fhirserver.interactions.integrity import check_deletion
from fhirserver.interactions.respond import RETURN, respond, save
from fhirserver.interactions.unit import Unit
from fhirserver.interactions.update import check_match
from fhirserver.model import outcome
from fhirserver.request import GENERAL, Request, Result
from fhirserver.storage.documents import Stored
from fhirserver.storage.repository import now

if TYPE_CHECKING:
    from fhirserver.server import Server


async def delete(request: Request, server: "Server") -> Result:
    """Make a deletion the next version; what does not exist, or no longer, is deleted already."""
    prepare.check_id(request.id)
    request.check_parameters(GENERAL)

    async def attempt() -> Result:
        previous = await server.repository.find(request.type, request.id)
        check_match(request, previous)
        return await delete_found([previous] if previous else [], server.unit(request), request, server)

    return await server.repeat(attempt, request)


async def conditional_delete(request: Request, server: "Server") -> Result:
    """Delete what matches: one resource, or as many as the settings allow."""

    async def attempt() -> Result:
        unit = server.unit(request)
        return await delete_found(await to_delete(request, unit, server), unit, request, server)

    return await server.repeat(attempt, request)


async def to_delete(request: Request, unit: Unit, server: "Server") -> list[Stored]:
    """The resources that a conditional delete is about.

    Raises:
        MultipleMatches: more than the settings ``conditional_delete`` and ``conditional_delete_limit`` allow.
        PreconditionFailed: If-Match does not hold for one of them; no usable criteria.
    """
    settings = server.settings
    limit = settings.conditional_delete_limit if settings.conditional_delete == "multiple" else 1
    found = await matches(request.type, encode(request.query), server, unit, limit + 1)
    if len(found) > limit:
        most = "one resource is" if limit == 1 else f"{limit} resources are"
        raise MultipleMatches(
            f"The criteria match more resources of type {request.type} than the {most} deleted"
        )
    for stored in found:
        request.id = stored.id
        check_match(request, stored)
    if not found:
        check_match(request, None)
    return found


async def delete_found(found: list[Stored], unit: Unit, request: Request, server: "Server") -> Result:
    """Delete these; the answer is about the one, or tells how many there were."""
    living = [stored for stored in found if not stored.deleted]
    made = []
    for previous in living:
        await check_deletion(previous, unit, server)
        updated = max(now(), previous.updated + 1000)
        stored = Stored(previous.type, previous.id, previous.version + 1, updated, "DELETE", b"")
        unit.put(stored, previous)
        made.append(stored)
    await save(unit, request)
    if len(made) == 1:
        return await respond(204, made[0], request, server)
    result = Result(204, etag=found[0].etag if len(found) == 1 else "")
    if preferred := request.prefer("return", RETURN):
        result.headers["Preference-Applied"] = f"return={preferred}"
        if preferred == "OperationOutcome":
            issue = Issue("information", "informational", f"{len(made)} resources are deleted")
            result.status, result.body = 200, outcome.body([issue])
    return result
