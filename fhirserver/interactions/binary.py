"""https://hl7.org/fhir/R4/binary.html#rest: a Binary as its content, or as a resource"""

import asyncio
import re
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import pybase64

from fhirserver.errors import RangeNotSatisfiable
from fhirserver.interactions import forms, parts
from fhirserver.interactions.inert import INERT
from fhirserver.model import json, xml
from fhirserver.model.media_types import JSON, WILDCARDS, XML, MediaRange, ranges
from fhirserver.model.subset import Subset
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

HELD = 1024 * 1024
"""Content of more bytes is sent in pieces."""
_range = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII).fullmatch


async def result(stored: Stored, part: Subset, request: Request, server: "Server") -> Result:
    """The version as its content or as a resource.

    Raises:
        RangeNotSatisfiable.
    """
    if not _wants_resource(stored, request):
        shown = await _shown(stored, request, server)
        return shown or await _content(stored, request, server)
    answer = Result(200, etag=stored.etag, last_modified=stored.updated)
    if (
        request.streams
        and stored.blob
        and not part
        and (length := await server.blobs.length(stored.blob)) > HELD
    ):
        before, after = _around(stored, request, server)
        answer.content_type = request.format
        answer.length = len(before) + 4 * -(-length // 3) + len(after)
        answer.stream = _encoded(before, server.blobs.stream(stored.blob, 0, length), after)
    else:
        answer.body = await parts.shown(stored, part, server)
    return answer


# --- as a resource


def _wants_resource(stored: Stored, request: Request) -> bool:
    """Whether FHIR is asked for: by ``_format``, by its own name, or by a generic name where the content's
    type is not acceptable."""
    if any(name == "_format" for name, _ in request.query):
        return True
    own = stored.content_type.partition(";")[0].strip().lower()
    generic = False
    for wanted in ranges(request.headers.get("accept", "")):
        if wanted.quality <= 0:
            continue
        if "fhir+" in wanted.name:
            return True
        if wanted.name == own or wanted.name in WILDCARDS or _same_format(wanted, own):
            return False
        generic |= wanted.name.endswith(("/json", "/xml"))
    return generic


def _same_format(wanted: MediaRange, own: str) -> bool:
    """``application/json`` is what ``application/vnd.xacml+json`` is written in."""
    return own.endswith((f"+{wanted.name.partition('/')[2]}", f"/{wanted.name.partition('/')[2]}"))


def _around(stored: Stored, request: Request, server: "Server") -> tuple[bytes, bytes]:
    """The resource before and after its content: ``data`` is the last element of a Binary."""
    if request.format == XML:
        text = xml.format(json.stored(stored.body), server.definitions).removesuffix(b"</Binary>")
        return text + b'<data value="', b'"/></Binary>'
    request.format = JSON
    return stored.body[:-1] + b',"data":"', b'"}'


async def _encoded(
    before: bytes, content: AsyncGenerator[bytes, None], after: bytes
) -> AsyncGenerator[bytes, None]:
    """Base64 as it is read: three bytes become four characters, the rest waits for the next piece."""
    yield before
    rest = b""
    async for piece in content:
        piece = rest + piece
        whole = len(piece) - len(piece) % 3
        yield pybase64.b64encode(piece[:whole])
        rest = piece[whole:]
    yield pybase64.b64encode(rest) + after


# --- as what is made of it


async def _shown(stored: Stored, request: Request, server: "Server") -> Result | None:
    """The file that a CDA document embeds, or its page, where that is wanted and the document is not; None:
    the content is served as it is."""
    own = stored.content_type.partition(";")[0].strip().lower()
    wanted = [each for each in ranges(request.headers.get("accept", "")) if each.quality > 0]
    if own not in forms.XML or not wanted or any(forms.matches(each, own) for each in wanted):
        return None
    made = await asyncio.to_thread(forms.made_of, await _bytes(stored, server))
    for each in wanted:
        for form in made:
            if forms.matches(each, form.media_type):
                headers = {**form.headers, "Vary": "Accept"}
                return Result(200, form.made, form.served_as, last_modified=stored.updated, headers=headers)
    return None


async def _bytes(stored: Stored, server: "Server") -> bytes:
    if stored.blob:
        return await server.blobs.get(stored.blob)
    return pybase64.b64decode(json.stored(stored.body).get("data", ""))


# --- as its content


async def _content(stored: Stored, request: Request, server: "Server") -> Result:
    resource = json.stored(stored.body)
    headers = dict(INERT)
    if context := resource.get("securityContext", {}).get("reference"):
        headers["X-Security-Context"] = context
    content = b"" if stored.blob else await _bytes(stored, server)
    length = await server.blobs.length(stored.blob) if stored.blob else len(content)
    wanted = _wanted(request, stored.etag, length)
    start, end = wanted or (0, length)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{length}"
    answer = Result(
        206 if wanted else 200, content[start:end], stored.content_type, stored.etag, stored.updated
    )
    answer.headers = headers
    if stored.blob:
        answer.stream, answer.length = server.blobs.stream(stored.blob, start, end), end - start
    return answer


def _wanted(request: Request, etag: str, length: int) -> tuple[int, int] | None:
    """The one range that is asked for, ``start <= n < end``; None is everything: no range, several, one that
    is not understood, or one of another version.

    A version's content never changes, so its weak ETag is good enough for If-Range.
    https://www.rfc-editor.org/rfc/rfc9110#section-14
    Raises:
        RangeNotSatisfiable: nothing is there.
    """
    found = _range(request.headers.get("range", ""))
    if not found or request.headers.get("if-range", etag) != etag:
        return None
    first, last = found.groups()
    if not (first or last) or (first and last and int(last) < int(first)):
        return None
    if first:
        start, end = int(first), min(length, int(last) + 1) if last else length
    else:
        start, end = max(0, length - int(last)), length
    if start >= end:
        raise RangeNotSatisfiable(
            f"The content has {length} bytes", headers={"Content-Range": f"bytes */{length}"}
        )
    return start, end
