"""Stored versions as they are shown: whole, or the part that ``_summary`` and ``_elements`` ask for."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pybase64

from fhirserver.model import json, subset
from fhirserver.model.subset import Subset, mark
from fhirserver.request import Request
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

WHOLE = Subset()
LARGE = 1024 * 1024
"""A Binary's content of more bytes is in no Bundle that lists it among others."""


def asked(request: Request, types: Iterable[str], server: "Server") -> Subset:
    """Raises BadRequest: a summary or an element that there is not."""
    if not request.query:
        return WHOLE
    summary, elements = request.parameter("_summary"), request.parameter("_elements")
    return subset.parse(summary, elements, types, server.definitions) if summary or elements else WHOLE


async def shown(stored: Stored, part: Subset, server: "Server") -> bytes:
    """The JSON of a version, or of a part of it."""
    if not part:
        return await full_body(stored, server)
    body = await full_body(stored, server) if stored.blob and part.has("data") else stored.body
    return json.format(part.of(json.stored(body), server.definitions))


async def listed(stored: Stored, part: Subset, server: "Server") -> bytes:
    """As ``shown``, for one of many: a Binary's large content is left out, and the rest marked as a part."""
    if not part and stored.blob and await server.blobs.length(stored.blob) > LARGE:
        return json.format(mark(json.stored(stored.body)))
    return await shown(stored, part, server)


async def full_body(stored: Stored, server: "Server") -> bytes:
    """The resource's JSON, a Binary's content put back where it is kept apart."""
    if not stored.blob:
        return stored.body
    content = await server.blobs.get(stored.blob)
    return stored.body[:-1] + b',"data":"' + pybase64.b64encode(content) + b'"}'
