"""https://hl7.org/fhir/R4/http.html#update, #upsert and #cond-update"""

from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, PreconditionFailed
from fhirserver.interactions import attachments, prepare
from fhirserver.interactions.criteria import encode, single_match
from fhirserver.interactions.integrity import check_references
from fhirserver.interactions.respond import respond, save
from fhirserver.interactions.unit import Unit
from fhirserver.model.json import Resource
from fhirserver.request import GENERAL, Request, Result
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server


async def update(request: Request, server: "Server") -> Result:
    """Store the body as the next version of type/id; create it when there is none.

    A body equal to the current version changes nothing: no new version.
    """
    prepare.check_id(request.id)
    request.check_parameters(GENERAL)
    resource = prepare.accept(prepare.read_body(request, server), request, server)
    if "id" not in resource:
        raise BadRequest("The body has no id; it must be the URL's", expression=f"{request.type}.id")
    if resource["id"] != request.id:
        raise BadRequest(
            f"The body's id {resource['id']} is not the URL's {request.id}", expression=f"{request.type}.id"
        )

    async def attempt() -> Result:
        previous = await server.repository.find(request.type, request.id)
        check_match(request, previous)
        return await store(resource, previous, server.unit(request), request, server)

    return await server.repeat(attempt, request)


async def conditional_update(request: Request, server: "Server") -> Result:
    """No match: create (under the body's id when it has one); one: update it; several: 412."""
    criteria = encode(request.query)
    resource = prepare.accept(prepare.read_body(request, server), request, server)

    async def attempt() -> Result:
        unit = server.unit(request)
        previous = await single_match(request.type, criteria, server, unit)
        own = resource.get("id", "")
        if previous and own and own != previous.id:
            raise BadRequest(
                f"The body's id {own} is not that of the match, {previous.id}",
                expression=f"{request.type}.id",
            )
        if previous is None and own:
            previous = await server.repository.find(request.type, own)
        request.id = previous.id if previous else own or request.id or prepare.new_id()
        check_match(request, previous)
        return await store(resource, previous, unit, request, server)

    return await server.repeat(attempt, request)


def check_match(request: Request, previous: Stored | None) -> None:
    """Honour If-Match and ``If-None-Match: *``. https://hl7.org/fhir/R4/http.html#concurrency

    Raises:
        PreconditionFailed: the current version is another one (or there is one, or none).
    """
    exists = previous is not None and not previous.deleted
    if condition := request.headers.get("if-match", ""):
        versions = prepare.etag_versions(condition)
        current = str(previous.version) if previous else ""
        if (versions is None and not exists) or (versions is not None and current not in versions):
            now = f"its current version is {current}" if current else "it does not exist"
            raise PreconditionFailed(
                f"If-Match {condition} does not hold for {request.type}/{request.id}: {now}",
                headers={"ETag": previous.etag} if previous else {},
            )
    if request.headers.get("if-none-match", "").strip() == "*" and request.method == "PUT" and exists:
        raise PreconditionFailed(f"{request.type}/{request.id} exists and If-None-Match is *")


async def store(
    resource: Resource, previous: Stored | None, unit: Unit, request: Request, server: "Server"
) -> Result:
    """Store an accepted resource as the next version; equal to the current one, it changes nothing."""
    resource, contents = attachments.apart(resource, request, server)
    if previous and prepare.same(resource, previous, request.blob):
        if await attachments.put(contents, unit, server):  # somebody has deleted or replaced one
            await save(unit, request)
        return await respond(200, previous, request, server)
    issues = await check_references(resource, request, unit, server, previous)
    stored = await prepare.version(resource, request, previous, server)
    unit.put(stored, previous)
    await attachments.put(contents, unit, server)
    await save(unit, request)
    created = previous is None or previous.deleted
    return await respond(201 if created else 200, stored, request, server, issues)
