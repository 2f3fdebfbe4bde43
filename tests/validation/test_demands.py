"""What profiles demand beyond R4's ElementDefinition, versions and parts of profiles, implied profiles."""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.validation import Validator
from tests.validation.test_profiles import (
    BASE,
    URL,
    concept,
    element,
    observation,
    patient,
    profile,
    slice,
    sliced,
)

Element = dict[str, Any]

R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition."
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
UCUM = "http://unitsofmeasure.org"
LIBRARY = "https://example.org/profiles/sections"


def demanding(path: str, url: str, **value: Any) -> Element:
    return element(path, extension=[{"url": url, **value}])


def narrative(inner: str, language: str = "en") -> Element:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'
    return patient(language=language, text={"status": "additional", "div": div})


def active(**twin: Any) -> Element:
    return patient(_active={"extension": [{"url": twin["url"], "valueCode": "unknown"}]})


def grams(value: int | str, code: str = "g") -> Element:
    return observation(valueQuantity={"value": Decimal(value), "unit": code, "system": UCUM, "code": code})


def limited(**limit: Any) -> Element:
    return element("Observation.value[x]", type=[{"code": "Quantity"}], **limit)


KILO = {"value": 1, "unit": "kg", "system": UCUM, "code": "kg"}
YEARS = {"value": 150, "unit": "a", "system": UCUM, "code": "a"}
DAYS = {"value": 30, "unit": "d", "system": UCUM, "code": "d"}
ADDITIONAL = {
    "strength": "example",
    "valueSet": "https://example.org/any",
    "extension": [
        {
            "url": R5 + "binding.additional",
            "extension": [
                {"url": "purpose", "valueCode": "required"},
                {"url": "valueSet", "valueCanonical": "http://hl7.org/fhir/ValueSet/observation-status"},
            ],
        }
    ],
}
STATUS = "http://hl7.org/fhir/observation-status"
SOURCE, LANGUAGE = BASE + "narrative-source-control", BASE + "narrative-language-control"
EN, DE = '<div lang="en">a</div>', '<div lang="de">b</div>'

CASES: list[tuple[str, Element, Element, Element, str]] = [
    ("Patient", demanding("Patient.id", BASE + "minLength", valueInteger=3),
     patient(id="abc"), patient(id="ab"), "profile-short"),
    ("Patient", demanding("Patient.active", R5 + "mustHaveValue", valueBoolean=True),
     patient(active=True), active(url=ABSENT), "profile-value"),
    ("Patient", demanding("Patient.active", R5 + "valueAlternatives", valueCanonical=ABSENT),
     active(url=ABSENT), active(url="https://example.org/other"), "profile-alternative"),
    ("Patient", demanding("Patient.text", SOURCE, valueCode="error"),
     narrative('<p class="generated">a</p>'), narrative('<p>a</p><p class="original">b</p>'),
     "narrative-source"),
    ("Patient", demanding("Patient.text", LANGUAGE, valueCode="_yes"),
     narrative(EN + DE), narrative("<p>a</p>"), "narrative-language"),
    ("Patient", demanding("Patient.text", LANGUAGE, valueCode="_no"),
     narrative("<p>a</p>"), narrative(EN), "narrative-no-language"),
    ("Patient", demanding("Patient.text", LANGUAGE, valueCode="_resource"),
     narrative(EN + DE, "de"), narrative(EN, "de"), "narrative-language"),
    ("Observation", element("Observation.code", binding=ADDITIONAL),
     observation(code=concept("final", STATUS)), observation(code=concept("x")), "codings"),
    ("Observation",
     element("Observation.subject", type=[{"code": "Reference", "aggregation": ["contained"]}]),
     observation(subject={"reference": "#p"}, contained=[patient(id="p")]),
     observation(subject={"reference": "Patient/p"}), "profile-aggregation"),
    ("Observation", element("Observation.subject", type=[{"code": "Reference", "aggregation": ["bundled"]}]),
     observation(subject={"display": "A"}), observation(subject={"reference": "Patient/p"}),
     "profile-aggregation"),
    # limits in other units, and from now
    ("Observation", limited(minValueQuantity=KILO), grams(1000), grams("999.9"), "profile-range"),
    ("Observation", limited(maxValueQuantity=KILO), grams(1, "kg"), grams(1, "t"), "profile-range"),
    ("Observation", limited(maxValueQuantity=KILO), grams(99, "m"), grams(1001), "profile-range"),
    ("Patient", element("Patient.birthDate", minValueDuration=YEARS),
     patient(birthDate="1980-01-01"), patient(birthDate="1780-01-01"), "profile-range"),
    ("Patient", element("Patient.birthDate", maxValueDuration=DAYS),
     patient(birthDate="1980"), patient(birthDate="9000-01-01"), "profile-range"),
]  # fmt: skip


