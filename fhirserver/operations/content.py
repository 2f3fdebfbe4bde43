"""``DocumentReference/[id]/$content``: a document as people read it.

The PDF (text, picture) that a level 1 CDA embeds, a page made of the narrative of a structured one, or the
original bytes: what the Accept header asks for, else the first of these that there is. docs/api/documents.md
"""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pybase64

from fhirserver.errors import Gone, NotAcceptable, NotFound, Unprocessable
from fhirserver.interactions import binary
from fhirserver.interactions.forms import HTML, XML, Form, attached_to, made_of, matches
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.model.media_types import ranges
from fhirserver.model.subset import Subset
from fhirserver.operations import inputs
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server

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


async def content(request: Request, server: "Server") -> Result:
    """The document in the form that is wanted most; ``original=true`` gives the bytes as they were received,
    ``attachment`` a file that is attached to a section of it.

    Raises:
        NotFound, Gone: there is no such DocumentReference, or its content is not here.
        NotAcceptable: it has no form of a wanted type; the text names those it has.
        Unprocessable: its content is kept elsewhere.
    """
    given = inputs.read(request, server, ("original", "attachment"))
    document = await found(request, server)
    attachments = [each.get("attachment", {}) for each in document.get("content", ())]
    if not attachments:
        raise NotFound(f"{request.type}/{request.id} has no content", expression="DocumentReference.content")
    originals = [await original_of(attachment, server) for attachment in attachments]
    if given.flag("original"):
        return await _answer(originals[0], request, server)
    if name := given.text("attachment"):
        return await _answer(await _attached(name, originals, server), request, server)
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


async def _attached(name: str, originals: list[Form], server: "Server") -> Form:
    """Raises NotFound with the names that there are."""
    files: dict[str, Form] = {}
    for original in originals:
        if original.media_type in XML:
            files |= await asyncio.to_thread(attached_to, await bytes_of(original, server))
    if name not in files:
        known = ", ".join(sorted(files)) or "none"
        raise NotFound(f"There is no file {name[:64]!r} attached; there are {known}", expression="attachment")
    return files[name]


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
    return await asyncio.to_thread(made_of, raw)


async def bytes_of(form: Form, server: "Server") -> bytes:
    if form.stored is None:
        return form.made
    if form.stored.blob:
        return await server.blobs.get(form.stored.blob)
    return pybase64.b64decode(json.stored(form.stored.body).get("data", ""))


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
            if form.media_type not in refused and matches(each, form.media_type):
                return form
    known = ", ".join(dict.fromkeys(form.media_type for form in forms))
    raise NotAcceptable(f"The document can be had as {known}")


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
        result = Result(200, form.made, form.served_as, headers=form.headers)
    if not _wants_resource(request):
        result.headers["Content-Disposition"] = f'inline; filename="{name}"'
    return result
