"""https://hl7.org/fhir/R4/http.html#history: of a resource, of a type, of everything"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fhirserver.errors import BadRequest, NotFound
from fhirserver.interactions import parts
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json, temporal
from fhirserver.model.subset import Subset
from fhirserver.request import GENERAL, Request, Result
from fhirserver.storage import history as stored_history
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.history import Period, Place
from fhirserver.storage.repository import now

if TYPE_CHECKING:
    from fhirserver.server import Server

PAGE = "_page"
FORMATS = ("_format", "_pretty")
PARAMETERS = (*GENERAL, PAGE, "_since", "_at", "_count", "_sort", "_total")
SORTS = {"": True, "-_lastUpdated": True, "_lastUpdated": False}
"""Value of ``_sort`` -> whether the newest come first."""
CLOCKS = 60_000_000
"""Another machine's clock may be ahead by so many microseconds: what it has just written is shown, too."""

_count = re.compile(r"\d{1,9}", re.ASCII).fullmatch

Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """A history that was understood. ``place`` is where the page begins, as it was sealed; None: at the
    beginning."""

    pairs: Pairs
    period: Period
    newest: bool
    count: int
    counts_only: bool
    wants_total: bool
    part: Subset
    place: Any = None


@dataclass(frozen=True, slots=True)
class Page:
    """``next`` is the place where the next page begins, None when there is no more."""

    versions: list[Stored]
    total: int | None
    next: Any


async def history(request: Request, server: "Server") -> Result:
    """Every version of one resource, its deletion included; 404 when there never was one."""
    check_id(request.id)
    asked = _understand(request, (request.type,), server)
    current = await server.repository.find(request.type, request.id)
    if current is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if current.updated < asked.period.high:
        # Versions made while a client reads page after page are on none of them: all have the same total.
        asked = replace(asked, period=replace(asked.period, high=current.updated + 1))
    database = server.repository.database
    first, last = await stored_history.numbers(database, current, asked.period)
    begin = asked.place or (last if asked.newest else first)
    step = -1 if asked.newest else 1
    end = first - 1 if asked.newest else last + 1
    wanted = list(range(begin, end, step))
    shown = [] if asked.counts_only else wanted[: asked.count]
    versions = await stored_history.versions(database, current, shown)
    following = shown[-1] + step if shown and len(shown) < len(wanted) else None
    page = Page(versions, max(0, last - first + 1), following)
    return await _result(page, asked, f"{request.type}/{request.id}/_history", request, server)


async def history_type(request: Request, server: "Server") -> Result:
    """The versions of all resources of a type."""
    return await _many((request.type,), f"{request.type}/_history", request, server)


async def history_system(request: Request, server: "Server") -> Result:
    """The versions of all resources."""
    return await _many(tuple(sorted(server.types)), "_history", request, server)


async def _many(types: tuple[str, ...], path: str, request: Request, server: "Server") -> Result:
    asked = _understand(request, types, server)
    database = server.repository.database
    total = await stored_history.count(database, types, asked.period) if asked.wants_total else None
    if asked.counts_only:
        return await _result(Page([], total, None), asked, path, request, server)
    after = Place(*asked.place) if asked.place else None
    versions, following = await stored_history.page(
        database, types, asked.period, asked.newest, after, asked.count
    )
    if total is None and after is None and following is None:
        total = len(versions)  # all of them are on this page: the total costs nothing
    place = [following.updated, following.reference, following.width] if following else None
    return await _result(Page(versions, total, place), asked, path, request, server)


# --- what is asked


