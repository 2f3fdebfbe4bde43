"""https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-status.html"""

import asyncio
from typing import TYPE_CHECKING

from fhirserver.errors import NotFound
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json
from fhirserver.operations import inputs
from fhirserver.request import Request, Result
from fhirserver.storage.outbox import Delivery
from fhirserver.subscriptions import Subscriptions, notification
from fhirserver.subscriptions.definition import Definition

if TYPE_CHECKING:
    from fhirserver.server import Server

MAX_STATUSES = 1000


async def subscription_status(request: Request, server: "Server") -> Result:
    """The status of one subscription, or of those asked for by ``id`` and ``status``, as a searchset."""
    subscriptions = served(server)
    given = inputs.read(request, server, () if request.id else ("id", "status"))
    if request.id:
        found = [await defined(request.id, server)]
    else:
        found = await _chosen(_parts(given.all("id")), _parts(given.all("status")), server)
    rows = await subscriptions.outbox.deliveries(d.id for d in found)
    entries = [_entry(d, rows[d.id], request.base_url) for d in found]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return Result(200, json.format({**bundle, "entry": entries} if entries else bundle))


def served(server: "Server") -> Subscriptions:
    """Raises NotFound when this server has no subscriptions."""
    if server.subscriptions is None:
        raise NotFound("Subscriptions are off on this server")
    return server.subscriptions


async def defined(id: str, server: "Server") -> Definition:
    """A subscription as it is now, whatever its status. Raises NotFound."""
    check_id(id)
    stored = await server.repository.find("Subscription", id)
    if stored is None or stored.deleted:
        raise NotFound(f"There is no Subscription/{id}")
    return served(server).definition(json.stored(stored.body), stored.version)


def _parts(values: list[str]) -> list[str]:
    return [part for value in values for part in value.split(",") if part]


async def _chosen(ids: list[str], statuses: list[str], server: "Server") -> list[Definition]:
    pairs = [("_count", str(MAX_STATUSES))]
    pairs += [("_id", ",".join(ids))] if ids else []
    pairs += [("status", ",".join(statuses))] if statuses else []
    query = server.compile("Subscription", pairs)
    page = await server.repository.search(query, None, MAX_STATUSES)
    return list(await asyncio.gather(*(defined(stored.id, server) for stored in page.resources)))


def _entry(definition: Definition, delivery: Delivery, base_url: str) -> dict[str, object]:
    return {
        "fullUrl": f"{base_url}/Subscription/{definition.id}/$status",
        "resource": notification.status(definition, delivery, "query-status", base_url),
        "search": {"mode": "match"},
    }
