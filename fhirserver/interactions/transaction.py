"""https://hl7.org/fhir/R4/http.html#trules: all or nothing

A transaction is decided entry by entry through the same interactions as everything else, while its writes
are collected in one unit, which is stored at once. When what was read has changed meanwhile, all is decided
again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, FHIRError, Issue, NotFound, PreconditionFailed
from fhirserver.interactions import links, prepare
from fhirserver.interactions.criteria import encode, single_match
from fhirserver.interactions.respond import respond
from fhirserver.interactions.unit import Unit
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server

READS = ("GET", "HEAD")
WRITES = ("DELETE", "POST", "PUT", "PATCH")


@dataclass(slots=True)
class Entry:
    """One entry of a Bundle: what it asks and what it came to.

    ``same`` is the earlier entry that creates under the same criteria: the two are one resource.
    """

    position: int
    full_url: str
    request: Request
    result: Result | None = None
    same: "Entry | None" = None

    @property
    def path(self) -> str:
        return f"Bundle.entry[{self.position}]"


async def transact(entries: list[Entry], server: "Server") -> Result:
    """Decide all entries and store what they write, in the order DELETE, POST, PUT and PATCH, GET.

    Raises:
        FHIRError: of the first entry that fails, with the entry's path; nothing was stored.
        Conflict: what was read has changed meanwhile; call again.
    """
    unit = Unit(server.repository)
    # Copies, because deciding fills in ids and a conflict begins again from what was asked.
    work = [
        replace(e, request=replace(e.request, unit=unit, headers=dict(e.request.headers))) for e in entries
    ]
    for entry in work:
        with _located(entry):
            server.route(entry.request)
    _find_same_creates(work)
    await _each(work, lambda entry: _identify(entry, unit, server))
    _refuse_twice(work)
    targets = {e.full_url: f"{e.request.type}/{(e.same or e).request.id}" for e in work if e.full_url}
    await _each(work, lambda entry: _link(entry, targets, unit, server))
    for method in WRITES:
        pending = [e for e in work if e.request.method == method and e.result is None and not e.same]
        await _each(pending, lambda entry: _perform(entry, server))
    await unit.commit()
    await _each([e for e in work if e.request.method in READS], lambda entry: _perform(entry, server))
    for entry, done in zip(entries, work, strict=True):
        entry.result = done.result or (done.same.result if done.same else None)
    return Result(200)


async def _each(entries: list[Entry], step: Callable[[Entry], Awaitable[None]]) -> None:
    """Do a step for all entries at once: their reads share round trips."""

    async def located(entry: Entry) -> None:
        with _located(entry):
            await step(entry)

    await asyncio.gather(*(located(entry) for entry in entries))


@contextlib.contextmanager
def _located(entry: Entry) -> Iterator[None]:
    """An entry's failure is the transaction's, told with the entry's path."""
    try:
        yield
    except FHIRError as error:
        error.issues = tuple(_inside(issue, entry) for issue in error.issues)
        raise


def _inside(issue: Issue, entry: Entry) -> Issue:
    if issue.expression.startswith("Bundle.entry["):
        return issue
    type, dot, rest = issue.expression.partition(".")
    held = (entry.request.resource or {}).get("resourceType", "")
    path = f"{entry.path}.resource{dot}{rest}" if type and type == held else entry.path
    return replace(issue, expression=path)


async def _identify(entry: Entry, unit: Unit, server: "Server") -> None:
    """Decide which resource an entry writes, so that the others can refer to it."""
    request = entry.request
    if request.method == "POST":
        condition = request.headers.get("if-none-exist", "")
        request.headers = {k: v for k, v in request.headers.items() if k != "if-none-exist"}
        request.id = prepare.new_id()
        if (
            condition
            and not entry.same
            and (found := await single_match(request.type, condition, server, unit))
        ):
            request.id = found.id
            entry.result = await respond(200, found, request, server)
    elif request.method in ("PUT", "PATCH", "DELETE") and not request.id:
        existing = await single_match(request.type, encode(request.query), server, unit)
        if existing is None and request.method == "PATCH":
            raise NotFound(f"The criteria match no {request.type}")
        own = request.resource.get("id", "") if request.resource and request.method == "PUT" else ""
        if existing and own and own != existing.id:
            raise BadRequest(
                f"The body's id {own} is not that of the match, {existing.id}",
                expression=f"{request.type}.id",
            )
        if existing is None and request.method == "DELETE":
            entry.result = Result(204)
            return
        request.id = existing.id if existing else own or prepare.new_id()
        request.path, request.query = f"{request.type}/{request.id}", ()
        if request.resource is not None and request.method == "PUT":
            request.resource = {**request.resource, "id": request.id}


def _find_same_creates(entries: list[Entry]) -> None:
    """Conditional creates with equal criteria are one creation."""
    first: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        if entry.request.method == "POST" and (criteria := entry.request.headers.get("if-none-exist")):
            original = first.setdefault((entry.request.type, criteria), entry)
            entry.same = original if original is not entry else None


def _refuse_twice(entries: list[Entry]) -> None:
    seen: dict[str, Entry] = {}
    for entry in entries:
        request = entry.request
        if request.method in READS or entry.same or not request.id or entry.result is not None:
            continue
        other = seen.setdefault(f"{request.type}/{request.id}", entry)
        if other is not entry:
            raise BadRequest(
                f"{entry.path} and {other.path} are about the same resource, {request.type}/{request.id}",
                expression=entry.path,
            )


async def _link(entry: Entry, targets: dict[str, str], unit: Unit, server: "Server") -> None:
    """Point references at what the entries are stored as."""
    request = entry.request
    if request.resource is None or entry.result is not None or entry.same:
        return
    criteria = links.conditional(request.resource)
    found = {}
    for text, expression in criteria.items():
        type, _, condition = text.partition("?")
        try:
            server.check_type(type)
            existing = await single_match(type, condition, server, unit)
            if existing is None:
                raise PreconditionFailed(f"The conditional reference matches no {type}")
        except FHIRError as error:
            error.issues = tuple(replace(issue, expression=expression) for issue in error.issues)
            raise
        found[text] = existing.reference
    request.resource = links.rewrite(request.resource, {**targets, **found})


async def _perform(entry: Entry, server: "Server") -> None:
    entry.result = await server.perform(entry.request)
