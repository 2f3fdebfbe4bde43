"""https://hl7.org/fhir/R4/http.html#search: of a type, of several (system level), of a compartment"""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fhirserver.errors import BadRequest, Issue, UnsupportedMediaType
from fhirserver.interactions import contained, parts
from fhirserver.interactions.compartments import Compartment
from fhirserver.interactions.explain import EXPLAIN, explained, is_asked
from fhirserver.interactions.include import included
from fhirserver.interactions.respond import told
from fhirserver.model import json, outcome, subset
from fhirserver.model.media_types import NDJSON
from fhirserver.model.subset import Subset
from fhirserver.request import Request, Result
from fhirserver.search import narrow
from fhirserver.search.query import Include, Query
from fhirserver.storage import several
from fhirserver.storage.documents import Stored
from fhirserver.storage.pipeline import Page, Position

if TYPE_CHECKING:
    from fhirserver.server import Server

PAGE = "_page"
FORMATS = ("_format", "_pretty")
RESULT = ("_summary", "_elements", EXPLAIN)
"""Parameters about the answer, which are no part of the queries."""
HANDLING = ("strict", "lenient")
CHUNK = 64 * 1024
"""A stream of resources is sent in pieces of about so many bytes."""

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scope:
    """What the URL of a search selects; ``path`` is the URL below the base, for links.

    ``several`` says that the parameter ``_type`` may choose among the types.
    """

    path: str
    types: tuple[str, ...]
    several: bool = False
    compartment: Compartment | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A search that was understood: a query for each type, with the same sort and count.

    ``contained`` is the search for contained resources as it was asked, where these are the answer.
    """

    queries: list[Query]
    pairs: Pairs
    part: Subset
    ignored: Pairs
    after: Position | None
    contained: Query | None = None

    @property
    def count(self) -> int:
        return self.queries[0].count if self.queries else 0

    @property
    def includes(self) -> list[Include]:
        return list(dict.fromkeys(include for query in self.queries for include in query.includes))

    @property
    def counts_only(self) -> bool:
        return self.count == 0 or self.part.summary == "count"


async def search(request: Request, server: "Server") -> Result:
    """The matches of a type, of several (system level), or of a compartment: one page, whose ``next`` link
    carries all that the next one needs; or a stream of everything."""
    return await _answer(scope_of(request, server), request, server)


def scope_of(request: Request, server: "Server") -> Scope:
    """What the URL selects: ``Patient``, the base, ``Patient/1/Observation`` or ``Patient/1/*``.

    Raises:
        NotFound, BadRequest: there is no such compartment, or no such type in it.
    """
    if request.interaction == "search-system":
        return Scope("", tuple(sorted(server.types)), several=True)
    if request.interaction != "search-compartment":
        return Scope(request.type, (request.type,))
    compartment = Compartment(request.type, request.id)
    types = compartment.types(server)
    path = f"{request.type}/{request.id}/{request.member}"
    if request.member == "*":
        return Scope(path, types, True, compartment)
    if request.member not in types:
        raise BadRequest(
            f"No {request.member} is in the compartment of a {request.type}; {', '.join(types)} are"
        )
    return Scope(path, (request.member,), False, compartment)


async def _answer(scope: Scope, request: Request, server: "Server") -> Result:
    asked = understand(scope, request, server)
    if is_asked(_only(EXPLAIN, asked.pairs), server):
        return await explained(asked.queries, server)
    database = server.repository.database
    headers = {}
    if handling := request.prefer("handling", HANDLING):
        headers["Preference-Applied"] = f"handling={handling}"
    total = None
    wanted = asked.queries[0].total if asked.queries else "none"
    if wanted == "accurate" or (asked.counts_only and wanted != "estimate"):
        total = await several.count(database, asked.queries)
    elif asked.counts_only:
        total = await several.estimate(database, asked.queries)
    if asked.counts_only:
        body = _bundle(scope, asked, request, [], total, "")
        return Result(200, body, headers=headers)
    page = await several.page(database, asked.queries, asked.after, asked.count)
    if request.format == NDJSON:
        if asked.includes or asked.contained:
            raise BadRequest("A stream (application/fhir+ndjson) has matches only, as they are stored")
        return Result(200, content_type=NDJSON, headers=headers, stream=_lines(page, asked, server))
    following = ""
    if page.next:
        following = server.seal([scope.path, asked.pairs, page.next.values, page.next.tie])
    if asked.contained:
        one = asked.contained
        entries = [e for s in page.resources for e in contained.entries(s, one, asked.part, request, server)]
    else:
        found = (_entry(stored, asked.part, request, server) for stored in page.resources)
        entries = list(await asyncio.gather(*found))
    if total is None and page.next is None and asked.after is None:
        total = len(entries)  # all of them are on this page: the total costs nothing
    elif total is None and wanted == "estimate":
        total = await several.estimate(database, asked.queries)
    also = await included(page.resources, asked.includes, server)
    entries += await asyncio.gather(
        *(_entry(stored, parts.WHOLE, request, server, b"include") for stored in also.resources)
    )
    entries += [told(issues) for issues in [also.issues()] if issues]
    return Result(200, _bundle(scope, asked, request, entries, total, following), headers=headers)


# --- what is asked


def understand(scope: Scope, request: Request, server: "Server") -> Asked:
    """The search that a request asks.

    Raises:
        BadRequest: a parameter is unknown or its value not understood.
    """
    if request.method == "POST" and request.body:
        raise UnsupportedMediaType("_search takes application/x-www-form-urlencoded")
    pairs = [(name, value) for name, value in request.query if name not in FORMATS]
    after = None
    if token := request.parameter(PAGE):
        if len(pairs) > 1:
            raise BadRequest(f"{PAGE} stands alone: the page has the search's parameters", expression=PAGE)
        pairs, after = _open(token, scope, server)
    lenient = request.prefer("handling", HANDLING) == "lenient"
    types, criteria = _types(scope, pairs, server)
    part = subset.parse(_only("_summary", criteria), _only("_elements", criteria), types, server.definitions)
    criteria = [(name, value) for name, value in criteria if name not in RESULT]
    queries: list[Query] = []
    inside = None
    for type in types:
        query = server.compile(type, criteria, lenient=lenient, types=types, contained=True)
        if query.contained != "false":
            if len(types) > 1 or scope.compartment:
                raise BadRequest("_contained is for searches of one type", expression="_contained")
            queries = contained.containers(query, server)
            inside = query if query.shows_contained else None
        elif scope.compartment is None:
            queries.append(query)
        else:
            members = scope.compartment.conditions(type, server)
            queries += [replace(query, condition=narrow((member, query.condition))) for member in members]
    ignored = [pair for pair in dict.fromkeys(pairs) if any(pair in query.ignored for query in queries)]
    return Asked(queries, [pair for pair in pairs if pair not in ignored], part, ignored, after, inside)


def _types(scope: Scope, pairs: Pairs, server: "Server") -> tuple[tuple[str, ...], Pairs]:
    """The types that are searched, and the parameters without ``_type``."""
    if not scope.several or not (chosen := _only("_type", pairs)):
        return scope.types, pairs
    types = tuple(dict.fromkeys(name.strip() for name in chosen.split(",")))
    for type in types:
        if type not in scope.types:
            raise BadRequest(
                f"_type names {type[:64]!r}; here it can name {', '.join(scope.types)}", expression="_type"
            )
    return types, [(name, value) for name, value in pairs if name != "_type"]


def _only(name: str, pairs: Pairs) -> str:
    values = [value for key, value in pairs if key == name]
    if len(values) > 1:
        raise BadRequest(f"{name} is given more than once", expression=name)
    return values[0] if values else ""


def _open(token: str, scope: Scope, server: "Server") -> tuple[Pairs, Position]:
    """What a ``next`` link carries: the query and where the page begins."""
    sealed = server.unseal(token)
    if not isinstance(sealed, list) or len(sealed) != 4 or sealed[0] != scope.path:
        raise BadRequest(f"{PAGE} is not a page of this search", expression=PAGE)
    _, pairs, values, tie = sealed
    return [(name, value) for name, value in pairs], Position(tuple(values), tie)


# --- what is answered


def _bundle(
    scope: Scope, asked: Asked, request: Request, entries: list[bytes], total: int | None, following: str
) -> bytes:
    """Splice the stored bodies into a searchset: nothing is decoded on the way out."""
    base = f"{request.base_url}/{scope.path}".rstrip("/")
    shown = [(name, value) for name, value in asked.pairs if value]
    # What chooses the format belongs to every link: a client that cannot set headers follows them, too.
    formats = [(name, value) for name, value in request.query if name in FORMATS]
    links = [{"relation": "self", "url": _url(base, [*shown, *formats])}]
    if following:
        links.append({"relation": "next", "url": _url(base, [(PAGE, following), *formats])})
    if asked.ignored:
        entries.append(told(_warnings(asked)))
    head = b'{"resourceType":"Bundle","type":"searchset"'
    if total is not None:
        head += b',"total":%d' % total
    head += b',"link":' + json.format(links)
    if entries:
        head += b',"entry":[' + b",".join(entries) + b"]"
    return head + b"}"


def _url(base: str, pairs: Pairs) -> str:
    return f"{base}?{urlencode(pairs, safe=':/,|=')}" if pairs else base


def _warnings(asked: Asked) -> list[Issue]:
    names = ", ".join(sorted({name for name, _ in asked.ignored}))
    return [Issue("warning", "not-supported", f"Ignored as asked (handling=lenient): {names}")]


async def _entry(
    stored: Stored, part: Subset, request: Request, server: "Server", mode: bytes = b"match"
) -> bytes:
    url = json.format(f"{request.base_url}/{stored.reference}")
    body = await parts.listed(stored, part, server)
    return b'{"fullUrl":' + url + b',"resource":' + body + b',"search":{"mode":"' + mode + b'"}}'


async def _lines(page: Page, asked: Asked, server: "Server") -> AsyncGenerator[bytes, None]:
    """Every match, one a line, page after page: https://hl7.org/fhir/R4/nd-json.html"""
    chunk = outcome.body(_warnings(asked)) + b"\n" if asked.ignored else b""
    while True:
        for stored in page.resources:
            chunk += await parts.listed(stored, asked.part, server) + b"\n"
            if len(chunk) > CHUNK:
                yield chunk
                chunk = b""
        if page.next is None:
            break
        page = await several.page(server.repository.database, asked.queries, page.next, asked.count)
    if chunk:
        yield chunk
