"""https://hl7.org/fhir/R4/http.html#search"""

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

from fhirserver.errors import BadRequest, Issue, UnsupportedMediaType
from fhirserver.interactions.parts import full_body
from fhirserver.model import json
from fhirserver.model.outcome import outcome
from fhirserver.request import Request, Result
from fhirserver.search.query import Query
from fhirserver.storage.documents import Stored
from fhirserver.storage.pipeline import Position

if TYPE_CHECKING:
    from fhirserver.server import Server

PAGE = "_page"
FORMATS = ("_format", "_pretty")
HANDLING = ("strict", "lenient")


async def search(request: Request, server: "Server") -> Result:
    """One page of the matches of a type; the ``next`` link carries all that its page needs."""
    pairs = _pairs(request)
    token = dict(pairs).get(PAGE)
    if token is None:
        after = None
    else:
        pairs, after = _open(token, request.type, server)
    handling = request.prefer("handling", HANDLING)
    query = server.compile(request.type, pairs, lenient=handling == "lenient")
    wants_total = query.total == "accurate" or query.count == 0 or query.summary == "count"
    total = await server.repository.count(query) if wants_total else None
    if query.count == 0 or query.summary == "count":
        return Result(200, _bundle(request, query, [], total, ""))
    page = await server.repository.search(query, after, query.count)
    if total is None and page.next is None and after is None:
        total = len(page.resources)  # all of them are on this page: the total costs nothing
    following = server.seal([request.type, pairs, page.next.values, page.next.tie]) if page.next else ""
    entries = await asyncio.gather(*(_entry(stored, request, server) for stored in page.resources))
    result = Result(200, _bundle(request, query, list(entries), total, following))
    if handling:
        result.headers["Preference-Applied"] = f"handling={handling}"
    return result


def _pairs(request: Request) -> list[tuple[str, str]]:
    pairs = list(request.query)
    if request.method == "POST":
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.body and media_type != "application/x-www-form-urlencoded":
            raise UnsupportedMediaType("_search takes application/x-www-form-urlencoded")
        try:
            pairs += parse_qsl(request.body.decode(), keep_blank_values=True)
        except UnicodeDecodeError:
            raise BadRequest("The form is not UTF-8") from None
    return [(name, value) for name, value in pairs if name not in FORMATS]


def _open(token: str, type: str, server: "Server") -> tuple[list[tuple[str, str]], Position]:
    """What a ``next`` link carries: the query and where the page begins."""
    sealed = server.unseal(token)
    if not isinstance(sealed, list) or len(sealed) != 4 or sealed[0] != type:
        raise BadRequest(f"{PAGE} is not a page of this search", expression=PAGE)
    _, pairs, values, tie = sealed
    return [(name, value) for name, value in pairs], Position(tuple(values), tie)


def _bundle(request: Request, query: Query, entries: list[bytes], total: int | None, following: str) -> bytes:
    """Splice the stored bodies into a searchset: nothing is decoded on the way out."""
    base = f"{request.base_url}/{request.type}"
    parameters = urlencode(query.parameters, safe=":/,|")
    links: list[dict[str, Any]] = [
        {"relation": "self", "url": f"{base}?{parameters}" if parameters else base}
    ]
    if following:
        links.append({"relation": "next", "url": f"{base}?{PAGE}={following}"})
    if query.ignored:
        names = ", ".join(sorted({name for name, _ in query.ignored}))
        warning = outcome(
            [Issue("warning", "not-supported", f"Ignored as asked (handling=lenient): {names}")]
        )
        entries.append(b'{"resource":' + json.format(warning) + b',"search":{"mode":"outcome"}}')
    head = b'{"resourceType":"Bundle","type":"searchset"'
    if total is not None:
        head += b',"total":%d' % total
    head += b',"link":' + json.format(links)
    if entries:
        head += b',"entry":[' + b",".join(entries) + b"]"
    return head + b"}"


async def _entry(stored: Stored, request: Request, server: "Server") -> bytes:
    url = json.format(f"{request.base_url}/{stored.reference}")
    body = await full_body(stored, server)
    return b'{"fullUrl":' + url + b',"resource":' + body + b',"search":{"mode":"match"}}'
