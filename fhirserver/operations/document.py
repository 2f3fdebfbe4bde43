"""https://hl7.org/fhir/R4/composition-operation-document.html"""

import uuid
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest, Gone, NotFound, UnknownParameter, Unprocessable
from fhirserver.interactions import parts, prepare
from fhirserver.model import json
from fhirserver.operations import inputs
from fhirserver.operations.referenced import referenced
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.repository import now

if TYPE_CHECKING:
    from fhirserver.server import Server

MOST = 1000


async def document(request: Request, server: "Server") -> Result:
    """A document Bundle of a Composition and all that it refers to, directly or not.

    ``persist`` stores it as a Bundle, and the answer has its Location. What is not on this server cannot be
    in the document; the references to it stay. A document whose subject is missing is refused.
    """
    given = inputs.read(request, server, ("id", "persist", "graph"))
    if given.text("graph"):
        raise UnknownParameter("Documents are made by references, not by a graph", expression="graph")
    id = request.id or given.text("id").rpartition("/")[2]
    if not id:
        raise BadRequest("The parameter id is missing", expression="id")
    prepare.check_id(id)
    stored = await server.repository.find("Composition", id)
    if stored is None:
        raise NotFound(f"There is no Composition/{id}")
    if stored.deleted:
        raise Gone(f"Composition/{id} was deleted", headers={"ETag": stored.etag})
    composition = json.stored(stored.body)
    found = await referenced([composition], {stored.reference}, lambda type: True, server, limit=MOST)
    names = {s.reference for s in found}
    subject = composition.get("subject", {}).get("reference", "")
    if (
        subject
        and subject.partition("/_history")[0] not in names
        and not subject.startswith(("http", "urn", "#"))
    ):
        raise Unprocessable("The subject of the Composition does not exist", expression="Composition.subject")
    bundle = await _bundle([stored, *found], request, server)
    if not given.flag("persist"):
        return Result(200, json.format(bundle))
    server.check_type("Bundle")
    asked = Request("POST", "Bundle", headers={}, resource=bundle, base_url=request.base_url)
    made = await server.perform(asked)
    return Result(200, made.body, etag=made.etag, last_modified=made.last_modified, location=made.location)


async def _bundle(versions: list[Stored], request: Request, server: "Server") -> dict[str, object]:
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid.uuid4()}"},
        "type": "document",
        "timestamp": instant(now()),
        "entry": [
            {
                "fullUrl": f"{request.base_url}/{stored.reference}",
                "resource": json.stored(await parts.full_body(stored, server)),
            }
            for stored in versions
        ],
    }
