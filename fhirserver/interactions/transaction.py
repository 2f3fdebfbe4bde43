"""https://hl7.org/fhir/R4/http.html#trules: all or nothing

A transaction is decided entry by entry through the same interactions as everything else, while its writes
are collected in one unit, which is stored at once. When what was read has changed meanwhile, all is decided
again. Its reads come after that: each has an answer of its own, because what was stored is stored.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, FHIRError, Issue, NotFound, PreconditionFailed
from fhirserver.interactions import attachments, links, prepare
from fhirserver.interactions.criteria import encode, single_match
from fhirserver.interactions.delete import delete_found, to_delete
from fhirserver.interactions.respond import respond
from fhirserver.interactions.unit import Unit
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

READS = ("GET", "HEAD")
WRITES = ("DELETE", "POST", "PUT", "PATCH")
TOGETHER = 256
"""So many entries are decided at once; then it is the turn of other requests."""


@dataclass(slots=True)
class Entry:
    """One entry of a Bundle: what it asks and what it came to.

    ``held`` is its resource; encoded where the Bundle is large: ten thousand decoded ones would take ten
    times the memory, so each is decoded for as long as it is worked on. ``same`` is the earlier entry that
    creates under the same criteria: the two are one resource. ``matched`` says that a conditional create
    found its resource, ``found`` are the resources of a conditional delete.
    """

    position: int
    full_url: str
    request: Request
    held: Resource | bytes | None = None
    result: Result | None = None
    matched: bool = False
    same: "Entry | None" = None
    found: list[Stored] | None = None

    @property
    def path(self) -> str:
        return f"Bundle.entry[{self.position}]"

    @property
    def resource(self) -> Resource:
        """Not to be changed: the entry may be decided again. Empty where the entry has none."""
        return json.stored(self.held) if isinstance(self.held, bytes) else self.held or {}

    def hold_encoded(self) -> None:
        self.held = None if self.held is None else json.format(self.resource)

    def hold(self, resource: Resource) -> None:
        """Keep another resource, the way it is kept now."""
        self.held = json.format(resource) if isinstance(self.held, bytes) else resource

    @property
    def written(self) -> list[str]:
        """The references of what it writes, known once it is identified."""
        if self.found is not None:
            return [stored.reference for stored in self.found]
        if self.request.method in READS or self.same or not self.request.id:
            return []
        return [f"{self.request.type}/{self.request.id}"]


@dataclass(slots=True)
class Targets:
    """What the full urls of the entries are stored as."""

    entries: dict[str, Entry]
    versions: dict[str, int] = field(default_factory=dict)

    def reference(self, url: str) -> str | None:
        entry = self.entries.get(url)
        return f"{entry.request.type}/{(entry.same or entry).request.id}" if entry else None

    async def find_version(self, url: str, server: "Server") -> None:
        """Note the version that the resource of a full url is going to have."""
        entry = self.entries[url].same or self.entries[url]
        request = entry.request
        previous = await server.repository.find(request.type, request.id)
        if previous is None:
            self.versions[url] = 1
        elif entry.matched or (
            request.method == "PUT"
            and prepare.same(attachments.apart(entry.resource, request, server)[0], previous)
        ):
            self.versions[url] = previous.version
        else:
            self.versions[url] = previous.version + 1


async def transact(entries: list[Entry], once: str, server: "Server") -> Result:
    """Decide all entries and store what they write, in the order DELETE, POST, PUT and PATCH, GET.

    ``once``: see Request.
    Raises:
        FHIRError: of the first entry that fails, with the entry's path; nothing was stored.
        Conflict: what was read has changed meanwhile; call again.
    """
    unit = Unit(server.repository)
    if once:
        await unit.claim(once)
    # Copies, because deciding fills in ids and a conflict begins again from what was asked.
    work = [
        replace(e, request=replace(e.request, unit=unit, headers=dict(e.request.headers))) for e in entries
    ]
    for entry in work:
        with _located(entry):
            server.route(entry.request)
    writes = [entry for entry in work if entry.request.method not in READS]
    _find_same_creates(writes)
    await _each(writes, lambda entry: _identify(entry, unit, server))
    _refuse_twice(writes)
    unit.deleted = frozenset(r for e in writes if e.request.method == "DELETE" for r in e.written)
    unit.written = frozenset(r for e in writes if e.request.method != "DELETE" for r in e.written)
    targets = _targets(writes)
    for method in WRITES:
        pending = [e for e in writes if e.request.method == method and not e.matched and not e.same]
        await _each(pending, lambda entry: _perform(entry, targets, unit, server))
    await unit.commit()
    await _each([e for e in work if e.request.method in READS], lambda entry: _read(entry, server))
    for entry, done in zip(entries, work, strict=True):
        entry.result = done.result or (done.same.result if done.same else None)
    return Result(200)


async def _each(entries: list[Entry], step: Callable[[Entry], Awaitable[None]]) -> None:
    """Do a step for all entries, many at once: their reads share round trips."""

    async def located(entry: Entry) -> None:
        with _located(entry):
            await step(entry)

    for start in range(0, len(entries), TOGETHER):
        await asyncio.gather(*(located(entry) for entry in entries[start : start + TOGETHER]))
        await asyncio.sleep(0)


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
    held = type and type == entry.resource.get("resourceType")
    path = f"{entry.path}.resource{dot}{rest}" if held else entry.path
    return replace(issue, expression=path)


async def _identify(entry: Entry, unit: Unit, server: "Server") -> None:
    """Decide which resource an entry writes, so that the others can refer to it."""
    request = entry.request
    match request.method:
        case "POST" if "$" in request.path:
            raise BadRequest("A transaction has no operations; a batch does")
        case "POST":
            condition = request.headers.get("if-none-exist", "")
            request.headers = {k: v for k, v in request.headers.items() if k != "if-none-exist"}
            request.id = prepare.new_id()
            if not condition or entry.same:
                return
            if found := await single_match(request.type, condition, server, unit):
                request.id, entry.matched = found.id, True
                entry.result = await respond(200, found, request, server)
        case "DELETE" if not request.id:
            entry.found = await to_delete(request, unit, server)
        case "PUT" | "PATCH" if not request.id:
            await _identify_by_criteria(entry, unit, server)


async def _identify_by_criteria(entry: Entry, unit: Unit, server: "Server") -> None:
    request = entry.request
    existing = await single_match(request.type, encode(request.query), server, unit)
    if existing is None and request.method == "PATCH":
        raise NotFound(f"The criteria match no {request.type}")
    resource = entry.resource
    own = str(resource.get("id", "")) if request.method == "PUT" else ""
    if existing and own and own != existing.id:
        raise BadRequest(
            f"The body's id {own} is not that of the match, {existing.id}", expression=f"{request.type}.id"
        )
    request.id = existing.id if existing else own or prepare.new_id()
    request.path, request.query = f"{request.type}/{request.id}", ()
    if request.method == "PUT":
        entry.hold({**resource, "id": request.id})


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
        if entry.matched:
            continue
        for name in entry.written:
            other = seen.setdefault(name, entry)
            if other is not entry:
                raise BadRequest(
                    f"{entry.path} and {other.path} are about the same resource, {name}",
                    expression=entry.path,
                )


def _targets(entries: list[Entry]) -> Targets:
    """Raises BadRequest: one full url is that of two resources (bdl-7), so a link to it says nothing."""
    targets = Targets({})
    for entry in entries:
        if not entry.full_url or entry.request.method == "DELETE":
            continue
        other = targets.entries.setdefault(entry.full_url, entry)
        if (other.same or other).request.id != (entry.same or entry).request.id:
            raise BadRequest(
                f"{entry.path} and {other.path} have the same fullUrl", expression=f"{entry.path}.fullUrl"
            )
    return targets


async def _link(entry: Entry, targets: Targets, unit: Unit, server: "Server") -> Resource:
    """The resource with its links pointing at what the entries are stored as, conditional references at what
    they match."""
    request, resource = entry.request, entry.resource
    names = links.link_names(server.definitions)
    # A relative reference in an entry of another server is relative to that server's base.
    base = reference.parse(entry.full_url).base
    unknown: set[str] = set()

    def target(url: str) -> str | None:
        found = targets.reference(url) or (targets.reference(f"{base}/{url}") if base else None)
        if found is None and (parts := links.VERSIONED.fullmatch(url)):
            address = next(
                (a for a in (parts["address"], f"{base}/{parts['address']}") if a in targets.entries), ""
            )
            if address in targets.versions:
                return f"{targets.reference(address)}/_history/{targets.versions[address]}"
            if address:
                unknown.add(address)
        return found

    linked = links.rewrite(resource, target, names)
    if unknown:
        await asyncio.gather(*(targets.find_version(url, server) for url in unknown))
        linked = links.rewrite(linked, target, names)
    linked = links.relative(linked, frozenset((server.base_url, request.base_url)) - {""})
    if criteria := links.conditional(linked):
        found = await _resolve(criteria, unit, server)
        linked = links.rewrite(linked, found.get, frozenset(("reference",)))
    return linked


async def _resolve(criteria: dict[str, str], unit: Unit, server: "Server") -> dict[str, str]:
    """What conditional references match. https://hl7.org/fhir/R4/http.html#trules

    Raises:
        PreconditionFailed: nothing, or several resources.
    """
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
    return found


async def _perform(entry: Entry, targets: Targets, unit: Unit, server: "Server") -> None:
    if entry.found is not None:
        entry.result = await delete_found(entry.found, unit, entry.request, server)
        return
    if entry.held is not None:
        entry.request.resource = await _link(entry, targets, unit, server)
    entry.result = await server.perform(entry.request)
    entry.request.resource = None


async def _read(entry: Entry, server: "Server") -> None:
    entry.request.unit = None
    entry.result = await server.answer(entry.request)
