"""https://hl7.org/fhir/R4/valueset-operation-expand.html"""

import uuid
from typing import TYPE_CHECKING, Any

from fhirserver.errors import BadRequest, NotFound, Unprocessable
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.operations import coded, inputs
from fhirserver.operations.inputs import Inputs
from fhirserver.request import Request, Result
from fhirserver.storage.documents import instant
from fhirserver.storage.repository import now
from fhirserver.terminology.expansion import Asked, Expansion, Unknown, nested
from fhirserver.terminology.expansion import expand as expanded
from fhirserver.terminology.sources import Sources
from fhirserver.terminology.terminology import EXPANSION_PARAMETERS
from fhirserver.terminology.value_sets import ValueSet

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS = (*EXPANSION_PARAMETERS, "date", "excludePostCoordinated", *coded.NOT_HERE)
ECHOED = {
    "filter": "valueString",
    "offset": "valueInteger",
    "count": "valueInteger",
    "activeOnly": "valueBoolean",
    "includeDesignations": "valueBoolean",
    "excludeNested": "valueBoolean",
    "excludeNotForUI": "valueBoolean",
    "displayLanguage": "valueCode",
    "property": "valueString",
    "exclude-system": "valueUri",
    "system-version": "valueUri",
    "check-system-version": "valueUri",
    "force-system-version": "valueUri",
}


async def expand(request: Request, server: "Server") -> Result:
    """The codes of a value set: flat, unless excludeNested is false."""
    given = inputs.read(request, server, PARAMETERS, "valueSet")
    coded.refuse_context(given)
    asked = _asked(given, request)
    await coded.check_instance(request, server)
    find = coded.asked_value_set(given, request, server)

    def evaluate(sources: Sources) -> tuple[ValueSet, Expansion]:
        set = find(sources)
        return set, expanded(sources, set, asked)

    try:
        set, expansion = await server.terminology.ask(evaluate)
    except (NotFound, Unknown) as reason:
        return await coded.elsewhere("ValueSet/$expand", given, server, reason)
    for canonical in given.all("check-system-version"):
        system, _, version = canonical.partition("|")
        if expansion.used.get(system, version) != version:
            raise Unprocessable(f"The version of {system} is {expansion.used[system]}, not {version}")
    return Result(200, json.format(_resource(set, expansion, asked, given)))


def _resource(set: ValueSet, expansion: Expansion, asked: Asked, given: Inputs) -> Resource:
    resource: Resource = {"resourceType": "ValueSet", "status": "active", **set.resource}
    if not given.flag("includeDefinition"):
        resource.pop("compose", None)
    if "url" not in resource and set.url:
        resource["url"] = set.url.partition("|")[0]
    made: dict[str, Any] = {
        "identifier": f"urn:uuid:{uuid.uuid4()}",
        "timestamp": instant(now()),
        "total": expansion.total,
    }
    if asked.offset or asked.count is not None:
        made["offset"] = asked.offset
    parameters = [_echo(name, value) for name, value in given.given if name in ECHOED]
    parameters += [
        {"name": "version", "valueUri": f"{system}|{version}"}
        for system, version in expansion.used.items()
        if version
    ]
    if parameters:
        made["parameter"] = parameters
    contains = nested(expansion, asked) if asked.nested else [m.shown(asked) for m in expansion.members]
    if contains:
        made["contains"] = contains
    return resource | {"expansion": made}


def _echo(name: str, value: str) -> dict[str, Any]:
    match ECHOED[name]:
        case "valueInteger":
            return {"name": name, "valueInteger": int(value)}
        case "valueBoolean":
            return {"name": name, "valueBoolean": value == "true"}
        case type:
            return {"name": name, type: value}


def _asked(given: Inputs, request: Request) -> Asked:
    count = given.text("count")
    return Asked(
        text=given.text("filter"),
        offset=_whole(given, "offset"),
        count=_whole(given, "count") if count else None,
        designations=given.flag("includeDesignations"),
        properties=tuple(dict.fromkeys(given.all("property"))),
        languages=tuple(token.rpartition("|")[2] for token in given.all("designation")),
        language=given.text("displayLanguage") or request.headers.get("accept-language", ""),
        active=given.flag("activeOnly"),
        nested=given.text("excludeNested") == "false",
        selectable=given.flag("excludeNotForUI"),
        without=tuple(canonical.partition("|")[0] for canonical in given.all("exclude-system")),
        versions=_versions(given, "system-version"),
        forced=_versions(given, "force-system-version"),
    )


def _whole(given: Inputs, name: str) -> int:
    text = given.text(name)
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"{name}={text[:40]} is not a whole number", expression=name)
    return int(text or 0)


def _versions(given: Inputs, name: str) -> dict[str, str]:
    found = {}
    for canonical in given.all(name):
        system, _, version = canonical.partition("|")
        if not system or not version:
            raise BadRequest(f"{name}={canonical[:200]} is not system|version", expression=name)
        found[system] = version
    return found