def _understand(request: Request, types: tuple[str, ...], server: "Server") -> Asked:
    """Raises BadRequest: a parameter is unknown, repeated or its value not understood."""
    request.check_parameters(PARAMETERS)
    place: Any = None
    until = now() + CLOCKS
    asked = request
    if token := request.parameter(PAGE):
        if any(name not in (PAGE, *FORMATS) for name, _ in request.query):
            raise BadRequest(f"{PAGE} stands alone: the page has the history's parameters", expression=PAGE)
        sealed = server.unseal(token)
        if not isinstance(sealed, list) or len(sealed) != 4 or sealed[0] != request.path:
            raise BadRequest(f"{PAGE} is not a page of this history", expression=PAGE)
        _, pairs, until, place = sealed
        asked = Request(request.method, request.path, tuple((name, value) for name, value in pairs))
    pairs = [(name, value) for name, value in asked.query if name not in FORMATS]
    sort = asked.parameter("_sort")
    if sort not in SORTS:
        raise BadRequest(f"_sort={sort[:64]!r}: a history is sorted by _lastUpdated or -_lastUpdated")
    part = parts.asked(asked, types, server)
    count = _size(asked, server)
    counts_only = count == 0 or part.summary == "count"
    return Asked(
        pairs=pairs,
        period=_period(asked, until, server),
        newest=SORTS[sort],
        count=count,
        counts_only=counts_only,
        wants_total=counts_only or _total(asked),
        part=part,
        place=place,
    )


def _size(asked: Request, server: "Server") -> int:
    text = asked.parameter("_count")
    if text and not _count(text):
        raise BadRequest(f"_count={text[:40]!r} is not a whole number")
    return min(int(text) if text else server.settings.page_size, server.settings.page_max)


def _total(asked: Request) -> bool:
    total = asked.parameter("_total")
    if total not in ("", "none", "estimate", "accurate"):
        raise BadRequest(f"_total={total[:40]!r} is not one of none, estimate, accurate")
    return total == "accurate"


def _period(asked: Request, until: int, server: "Server") -> Period:
    low, high, alive = 0, until, 0
    if since := asked.parameter("_since"):
        low = temporal.microseconds(_interval("_since", since, server).low)
    if at := asked.parameter("_at"):
        interval = _interval("_at", at, server)
        alive = temporal.microseconds(interval.low)
        high = min(high, temporal.microseconds(interval.high))
    return Period(low, high, alive)


def _interval(name: str, text: str, server: "Server") -> temporal.Interval:
    try:
        # An unescaped + in a URL has been decoded to a space.
        return temporal.interval(text.replace(" ", "+"), server.indexer.site.zone)
    except temporal.NotTemporal as error:
        raise BadRequest(f"{name}: {error}", expression=name) from None


# --- what is answered


async def _result(page: Page, asked: Asked, path: str, request: Request, server: "Server") -> Result:
    revived = await stored_history.following_deletion(server.repository.database, page.versions)
    entries = [await _entry(stored, revived, asked.part, request, server) for stored in page.versions]
    base = f"{request.base_url}/{path}"
    formats = [(name, value) for name, value in request.query if name in FORMATS]
    links = [{"relation": "self", "url": _url(base, [*asked.pairs, *formats])}]
    if page.next is not None:
        token = server.seal([request.path, asked.pairs, asked.period.high, page.next])
        links.append({"relation": "next", "url": _url(base, [(PAGE, token), *formats])})
    body = b'{"resourceType":"Bundle","type":"history"'
    if page.total is not None:
        body += b',"total":%d' % page.total
    body += b',"link":' + json.format(links)
    if entries:
        body += b',"entry":[' + b",".join(entries) + b"]"
    newest = max((stored.updated for stored in page.versions), default=0)
    return Result(200, body + b"}", last_modified=newest)


def _url(base: str, pairs: Pairs) -> str:
    return f"{base}?{urlencode(pairs, safe=':/,|=')}" if pairs else base


async def _entry(
    stored: Stored, revived: set[str], part: Subset, request: Request, server: "Server"
) -> bytes:
    """An entry has what was asked and what was answered: https://hl7.org/fhir/R4/bundle.html#history"""
    created = stored.version == 1 or f"{stored.reference}/{stored.version}" in revived
    facts = {
        "request": {
            "method": stored.method,
            "url": stored.type if stored.method == "POST" else stored.reference,
        },
        "response": {
            "status": "204" if stored.deleted else "201" if created else "200",
            "etag": stored.etag,
            "lastModified": instant(stored.updated),
        },
    }
    head = b'{"fullUrl":' + json.format(f"{request.base_url}/{stored.reference}")
    if not stored.deleted:
        head += b',"resource":' + await parts.listed(stored, part, server)
    return head + b"," + json.format(facts)[1:]
