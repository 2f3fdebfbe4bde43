"""``DocumentReference/[id]/$versions``: all versions of a document, the newest first.

Those it replaces or that replace it, and those of its set (CDA setId). docs/api/documents.md
"""

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fhirserver.errors import BadRequest, Gone, NotFound
from fhirserver.interactions.documents import is_version_of, set_identifier, set_version
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.operations import inputs
from fhirserver.operations.match import escape
from fhirserver.operations.searchset import entry, searchset
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

MOST = 200
"""So many versions of one document are shown."""

Found = dict[str, tuple[Stored, Resource]]
"""The versions by reference."""


async def versions(request: Request, server: "Server") -> Result:
    """The versions of a document as a searchset; on the type, of the document with an ``identifier``.

    Raises:
        BadRequest: no identifier.
        NotFound, Gone: there is no such document.
    """
    given = inputs.read(request, server, () if request.id else ("identifier",))
    first = await _first(given, request, server)
    found: Found = {first.reference: (first, json.stored(first.body))}
    waiting = [first.reference]
    while waiting and len(found) < MOST:
        stored, document = found[waiting.pop(0)]
        for other in await _beside(stored, document, server):
            if other.reference not in found and len(found) < MOST:
                found[other.reference] = (other, json.stored(other.body))
                waiting.append(other.reference)
    ordered = sorted(found.values(), key=_order, reverse=True)
    entries = list(await asyncio.gather(*(entry(stored, request, server) for stored, _ in ordered)))
    url = f"{request.base_url}/{request.path.strip('/')}"
    if given.given:
        url += f"?{urlencode([(name, str(value)) for name, value in given.given])}"
    return searchset(entries, {"self": url}, len(entries))


async def _first(given: inputs.Inputs, request: Request, server: "Server") -> Stored:
    if not request.id:
        token = given.text("identifier")
        if not token:
            raise BadRequest("The parameter identifier is missing", expression="identifier")
        query = server.compile("DocumentReference", [("identifier", token), ("_sort", "-_lastUpdated")])
        page = await server.repository.search(query, None, 1)
        if not page.resources:
            raise NotFound("No DocumentReference has this identifier", expression="identifier")
        return page.resources[0]
    check_id(request.id)
    stored = await server.repository.find(request.type, request.id)
    if stored is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if stored.deleted:
        raise Gone(f"{request.type}/{request.id} was deleted", headers={"ETag": stored.etag})
    return stored


async def _beside(stored: Stored, document: Resource, server: "Server") -> list[Stored]:
    """The documents directly before and after one: what it replaces, what replaces it, what is of its set."""
    named = (_replaced(relation, server) for relation in document.get("relatesTo", ()))
    before = await server.repository.find_many([("DocumentReference", id) for id in named if id])
    searches = [[("relatesto", stored.reference)]]
    if own := set_identifier(document):
        searches.append([("identifier", f"{escape(own.get('system', ''))}|{escape(own['value'])}")])
    queries = [server.compile("DocumentReference", pairs) for pairs in searches]
    pages = await asyncio.gather(*(server.repository.search(query, None, MOST) for query in queries))
    after = [s for s in pages[0].resources if _replaces(json.stored(s.body), stored.reference, server)]
    same = [s for page in pages[1:] for s in page.resources if is_version_of(json.stored(s.body), document)]
    return [s for s in (*before, *after, *same) if s is not None and not s.deleted]


def _replaced(relation: Resource, server: "Server") -> str:
    """The id of the document that a relation replaces; "" for other relations."""
    parsed = reference.parse(str(relation.get("target", {}).get("reference", "")), server.base_url)
    return parsed.id if relation.get("code") == "replaces" and parsed.is_local else ""


def _replaces(document: Resource, target: str, server: "Server") -> bool:
    id = target.partition("/")[2]
    return any(_replaced(relation, server) == id for relation in document.get("relatesTo", ()))


def _order(version: tuple[Stored, Resource]) -> tuple[bool, int, int]:
    """The current one first, then by version number, then by when it was stored."""
    stored, document = version
    place = set_version(document)
    return document.get("status") == "current", place.number if place else 0, stored.updated
