"""https://hl7.org/fhir/R4/http.html#patch"""

from typing import TYPE_CHECKING

import pybase64

from fhirserver.errors import (
    BadRequest,
    Gone,
    MalformedBody,
    MethodNotAllowed,
    NotFound,
    Unprocessable,
    UnsupportedMediaType,
)
from fhirserver.interactions import prepare
from fhirserver.interactions.criteria import encode, single_match
from fhirserver.interactions.documents import IS_ARCHIVED, with_confidentiality
from fhirserver.interactions.unit import Unit
from fhirserver.interactions.update import check_match, store
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.patch import apply_fhirpath_patch, apply_json_patch, apply_xml_patch
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

JSON_PATCH = "application/json-patch+json"
XML_PATCH = "application/xml-patch+xml"
MEDIA_TYPES = (JSON_PATCH, XML_PATCH, "application/fhir+json", "application/fhir+xml")
PATCHED_OF_DOCUMENTS = frozenset(("status", "docStatus", "securityLabel", "meta", "text"))
"""Beside the extension isArchived."""


async def patch(request: Request, server: "Server") -> Result:
    """Apply the operations to the current version and store the outcome as an update.

    An outcome that is no valid resource is 422: the request is well formed, what it would lead to is not.
    """
    prepare.check_id(request.id)
    media_type, content = _read(request, server)

    async def attempt() -> Result:
        previous = await server.repository.find(request.type, request.id)
        return await _patch(media_type, content, previous, server.unit(request), request, server)

    return await server.repeat(attempt, request)


async def conditional_patch(request: Request, server: "Server") -> Result:
    """Patch the one resource that matches: none is 404, several are 412."""
    criteria = encode(request.query)
    media_type, content = _read(request, server)

    async def attempt() -> Result:
        unit = server.unit(request)
        previous = await single_match(request.type, criteria, server, unit)
        if previous is None:
            raise NotFound(f"The criteria match no {request.type}")
        request.id = previous.id
        return await _patch(media_type, content, previous, unit, request, server)

    return await server.repeat(attempt, request)


async def _patch(
    media_type: str,
    content: bytes | Resource,
    previous: Stored | None,
    unit: Unit,
    request: Request,
    server: "Server",
) -> Result:
    check_match(request, previous)
    if previous is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if previous.deleted:
        raise Gone(f"{request.type}/{request.id} was deleted", headers={"ETag": previous.etag})
    before = json.stored(previous.body)
    after = _apply(media_type, content, before, server)
    for name, old, new in (
        ("resourceType", before["resourceType"], after.get("resourceType")),
        ("id", before["id"], after.get("id")),
        ("meta.versionId", before["meta"]["versionId"], _version(after)),
    ):
        if old != new:
            raise Unprocessable(f"A patch cannot change {name}", expression=f"{request.type}.{name}")
    if request.type == "DocumentReference" and server.settings.document_patch == "metadata":
        _check_metadata(before, after)
        after = with_confidentiality(before, after)
    try:
        after = prepare.accept(after, request, server)
    except prepare.Invalid as error:
        raise Unprocessable("The outcome of the patch is not valid", issues=error.issues) from None
    return await store(_with_safe_narrative(before, after), previous, unit, request, server)


def _check_metadata(before: Resource, after: Resource) -> None:
    """Of a document only what says who sees it and whether it holds is patched: PDSm 3.1, as ITI-57.

    Raises:
        MethodNotAllowed: something else would change.
    """
    was, becomes = (_without_archived(one) for one in (before, after))
    for name in sorted({*was, *becomes} - PATCHED_OF_DOCUMENTS):
        if was.get(name) != becomes.get(name):
            raise MethodNotAllowed(
                f"{name} of a document is not patched; {', '.join(sorted(PATCHED_OF_DOCUMENTS))} and "
                "isArchived are (setting document_patch)",
                headers={"Allow": "GET, HEAD, PUT, PATCH, DELETE, OPTIONS"},
                expression=f"DocumentReference.{name}",
            )


