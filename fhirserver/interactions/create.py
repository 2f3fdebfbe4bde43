"""https://hl7.org/fhir/R4/http.html#create and #ccreate"""

from typing import TYPE_CHECKING

from fhirserver.interactions import attachments, prepare, publications
from fhirserver.interactions.criteria import single_match
from fhirserver.interactions.integrity import check_references
from fhirserver.interactions.respond import respond, save
from fhirserver.request import GENERAL, Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server


async def create(request: Request, server: "Server") -> Result:
    """Store the body under a new id; with If-None-Exist, only when nothing matches.

    Criteria in the URL are refused: taken for a plain create they would make doubles.
    """
    request.check_parameters(GENERAL)
    resource = prepare.read_body(request, server)
    publishing = server.publishing if request.unit is None else None
    if publishing and await publications.is_published(resource, publishing):
        return await publishing.publish(resource, request)
    resource = prepare.accept(resource, request, server)
    if not request.id:
        request.id = prepare.new_id()  # once: a repetition after a conflict is the same creation
    condition = request.headers.get("if-none-exist", "")

    async def attempt() -> Result:
        unit = server.unit(request)
        if condition:
            existing = await single_match(request.type, condition, server, unit)
            if existing:
                return await respond(200, existing, request, server)
        issues = await check_references(resource, request, unit, server)
        kept, contents = attachments.apart(resource, request, server)
        stored = await prepare.version(kept, request, None, server)
        unit.put(stored, None)
        await attachments.put(contents, unit, server)
        await save(unit, request)
        return await respond(201, stored, request, server, issues)

    return await server.repeat(attempt, request)
