"""``DocumentReference/$xdm``: documents of one patient as an IHE XDM zip, their metadata in XDS.

https://profiles.ihe.net/ITI/TF/Volume2/ITI-32.html. docs/api/documents.md
"""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from fhirserver.errors import BadRequest, Issue, NotFound, TooCostly, Unprocessable
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.operations import inputs
from fhirserver.operations.content import bytes_of, original_of
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.repository import now
from mappings.core import result as mapped
from mappings.xds import export

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS: Final = ("document", "patient")
MEDIA_TYPE: Final = "application/zip"
FILE: Final = "IHE_XDM.zip"
MOST: Final = 200
"""So many documents are in one zip at most."""
MOST_BYTES: Final = 128 * 1024 * 1024
DEPTH: Final = 3
"""So far references are followed: a document's author, the role's person, the person's organization."""


async def xdm(request: Request, server: "Server") -> Result:
    """The document of the URL, those that ``document`` names, or all current ones of ``patient``.

    Raises:
        BadRequest: nothing is named, or several patients are concerned.
        NotFound: there is no such document.
        TooCostly: they are too many or too large for one zip.
        Unprocessable: a document's content is kept elsewhere.
    """
    references = await _chosen(request, server)
    if not references:
        raise NotFound("There is no document of that patient to export")
    if len({each.get("subject", {}).get("reference", "") for each in references}) > 1:
        raise BadRequest(
            "The documents are of several patients; a submission is of one", expression="document"
        )
    documents = await _documents(references, server)
    known = await referred(references, server)
    issues: list[mapped.Issue] = []
    body = await asyncio.to_thread(
        export.xdm,
        documents,
        source_id=server.settings.xds_source_id,
        time=instant(now()),
        resolve=known.get,
        issues=issues,
    )
    headers = {"Content-Disposition": f'attachment; filename="{FILE}"'}
    return Result(200, body, MEDIA_TYPE, headers=headers)


async def _chosen(request: Request, server: "Server") -> list[Resource]:
    given = inputs.read(request, server, () if request.id else PARAMETERS)
    ids = [request.id] if request.id else [_id(text) for text in given.all("document")]
    if ids:
        if len(ids) > MOST:
            raise TooCostly(f"{len(ids)} documents are named; at most {MOST} are in one zip")
        found = await asyncio.gather(*(_document(id, server) for id in dict.fromkeys(ids)))
        return [json.stored(stored.body) for stored in found]
    patient = given.text("patient")
    if not patient:
        raise BadRequest("Neither document nor patient is given", expression="patient")
    pairs = [("patient", patient), ("status", "current"), ("_sort", "date")]
    page = await server.repository.search(server.compile("DocumentReference", pairs), None, MOST)
    if page.next:
        raise TooCostly(f"The patient has more than {MOST} current documents: name those that are wanted")
    return [json.stored(stored.body) for stored in page.resources]


def _id(text: str) -> str:
    id = text.removeprefix("DocumentReference/")
    check_id(id)
    return id


async def _document(id: str, server: "Server") -> Stored:
    stored = await server.repository.find("DocumentReference", id)
    if stored is None or stored.deleted:
        raise NotFound(f"There is no DocumentReference/{id}", expression="document")
    return stored


async def _documents(references: list[Resource], server: "Server") -> list[export.Document]:
    documents, size = [], 0
    for each in references:
        attachment = next((c["attachment"] for c in each.get("content", ()) if "attachment" in c), None)
        if attachment is None:
            text = f"DocumentReference/{each['id']} has no content"
            raise Unprocessable(text, issues=[Issue("error", "not-found", text, "DocumentReference.content")])
        content = await bytes_of(await original_of(attachment, server), server)
        size += len(content)
        if size > MOST_BYTES:
            raise TooCostly(f"The documents are more than {MOST_BYTES} bytes: name fewer")
        documents.append(export.Document(each, content))
    return documents


async def referred(resources: list[Resource], server: "Server") -> dict[str, Resource]:
    """What the documents refer to, by its literal reference; what is not here is left out."""
    known: dict[str, Resource] = {}
    wanted = set(_literals(resources))
    for _ in range(DEPTH):
        found = await asyncio.gather(*(_resource(literal, server) for literal in wanted))
        fresh = {literal: each for literal, each in zip(wanted, found, strict=True) if each}
        known |= fresh
        wanted = set(_literals(list(fresh.values()))) - known.keys()
    return known


async def _resource(literal: str, server: "Server") -> Resource | None:
    parsed = reference.parse(literal, server.base_url)
    if not parsed.is_local or parsed.type not in server.types or parsed.type == "Binary":
        return None
    stored = await server.repository.find(parsed.type, parsed.id)
    return json.stored(stored.body) if stored and not stored.deleted else None


def _literals(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(literal := value.get("reference"), str) and not literal.startswith("#"):
            yield literal
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            if isinstance(each, dict | list):
                yield from _literals(each)