def _without_archived(document: Resource) -> Resource:
    others = [
        e for e in document.get("extension", ()) if not isinstance(e, dict) or e.get("url") != IS_ARCHIVED
    ]
    rest = {name: value for name, value in document.items() if name != "extension"}
    return {**rest, "extension": others} if others else rest


def _with_safe_narrative(before: Resource, after: Resource) -> Resource:
    """The outcome without a narrative that was made from what is no longer there.

    http.html#patch: the narrative must not be clinically unsafe. A generated one is left out, as it can be
    made again; one that says more than the data cannot, so it has to be a part of the patch.

    Raises:
        Unprocessable: the data has changed, the narrative has not, and it says more than the data.
    """
    kept = before.get("text")
    aside = ("text", "meta")
    data = [{name: value for name, value in one.items() if name not in aside} for one in (before, after)]
    if not kept or after.get("text") != kept or data[0] == data[1] or kept.get("status") == "empty":
        return after
    if kept.get("status") == "additional":
        place = f"{after['resourceType']}.text"
        raise Unprocessable(
            "The narrative says more than the data: patch or remove it, too", expression=place
        )
    return {name: value for name, value in after.items() if name != "text"}


def _version(resource: Resource) -> object:
    meta = resource.get("meta")
    return meta.get("versionId") if isinstance(meta, dict) else None


def _apply(media_type: str, content: bytes | Resource, before: Resource, server: "Server") -> Resource:
    if isinstance(content, dict):
        return apply_fhirpath_patch(before, content, server.definitions)
    if media_type == JSON_PATCH:
        return apply_json_patch(before, json.parse(content))
    return apply_xml_patch(before, content, server.definitions)


def _read(request: Request, server: "Server") -> tuple[str, bytes | Resource]:
    """The patch: a valid Parameters resource, or the bytes of the other two.

    Raises:
        MethodNotAllowed: a Binary is content; there is nothing in it to patch.
        UnsupportedMediaType: it is none of the three.
        Invalid, MalformedBody: a body that is not what its Content-Type says.
    """
    if request.type == "Binary":
        raise MethodNotAllowed(
            "A Binary cannot be patched, only replaced", headers={"Allow": "GET, PUT, DELETE"}
        )
    if request.resource is not None:
        return _of_entry(request.resource, server)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type in (JSON_PATCH, XML_PATCH):
        return media_type, request.body
    if media_type in prepare.MEDIA_TYPES:
        return media_type, _parameters(json.parse_resource(request.body), server)
    if media_type in prepare.XML_MEDIA_TYPES:
        return media_type, _parameters(server.parse_xml(request.body), server)
    got = f"Content-Type {media_type}" if media_type else "A body without Content-Type"
    raise UnsupportedMediaType(
        f"{got} is no patch; known are {', '.join(MEDIA_TYPES)}",
        headers={"Accept-Patch": ", ".join(MEDIA_TYPES)},
    )


def _of_entry(resource: Resource, server: "Server") -> tuple[str, bytes | Resource]:
    """A Bundle's entry has the patch as Parameters, or as a Binary with the patch's own content type."""
    if resource.get("resourceType") == "Parameters":
        return "", _parameters(resource, server)
    if resource.get("resourceType") == "Binary":
        media_type = str(resource.get("contentType", "")).partition(";")[0].strip().lower()
        if media_type in (JSON_PATCH, XML_PATCH):
            try:
                return media_type, pybase64.b64decode(resource.get("data", ""), validate=True)
            except (ValueError, TypeError):
                raise MalformedBody("The Binary's data is not base64", expression="Binary.data") from None
    raise BadRequest(
        f"A PATCH entry has Parameters, or a Binary of type {JSON_PATCH} or {XML_PATCH}",
        expression=str(resource.get("resourceType", "")),
    )


def _parameters(resource: Resource, server: "Server") -> Resource:
    if resource.get("resourceType") != "Parameters":
        raise BadRequest(
            f"A FHIRPath Patch is a Parameters resource, not a {resource.get('resourceType')}",
            expression="resourceType",
        )
    if issues := [i for i in server.validator.validate(resource) if i.severity in ("error", "fatal")]:
        raise prepare.Invalid("The Parameters are not valid", issues=issues)
    return resource
