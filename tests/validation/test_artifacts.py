"""The contents of definitions, codes and displays, as a terminology knows them."""

from typing import Any

import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.terminology import AtOnce, Packages, Terminology
from fhirserver.validation import Validator

Element = dict[str, Any]

URL = "https://example.org/CodeSystem/"
SHAPES = {
    "resourceType": "CodeSystem",
    "url": URL + "shapes",
    "status": "active",
    "content": "complete",
    "concept": [{"code": "round", "display": "Round", "designation": [{"value": "Rond", "language": "fr"}]}],
}
FRUITS = {
    "resourceType": "CodeSystem",
    "url": URL + "fruits",
    "status": "active",
    "content": "complete",
    "property": [{"code": "shape", "type": "Coding"}, {"code": "sweet", "type": "boolean"}],
    "concept": [{"code": "apple", "display": "Apple"}],
}
MORE = {"resourceType": "CodeSystem", "url": URL + "more", "status": "active", "content": "supplement"}
RIPE = {
    "resourceType": "ValueSet",
    "url": "https://example.org/ValueSet/ripe",
    "status": "active",
    "compose": {"include": [{"system": URL + "fruits"}]},
}


@pytest.fixture(scope="module")
def knowing(definitions: Definitions) -> Validator:
    terminology = Terminology(Packages())
    for resource in (SHAPES, FRUITS, {**MORE, "supplements": URL + "fruits"}, RIPE):
        terminology.add(resource)
    return Validator(definitions, codes=AtOnce(terminology))


def properties(*defined: Element, **concept: Any) -> Element:
    concepts = {"concept": [{"code": "a", "property": [concept]}]} if concept else {}
    return {
        "resourceType": "CodeSystem",
        "status": "draft",
        "content": "complete",
        "property": list(defined),
        **concepts,
    }


def filtered(property: str, op: str, value: str, system: str = URL + "fruits") -> Element:
    clause = {"system": system, "filter": [{"property": property, "op": op, "value": value}]}
    return {"resourceType": "ValueSet", "status": "draft", "compose": {"include": [clause]}}


def expressed(language: str, expression: str) -> Element:
    extension = {
        "url": "http://hl7.org/fhir/StructureDefinition/cqf-expression",
        "valueExpression": {"language": language, "expression": expression},
    }
    clause = {
        "system": URL + "fruits",
        "filter": [{"property": "sweet", "op": "=", "_value": {"extension": [extension]}}],
    }
    parameter = {
        "url": "http://hl7.org/fhir/tools/StructureDefinition/valueset-parameter",
        "extension": [{"url": "name", "valueCode": "p-sweet"}],
    }
    return {
        "resourceType": "ValueSet",
        "extension": [parameter],
        "status": "draft",
        "compose": {"include": [clause]},
    }


def derived(**content: Any) -> Element:
    return {
        "resourceType": "SearchParameter",
        "url": "https://example.org/SearchParameter/name",
        "name": "Name",
        "status": "draft",
        "description": "a name",
        "code": "name",
        "base": ["Organization"],
        "type": "string",
        "expression": "Organization.name",
        "derivedFrom": "http://hl7.org/fhir/SearchParameter/Organization-name",
        **content,
    }


def mapped(code: str) -> Element:
    target = {"code": "x", "equivalence": "equivalent"}
    group = {"source": URL + "fruits", "target": "urn:x", "element": [{"code": code, "target": [target]}]}
    return {"resourceType": "ConceptMap", "status": "draft", "sourceUri": RIPE["url"], "group": [group]}


def coded(system: str, code: str, display: str = "") -> Element:
    coding = {"system": system, "code": code, **({"display": display} if display else {})}
    return {"resourceType": "Observation", "status": "final", "code": {"coding": [coding]}}


def measured(code: str) -> Element:
    quantity = {"value": 2, "unit": "pieces", "system": URL + "fruits", "code": code}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "a"},
        "valueQuantity": quantity,
    }


HL7 = "http://hl7.org/fhir/concept-properties#"
SHAPE = {"code": "shape", "type": "Coding"}
SNOMED = "http://snomed.info/sct"
NAMES = "http://hl7.org/fhir/name-use"

