"""From a body to the version that is stored: the checks and the marks every write shares."""

import binascii
import hashlib
import uuid
from typing import TYPE_CHECKING

import pybase64

from fhirserver.errors import BadRequest, FHIRError, MalformedBody, TooLarge, UnsupportedMediaType
from fhirserver.interactions import claims, links
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.model.subset import is_subsetted
from fhirserver.request import Request
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.repository import now
from fhirserver.validation import language_of

if TYPE_CHECKING:
    from fhirserver.server import Server

MEDIA_TYPES = ("application/fhir+json", "application/json", "text/json")
XML_MEDIA_TYPES = ("application/fhir+xml", "application/xml", "text/xml")
INLINE_CONTENT = 64 * 1024
"""A Binary's content beyond this many bytes is kept in the blob store."""


class Invalid(BadRequest):
    """The resource fails the base specification's rules: status 400, https://hl7.org/fhir/R4/http.html#create"""


def read_body(request: Request, server: "Server") -> Resource:
    """The resource a request carries: decoded, or a Binary made of a raw body.

    Raises:
        MalformedBody: not JSON or XML, or not a resource.
        UnsupportedMediaType: a type of body that is not read here.
    """
    if request.resource is not None:
        return request.resource
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if request.type == "Binary" and media_type and request.interaction in ("create", "update"):
        return _binary(media_type, request, server)
    if media_type in MEDIA_TYPES:
        return json.parse_resource(request.body)
    if media_type in XML_MEDIA_TYPES:
        return server.parse_xml(request.body)
    known = ", ".join((*MEDIA_TYPES, "application/fhir+xml"))
    got = f"Content-Type {media_type}" if media_type else "A body without Content-Type"
    raise UnsupportedMediaType(f"{got} is not read here; use one of {known}")


def accept(resource: Resource, request: Request, server: "Server") -> Resource:
    """The resource as it is going to be stored: valid, of the URL's type, absolute references to this server
    made relative.

    Raises:
        BadRequest: another type than the URL's.
        Invalid: with every issue found, each with its FHIRPath.
        Unprocessable: it is not what it claims of IHE MHD, and the setting ``mhd_profiles`` refuses that.
    """
    if resource.get("resourceType") != request.type:
        raise BadRequest(
            f"The body is a {resource.get('resourceType')}, the URL says {request.type}",
            expression="resourceType",
        )
    resource = links.relative(resource, frozenset((server.base_url, request.base_url)) - {""})
    if is_subsetted(resource):
        raise BadRequest(
            "The body is tagged SUBSETTED: a part of a resource must not replace the whole",
            expression=f"{request.type}.meta.tag",
        )
    accept_language = request.headers.get("accept-language", "")
    resource = claims.of_write(resource, request.method, accept_language, server)
    language = language_of(accept_language)
    issues = server.validator.validate(resource, language=language)
    errors = [issue for issue in issues if issue.severity in ("error", "fatal")]
    if errors:
        raise Invalid("The resource is not valid", issues=issues)
    return resource


def new_id() -> str:
    return str(uuid.uuid4())


def same(resource: Resource, stored: Stored, blob: str = "") -> bool:
    """Whether storing the resource would change nothing but its version and time; ``blob`` is the digest of
    the content of a Binary that is stored already."""
    if stored.deleted or (blob and blob != stored.blob):
        return False
    if stored.blob and not blob:
        data = resource.get("data", "")
        resource = {name: value for name, value in resource.items() if name != "data"}
        if hashlib.sha256(_decode(data)).hexdigest() != stored.blob:
            return False
    return _content(resource) == _content(json.stored(stored.body))


