"""Whether references lead somewhere: https://hl7.org/fhir/R4/references.html

The settings ``reference_integrity`` and ``delete_referenced`` say what is asked. Checked are literal relative
references, which name a resource of this server. What others change between the check and the commit is not
seen: nobody locks a patient in order to write an observation.
"""

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from fhirserver.errors import Issue, Severity, Unprocessable, VersionConflict
from fhirserver.interactions import links
from fhirserver.interactions.unit import Unit
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

SHOWN = 10


async def check_references(
    resource: Resource, request: Request, unit: Unit, server: "Server", previous: Stored | None = None
) -> list[Issue]:
    """Warnings about references to what does not exist.

    A transaction is not refused for those that the ``previous`` version has: it does not make them. They are
    looked for where they matter: when they are refused, or when the client asks to be told
    (``Prefer: return=OperationOutcome``).

    Raises:
        Unprocessable: the policy is to refuse them.
    """
    policy = server.settings.reference_integrity
    refused = policy == "enforce" or (policy == "transactions" and request.unit is not None)
    told = "OperationOutcome" in request.headers.get("prefer", "")
    if policy == "off" or not (refused or told):
        return []
    issues = await missing(resource, unit, server, "error" if refused else "warning")
    if issues and policy == "transactions" and refused and previous and not previous.deleted:
        before = set(links.literals(json.stored(previous.body)))
        known = {name for name in before if reference.parse(name).address not in unit.deleted}
        issues = await missing(resource, unit, server, "error", known)
    if issues and refused:
        raise Unprocessable("References lead nowhere", issues=issues)
    return issues


async def missing(
    resource: Resource, unit: Unit, server: "Server", severity: Severity, known: Collection[str] = ()
) -> list[Issue]:
    """The literal references to resources of this server that do not exist, but for those that are known."""
    named = {name: reference.parse(name) for name in links.literals(resource) if name not in known}
    targets = list(dict.fromkeys((r.type, r.id) for r in named.values() if r.is_local))
    elsewhere = [(type, id) for type, id in targets if f"{type}/{id}" not in unit.written]
    stored = [
        (type, id) for type, id in elsewhere if f"{type}/{id}" not in unit.deleted and type in server.types
    ]
    gone = {*elsewhere}.difference(stored).union(await server.repository.lookups.missing(stored))
    if not gone:
        return []
    places: dict[tuple[str, str], str] = {}
    for literal, path in links.references(resource):
        if literal not in named:
            continue
        target = named[literal].type, named[literal].id
        if named[literal].is_local and target in gone:
            places.setdefault(target, path)
    return [
        Issue(severity, "not-found", f"There is no {type}/{id} on this server", path)
        for (type, id), path in places.items()
    ]


async def check_deletion(stored: Stored, unit: Unit, server: "Server") -> None:
    """Let a resource be deleted only when no other refers to it, where that is the policy.

    Raises:
        VersionConflict: with the first resources that do.
    """
    if server.settings.delete_referenced == "allow":
        return
    leaving = unit.deleted | unit.written | {stored.reference}
    referring = [r for r in await referring_to(stored, server, SHOWN + len(leaving)) if r not in leaving]
    if referring:
        names = ", ".join(sorted(referring)[:SHOWN])
        more = " and others" if len(referring) > SHOWN else ""
        raise VersionConflict(f"{stored.reference} cannot be deleted: {names}{more} refer to it")


async def referring_to(stored: Stored, server: "Server", limit: int) -> list[str]:
    """Resources that refer to one, at most ``limit`` of each type, found by the reference parameters."""

    async def of_type(type: str) -> list[str]:
        parameters = server.indexer.parameters(type).items()
        codes = [code for code, parameter in parameters if parameter.type == "reference"]
        if not codes:
            return []
        keys = [f"{code}|{stored.reference}" for code in codes]
        return await server.repository.lookups.having(type, keys, limit)

    found = await asyncio.gather(*(of_type(type) for type in sorted(server.types)))
    return [name for names in found for name in names]
