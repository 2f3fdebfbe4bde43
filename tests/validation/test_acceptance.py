"""The short way accepts what the long way has nothing to say about, and nothing else."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from fhirserver.errors import Issue
from fhirserver.validation import Validator
from tests.validation.invariant_cases import CASES
from tests.validation.test_validator import RIGHT, WRONG

Element = dict[str, Any]

XHTML = "http://www.w3.org/1999/xhtml"
EXTENSION = "http://hl7.org/fhir/StructureDefinition/"
EXTENDED = {"url": "a:b", "valueCode": "c"}
SEEDS: tuple[Element, ...] = (
    {
        "resourceType": "Patient",
        "id": "a",
        "text": {"status": "generated", "div": f'<div xmlns="{XHTML}">a</div>'},
        "contained": [{"resourceType": "Organization", "id": "o", "name": "CH", "active": True}],
        "extension": [
            {"url": EXTENSION + "patient-birthPlace", "valueAddress": {"city": "Brest"}},
            {
                "url": EXTENSION + "patient-nationality",
                "extension": [{"url": "code", "valueCodeableConcept": {"text": "F"}}],
            },
            {"url": "https://example.org/mine", "valueString": "a"},
        ],
        "identifier": [{"system": "urn:oid:1.2.3", "value": "1", "period": {"start": "2020", "end": "2021"}}],
        "name": [{"family": "A", "given": ["B", "C"], "_family": {"extension": [EXTENDED]}}],
        "birthDate": "1980-02-29",
        "deceasedBoolean": False,
        "maritalStatus": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}]
        },
        "managingOrganization": {"reference": "#o", "type": "Organization"},
        "generalPractitioner": [{"reference": "Practitioner/1"}, {"display": "Dr B"}],
    },
    {
        "resourceType": "Patient",
        "meta": {"profile": ["https://example.org/unknown"]},
        "modifierExtension": [{"url": "https://example.org/other", "valueBoolean": True}],
        "name": [{"given": ["A", None], "_given": [None, {"extension": [{"url": "a:b", "valueCode": "c"}]}]}],
        "birthDate": "1980-02-29",
        "_birthDate": {
            "extension": [{"url": EXTENSION + "patient-birthTime", "valueDateTime": "1980-02-29T10:00:00Z"}]
        },
    },
    {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}], "text": "a"},
        "effectiveDateTime": "2024-01-01T00:00:00Z",
        "valueQuantity": {"value": 1, "unit": "g", "system": "http://unitsofmeasure.org", "code": "g"},
        "referenceRange": [{"low": {"value": 1}}],
        "component": [{"code": {"text": "b"}, "valueInteger": 1}],
    },
    {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520",
                "resource": {"resourceType": "Patient", "active": True},
                "request": {"method": "POST", "url": "Patient"},
            }
        ],
    },
)  # fmt: skip
ODD: tuple[Any, ...] = (
    None,
    "",
    " ",
    "a",
    "#x",
    1,
    -1,
    True,
    [],
    {},
    ["a"],
    [None],
    {"id": "a"},
    [{"url": "a"}],
)


def mutants(resource: Any) -> Iterator[Any]:
    """The resource with one thing taken away, replaced or added, at every place."""
    if isinstance(resource, dict):
        for name in resource:
            yield {key: value for key, value in resource.items() if key != name}
            for odd in ODD:
                yield {**resource, name: odd}
            for inner in mutants(resource[name]):
                yield {**resource, name: inner}
        yield {**resource, "other": 1}
        yield {**resource, "extension": [{"url": EXTENSION + "patient-birthPlace", "valueString": "x"}]}
    elif isinstance(resource, list):
        yield [*resource, *copy.deepcopy(resource)]
        for index, item in enumerate(resource):
            for inner in mutants(item):
                yield [*resource[:index], inner, *resource[index + 1 :]]


def told(issues: list[Issue]) -> list[Issue]:
    return [issue for issue in issues if issue.rule != "dom-6"]


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: str(seed["resourceType"]))
def test_mutants_get_the_same_answer_either_way(validator: Validator, seed: Element) -> None:
    count = 0
    for resource in (seed, *mutants(seed)):
        # Who wants best practices is told by the long way alone.
        assert validator.validate(resource) == told(validator.validate(resource, practices=True)), resource
        count += 1
    assert count > 100


def test_the_other_cases_get_the_same_answer_either_way(validator: Validator) -> None:
    cases = [*RIGHT, *(case[0] for case in WRONG), *(r for case in CASES for r in case[2:])]
    for resource in cases:
        assert validator.validate(resource) == told(validator.validate(resource, practices=True)), resource
