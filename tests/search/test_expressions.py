from typing import Any

import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.search.expressions import NotCompilable, compile_expression

PATIENT = {
    "resourceType": "Patient",
    "name": [{"family": "DURAND", "given": ["Éva", None, "Marie"]}, {"given": ["Évita"]}],
    "telecom": [{"system": "phone", "value": "06"}, {"system": "email", "value": "a@b"}, {"value": "?"}],
    "deceasedDateTime": "2020-01-01",
    "extension": [
        {"url": "http://x/born", "valueString": "Arles"},
        {"url": "http://x/other", "valueString": "Nîmes"},
    ],
    "link": [{"other": {"reference": "Patient/2"}}, {"other": {"reference": "RelatedPerson/3"}}],
    "contact": [{"extension": [{"url": "http://x/legal"}], "gender": "female"}, {"gender": "male"}],
}
FIVE, SIX = {"value": 5}, {"value": 6}
ELSEWHERE = {"reference": "https://x.example/Patient/1"}
LABORATORY = {"type": "Organization", "display": "Labo"}
OBSERVATION = {
    "resourceType": "Observation",
    "valueQuantity": FIVE,
    "component": [{"valueCodeableConcept": {"text": "un"}}, {"valueQuantity": SIX}],
    "subject": ELSEWHERE,
    "performer": [
        {"type": "Organization", "display": "Labo"},
        {"reference": "Practitioner/1", "type": "Patient"},
    ],
}
BUNDLE = {
    "resourceType": "Bundle",
    "entry": [
        {"resource": {"resourceType": "Composition", "id": "c"}},
        {"resource": {"resourceType": "Patient"}},
    ],
}


@pytest.mark.parametrize(
    ("resource", "expression", "values", "types"),
    [
        (PATIENT, "Patient.name.family", ["DURAND"], {"string"}),
        (PATIENT, "Patient.name.given", ["Éva", "Marie", "Évita"], {"string"}),
        (PATIENT, "name.given[0]", ["Éva"], {"string"}),
        (PATIENT, "name.family | Patient.name.given", ["DURAND", "Éva", "Marie", "Évita"], {"string"}),
        (PATIENT, "Patient.gender", [], {"code"}),
        (PATIENT, "Patient.telecom.where(system='phone').value", ["06"], {"string"}),
        (PATIENT, "telecom.where(system = 'email')", [{"system": "email", "value": "a@b"}], {"ContactPoint"}),
        (PATIENT, "(Patient.deceased as dateTime)", ["2020-01-01"], {"dateTime"}),
        (PATIENT, "Patient.deceased as DateTime", ["2020-01-01"], {"dateTime"}),
        (PATIENT, "Patient.deceased.ofType(boolean)", [], {"boolean"}),
        (PATIENT, "Patient.deceased", ["2020-01-01"], {"boolean", "dateTime"}),
        (PATIENT, "Patient.deceased.exists()", [True], {"boolean"}),
        (PATIENT, "Patient.deceased.exists() and Patient.deceased != false", [True], {"boolean"}),
        (PATIENT, "Patient.birthDate.exists()", [False], {"boolean"}),
        (PATIENT, "Patient.extension('http://x/born').value.as(string)", ["Arles"], {"string"}),
        (PATIENT, "link.other.where(resolve() is Patient)", [{"reference": "Patient/2"}], {"Reference"}),
        (PATIENT, "Patient.contact.where(hasExtension('http://x/legal')).gender", ["female"], {"code"}),
        (OBSERVATION, "(Observation.value as Quantity)", [{"value": 5}], {"Quantity"}),
        (OBSERVATION, "(Observation.value as CodeableConcept).text", [], {"string"}),
        (OBSERVATION, "Observation.component.value.as(CodeableConcept).text", ["un"], {"string"}),
        (OBSERVATION, "value.as(Quantity) | component.value.as(Quantity)", [FIVE, SIX], {"Quantity"}),
        (OBSERVATION, "Observation.subject.where(resolve() is Patient)", [ELSEWHERE], {"Reference"}),
        (OBSERVATION, "Observation.subject.where(resolve() is Group)", [], {"Reference"}),
        (OBSERVATION, "performer.where(resolve() is Organization)", [LABORATORY], {"Reference"}),
        (OBSERVATION, "performer.where(resolve() is Patient)", [], {"Reference"}),
        (BUNDLE, "Bundle.entry[0].resource", [{"resourceType": "Composition", "id": "c"}], {"Resource"}),
        (BUNDLE, "Bundle.entry[7].resource", [], {"Resource"}),
        (BUNDLE, "Resource.meta.tag", [], {"Coding"}),
    ],
)  # fmt: skip
def test_what_an_expression_finds(
    definitions: Definitions, resource: dict[str, Any], expression: str, values: list[Any], types: set[str]
) -> None:
    paths = compile_expression(expression, definitions, str(resource["resourceType"]))
    assert [v for path in paths for v in path.values(resource)] == values
    assert {path.type for path in paths} == types


@pytest.mark.parametrize(
    ("deceased", "expected"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2020"}, True),
    ],
)
def test_deceased_is_known_of_everybody(
    definitions: Definitions, deceased: dict[str, Any], expected: bool
) -> None:
    expression = "Patient.deceased.exists() and Patient.deceased != false"
    [path] = compile_expression(expression, definitions, "Patient")
    assert path.values({"resourceType": "Patient", **deceased}) == [expected]


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("Patient.nom", "no element 'nom' in Patient"),
        ("Patient.name.nom", "no element 'nom' in HumanName"),
        ("Patient.deceasedBoolean", "FHIRPath writes deceased.ofType"),
        ("Patient.gender.system", "no element 'system' in code"),
        ("Observation.code", "not about Patient"),
        ("%resource.name", "not about Patient"),
        ("Patient.deceased as Quantity", "never be a Quantity"),
        ("Patient.name.first()", r"first\(\) is not known"),
        ("Patient.name.where(given.exists())", "'=' is missing"),
        ("Patient.name.where(matches() is Patient)", "not known in where"),
        ("Patient.name.where(use='official'", r"'\)' is missing"),
        ("Patient.name.where(use=1)", "text in quotes is missing"),
        ("Patient.active and Patient.active != false", "only after exists"),
        ("Patient.name +", r"'\+' is not understood"),
        ("Patient.name Patient", "'Patient' is not understood"),
        ("Patient..name", "A name is missing"),
        ("", "A name is missing"),
    ],
)
def test_what_search_does_not_know_is_refused_with_the_reason(
    definitions: Definitions, expression: str, reason: str
) -> None:
    with pytest.raises(NotCompilable, match=reason):
        compile_expression(expression, definitions, "Patient")
