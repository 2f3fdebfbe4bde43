"""The status of a Subscription: requested, active, error, off. https://hl7.org/fhir/R4/subscription.html

A client writes requested (or off); everything else is the server's to say. What a client writes as active or
error becomes requested: the server looks at it again and says which it is.
"""

import contextlib

from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.storage.commit import Conflict
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.repository import Repository, now


def asked(resource: Resource) -> Resource:
    """A Subscription as a client may write it: requested or off, without an error."""
    status = "off" if resource["status"] == "off" else "requested"
    return {**{k: v for k, v in resource.items() if k not in ("error", "_error")}, "status": status}


async def change_status(repository: Repository, id: str, version: int, status: str, error: str) -> bool:
    """Write a new version with this status and error ("" for none).

    False when the resource has changed since ``version``: then somebody else has decided. Raises Unavailable.
    """
    while True:
        previous = await repository.find("Subscription", id)
        if previous is None or previous.deleted or previous.version != version:
            return False
        resource = json.stored(previous.body)
        resource["status"] = status
        resource.pop("error", None)
        if error:
            resource["error"] = error
        updated = max(now(), previous.updated + 1000)
        number = previous.version + 1
        resource["meta"] |= {"versionId": str(number), "lastUpdated": instant(updated)}
        stored = Stored("Subscription", id, number, updated, "PUT", json.format(resource))
        with contextlib.suppress(Conflict):  # with a transaction that came to nothing, or a newer version
            await repository.write([(stored, previous)])
            return True
