"""The FHIR API as an ASGI application: bytes to Request, Result to bytes. https://hl7.org/fhir/R4/http.html"""

import time

from starlette.types import Receive, Scope, Send

from fhirserver import metrics
from fhirserver.errors import BadRequest, FHIRError
from fhirserver.http import bodies
from fhirserver.http.answers import send_result
from fhirserver.http.cross_origin import CrossOrigin
from fhirserver.http.formats import write
from fhirserver.http.forwarded import Proxies
from fhirserver.http.trace import identify
from fhirserver.logs import AccessLog
from fhirserver.model import media_types
from fhirserver.request import Request, Result
from fhirserver.server import Server, refusal

MAX_QUERY = 256 * 1024
BODIES = ("POST", "PUT", "PATCH")
HELD = 1024 * 1024
"""A Binary's content of more bytes is never in memory as a whole."""


class FHIRApplication:
    """One catch-all for everything under the base: routing is ``Server``'s, by table."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._proxies = Proxies(server.settings.trusted_proxies, server.base_url)
        self._origins = CrossOrigin(server.settings.cors_origins)
        self._log = AccessLog(server.settings.log_level)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        headers = bodies.headers_of(scope)
        request = Request(scope["method"], _path(scope), headers=headers, streams=True)
        added = {"X-Request-Id": identify(headers)}
        result = await self._answer(request, scope, receive)
        if "origin" in headers:
            added |= self._origins.headers(request.method, headers, result.headers.get("Allow", ""))
        await send_result(result, scope, send, headers, added)
        seconds = time.perf_counter() - began
        type = request.type or "system"
        metrics.observe(request.method, type, result.status, seconds)
        self._log.write(
            method=request.method,
            type=type,
            interaction=request.interaction,
            status=result.status,
            ms=round(seconds * 1000, 1),
            request_id=added["X-Request-Id"],
        )

    async def _answer(self, request: Request, scope: Scope, receive: Receive) -> Result:
        pretty = False
        try:
            await self._fill(request, scope, receive)
            pretty = _pretty(request)
            result = await self._server.answer(request)
        except FHIRError as error:
            result = refusal(error)
        try:
            write(result, request.format, pretty, self._server.definitions)
        except FHIRError as error:  # the resource has no XML form
            result = refusal(error)
        return result

    async def _fill(self, request: Request, scope: Scope, receive: Receive) -> None:
        """Read what the request says, and decide the format of its answer first: refusals have it, too."""
        raw_query: bytes = scope["query_string"]
        if len(raw_query) > MAX_QUERY:
            raise BadRequest(f"The query is longer than {MAX_QUERY} bytes; use POST [type]/_search")
        if raw_query:
            request.query = bodies.form(raw_query)
        self._negotiate(request)
        peer = (scope.get("client") or ("",))[0]
        request.base_url = self._proxies.base_url(peer, request.headers)
        if request.method not in BODIES:
            return
        content_type = request.headers.get("content-type", "")
        if ";" in content_type:
            bodies.check_type(content_type)
        limit = self._server.settings.max_body
        if _is_content(request, content_type):
            request.content = bodies.chunks(receive, request.headers, limit)
            return
        request.body = await bodies.read(receive, request.headers, limit)
        if request.path.endswith("_search") and content_type.startswith(bodies.FORM):
            request.query += bodies.form(request.body)
            request.body = b""
            self._negotiate(request)

    @staticmethod
    def _negotiate(request: Request) -> None:
        accept = request.headers.get("accept", "")
        if request.path.startswith("Binary/") or request.path.endswith("/$content"):
            # A Binary or document may be asked for in any type: it is served in its own.
            known = (part for part in accept.split(",") if media_types.parse(part).name in media_types.NAMES)
            accept = ",".join(known)
        asked = request.parameter("_format") if request.query else ""
        request.format = media_types.negotiate(asked, accept)


def _is_content(request: Request, content_type: str) -> bool:
    """Whether the body is the content of a Binary, and large (or of a size that is not said): it is stored as
    it arrives."""
    if request.path != "Binary" and not (request.method == "PUT" and request.path.startswith("Binary/")):
        return False
    name = content_type.partition(";")[0].strip().lower()
    announced = request.headers.get("content-length", "")
    small = announced.isdigit() and int(announced) <= HELD
    return bool(name) and name not in media_types.NAMES and not small


def _pretty(request: Request) -> bool:
    asked = request.parameter("_pretty") if request.query else ""
    if asked not in ("", "true", "false"):
        raise BadRequest(f"_pretty={asked[:40]} is not true or false")
    return asked == "true"


def _path(scope: Scope) -> str:
    """The path below the base, percent-decoded by uvicorn."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")).strip("/")
