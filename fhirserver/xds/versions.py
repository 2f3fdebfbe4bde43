"""The versions of an object's metadata (XDS Metadata Update): some of the versions of its resource."""

from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.server import Server
from mappings.xds import export


async def versions(resource: Resource, server: Server) -> list[Resource]:
    """What a resource was under each of its entryUUIDs, the newest first; all but that are superseded."""
    stored = await server.repository.history(resource["resourceType"], resource["id"])
    found = {export.entry_id(resource): resource}
    for each in stored:
        if each.deleted:
            continue
        former = json.stored(each.body)
        status = "retired" if former["resourceType"] == "List" else "superseded"
        found.setdefault(export.entry_id(former), {**former, "status": status})
    return list(found.values())
