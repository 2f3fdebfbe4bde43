"""https://hl7.org/fhir/R4/http.html#history"""

from typing import TYPE_CHECKING

from fhirserver.errors import NotFound, UnknownParameter
from fhirserver.interactions.parts import full_body
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored, instant

if TYPE_CHECKING:
    from fhirserver.server import Server

FORMATS = ("_format", "_pretty")


async def history(request: Request, server: "Server") -> Result:
    """Every version of one resource, newest first, its deletion included; 404 when there never was one."""
    check_id(request.id)
    if unknown := [name for name, _ in request.query if name not in FORMATS]:
        raise UnknownParameter(
            f"History takes no parameter {unknown[0]!r} here; known are {', '.join(FORMATS)}"
        )
    versions = await server.repository.history(request.type, request.id)
    if not versions:
        raise NotFound(f"There is no {request.type}/{request.id}")
    older = (*versions[1:], None)
    entries = [
        await _entry(stored, before, request, server) for stored, before in zip(versions, older, strict=True)
    ]
    url = json.format(f"{request.base_url}/{request.type}/{request.id}/_history")
    body = (
        b'{"resourceType":"Bundle","type":"history","total":%d,"link":[{"relation":"self","url":%s}],"entry":[%s]}'
        % (len(entries), url, b",".join(entries))
    )
    return Result(200, body, last_modified=versions[0].updated)


async def _entry(stored: Stored, before: Stored | None, request: Request, server: "Server") -> bytes:
    """An entry has what was asked and what was answered: https://hl7.org/fhir/R4/bundle.html#history"""
    created = before is None or before.deleted
    status = "204" if stored.deleted else "201" if created else "200"
    facts = {
        "request": {
            "method": stored.method,
            "url": stored.type if stored.method == "POST" else stored.reference,
        },
        "response": {"status": status, "etag": stored.etag, "lastModified": instant(stored.updated)},
    }
    head = b'{"fullUrl":' + json.format(f"{request.base_url}/{stored.reference}")
    if not stored.deleted:
        head += b',"resource":' + await full_body(stored, server)
    return head + b"," + json.format(facts)[1:]