@pytest.mark.parametrize(("type", "constraint", "right", "wrong", "rule"), CASES)
def test_demand(
    definitions: Definitions, type: str, constraint: Element, right: Element, wrong: Element, rule: str
) -> None:
    validator = Validator(definitions)
    validator.profiles.put(profile(type, constraint))
    assert validator.validate(right, profiles=[URL]) == []
    errors = [i for i in validator.validate(wrong, profiles=[URL]) if i.severity == "error"]
    assert [i.rule for i in errors] == [rule]


def test_versions_of_a_profile(definitions: Definitions) -> None:
    validator = Validator(definitions)
    validator.profiles.put(profile("Patient", element("Patient.gender", min=1), version="0.1.3"))
    validator.profiles.put(profile("Patient", element("Patient.active", min=1), version="0.2.1"))
    asked = {url: validator.validate(patient(), profiles=[URL + url]) for url in ("", "|0.1", "|0.2.1", "|3")}
    assert {url: [i.expression for i in issues] for url, issues in asked.items()} == {
        "": ["Patient.active"],
        "|0.1": ["Patient.gender"],
        "|0.2.1": ["Patient.active"],
        "|3": ["Patient"],
    }
    assert [i.rule for i in asked["|3"]] == ["profile-unknown"]
    validator.profiles.remove(URL, "0.2.1")
    assert [i.expression for i in validator.validate(patient(), profiles=[URL])] == ["Patient.gender"]


def test_an_element_that_conforms_to_an_element_of_another_profile(definitions: Definitions) -> None:
    part = {"url": BASE + "elementdefinition-profile-element", "valueString": "Composition.section:labs"}
    kind = {"code": "BackboneElement", "profile": [LIBRARY], "_profile": [{"extension": [part]}]}
    sections = [sliced("Composition.section", "pattern", "code"), slice("Composition.section", "labs")]
    inside = [
        element("Composition.section.code", min=1, patternCodeableConcept=concept("30954-2")),
        element("Composition.section.title", min=1),
    ]
    validator = Validator(definitions)
    validator.profiles.put(profile("Composition", *sections, *inside, url=LIBRARY))
    using = slice("Composition.section", "results", min=1, type=[kind])
    validator.profiles.put(profile("Composition", sliced("Composition.section", "pattern", "code"), using))
    section = {"code": concept("30954-2"), "text": narrative("a")["text"]}
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "a"},
        "date": "2024",
        "author": [{"display": "Dr A"}],
        "title": "a",
    }
    right = {**composition, "section": [{**section, "title": "Labs"}]}
    assert validator.validate(right, profiles=[URL]) == []
    (issue,) = validator.validate({**composition, "section": [section]}, profiles=[URL])
    assert (issue.rule, issue.expression) == ("profile-min", "Composition.section[0].title")


def test_a_profile_sees_the_resource_that_an_element_is_in(definitions: Definitions) -> None:
    expression = "%resource.type().name = 'Practitioner' and %rootResource.type().name = 'Patient'"
    rule = {"key": "one-1", "severity": "error", "human": "So", "expression": expression}
    validator = Validator(definitions)
    inside = element("Patient.contained", type=[{"code": "Practitioner"}])
    validator.profiles.put(profile("Patient", inside, element("Patient.contained.name", constraint=[rule])))
    contained = {"resourceType": "Practitioner", "id": "p", "name": [{"text": "A"}]}
    resource = patient(contained=[contained], generalPractitioner=[{"reference": "#p"}])
    assert validator.validate(resource, profiles=[URL]) == []


HEIGHT = observation(
    code=concept("8302-2"),
    subject={"reference": "Patient/1"},
    effectiveDateTime="2024-01-01",
    valueQuantity={"value": 180, "unit": "cm", "system": UCUM, "code": "cm"},
)
VITAL = concept("vital-signs", "http://terminology.hl7.org/CodeSystem/observation-category")


@pytest.mark.parametrize(
    ("resource", "rules"),
    [
        (HEIGHT, {"profile-min"}),
        ({**HEIGHT, "category": [VITAL]}, set()),
        ({**HEIGHT, "code": concept("50373000", "http://snomed.info/sct"), "category": [VITAL]},
         {"profile-min"}),
        ({**HEIGHT, "code": concept("1-8")}, set()),
        ({**HEIGHT, "code": {"coding": "8302-2"}}, {"array"}),
    ],
)  # fmt: skip
def test_vital_signs_by_their_code(validator: Validator, resource: Element, rules: set[str]) -> None:
    found = validator.validate(resource, advice=True)
    assert {i.rule for i in found if i.severity == "error"} == rules


def test_records_are_not_refused_for_a_vital_sign_without_category(validator: Validator) -> None:
    assert validator.validate(HEIGHT) == []