async def version(resource: Resource, request: Request, previous: Stored | None, server: "Server") -> Stored:
    """The next version of a resource: id and ``meta`` set, encoded; a Binary's large content moved aside.

    Raises:
        TooLarge: beyond the setting ``max_resource``.
        Unprocessable: a Subscription that this server could not serve, a SearchParameter it could not search.
    """
    if request.type == "Subscription" and server.subscriptions:
        resource = server.subscriptions.accept(resource)
    if request.type == "SearchParameter" and server.search_parameters:
        await server.search_parameters.accept({**resource, "id": request.id})
    number = previous.version + 1 if previous else 1
    updated = max(now(), previous.updated + 1000) if previous else now()
    meta = {**resource.get("meta", {}), "versionId": str(number), "lastUpdated": instant(updated)}
    marked: Resource = {"resourceType": request.type, "id": request.id, "meta": meta}
    marked |= {name: value for name, value in resource.items() if name not in marked}
    blob = content_type = ""
    if request.blob:
        blob, content_type = request.blob, marked["contentType"]
    elif request.type == "Binary" and len(data := marked.get("data", "")) > INLINE_CONTENT * 4 // 3:
        content = _decode(data)
        blob, content_type = await server.blobs.put(content), marked["contentType"]
        del marked["data"]
    elif request.type == "Binary":
        content_type = marked["contentType"]
    body = json.format(marked)
    if len(body) > server.settings.max_resource:
        raise TooLarge(
            f"The {request.type} is {len(body)} bytes; at most {server.settings.max_resource} are stored "
            "in a resource. Put large content into a Binary and refer to it"
        )
    return Stored(request.type, request.id, number, updated, request.method, body, blob, content_type)


def check_id(id: str) -> None:
    """https://hl7.org/fhir/R4/datatypes.html#id"""
    if not reference.is_id(id):
        raise BadRequest("A logical id is 1 to 64 of the characters A-Z a-z 0-9 - .", expression="id")


def location(stored: Stored, request: Request) -> str:
    return f"{request.base_url}/{stored.reference}/_history/{stored.version}"


def etag_versions(header: str) -> set[str] | None:
    """The versions an If-Match header names (weak or strong, a list); None for ``*``.

    Raises:
        BadRequest: not an ETag.
    """
    versions = set()
    for part in header.split(","):
        tag = part.strip().removeprefix("W/")
        if tag == "*":
            return None
        if len(tag) < 3 or tag[0] != '"' or tag[-1] != '"':
            raise BadRequest(f'If-Match {part.strip()} is not an ETag such as W/"3"')
        versions.add(tag[1:-1])
    return versions


def _binary(media_type: str, request: Request, server: "Server") -> Resource:
    """The body where it is a Binary resource, else a Binary with the body as its content.

    https://hl7.org/fhir/R4/binary.html#rest
    """
    resource: Resource = {}
    try:
        if media_type in MEDIA_TYPES:
            resource = json.parse_resource(request.body)
        elif media_type in XML_MEDIA_TYPES:
            resource = server.parse_xml(request.body)
    except MalformedBody:
        if "fhir+" in media_type:
            raise
    return resource if resource.get("resourceType") == "Binary" else _raw_binary(request)


def _raw_binary(request: Request) -> Resource:
    content_type = request.headers["content-type"].strip()
    binary: Resource = {"resourceType": "Binary", "contentType": content_type}
    if context := request.headers.get("x-security-context"):
        binary["securityContext"] = {"reference": context}
    if request.body:  # not where the content is a blob already
        binary["data"] = pybase64.b64encode_as_string(request.body)
    if request.id:
        binary["id"] = request.id
    return binary


def _decode(data: str) -> bytes:
    try:
        return pybase64.b64decode(data, validate=True)
    except binascii.Error:
        data = "".join(data.split())  # FHIR allows white space in between
    try:
        return pybase64.b64decode(data, validate=True)
    except binascii.Error:
        raise FHIRError("Binary content passed validation but is not base64") from None


def _content(resource: Resource) -> bytes:
    """The resource without what the server sets, as bytes to compare."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    rest = {k: v for k, v in resource.items() if k not in ("meta", "id")}
    return json.format_sorted({**rest, "meta": meta})