CASES: list[tuple[Element, Element, str]] = [
    (properties(SHAPE), properties(SHAPE, {"code": "shape", "type": "code"}), "property-twice"),
    (properties({"code": "a", "uri": "urn:a", "type": "code"}),
     properties({"code": "a", "uri": "urn:a", "type": "code"}, {"code": "b", "uri": "urn:a", "type": "code"}),
     "property-twice"),
    (properties({"code": "hidden", "uri": HL7 + "notSelectable", "type": "boolean"}),
     properties({"code": "hidden", "uri": HL7 + "notSelectable", "type": "code"}), "property-type"),
    (properties({"code": "parent", "uri": HL7 + "parent", "type": "code"}),
     properties({"code": "child", "uri": HL7 + "parent", "type": "code"}), "property-name"),
    (properties({"code": "n", "type": "integer"}, code="n", valueInteger=1),
     properties({"code": "n", "type": "integer"}, code="n", valueString="1"), "property-type"),
    (properties(SHAPE, code="shape", valueCoding={"system": URL + "shapes", "code": "round"}),
     properties(SHAPE, code="shape", valueCoding={"system": URL + "shapes", "code": "flat"}), "unknown-code"),
    (filtered("sweet", "=", "true"), filtered("sweet", "=", "1"), "filter-boolean"),
    (filtered("shape", "=", URL + "shapes#round"), filtered("shape", "=", "round"), "filter-coding"),
    (filtered("shape", "=", URL + "shapes|round"), filtered("shape", "=", URL + "shapes#flat"),
     "unknown-code"),
    (filtered("concept", "is-a", "apple"), filtered("concept", "is-a", "stone"), "unknown-code"),
    (filtered("constraint", "=", "<< 73211009", SNOMED), filtered("constraint", "=", "73211009 <<", SNOMED),
     "filter-constraint"),
    (expressed("text/fhirpath", "%p-sweet"), expressed("text/fhirpath", "%p-sour"), "expression-parameter"),
    (expressed("text/fhirpath", "%p-sweet"), expressed("text/fhirpath", "$ and"), "expression"),
    (expressed("text/fhirpath", "%p-sweet"), expressed("text/cql", "%p-sweet"), "expression-language"),
    (mapped("apple"), mapped("stone"), "map-code"),
    (derived(), derived(type="token"), "derived-parameter"),
    (derived(), derived(base=["Organization", "Patient"]), "derived-parameter"),
    (coded(URL + "fruits", "apple"), coded(URL + "more", "apple"), "system-supplement"),
    (coded(URL + "fruits", "apple"), coded(URL + "fruits", "stone"), "unknown-code"),
    (coded("https://example.org/none", "a"), coded(NAMES, "x"), "unknown-code"),
    (measured("apple"), measured("stone"), "unknown-code"),
]  # fmt: skip


@pytest.mark.parametrize(("right", "wrong", "rule"), CASES)
def test_what_definitions_say(knowing: Validator, right: Element, wrong: Element, rule: str) -> None:
    assert [i for i in knowing.validate(right, advice=True) if i.severity == "error"] == []
    errors = [i for i in knowing.validate(wrong, advice=True) if i.severity == "error"]
    assert [i.rule for i in errors] == [rule]


@pytest.mark.parametrize(
    ("display", "told"),
    [
        ("Round", []),
        (" round ", []),
        ("Rond", []),
        ("Square", ["'Square' is not what round is called: 'Round'"]),
    ],
)
def test_displays(knowing: Validator, display: str, told: list[str]) -> None:
    issues = knowing.validate(coded(URL + "shapes", "round", display), advice=True)
    assert [i.text for i in issues if i.rule == "display"] == told
    assert {i.severity for i in issues} <= {"warning"}
    # No name is known in the language of the resource: nothing can be said.
    other = {**coded(URL + "shapes", "round", display), "language": "de"}
    assert not [i for i in knowing.validate(other, advice=True) if i.rule == "display"]
    assert knowing.validate(coded(URL + "shapes", "round", display)) == []


@pytest.mark.parametrize(("code", "severity"), [("apple", ""), ("stone", "error")])
def test_member_of_asks_the_terminology(definitions: Definitions, code: str, severity: str) -> None:
    terminology = Terminology(Packages())
    terminology.add(FRUITS)
    terminology.add(RIPE)
    rule = {
        "key": "ripe-1",
        "severity": "error",
        "human": "A ripe fruit",
        "expression": f"coding.all(memberOf('{RIPE['url']}'))",
    }
    profile = {
        "resourceType": "StructureDefinition",
        "url": "https://example.org/profiles/ripe",
        "type": "Observation",
        "kind": "resource",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "derivation": "constraint",
        "differential": {"element": [{"path": "Observation.code", "constraint": [rule]}]},
    }
    for codes, expected in ((AtOnce(terminology), severity), (None, "warning")):
        validator = Validator(definitions, codes=codes)
        validator.profiles.put(profile)
        issues = validator.validate(coded(URL + "fruits", code), profiles=[str(profile["url"])])
        assert [i.severity for i in issues] == ([expected] if expected else [])
