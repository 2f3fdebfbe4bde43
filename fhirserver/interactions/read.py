"""https://hl7.org/fhir/R4/http.html#read and #vread"""

from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, Gone, NotFound
from fhirserver.interactions import binary, parts
from fhirserver.interactions.conditions import not_modified
from fhirserver.interactions.prepare import check_id
from fhirserver.request import GENERAL, Request, Result
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server


async def read(request: Request, server: "Server") -> Result:
    """The current version; 410 when it was deleted, 404 when there never was one."""
    check_id(request.id)
    request.check_parameters(GENERAL)
    stored = await server.repository.find(request.type, request.id)
    if stored is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if stored.deleted:
        raise Gone(f"{request.type}/{request.id} was deleted", headers={"ETag": stored.etag})
    return await _result(stored, request, server)


async def vread(request: Request, server: "Server") -> Result:
    """One version; 410 when that version is the deletion."""
    check_id(request.id)
    request.check_parameters(GENERAL)
    number = int(request.version) if request.version.isascii() and request.version.isdigit() else 0
    stored = (
        await server.repository.find_version(request.type, request.id, number) if 0 < number < 2**31 else None
    )
    if stored is None:
        raise NotFound(f"There is no version {request.version} of {request.type}/{request.id}")
    if stored.deleted:
        raise Gone(
            f"Version {request.version} of {request.type}/{request.id} is its deletion",
            headers={"ETag": stored.etag},
        )
    return await _result(stored, request, server)


async def _result(stored: Stored, request: Request, server: "Server") -> Result:
    if not_modified(request, stored.etag, stored.updated):
        return Result(304, etag=stored.etag, last_modified=stored.updated)
    part = parts.asked(request, (stored.type,), server)
    if part.summary == "count":
        raise BadRequest("_summary=count is for what has entries: search and history", expression="_summary")
    if stored.type == "Binary":
        return await binary.result(stored, part, request, server)
    body = await parts.shown(stored, part, server)
    return Result(200, body, etag=stored.etag, last_modified=stored.updated)
