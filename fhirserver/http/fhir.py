"""The FHIR API as an ASGI application: bytes to Request, Result to bytes. https://hl7.org/fhir/R4/http.html"""

import time
from email.utils import formatdate
from urllib.parse import parse_qsl

import structlog
from starlette.types import Receive, Scope, Send

from fhirserver import metrics
from fhirserver.errors import BadRequest, FHIRError, TooLarge
from fhirserver.http.formats import JSON, negotiate, write
from fhirserver.request import Request, Result
from fhirserver.server import Server, refusal

log = structlog.get_logger()

MAX_QUERY = 256 * 1024


class FHIRApplication:
    """One catch-all for everything under the base: routing is ``Server``'s, by table."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        media_type, pretty = JSON, False
        code = "unknown"
        try:
            request = await self._request(scope, receive)
            query = dict(request.query)
            pretty = query.get("_pretty", "false") == "true"
            media_type = negotiate(query, "" if self._raw(request) else request.headers.get("accept", ""))
            result = await self._server.answer(request)
            code = request.type or "system"
        except FHIRError as error:
            result = refusal(error)
        write(result, media_type, pretty, self._server.definitions)
        await respond(result, scope, send)
        metrics.observe(scope["method"], code, result.status, time.perf_counter() - began)

    async def _request(self, scope: Scope, receive: Receive) -> Request:
        headers = headers_of(scope)
        raw_query = scope["query_string"]
        if len(raw_query) > MAX_QUERY:
            raise BadRequest(f"The query is longer than {MAX_QUERY} bytes; use POST [type]/_search")
        body = await read_body(scope, receive, headers, self._server.settings.max_body)
        return Request(
            scope["method"],
            _path(scope),
            _query(raw_query),
            headers,
            body,
        )

    @staticmethod
    def _raw(request: Request) -> bool:
        """A Binary may be asked for in any type: it is served in its own."""
        return request.path.startswith("Binary/")


def headers_of(scope: Scope) -> dict[str, str]:
    """Headers by lower-case name; repeated ones joined by a comma (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


async def read_body(scope: Scope, receive: Receive, headers: dict[str, str], limit: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is, or is announced, larger than the limit; the rest is not read.
    """
    if scope["method"] not in ("POST", "PUT", "PATCH"):
        return b""
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(
            f"The body is {announced} bytes; at most {limit} are read", headers={"Connection": "close"}
        )
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise BadRequest("The client went away before the body was complete")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise TooLarge(f"The body is larger than {limit} bytes", headers={"Connection": "close"})
        parts.append(part)
        if not message.get("more_body"):
            return parts[0] if len(parts) == 1 else b"".join(parts)


async def respond(result: Result, scope: Scope, send: Send) -> None:
    """Send a result; HEAD gets the headers of GET."""
    headers = [
        (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in result.headers.items()
    ]
    if result.body:
        headers.append((b"content-type", result.content_type.encode()))
    if result.status not in (204, 304):
        headers.append((b"content-length", str(len(result.body)).encode()))
    if result.etag:
        headers.append((b"etag", result.etag.encode()))
    if result.last_modified:
        stamp = formatdate(result.last_modified / 1_000_000, usegmt=True)
        headers.append((b"last-modified", stamp.encode()))
    if result.location:
        headers.append((b"location", result.location.encode()))
    headers.append((b"x-content-type-options", b"nosniff"))
    await send({"type": "http.response.start", "status": result.status, "headers": headers})
    body = b"" if scope["method"] == "HEAD" or result.status in (204, 304) else result.body
    await send({"type": "http.response.body", "body": body})


def _path(scope: Scope) -> str:
    """The path below the base, percent-decoded by uvicorn."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", "")).strip("/")


def _query(raw: bytes) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(
            parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
        )
    except UnicodeDecodeError:
        raise BadRequest("The query is not percent-encoded UTF-8") from None
    except ValueError:
        raise BadRequest("The query has more than 1000 parameters") from None
