"""patch: JSON Patch, FHIRPath Patch, XML Patch. https://hl7.org/fhir/R4/http.html#patch"""

import json
from collections.abc import Mapping
from typing import Any

from conformance import expect
from conformance.checks import check
from conformance.client import JSON, XML, Answer, Resource
from conformance.target import Target

AREA = "patch"
JSON_PATCH = "application/json-patch+json"
XML_PATCH = "application/xml-patch+xml"
NEEDS = ("Patient/patch", "Patient/create", "Patient/read")


def patch(
    target: Target, resource: Resource, body: Any, media_type: str, headers: Mapping[str, str] | None = None
) -> Answer:
    path = f"{resource['resourceType']}/{resource['id']}"
    text = body if isinstance(body, str) else json.dumps(body)
    return target.send("PATCH", path, text, {"Content-Type": media_type, **(headers or {})})


def operation(type: str, path: str, **parts: Any) -> Resource:
    """An operation of FHIRPath Patch; the parts are named as in its table, ``value`` is a whole part."""
    named: list[Resource] = [
        {"name": "type", "valueCode": type},
        {"name": "path", "valueString": path},
    ]
    for name, value in parts.items():
        if name == "value":
            named.append(value)
        else:
            named.append({"name": name, "valueString" if name == "name" else "valueInteger": value})
    return {"name": "operation", "part": named}


def fhirpath(*operations: Resource) -> Resource:
    return {"resourceType": "Parameters", "parameter": list(operations)}


def patched(target: Target, resource: Resource) -> Resource:
    return expect.resource(
        target.get(f"{resource['resourceType']}/{resource['id']}"), resource["resourceType"]
    )


@check(
    AREA,
    "A patch is an update: 200, a new version",
    "http.html#patch",
    "{type}/patch",
    "{type}/create",
    "{type}/read",
    each="type",
)
def patch_every_type(target: Target) -> None:
    made = target.create()
    tag = {"system": "urn:conformance", "code": "patched"}
    if target.statement.has("patchFormat:application/json-patch+json") or not target.statement.has(
        "patchFormat:application/fhir+json"
    ):
        answer = patch(target, made, [{"op": "add", "path": "/meta/tag/-", "value": tag}], JSON_PATCH)
    else:
        value = {"name": "value", "valueCoding": tag}
        body = fhirpath(operation("add", f"{target.type}.meta", name="tag", value=value))
        answer = patch(target, made, body, JSON)
    expect.status(answer, 200)
    expect.header(answer, "ETag")
    stored = patched(target, made)
    expect.require("patched" in [tag.get("code") for tag in stored["meta"]["tag"]], "it has not changed")
    expect.require(stored["meta"].get("versionId") != made["meta"]["versionId"], "the version is the same")


@check(
    AREA,
    "JSON Patch: every operation, and a test that fails",
    "http.html#patch",
    *NEEDS,
    "patchFormat:application/json-patch+json",
)
def json_patch(target: Target) -> None:
    made = target.create("Patient", name=[{"family": "Durand", "given": ["Jean", "Luc"]}], active=True)
    operations = [
        {"op": "test", "path": "/name/0/family", "value": "Durand"},
        {"op": "replace", "path": "/name/0/family", "value": "Lefèvre"},
        {"op": "add", "path": "/name/0/given/1", "value": "Marie"},
        {"op": "add", "path": "/birthDate", "value": "1980"},
        {"op": "remove", "path": "/active"},
        {"op": "copy", "from": "/name/0", "path": "/name/1"},
        {"op": "move", "from": "/name/1/given/0", "path": "/name/1/given/2"},
    ]
    expect.status(patch(target, made, operations, JSON_PATCH), 200)
    stored = patched(target, made)
    expect.equal("family", stored["name"][0]["family"], "Lefèvre")
    expect.equal("given", stored["name"][0]["given"], ["Jean", "Marie", "Luc"])
    expect.equal("moved", stored["name"][1]["given"], ["Marie", "Luc", "Jean"])
    expect.equal("birthDate, active", (stored.get("birthDate"), stored.get("active")), ("1980", None))
    failing = [
        {"op": "remove", "path": "/birthDate"},
        {"op": "test", "path": "/name/0/family", "value": "x"},
    ]
    expect.outcome(patch(target, made, failing, JSON_PATCH), 400, 409, 412, 422)
    expect.equal("birthDate after a patch that failed", patched(target, made).get("birthDate"), "1980")


