from typing import Any

import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.validation import Validator

Element = dict[str, Any]

BASE = "http://hl7.org/fhir/StructureDefinition/"
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
PLACE = {"url": BASE + "patient-birthPlace", "valueAddress": {"city": "Lyon"}}
TIME = {"url": BASE + "patient-birthTime", "valueDateTime": "2000-01-01T10:00:00Z"}
NATIONALITY: Element = {
    "url": BASE + "patient-nationality",
    "extension": [{"url": "code", "valueCodeableConcept": {"text": "FR"}}],
}
OFFICIAL = {"url": BASE + "iso21090-EN-qualifier", "valueCode": "BR"}


def patient(**elements: Any) -> Element:
    return {"resourceType": "Patient", **elements}


@pytest.mark.parametrize(
    "resource",
    [
        patient(extension=[PLACE]),
        patient(birthDate="2000-01-01", _birthDate={"extension": [TIME]}),
        patient(extension=[NATIONALITY, NATIONALITY]),
        patient(name=[{"family": "A", "_family": {"extension": [OFFICIAL]}}]),
        patient(name=[{"given": ["A", "B"], "_given": [None, {"extension": [OFFICIAL]}]}]),
        patient(contained=[patient(id="p", extension=[PLACE])], link=[
            {"other": {"reference": "#p"}, "type": "seealso"}]),
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient(extension=[PLACE])}]},
    ],
)  # fmt: skip
def test_right(validator: Validator, resource: Element) -> None:
    assert validator.validate(resource) == []


@pytest.mark.parametrize(
    ("resource", "rule", "severity", "expression"),
    [
        (patient(birthDate="2000", _birthDate={"extension": [PLACE]}), "extension-context", "error",
         "Patient.birthDate.extension[0]"),
        ({"resourceType": "Organization", "name": "A", "extension": [PLACE]}, "extension-context", "error",
         "Organization.extension[0]"),
        (patient(extension=[{**PLACE, "valueAddress": {"city": "Lyon"}, "url": TIME["url"]}]),
         "extension-context", "error", "Patient.extension[0]"),
        (patient(extension=[{"url": PLACE["url"], "valueString": "Lyon"}]), "profile-choice", "error",
         "Patient.extension[0].value.ofType(string)"),
        (patient(extension=[{"url": NATIONALITY["url"], "extension": [{"url": "x", "valueCode": "a"}]}]),
         "extension-part", "warning", "Patient.extension[0].extension[0]"),
        (patient(extension=[{"url": NATIONALITY["url"],
                             "extension": NATIONALITY["extension"] * 2}]),
         "profile-max", "error", "Patient.extension[0].extension"),
        (patient(modifierExtension=[PLACE]), "extension-no-modifier", "error",
         "Patient.modifierExtension[0]"),
        (patient(modifierExtension=[{"url": "https://example.org/x", "valueBoolean": True}]),
         "modifier-unknown", "warning", "Patient.modifierExtension[0]"),
        (patient(extension=[PLACE, PLACE]), "extension-repeats", "warning", "Patient.extension"),
    ],
)  # fmt: skip
def test_wrong(validator: Validator, resource: Element, rule: str, severity: str, expression: str) -> None:
    issues = validator.validate(resource)
    assert (rule, severity, expression) in [(i.rule, i.severity, i.expression) for i in issues]


@pytest.mark.parametrize(("code", "rules"), [("mm[Hg]", set()), ("mmHg", {"unknown-code"})])
def test_units_are_told_where_advice_is_wanted(validator: Validator, code: str, rules: set[str]) -> None:
    quantity = {"value": 1, "system": "http://unitsofmeasure.org", "code": code}
    resource = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "valueQuantity": quantity,
    }
    assert validator.validate(resource) == []
    assert {issue.rule for issue in validator.validate(resource, advice=True)} == rules


def test_an_unknown_extension_is_told_where_advice_is_wanted(validator: Validator) -> None:
    resource = patient(extension=[{"url": "https://example.org/x", "valueBoolean": True}])
    assert validator.validate(resource) == []
    rules = {issue.rule: issue.severity for issue in validator.validate(resource, advice=True)}
    assert rules == {"extension-unknown": "information"}


def extension(url: str, *contexts: tuple[str, str]) -> Element:
    """The definition of an extension; its contexts are (type, expression)."""
    return {
        "resourceType": "StructureDefinition",
        "url": url,
        "name": "One",
        "status": "active",
        "kind": "complex-type",
        "abstract": False,
        "type": "Extension",
        "baseDefinition": BASE + "Extension",
        "derivation": "constraint",
        "context": [{"type": type, "expression": expression} for type, expression in contexts],
        "differential": {"element": [{"id": "Extension", "path": "Extension"}]},
    }


HOME = {"use": "home", "city": "Lyon"}
INNER = {"extension": [{"url": "https://example.org/inner", "valueBoolean": True}]}
OUTER = "https://example.org/outer"


@pytest.mark.parametrize(
    ("context", "right", "wrong", "place"),
    [
        (("element", "DomainResource.text"),
         patient(text={"status": "empty", "div": f"<div {XHTML}>a</div>", **INNER}),
         patient(name=[{"text": "a", **INNER}]), "Patient.name[0].extension[0]"),
        (("element", "BackboneElement"), patient(contact=[{"name": {"text": "a"}, **INNER}]),
         patient(name=[{"text": "a", **INNER}]), "Patient.name[0].extension[0]"),
        (("fhirpath", "Patient.address.where(use = 'home')"), patient(address=[{**HOME, **INNER}]),
         patient(address=[{"use": "work", "city": "Lyon", **INNER}]), "Patient.address[0].extension[0]"),
        (("fhirpath", "Patient.name.family"), patient(name=[{"family": "A", "_family": INNER}]),
         patient(name=[{"given": ["A"], "_given": [INNER]}]), "Patient.name[0].given[0].extension[0]"),
        (("extension", OUTER), patient(extension=[{"url": OUTER, **INNER}]),
         patient(extension=[{"url": OUTER + "2", **INNER}]), "Patient.extension[0].extension[0]"),
        (("extension", OUTER),
         patient(extension=[{"url": OUTER, "valueString": "a", "_valueString": INNER}]),
         patient(extension=[{"url": OUTER + "2", "valueString": "a", "_valueString": INNER}]),
         "Patient.extension[0].value.ofType(string).extension[0]"),
    ],
)  # fmt: skip
def test_contexts(
    definitions: Definitions, context: tuple[str, str], right: Element, wrong: Element, place: str
) -> None:
    validator = Validator(definitions)
    validator.profiles.put(extension("https://example.org/inner", context))
    assert [i.text for i in validator.validate(right) if i.severity == "error"] == []
    errors = [i for i in validator.validate(wrong) if i.severity == "error"]
    assert [(i.rule, i.expression) for i in errors] == [("extension-context", place)]


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("Patient.active", True),
        ("Patient.active.not()", False),
        ("%extension.value = true", True),
        ("name.empty().not()", False),
    ],
)
def test_conditions(definitions: Definitions, condition: str, holds: bool) -> None:
    validator = Validator(definitions)
    definition = extension("https://example.org/inner", ("element", "Patient"))
    validator.profiles.put({**definition, "contextInvariant": [condition]})
    errors = [i.rule for i in validator.validate(patient(active=True, **INNER)) if i.severity == "error"]
    assert errors == ([] if holds else ["extension-condition"])
