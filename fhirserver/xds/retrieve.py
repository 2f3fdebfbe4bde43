"""Documents by their uniqueIds, byte for byte: Retrieve Document Set (ITI-43), IHE ITI TF-2 3.43."""

from collections.abc import Sequence
from typing import Final

from fhirserver.errors import FHIRError, Unavailable
from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.xds.lookup import by_unique_id
from fhirserver.xds.records import check_record
from fhirserver.xds.request import Answer, Attachment, SOAPRequest, XDSRefusal
from mappings.cda.xml import Node
from mappings.xds import export
from mappings.xds.datatypes import unique_id_to_identifier
from mappings.xds.ebrs import RegistryError
from mappings.xds.retrieval import OCTETS, Retrieved, Wanted, media_type, read_request, response

_TOUCHED: Final = ("Patient/", "DocumentReference/")
TYPE: Final = "DocumentReference"
MOST: Final = 200
"""So many documents are in one answer at most."""
MOST_BYTES: Final = 128 * 1024 * 1024


async def retrieve(request: SOAPRequest) -> Answer:
    """Those of the documents that are here; what is wrong with each other one is told.

    Documents are read through ``Server.perform``: who may read them there may read them here.

    Raises:
        XDSRefusal: none is here.
        Unavailable.
    """
    wanted = read_request(request.body)
    if len(wanted) > MOST:
        text = f"{len(wanted)} documents are asked for; at most {MOST} are answered at once"
        raise XDSRefusal(RegistryError("XDSRepositoryOutOfResources", text))
    retrieved: list[Retrieved] = []
    errors: list[RegistryError] = []
    size = 0
    for number, each in enumerate(wanted, 1):
        try:
            found = await _retrieve(each, f"document-{number}@fhirserver", request)
        except XDSRefusal as refusal:
            errors += refusal.errors
            continue
        size += len(found.content)
        if size > MOST_BYTES:
            text = f"{each.unique_id}: the documents before are {MOST_BYTES} bytes; ask for it alone"
            errors.append(RegistryError("XDSRepositoryOutOfResources", text, each.unique_id))
            break
        retrieved.append(found)
    if not retrieved:
        raise XDSRefusal(*errors)
    await check_record(request)
    parts = [Attachment(each.part, each.media_type, each.content) for each in retrieved]
    return response(retrieved, errors), parts


def refusal(errors: Sequence[RegistryError]) -> Node:
    """How the transaction as a whole fails."""
    return response((), errors)


async def _retrieve(wanted: Wanted, part: str, request: SOAPRequest) -> Retrieved:
    """Raises XDSRefusal, Unavailable."""
    server = request.server
    own = server.settings.xds_repository_id
    if wanted.repository.removeprefix("urn:oid:") != own:
        text = f"The repository {wanted.repository} is not this one, which is {own}"
        raise XDSRefusal(RegistryError("XDSUnknownRepositoryId", text, wanted.unique_id))
    document = await _document(wanted.unique_id, server)
    if document is None:
        raise _unknown(wanted, "There is no such document")
    try:
        path = f"{TYPE}/{document['id']}/$content"
        result = await server.perform(Request("GET", path, (("original", "true"),), {"accept": "*/*"}))
    except Unavailable:
        raise
    except FHIRError as error:
        raise _unknown(wanted, str(error)) from None
    content = result.body
    if result.stream is not None:
        content = b"".join([piece async for piece in result.stream])
    subject = document.get("subject", {}).get("reference", "")
    named = (subject, f"{TYPE}/{document['id']}")
    request.touched.extend(reference for reference in named if reference.startswith(_TOUCHED))
    stated = document.get("content", [{}])[0].get("attachment", {}).get("contentType", OCTETS)
    return Retrieved(wanted, media_type(stated), part, content)


async def _document(unique_id: str, server: Server) -> Resource | None:
    """The DocumentReference with a uniqueId, also one that was made for it. Raises Unavailable."""
    identifier = unique_id_to_identifier(unique_id)
    if identifier is None:
        return None
    found = await by_unique_id(TYPE, [unique_id], server)
    own = export.unique_id({"masterIdentifier": identifier})
    return next((each for each in found if export.unique_id(each) == own), None)


def _unknown(wanted: Wanted, text: str) -> XDSRefusal:
    context = f"{wanted.unique_id}: {text}"
    return XDSRefusal(RegistryError("XDSDocumentUniqueIdError", context, wanted.unique_id))
