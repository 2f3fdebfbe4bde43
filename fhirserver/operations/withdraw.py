"""``DocumentReference/[id]/$withdraw``: a document is deleted by who made it, and everybody can see why.

DMP TD3.3c: the deletion is logical. The document becomes entered-in-error, what only it asserted is no longer
asserted, and a Provenance has the reason. docs/api/documents.md
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fhirserver.errors import BadRequest, Forbidden, Gone, NotFound
from fhirserver.interactions import assertions, claims, prepare
from fhirserver.interactions.authorship import Party, may_withdraw, parties
from fhirserver.interactions.documents import withdrawn
from fhirserver.interactions.respond import respond, save
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.operations import inputs
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.repository import now

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS = ("reason", "author", "organization")


async def withdraw(request: Request, server: "Server") -> Result:
    """Withdraw a document; the answer is its DocumentReference. Withdrawing it again changes nothing.

    ``author`` and ``organization`` (Identifiers) say who asks; the setting ``document_withdrawal`` who may.

    Raises:
        BadRequest: no reason, or an author that is no Identifier.
        NotFound, Gone: there is no such document.
        Forbidden: it was made by others.
    """
    given = inputs.read(request, server, PARAMETERS)
    reason = given.text("reason").strip()
    if not reason:
        raise BadRequest("The parameter reason is missing", expression="reason")
    asks = {_party(each, "author") for each in given.all("author")}
    of = {_party(each, "organization") for each in given.all("organization")}
    record = prepare.new_id()

    async def attempt() -> Result:
        stored = await _stored(request, server)
        document = json.stored(stored.body)
        made_by = await parties(document, server)
        if not may_withdraw(server.settings.document_withdrawal, made_by, (asks, of)):
            raise Forbidden("Only the author of a document, or the same organization, can withdraw it")
        if document.get("status") == "entered-in-error":
            return await respond(200, stored, request, server)
        gone, _ = claims.checked(withdrawn(document), server)
        written = await _store(stored, gone, reason, asks | of, record, request, server)
        return await respond(200, written, request, server)

    return await server.repeat(attempt, request)


async def _stored(request: Request, server: "Server") -> Stored:
    prepare.check_id(request.id)
    stored = await server.repository.find(request.type, request.id)
    if stored is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if stored.deleted:
        raise Gone(f"{request.type}/{request.id} was deleted", headers={"ETag": stored.etag})
    return stored


async def _store(
    stored: Stored,
    document: Resource,
    reason: str,
    who: set[Party],
    record: str,
    request: Request,
    server: "Server",
) -> Stored:
    """The document, what it asserted, and the Provenance of both, in one commit."""
    taken = await assertions.taken_back([stored.reference], (), server, in_error=True)
    unit = server.unit(request)
    written = []
    for previous, resource in [(stored, document), *taken]:
        update = replace(request, type=previous.type, id=previous.id, method="PUT", blob=previous.blob)
        version = await prepare.version(resource, update, previous, server)
        unit.put(version, previous)
        written.append(version)
    if "Provenance" in server.types:
        targets = [f"{each.reference}/_history/{each.version}" for each in written]
        before = f"{stored.reference}/_history/{stored.version}"
        made = assertions.provenance(targets, [before], _agents(who), instant(now()), reason)
        create = replace(request, type="Provenance", id=record, method="POST")
        unit.put(await prepare.version(made, create, None, server), None)
    await save(unit, request)
    return written[0]


def _agents(who: set[Party]) -> list[Resource]:
    named = [
        {"who": {"identifier": {"system": s, "value": v} if s else {"value": v}}} for s, v in sorted(who)
    ]
    return named or [{"who": {"display": "unknown"}}]


def _party(value: Any, name: str) -> Party:
    """An Identifier, or its token ``system|value``."""
    if isinstance(value, str):
        system, bar, number = value.rpartition("|")
        value = {"system": system, "value": number if bar else value}
    if not isinstance(value, dict) or not isinstance(value.get("value"), str) or not value["value"]:
        raise BadRequest(f"{name} is not an Identifier with a value", expression=name)
    system = value.get("system", "")
    if not isinstance(system, str):
        raise BadRequest(f"{name} is not an Identifier with a value", expression=name)
    return system, value["value"]
