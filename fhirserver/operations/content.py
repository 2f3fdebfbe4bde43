"""``DocumentReference/[id]/$content``: a document as people read it.

The PDF (text, picture) that a level 1 CDA embeds, a page made of the narrative of a structured one, or the
original bytes: what the Accept header asks for, else the first of these that there is. docs/api/documents.md
"""

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import pybase64

from fhirserver.errors import Gone, NotAcceptable, NotFound, Unprocessable
from fhirserver.interactions import binary
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.model.media_types import WILDCARDS, MediaRange, ranges
from fhirserver.model.subset import Subset
from fhirserver.operations import inputs
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored
from mappings import cda
from mappings.core.result import Unreadable

if TYPE_CHECKING:
    from fhirserver.server import Server

HTML: Final = "text/html"
XML: Final = ("text/xml", "application/xml", "application/xslt+xml", "application/hl7-cda+xml")
PAGE: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src '{cda.STYLE_HASH}'; img-src data:; base-uri 'none'; "
        "form-action 'none'; sandbox allow-popups"
    ),
    "Referrer-Policy": "no-referrer",
}
"""Sent with a page: even if something slipped into it, it could do nothing and load nothing."""

_ENDING: Final = {
    "application/pdf": "pdf",
    "image/jpeg": "jpg",
    "image/tiff": "tif",
    "image/png": "png",
    "text/rtf": "rtf",
    "application/rtf": "rtf",
    "text/plain": "txt",
    HTML: "html",
    **dict.fromkeys(XML, "xml"),
}
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Form:
    """One way to show a document: its media type, and what is behind it (a Binary, or bytes made here)."""

    media_type: str
    stored: Stored | None = None
    made: bytes = b""


async def content(request: Request, server: "Server") -> Result:
    """The document in the form that is wanted most; ``original=true`` gives the bytes as they were received.

    Raises:
        NotFound, Gone: there is no such DocumentReference, or its content is not here.
        NotAcceptable: it has no form of a wanted type; the text names those it has.
        Unprocessable: its content is kept elsewhere.
    """
    given = inputs.read(request, server, ("original",))
    document = await found(request, server)
    attachments = [each.get("attachment", {}) for each in document.get("content", ())]
    if not attachments:
        raise NotFound(f"{request.type}/{request.id} has no content", expression="DocumentReference.content")
    originals = [await original_of(attachment, server) for attachment in attachments]
    if given.flag("original"):
        return await _answer(originals[0], request, server)
    chosen = _choose(await _forms(originals, server), request)
    return await _answer(chosen, request, server)


async def found(request: Request, server: "Server") -> Resource:
    check_id(request.id)
    stored = await server.repository.find(request.type, request.id)
    if stored is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if stored.deleted:
        raise Gone(f"{request.type}/{request.id} was deleted", headers={"ETag": stored.etag})
    return json.stored(stored.body)


async def original_of(attachment: Resource, server: "Server") -> Form:
    """What an attachment holds or points to."""
    media_type = str(attachment.get("contentType", "")).partition(";")[0].strip().lower()
    if "data" in attachment:
        return Form(media_type or "application/octet-stream", made=pybase64.b64decode(attachment["data"]))
    url = str(attachment.get("url", ""))
    parsed = reference.parse(url, server.base_url)
    if not parsed.id or parsed.type != "Binary" or parsed.base not in ("", server.base_url):
        text = "The document's content is not kept here; DocumentReference.content.attachment.url says where"
        raise Unprocessable(text, expression="DocumentReference.content.attachment.url")
    stored = await server.repository.find("Binary", parsed.id)
    if stored is None or stored.deleted:
        raise NotFound("The document's content is not here", expression="DocumentReference.content")
    own = stored.content_type.partition(";")[0].strip().lower()
    return Form(own or media_type, stored)


async def _forms(originals: list[Form], server: "Server") -> list[Form]:
    """All forms, the best for people first: files that show themselves, what is in the CDA, the original."""
    files = [form for form in originals if form.media_type not in XML]
    first = next((form for form in originals if form.media_type in XML), None)
    if first is None:
        return files
    made = [] if files else await _made(first, server)
    return [*files, *made, *(form for form in originals if form.media_type in XML)]


async def _made(original: Form, server: "Server") -> list[Form]:
    """What can be made of a CDA document; nothing of other XML."""
    raw = await bytes_of(original, server)
    return await asyncio.to_thread(_read, raw)


def _read(raw: bytes) -> list[Form]:
    try:
        document = cda.read(raw)
        inside = document.content
    except Unreadable:
        return []
    if inside is not None:
        media_type = inside.media_type.lower()
        return [Form(media_type, made=inside.data)] if _MEDIA_TYPE.fullmatch(media_type) else []
    return [Form(HTML, made=cda.to_page(document))] if document.level > 1 else []


async def bytes_of(form: Form, server: "Server") -> bytes:
    if form.stored is None:
        return form.made
    if form.stored.blob:
        return await server.blobs.get(form.stored.blob)
    return pybase64.b64decode(json.stored(form.stored.body).get("data", ""))


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _choose(forms: list[Form], request: Request) -> Form:
    """The first form of the range that is wanted most. FHIR's own formats are wrappers of any form."""
    accept = request.headers.get("accept", "")
    if not accept or _wants_resource(request):
        return forms[0]
    wanted = ranges(accept)
    refused = {each.name for each in wanted if each.quality <= 0}
    for each in wanted:
        if each.quality <= 0:
            continue
        for form in forms:
            if form.media_type not in refused and _matches(each, form.media_type):
                return form
    known = ", ".join(dict.fromkeys(form.media_type for form in forms))
    raise NotAcceptable(f"The document can be had as {known}")


def _matches(wanted: MediaRange, media_type: str) -> bool:
    """Browsers accept any XML at a lower quality: that is no wish to see the original."""
    if wanted.name in WILDCARDS:
        return wanted.name == "*/*" or media_type.startswith(wanted.name[:-1])
    if wanted.name.endswith("/*"):
        return media_type.startswith(wanted.name[:-1])
    return wanted.name == media_type or (wanted.quality >= 1 and wanted.name in XML and media_type in XML)


def _wants_resource(request: Request) -> bool:
    if any(name == "_format" for name, _ in request.query):
        return True
    named = ranges(request.headers.get("accept", ""))
    return bool(named) and "fhir+" in named[0].name


async def _answer(form: Form, request: Request, server: "Server") -> Result:
    name = f"{request.id}.{_ENDING.get(form.media_type, 'bin')}"
    if form.stored is not None:
        asked = request
        if not _wants_resource(request):
            asked = replace(request, query=(), headers={**request.headers, "accept": form.media_type})
        result = await binary.result(form.stored, Subset(), asked, server)
        request.format = asked.format
    elif _wants_resource(request):
        data = pybase64.b64encode_as_string(form.made)
        resource: dict[str, Any] = {"resourceType": "Binary", "contentType": form.media_type, "data": data}
        return Result(200, json.format(resource))
    else:
        text = form.media_type.startswith("text/") and _is_utf8(form.made)
        media_type = f"{form.media_type}; charset=utf-8" if text else form.media_type
        result = Result(
            200, form.made, media_type, headers=dict(PAGE if form.media_type == HTML else binary.INERT)
        )
        result.headers.pop("Accept-Ranges", None)
    if not _wants_resource(request):
        result.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return result