@check(
    AREA,
    "FHIRPath Patch: add, insert, delete, replace, move",
    "fhirpatch.html#3.1.5.1",
    *NEEDS,
    "patchFormat:application/fhir+json",
)
def fhirpath_patch(target: Target) -> None:
    made = target.create("Patient", name=[{"family": "Durand", "given": ["Jean", "Luc"]}], active=True)
    body = fhirpath(
        operation("add", "Patient", name="birthDate", value={"name": "value", "valueDate": "1980"}),
        operation(
            "insert", "Patient.name[0].given", value={"name": "value", "valueString": "Marie"}, index=1
        ),
        operation("delete", "Patient.active"),
        operation("replace", "Patient.name[0].family", value={"name": "value", "valueString": "Lefèvre"}),
        operation("move", "Patient.name[0].given", source=0, destination=2),
    )
    expect.status(patch(target, made, body, JSON), 200)
    stored = patched(target, made)
    expect.equal("family", stored["name"][0]["family"], "Lefèvre")
    expect.equal("given", stored["name"][0]["given"], ["Marie", "Luc", "Jean"])
    expect.equal("birthDate, active", (stored.get("birthDate"), stored.get("active")), ("1980", None))
    nowhere = fhirpath(
        operation("replace", "Patient.maritalStatus.text", value={"name": "value", "valueString": "x"})
    )
    expect.outcome(patch(target, made, nowhere, JSON), 400, 404, 422)


@check(AREA, "FHIRPath Patch in XML", "fhirpatch.html#3.1.5.2", *NEEDS, "patchFormat:application/fhir+xml")
def fhirpath_patch_xml(target: Target) -> None:
    made = target.create("Patient", active=True)
    body = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>'
        '<part><name value="type"/><valueCode value="replace"/></part>'
        '<part><name value="path"/><valueString value="Patient.active"/></part>'
        '<part><name value="value"/><valueBoolean value="false"/></part></parameter></Parameters>'
    )
    expect.status(patch(target, made, body, XML), 200)
    expect.equal("active", patched(target, made).get("active"), False)


@check(
    AREA,
    "XML Patch: add, replace, remove",
    "http.html#patch",
    *NEEDS,
    "patchFormat:application/xml-patch+xml",
)
def xml_patch(target: Target) -> None:
    made = target.create("Patient", name=[{"family": "Durand"}], active=True)
    body = (
        '<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Patient/f:name/f:family/@value">'
        "Lefèvre</replace>"
        '<remove sel="f:Patient/f:active"/>'
        '<add sel="f:Patient/f:name" pos="after"><f:birthDate value="1980"/></add></diff>'
    )
    expect.status(patch(target, made, body, XML_PATCH), 200)
    stored = patched(target, made)
    expect.equal("family", stored["name"][0]["family"], "Lefèvre")
    expect.equal("birthDate, active", (stored.get("birthDate"), stored.get("active")), ("1980", None))


@check(
    AREA,
    "What a patch makes invalid is refused, and changes nothing",
    "fhirpatch.html#3.1.5.1",
    *NEEDS,
    "patchFormat:application/json-patch+json",
)
def invalid(target: Target) -> None:
    made = target.create("Patient", active=True)
    for operations in (
        [{"op": "replace", "path": "/active", "value": "yes"}],
        [{"op": "add", "path": "/conformance", "value": 1}],
        [{"op": "remove", "path": "/birthDate"}],
        [{"op": "replace", "path": "/id", "value": "conformance-other"}],
        [{"op": "replace", "path": "/resourceType", "value": "Basic"}],
        {"op": "remove", "path": "/active"},
    ):
        expect.outcome(patch(target, made, operations, JSON_PATCH), 400, 409, 422)
    expect.equal("active", patched(target, made).get("active"), True)


@check(AREA, "If-Match is honoured", "http.html#patch", *NEEDS, "patchFormat:application/json-patch+json")
def if_match(target: Target) -> None:
    made = target.create("Patient", active=True)
    operations = [{"op": "replace", "path": "/active", "value": False}]
    stale = patch(target, made, operations, JSON_PATCH, {"If-Match": 'W/"7777777"'})
    expect.outcome(stale, 409, 412)
    current = f'W/"{made["meta"]["versionId"]}"'
    expect.status(patch(target, made, operations, JSON_PATCH, {"If-Match": current}), 200)


@check(
    AREA,
    "Conditional: no match 404, one 200, several 412",
    "http.html#patch",
    *NEEDS,
    "Patient/conditionalUpdate",
    "Patient?_tag",
    "patchFormat:application/json-patch+json",
    should=True,
)
def conditional(target: Target) -> None:
    text = json.dumps([{"op": "add", "path": "/active", "value": True}])

    def ask() -> Answer:
        return target.send("PATCH", "Patient", text, {"Content-Type": JSON_PATCH}, {"_tag": target.tag})

    expect.outcome(ask(), 404)
    made = target.create("Patient")
    expect.status(ask(), 200)
    expect.equal("active", patched(target, made).get("active"), True)
    target.create("Patient")
    expect.outcome(ask(), 412)


@check(AREA, "What never was is 404, what no format says 415", "http.html#patch", *NEEDS)
def refused(target: Target) -> None:
    made = target.create("Patient")
    unknown = {**made, "id": target.mark}
    expect.refused(patch(target, unknown, [], JSON_PATCH))
    expect.status(patch(target, made, "{}", "text/csv"), 415)
