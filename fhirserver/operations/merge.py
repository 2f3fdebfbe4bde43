"""``Patient/$merge``: two records of one person become one.

https://build.fhir.org/patient-operation-merge.html (of R5 and later), on R4. All of it is one commit; what is
done is done once, and asking again moves only what has come to refer to the replaced Patient since.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fhirserver.errors import (
    BadRequest,
    Gone,
    Issue,
    MultipleMatches,
    NotFound,
    TooCostly,
    Unprocessable,
)
from fhirserver.interactions import prepare
from fhirserver.interactions.integrity import referring_to
from fhirserver.interactions.respond import save
from fhirserver.model import json, outcome, reference
from fhirserver.model.json import Resource
from fhirserver.operations import inputs, merging
from fhirserver.operations.inputs import Inputs
from fhirserver.operations.match import escape
from fhirserver.operations.merging import REPLACED_BY, REPLACES
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.repository import now

if TYPE_CHECKING:
    from fhirserver.server import Server

SOURCE, TARGET, RESULT, PREVIEW = "source-patient", "target-patient", "result-patient", "preview"
OF_IDENTIFIER = "-identifier"
ELEMENTS = {
    SOURCE: "valueReference",
    TARGET: "valueReference",
    SOURCE + OF_IDENTIFIER: "valueIdentifier",
    TARGET + OF_IDENTIFIER: "valueIdentifier",
    RESULT: "resource",
    PREVIEW: "valueBoolean",
}
"""The parameters, and the element of Parameters.parameter that has the value of each."""
KEPT = frozenset(("AuditEvent", "Bundle", "Provenance"))
"""The types that say what was done or signed at a time, to what was a record of its own then."""
MOST = 5_000
"""So many resources are moved in one commit."""
CANDIDATES = 20
TOGETHER = 64
"""After so many resources it is the turn of other requests."""


@dataclass(frozen=True, slots=True)
class Change:
    """A resource as it is stored, and what is to be stored instead."""

    previous: Stored
    resource: Resource

    @property
    def changes(self) -> bool:
        return not prepare.same(self.resource, self.previous)


@dataclass(slots=True)
class Merge:
    """What a merge changes; ``done`` says that the source was replaced by the target before."""

    source: Change
    target: Change
    done: bool
    moves: list[Change]

    @property
    def changes(self) -> list[Change]:
        return [change for change in (self.source, self.target) if change.changes] + self.moves


async def merge(request: Request, server: "Server") -> Result:
    """Let the target replace the source; with ``preview`` only say what that would change.

    Raises:
        BadRequest: an input that is missing or is not what it should be.
        NotFound, Gone: there is no such patient.
        MultipleMatches: several patients have the identifiers.
        Unprocessable: the two cannot be merged.
        TooCostly: too much refers to the source.
    """
    given = inputs.read(request, server, ELEMENTS)
    preview = given.flag(PREVIEW)
    wanted = _wanted(given, request, server)
    record = prepare.new_id()

    async def attempt() -> Result:
        target = await _patient(TARGET, given, request, server)
        source = await _patient(SOURCE, given, request, server, apart=target)
        decided = await _decide(source, target, wanted, server)
        issues = _tell(decided, preview)
        survivor = decided.target.resource
        if decided.changes and not preview:
            written = await _store(decided, record, request, server)
            survivor = next((json.stored(v.body) for v in written if v.id == target.id), survivor)
            issues += [_note(f"Recorded as {v.reference}") for v in written if v.type == "Provenance"]
        return Result(200, json.format(_answer(given, issues, survivor)))

    return await server.repeat(attempt, request)


async def _patient(
    name: str, given: Inputs, request: Request, server: "Server", apart: Stored | None = None
) -> Stored:
    """The patient that a reference names, or that has all of the identifiers and is not the one ``apart``."""
    literal, identifiers = given.one(name), [_token(each, name) for each in given.all(name + OF_IDENTIFIER)]
    if literal is None and not identifiers:
        raise BadRequest(f"{name} is missing, and {name}{OF_IDENTIFIER}, too", expression=name)
    pairs = [("identifier", token) for token in identifiers]
    if literal is not None:
        return await _referenced(name, literal, pairs, request, server)
    found = await server.repository.lookups.matching(server.compile("Patient", pairs), CANDIDATES)
    if apart:  # it has the identifiers of those that it has replaced
        found = [stored for stored in found if stored.id != apart.id] or found
    else:
        own = [s for s in found if not merging.linked(json.stored(s.body), REPLACED_BY, server.base_url)]
        found = own or found
    if not found:
        raise NotFound(f"No Patient has the {name}{OF_IDENTIFIER}", expression=name + OF_IDENTIFIER)
    if len(found) > 1:
        raise MultipleMatches(
            f"Several Patients have the {name}{OF_IDENTIFIER}; name one by {name}",
            expression=name + OF_IDENTIFIER,
        )
    return found[0]


async def _referenced(
    name: str, literal: Any, pairs: list[tuple[str, str]], request: Request, server: "Server"
) -> Stored:
    """The patient of a Reference, which has the identifiers as well, where there are any."""
    text = literal.get("reference") if isinstance(literal, dict) else literal
    parsed = reference.parse(text if isinstance(text, str) else "", request.base_url)
    if parsed.base == server.base_url:
        parsed = replace(parsed, base="")
    if not parsed.is_local or parsed.type != "Patient" or parsed.version:
        raise BadRequest(f"{name} is not a reference such as Patient/1", expression=name)
    stored = await server.repository.find("Patient", parsed.id)
    if stored is None:
        raise NotFound(f"There is no {parsed.address}", expression=name)
    if stored.deleted:
        raise Gone(f"{stored.reference} was deleted", expression=name)
    query = server.compile("Patient", [("_id", parsed.id), *pairs])
    if pairs and not await server.repository.lookups.matching(query):
        raise Unprocessable(f"{stored.reference} has not the {name}{OF_IDENTIFIER}", expression=name)
    return stored


def _token(identifier: Any, name: str) -> str:
    value = identifier.get("value") if isinstance(identifier, dict) else None
    system = identifier.get("system", "") if isinstance(identifier, dict) else ""
    if not (isinstance(value, str) and value and isinstance(system, str)):
        raise BadRequest(f"{name}{OF_IDENTIFIER} is not an Identifier with a value", expression=name)
    return f"{escape(system)}|{escape(value)}" if system else escape(value)


def _wanted(given: Inputs, request: Request, server: "Server") -> Resource | None:
    """The target as the client wants it to be."""
    wanted = given.one(RESULT)
    if wanted is None:
        return None
    if not isinstance(wanted, dict):
        raise BadRequest(f"{RESULT} is not a resource", expression=RESULT)
    wanted = prepare.accept(wanted, request, server)
    if merging.linked(wanted, REPLACED_BY, server.base_url):
        raise Unprocessable(f"The {RESULT} cannot be replaced itself", expression="Patient.link")
    return wanted


async def _decide(source: Stored, target: Stored, wanted: Resource | None, server: "Server") -> Merge:
    if wanted is not None and wanted.get("id") != target.id:
        raise Unprocessable(
            f"The id of the {RESULT} is not that of {target.reference}", expression="Patient.id"
        )
    was, will = json.stored(source.body), json.stored(target.body)
    done = _check(source, target, was, will, server.base_url)
    if wanted is not None and not done:  # asked again, it would undo what others have changed since
        will = merging.with_merges(wanted, will, server.base_url)
    return Merge(
        Change(source, merging.retired(was, target.reference, server.base_url)),
        Change(target, merging.surviving(will, was, server.base_url)),
        done,
        await moves(source, target.reference, server),
    )


def _check(source: Stored, target: Stored, was: Resource, will: Resource, base_url: str) -> bool:
    """Whether the target has replaced the source already. Raises Unprocessable: it cannot."""
    if source.id == target.id:
        raise Unprocessable(f"{SOURCE} and {TARGET} are the same, {source.reference}", expression=SOURCE)
    for into in merging.linked(will, REPLACED_BY, base_url):
        circle = "; this would be circular" if into == source.reference else ""
        raise Unprocessable(
            f"{target.reference} was merged into {into or 'another'}{circle}", expression=TARGET
        )
    if target.reference in merging.linked(was, REPLACES, base_url):
        text = f"{source.reference} replaces {target.reference}; this would be circular"
        raise Unprocessable(text, expression=TARGET)
    into_all = merging.linked(was, REPLACED_BY, base_url)
    for into in into_all:
        if into != target.reference:
            text = f"{source.reference} was merged into {into or 'another'} already"
            raise Unprocessable(text, expression=SOURCE)
    return bool(into_all)


async def moves(source: Stored, target: str, server: "Server") -> list[Change]:
    """What refers to the source, referring to the target (a reference).

    Raises:
        TooCostly: too much refers to the source.
    """
    patients = (source.reference, target)
    found = [
        tuple(name.split("/"))
        for name in await referring_to(source, server, MOST + 1 + len(patients))
        if name not in patients and name.partition("/")[0] not in KEPT
    ]
    if len(found) > MOST:
        raise TooCostly(
            f"More than {MOST} resources refer to {source.reference}; they cannot be moved at once"
        )
    moves = []
    for start in range(0, len(found), TOGETHER):
        for stored in await server.repository.find_many(
            (type, id) for type, id in found[start : start + TOGETHER]
        ):
            if stored and not stored.deleted:
                resource = json.stored(stored.body)
                made = merging.moved(resource, source.reference, target, server.base_url)
                if made != resource:
                    moves.append(Change(stored, made))
        await asyncio.sleep(0)
    return moves


async def _store(decided: Merge, record: str, request: Request, server: "Server") -> list[Stored]:
    """Store all changes and their Provenance, whose id is ``record``."""
    unit = server.unit(request)
    written = []
    for position, change in enumerate(decided.changes):
        if position % TOGETHER == TOGETHER - 1:
            await asyncio.sleep(0)
        previous = change.previous
        update = replace(request, type=previous.type, id=previous.id, method="PUT", blob=previous.blob)
        stored = await prepare.version(change.resource, update, previous, server)
        unit.put(stored, previous)
        written.append(stored)
    if "Provenance" in server.types:
        before = [_versioned(change.previous) for change in (decided.source, decided.target)]
        made = merging.record(map(_versioned, written), before, instant(now()))
        create = replace(request, type="Provenance", id=record, method="POST")
        written.append(await prepare.version(made, create, None, server))
        unit.put(written[-1], None)
    await save(unit, request)
    return written


def _versioned(stored: Stored) -> str:
    return f"{stored.reference}/_history/{stored.version}"


def _tell(decided: Merge, preview: bool) -> list[Issue]:
    """What is done, or would be, and to how many resources of each type."""
    source, target = decided.source.previous.reference, decided.target.previous.reference
    said = f"{source} {'was replaced before' if decided.done else 'is replaced'} by {target}"
    if preview:
        said = f"Preview, nothing is changed: {said}"
    elif not decided.changes:
        said = f"{said}; there was nothing to change"
    counts = Counter(change.previous.type for change in decided.moves)
    return [_note(said), *(_note(f"{type}: {counts[type]} moved to {target}") for type in sorted(counts))]


def _note(text: str) -> Issue:
    return Issue("information", "informational", text)


def _answer(given: Inputs, issues: list[Issue], survivor: Resource) -> Resource:
    """https://build.fhir.org/patient-operation-merge.html: input, outcome, result"""
    echoed = [{"name": name, ELEMENTS[name]: _echo(name, value)} for name, value in given.given]
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "input", "resource": {"resourceType": "Parameters", "parameter": echoed}},
            {"name": "outcome", "resource": outcome.outcome(issues)},
            {"name": "result", "resource": survivor},
        ],
    }


def _echo(name: str, value: Any) -> Any:
    """An input as an element: those of a URL are texts."""
    if name == PREVIEW:
        return value == "true"
    return {"reference": value} if isinstance(value, str) else value
