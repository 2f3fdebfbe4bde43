"""$meta, $meta-add, $meta-delete: https://hl7.org/fhir/R4/resource-operations.html

A change of ``meta`` is a change of the stored body and makes a version, as an update does: a server that
edits versions in place cannot say later who saw which security label. The specification leaves that open.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fhirserver.errors import BadRequest, Gone, NotFound, Unprocessable
from fhirserver.interactions import prepare
from fhirserver.interactions.update import check_match, store
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.operations import inputs
from fhirserver.request import Request, Result
from fhirserver.search.values import split, unescape
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

CODINGS = {"_security": "security", "_tag": "tag"}
LISTS = ("profile", "security", "tag")


async def meta_of_resource(request: Request, server: "Server") -> Result:
    """The ``meta`` of the current version."""
    inputs.read(request, server, ())
    stored = await _current(request, server)
    return _answer(json.stored(stored.body)["meta"])


async def meta_of_types(request: Request, server: "Server") -> Result:
    """Every profile, tag and security label that resources of the type (or of all types) have."""
    inputs.read(request, server, ())
    types = [request.type] if request.type else sorted(server.types)
    lookups = server.repository.lookups
    found = await asyncio.gather(*(lookups.keys_of(type, ("_profile", *CODINGS)) for type in types))
    meta: dict[str, list[Any]] = {}
    for key in sorted({key for keys in found for key in keys}):
        code, *parts = (unescape(part) for part in split(key, "|"))
        if code == "_profile" and len(parts) == 1:
            meta.setdefault("profile", []).append(parts[0])
        elif code in CODINGS and len(parts) == 2:
            coding = {name: part for name, part in zip(("system", "code"), parts, strict=True) if part}
            meta.setdefault(CODINGS[code], []).append(coding)
    return _answer(meta)


async def meta_add(request: Request, server: "Server") -> Result:
    """Add profiles, tags and security labels that are not there yet."""

    def add(there: list[Any], given: list[Any]) -> list[Any]:
        known = [_identity(item) for item in there]
        return there + [item for item in given if _identity(item) not in known]

    return await _change(add, request, server)


async def meta_delete(request: Request, server: "Server") -> Result:
    """Remove profiles, tags and security labels; those that are not there are none to remove."""

    def delete(there: list[Any], given: list[Any]) -> list[Any]:
        gone = [_identity(item) for item in given]
        return [item for item in there if _identity(item) not in gone]

    return await _change(delete, request, server)


async def _change(
    change: Callable[[list[Any], list[Any]], list[Any]], request: Request, server: "Server"
) -> Result:
    given = inputs.read(request, server, ("meta",)).one("meta")
    if not isinstance(given, dict):
        raise BadRequest("The parameter meta is missing", expression="meta")

    async def attempt() -> Result:
        previous = await _current(request, server)
        check_match(request, previous)
        resource = json.stored(previous.body)
        resource["meta"] = _changed(resource["meta"], given, change)
        try:
            resource = prepare.accept(resource, request, server)
        except prepare.Invalid as error:
            raise Unprocessable("The meta is not valid", issues=error.issues) from None
        result = await store(resource, previous, server.unit(request), request, server)
        current = await _current(request, server) if request.unit is None else previous
        answer = _answer(json.stored(current.body)["meta"])
        answer.etag, answer.last_modified = result.etag, result.last_modified
        return answer

    return await server.repeat(attempt, request)


def _changed(
    meta: Resource, given: Resource, change: Callable[[list[Any], list[Any]], list[Any]]
) -> Resource:
    made = {name: value for name, value in meta.items() if name not in LISTS}
    for name in LISTS:
        items = given.get(name, [])
        if not isinstance(items, list):
            raise BadRequest(f"meta.{name} is not an array", expression=f"meta.{name}")
        if changed := change(meta.get(name, []), items):
            made[name] = changed
    return made


def _identity(item: Any) -> Any:
    """Two codings are the same by system and code."""
    return (item.get("system"), item.get("code")) if isinstance(item, dict) else item


async def _current(request: Request, server: "Server") -> Stored:
    prepare.check_id(request.id)
    stored = await server.repository.find(request.type, request.id)
    if stored is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if stored.deleted:
        raise Gone(f"{request.type}/{request.id} was deleted", headers={"ETag": stored.etag})
    return stored


def _answer(meta: Resource) -> Result:
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]}
    if not meta:
        del parameters["parameter"]
    return Result(200, json.format(parameters))
