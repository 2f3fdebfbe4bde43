"""Bundles that operations answer with: https://hl7.org/fhir/R4/bundle.html#searchset"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fhirserver.interactions import parts
from fhirserver.model import json
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server


async def entry(
    stored: Stored, request: Request, server: "Server", mode: str = "match", **search: Any
) -> bytes:
    """An entry spliced from the stored body; ``search`` is more of its search element (``score``)."""
    url = json.format(f"{request.base_url}/{stored.reference}")
    body = await parts.full_body(stored, server)
    facts = json.format({**search, "mode": mode})
    return b'{"fullUrl":' + url + b',"resource":' + body + b',"search":' + facts + b"}"


def searchset(entries: Sequence[bytes], links: Mapping[str, str], total: int | None = None) -> Result:
    """The Bundle; ``links`` are urls by relation, those that are empty are left out."""
    listed = [{"relation": relation, "url": url} for relation, url in links.items() if url]
    head = b'{"resourceType":"Bundle","type":"searchset"'
    if total is not None:
        head += b',"total":%d' % total
    if listed:
        head += b',"link":' + json.format(listed)
    if entries:
        head += b',"entry":[' + b",".join(entries) + b"]"
    return Result(200, head + b"}")
