"""What administrators change while the server runs: who sends, and what a sender's codes stand for.

``/admin/sources``, ``/admin/unmapped``: docs/sources.md. Only where the setting ``admin_operations`` is on.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.errors import BadRequest, Forbidden
from fhirserver.http.bodies import headers_of, read
from fhirserver.http.feeds import answered, json_response
from fhirserver.http.inbox import inbox_routes
from fhirserver.model import json
from fhirserver.settings import Settings
from fhirserver.storage.sources import SourceVersion
from mappings.core.source import Coding

if TYPE_CHECKING:
    from fhirserver.feeds.receive import Receiver

SOURCES = "/admin/sources"
UNMAPPED = "/admin/unmapped"
MAX_BODY = 1024 * 1024


def admin_routes(receiver: "Receiver", settings: Settings) -> list[Route]:
    sources, codes = _Sources(receiver, settings), _Codes(receiver, settings)
    return [
        *inbox_routes(receiver),
        Route(SOURCES, answered(sources.all), methods=["GET"]),
        Route(SOURCES + "/{name}", answered(sources.one), methods=["GET"]),
        Route(SOURCES + "/{name}/history", answered(sources.history), methods=["GET"]),
        Route(SOURCES + "/{name}", answered(sources.put), methods=["PUT"]),
        Route(SOURCES + "/{name}", answered(sources.delete), methods=["DELETE"]),
        Route(UNMAPPED, answered(codes.unmapped), methods=["GET"]),
        Route(UNMAPPED, answered(codes.map), methods=["POST"]),
    ]


class _Sources:
    def __init__(self, receiver: "Receiver", settings: Settings) -> None:
        self._catalog = receiver.catalog
        self._settings = settings

    async def all(self, request: Request) -> Response:
        _check_allowed(self._settings)
        return json_response({"sources": [_shown(one) for one in await self._catalog.versions.all()]})

    async def one(self, request: Request) -> Response:
        _check_allowed(self._settings)
        return _answer(await self._catalog.versions.get(request.path_params["name"]))

    async def history(self, request: Request) -> Response:
        _check_allowed(self._settings)
        found = await self._catalog.versions.history(request.path_params["name"])
        return json_response({"versions": [_shown(one) for one in found]})

    async def put(self, request: Request) -> Response:
        """Define a source; in effect from the next input on, in all processes within a second or two."""
        _check_allowed(self._settings)
        name = request.path_params["name"]
        value = await _object(request)
        if value.pop("name", name) != name:
            raise BadRequest(f"The body's name is not the URL's, {name}", expression="name")
        seen = _seen(request)
        return _answer(await self._catalog.put(name, value, seen=seen))

    async def delete(self, request: Request) -> Response:
        _check_allowed(self._settings)
        await self._catalog.delete(request.path_params["name"])
        return Response(status_code=204)


class _Codes:
    def __init__(self, receiver: "Receiver", settings: Settings) -> None:
        self._receiver = receiver
        self._settings = settings

    async def unmapped(self, request: Request) -> Response:
        """The codes that no map knows, by source, the most frequent first."""
        unknown = set(request.query_params) - {"source"}
        if unknown:
            raise BadRequest(f"{min(unknown)[:40]} is not a filter; known is source")
        found = await self._receiver.inbox.unmapped(request.query_params.get("source", ""))
        rows = [
            {
                "source": one.source,
                "system": one.system,
                "code": one.code,
                "display": one.display,
                "count": one.count,
                "held": one.held,
                "item": one.item,
            }
            for one in found
        ]
        return json_response({"unmapped": rows})

    async def map(self, request: Request) -> Response:
        """Map a code; the inputs with it are processed again, in order."""
        _check_allowed(self._settings)
        value = await _object(request)
        target = value.get("target")
        if not isinstance(target, Mapping):
            raise BadRequest("target is needed: an object with system, code and display", expression="target")
        coding = Coding(
            _text(target, "code", "target."),
            *(_text(target, n, "target.", True) for n in ("system", "display")),
        )
        opened = await self._receiver.map_code(
            _text(value, "source"),
            _text(value, "system", optional=True),
            _text(value, "code"),
            _text(value, "display", optional=True),
            coding,
        )
        return json_response({"replayed": [item.id for item in opened]})


def _check_allowed(settings: Settings) -> None:
    if not settings.admin_operations:
        raise Forbidden("Switched off: nobody is authenticated yet; FHIRSERVER_ADMIN_OPERATIONS turns it on")


async def _object(request: Request) -> dict[str, Any]:
    """The body, a JSON object. Raises BadRequest, TooLarge."""
    body = await read(request.receive, headers_of(request.scope), MAX_BODY)
    value = json.parse(body)
    if not isinstance(value, dict):
        raise BadRequest("The body has to be a JSON object")
    return value


def _text(value: Mapping[str, Any], name: str, where: str = "", optional: bool = False) -> str:
    found = value.get(name, "")
    if not isinstance(found, str) or not (found or optional):
        raise BadRequest(f"{where}{name} has to be a text", expression=f"{where}{name}")
    return found


def _seen(request: Request) -> int | None:
    """The version that If-Match names; 0 for ``If-None-Match: *``; None when there is no condition."""
    if request.headers.get("if-none-match", "").strip() == "*":
        return 0
    tag = request.headers.get("if-match", "").strip().removeprefix("W/").strip('"')
    if not tag:
        return None
    if not (tag.isascii() and tag.isdigit()):
        raise BadRequest(f'If-Match {tag[:40]} is not a version such as W/"3"')
    return int(tag)


def _answer(version: SourceVersion) -> Response:
    response = json_response(_shown(version))
    response.headers["ETag"] = f'W/"{version.version}"'
    return response


def _shown(one: SourceVersion) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "updated": one.updated.isoformat(timespec="milliseconds"),
        "origin": one.origin,
        **({"deleted": True} if one.deleted else {}),
        "definition": dict(one.definition),
    }
