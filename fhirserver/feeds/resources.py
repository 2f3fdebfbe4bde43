"""FHIR resources that come in as files: performed as they are.

A transaction or batch is performed, a document or message Bundle stored; the resources in any other Bundle
and the lines of NDJSON are stored each by itself.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from fhirserver.errors import MalformedBody
from fhirserver.feeds.lookup import named
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.storage.items import Item
from mappings.core.result import Issue

NDJSON = "application/fhir+ndjson"
XML = "application/fhir+xml"
STORED_WHOLE = ("document", "message")
PERFORMED = ("transaction", "batch")


@dataclass(slots=True)
class Done:
    """What became of the resources of one input."""

    status: str = "processed"
    issues: list[Issue] = field(default_factory=list)
    references: list[str] = field(default_factory=list)


async def perform(raw: bytes, item: Item, server: Server) -> Done:
    """Perform what an input asks.

    Raises:
        FHIRError: it is no resource, or it is refused as a whole.
    """
    if item.content_type == NDJSON:
        found = [json.parse_resource(line) for line in raw.splitlines() if line.strip()]
        return await _each(found, item, server)
    resource = server.parse_xml(raw) if item.content_type == XML else json.parse_resource(raw)
    if resource["resourceType"] != "Bundle" or resource.get("type") in STORED_WHOLE:
        return await _each([resource], item, server)
    if resource.get("type") in PERFORMED:
        return await perform_bundle(resource, server)
    return await _each(list(inside(resource)), item, server)


async def perform_bundle(bundle: Resource, server: Server) -> Done:
    """Perform a transaction or batch. What a batch's entries are refused for are issues.

    Raises:
        FHIRError: it is refused as a whole.
    """
    request = Request("POST", "", resource=bundle, headers={"prefer": "return=minimal"})
    entries = json.stored((await server.perform(request)).body).get("entry", [])
    done = Done()
    refused = 0
    for position, entry in enumerate(entries):
        response = entry["response"]
        if location := response.get("location"):
            done.references.append(location)
        if not response["status"].startswith("2"):
            refused += 1
            done.issues += _faults(f"entry[{position}]" if len(entries) > 1 else "", response)
    if refused:
        done.status = "failed" if refused == len(entries) else "warnings"
    return done


def inside(bundle: Resource) -> Iterator[Resource]:
    """The resources in a Bundle; those a search adds to say something about itself are none of them."""
    entries = bundle.get("entry", ())
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") != "OperationOutcome":
            yield resource


async def _each(found: list[Resource], item: Item, server: Server) -> Done:
    if not found:
        raise MalformedBody("There are no resources")
    entries = [_entry(position, resource, item) for position, resource in enumerate(found)]
    return await perform_bundle({"resourceType": "Bundle", "type": "batch", "entry": entries}, server)


def _entry(position: int, resource: Resource, item: Item) -> Resource:
    """PUT by id; without one, under an id that taking in the same input again gives again."""
    type, id = resource.get("resourceType"), resource.get("id")
    if not isinstance(id, str) or not id:
        id = named(item.id, str(position))
        resource = {**resource, "id": id}
    return {"resource": resource, "request": {"method": "PUT", "url": f"{type}/{id}"}}


def _faults(where: str, response: Resource) -> list[Issue]:
    return [
        Issue(
            "error" if issue["severity"] == "fatal" else issue["severity"],
            issue["code"],
            issue.get("diagnostics", ""),
            " ".join(filter(None, (where, *issue.get("expression", ())[:1]))),
        )
        for issue in response.get("outcome", {}).get("issue", ())
    ]
