"""The answer to a write: https://hl7.org/fhir/R4/http.html#ops (Prefer), #create (Location, ETag)"""

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhirserver.errors import Issue
from fhirserver.interactions.parts import full_body
from fhirserver.interactions.prepare import location
from fhirserver.interactions.unit import Unit
from fhirserver.model import outcome
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

RETURN = ("minimal", "representation", "OperationOutcome")


def told(issues: Sequence[Issue]) -> bytes:
    """An entry of a searchset that says something about the search, with an identity of its own: an entry of
    a searchset needs one (https://hl7.org/fhir/R4/bundle.html#bundle-unique)."""
    url = b"urn:uuid:%s" % str(uuid.uuid4()).encode()
    return b'{"fullUrl":"%s","resource":%s,"search":{"mode":"outcome"}}' % (url, outcome.body(issues))


async def save(unit: Unit, request: Request) -> None:
    """Store the unit now, unless it is a transaction's, which stores it at its end."""
    if request.unit is None:
        if request.once:
            await unit.claim(request.once)
        await unit.commit()


async def respond(
    status: int, stored: Stored, request: Request, server: "Server", issues: Sequence[Issue] = ()
) -> Result:
    """Status, headers, and the body that the client prefers (the resource, when it says nothing).

    ``issues`` are warnings, for a client that prefers an OperationOutcome.
    """
    result = Result(
        status,
        etag=stored.etag,
        last_modified=stored.updated,
        location=location(stored, request) if not stored.deleted else "",
    )
    preferred = request.prefer("return", RETURN)
    if preferred:
        result.headers["Preference-Applied"] = f"return={preferred}"
    if preferred == "OperationOutcome":
        done = {200: "updated", 201: "created", 204: "deleted"}[status]
        result.status = 200 if status == 204 else status
        result.body = outcome.body(
            [Issue("information", "informational", f"{stored.reference} is {done}"), *issues]
        )
    elif preferred != "minimal" and not stored.deleted and (preferred or not request.blob):
        result.body = await full_body(stored, server)
    return result
