from decimal import Decimal
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fhirserver.model.definitions import Definitions
from fhirserver.served_types import SERVED_TYPES
from fhirserver.validation import Validator
from fhirserver.validation.schemas import profile_schema, schema_of

Element = dict[str, Any]

URL = "https://example.org/schemas/Patient"
PROFILE = "https://example.org/profiles/born"
EXTENSION = {"url": "urn:x", "valueCode": "a"}


def patient(**elements: Any) -> Element:
    return {"resourceType": "Patient", **elements}


def observation(**elements: Any) -> Element:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


def accepts(schema: Element, resource: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid(resource))


@pytest.fixture(scope="module")
def schemas(definitions: Definitions) -> dict[str, Element]:
    return {type: schema_of(type, definitions, URL) for type in ("Patient", "Observation", "Bundle")}


@pytest.mark.parametrize("type", SERVED_TYPES)
def test_every_served_type_has_a_schema(definitions: Definitions, type: str) -> None:
    Draft202012Validator.check_schema(schema_of(type, definitions, URL))


@pytest.mark.parametrize(
    "resource",
    [
        patient(),
        patient(birthDate="2000-01-01", _birthDate={"extension": [EXTENSION]}),
        patient(name=[{"given": ["A", None], "_given": [None, {"extension": [EXTENSION]}]}]),
        patient(contained=[{"resourceType": "Organization", "id": "o", "name": "A"}],
                managingOrganization={"reference": "#o"}, deceasedBoolean=True),
        patient(contact=[{"name": {"text": "x"}}], multipleBirthInteger=2),
        observation(valueQuantity={"value": 1.5, "comparator": "<"}),
        observation(_status={"extension": [EXTENSION]}),
        {"resourceType": "Observation", "_status": {"extension": [EXTENSION]}, "code": {"text": "x"}},
        {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient()}]},
    ],
)  # fmt: skip
def test_right(schemas: dict[str, Element], validator: Validator, resource: Element) -> None:
    assert accepts(schemas[resource["resourceType"]], resource)
    exact = (
        {**resource, "valueQuantity": {"value": Decimal("1.5")}} if "valueQuantity" in resource else resource
    )
    assert validator.validate(exact) == []


@pytest.mark.parametrize(
    "resource",
    [
        patient(nam=[]),
        patient(name=[]),
        patient(name={"text": "a"}),
        patient(name=[{}]),
        patient(gender="man"),
        patient(birthDate="2000-13-01"),
        patient(birthDate=2000),
        patient(active="true"),
        patient(id="a b"),
        patient(deceasedBoolean=True, deceasedDateTime="2000"),
        patient(link=[{"type": "seealso"}]),
        patient(contained=[{"id": "o"}]),
        patient(multipleBirthInteger=1.5),
        {"resourceType": "Observation", "status": "final"},
        {"resourceType": "Observation", "code": {"text": "x"}},
        observation(value="a"),
        observation(resourceType="Patient"),
        {"resourceType": "Bundle"},
    ],
)
def test_wrong(schemas: dict[str, Element], validator: Validator, resource: Element) -> None:
    type = "Observation" if "code" in resource or "status" in resource else resource["resourceType"]
    assert not accepts(schemas[type], resource)
    assert validator.validate(resource)


def constraint(path: str, **constraints: Any) -> Element:
    return {"id": path, "path": path, **constraints}


@pytest.mark.parametrize(
    ("elements", "right", "wrong"),
    [
        ([constraint("Patient.birthDate", min=1)], patient(birthDate="2000"), patient()),
        ([constraint("Patient.birthDate", min=1)], patient(_birthDate={"extension": [EXTENSION]}), patient()),
        ([constraint("Patient.photo", max="0")], patient(), patient(photo=[{"title": "x"}])),
        ([constraint("Patient.name", max="1")], patient(name=[{"text": "a"}]),
         patient(name=[{"text": "a"}, {"text": "b"}])),
        ([constraint("Patient.name.family", min=1)], patient(name=[{"family": "a"}]),
         patient(name=[{"text": "a"}])),
        ([constraint("Patient.active", fixedBoolean=True)], patient(active=True), patient(active=False)),
        ([constraint("Patient.deceased[x]", type=[{"code": "boolean"}])], patient(deceasedBoolean=True),
         patient(deceasedDateTime="2000")),
        ([constraint("Patient.name.text", maxLength=2)], patient(name=[{"text": "ab"}]),
         patient(name=[{"text": "abc"}])),
        ([constraint("Patient.active")], patient(active=True), patient(nam=1)),
    ],
)  # fmt: skip
def test_profile(definitions: Definitions, elements: list[Element], right: Element, wrong: Element) -> None:
    validator = Validator(definitions)
    base = "http://hl7.org/fhir/StructureDefinition/Patient"
    validator.profiles.put(
        {"resourceType": "StructureDefinition", "url": PROFILE, "name": "Born", "status": "active",
         "kind": "resource", "abstract": False, "type": "Patient", "baseDefinition": base,
         "derivation": "constraint", "differential": {"element": elements}}
    )  # fmt: skip
    profile = validator.profiles.find(PROFILE)
    assert profile is not None
    schema = profile_schema(profile.tree, definitions, URL, PROFILE)
    Draft202012Validator.check_schema(schema)
    assert accepts(schema, right)
    assert not accepts(schema, wrong)
    assert bool(validator.validate(wrong, profiles=[PROFILE]))
    assert validator.validate(right, profiles=[PROFILE]) == []
