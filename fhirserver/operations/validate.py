"""https://hl7.org/fhir/R4/resource-operation-validate.html"""

from typing import TYPE_CHECKING, Any

from fhirserver.errors import BadRequest, FHIRError, Issue
from fhirserver.interactions import claims, integrity, prepare
from fhirserver.model import json, outcome
from fhirserver.operations import inputs
from fhirserver.request import Request, Result
from fhirserver.storage.documents import Stored
from fhirserver.validation import language_of, located

if TYPE_CHECKING:
    from fhirserver.server import Server

MODES = ("", "create", "update", "delete", "profile")


async def validate(request: Request, server: "Server") -> Result:
    """Say whether a resource would be accepted: 200 and the issues, whatever they are.

    ``profile`` (repeatable) is checked in addition to what the resource claims; extensible bindings and
    extensions that are not known are told, too. On an instance without a resource, the stored one is
    validated. ``mode`` delete asks whether the instance could be deleted.
    """
    given = inputs.read(request, server, ("resource", "mode", "profile"), "resource")
    mode, resource = given.text("mode"), given.one("resource")
    if mode not in MODES:
        raise BadRequest(f"mode={mode[:40]} is not one of {', '.join(MODES[1:])}", expression="mode")
    if resource is not None and not isinstance(resource, dict):
        raise BadRequest("The parameter resource is not a resource", expression="resource")
    stored = await _stored(request, server) if request.id else None
    if mode == "delete":
        return Result(200, outcome.body(await _deletion(stored, request, server)))
    if resource is None:
        if stored is None or stored.deleted:
            raise BadRequest("There is no resource to validate", expression="resource")
        resource = json.stored(stored.body)
    issues = _content(resource, given, request, server)
    issues += _identity(mode, resource, request)
    if not any(issue.severity == "error" for issue in issues):
        unit = server.unit(request)
        issues += await integrity.missing(resource, unit, server, "warning")
    return Result(200, outcome.body(located(issues, request.body, within=_within(request))))


async def _stored(request: Request, server: "Server") -> Stored | None:
    prepare.check_id(request.id)
    return await server.repository.find(request.type, request.id)


def _content(
    resource: dict[str, Any], given: inputs.Inputs, request: Request, server: "Server"
) -> list[Issue]:
    asked = [p for p in given.all("profile") if isinstance(p, str) and p]
    asked += [url for url in claims.claimed(resource) if url in claims.PROFILES]
    issues = server.validator.validate(
        resource,
        language=language_of(request.headers.get("accept-language", "")),
        advice=True,
        profiles=[claims.known(profile, server) for profile in asked],
    )
    if resource.get("resourceType") != request.type:
        text = f"The resource is a {resource.get('resourceType')}, the URL says {request.type}"
        issues = [Issue("error", "invalid", text, "resourceType"), *issues]
    return issues


def _within(request: Request) -> str:
    """The way to the resource in the body, which may be Parameters."""
    if not request.body or b"Parameters" not in request.body[:_START]:
        return ""
    resource = json.parse(request.body) if request.body.lstrip()[:1] == b"{" else {}
    for index, parameter in enumerate(resource.get("parameter", ())):
        if parameter.get("name") == "resource":
            return f"parameter[{index}].resource"
    return ""


_START = 4096


def _identity(mode: str, resource: dict[str, Any], request: Request) -> list[Issue]:
    """What an update wants beyond the content."""
    if mode != "update":
        return []
    place = f"{request.type}.id"
    if not resource.get("id"):
        return [Issue("error", "required", "An update needs the resource's id", place)]
    if request.id and resource["id"] != request.id:
        return [Issue("error", "invalid", f"The resource's id is not the URL's {request.id}", place)]
    return []


async def _deletion(stored: Stored | None, request: Request, server: "Server") -> list[Issue]:
    if not request.id:
        raise BadRequest("mode=delete is for an instance: [type]/[id]/$validate", expression="mode")
    if stored is None or stored.deleted:
        return [Issue("warning", "not-found", f"There is no {request.type}/{request.id}")]
    try:
        await integrity.check_deletion(stored, server.unit(request), server)
    except FHIRError as error:
        return list(error.issues)
    return []
