import copy
from collections.abc import Mapping

import pytest

from fhirserver.model.definitions import Component, Definitions, SearchParameter
from fhirserver.search.parameters import compile_parameters

SERVED = [
    *(
        "Patient",
        "DocumentReference",
        "Communication",
        "AllergyIntolerance",
        "Immunization",
        "Binary",
        "List",
    ),
    *("Bundle", "Composition", "Practitioner", "PractitionerRole", "Organization", "Location", "Device"),
    *("RelatedPerson", "Encounter", "Observation", "DiagnosticReport", "ServiceRequest", "Specimen"),
    *("MedicationStatement", "Appointment", "Consent", "Provenance", "AuditEvent", "Subscription"),
]

EVERYWHERE = {"_content", "_filter", "_query"}


def test_every_parameter_of_r4_compiles_but_these(definitions: Definitions) -> None:
    refused: dict[str, set[str]] = {}
    for type in definitions.resource_types:
        for code in compile_parameters(type, definitions)[1]:
            if code not in EVERYWHERE | {"_text"}:
                refused.setdefault(code, set()).add(type)
    assert refused == {
        "phonetic": {"InsurancePlan", "Organization", "Patient", "Person", "Practitioner", "RelatedPerson"},
        "near": {"Location"},
        "chromosome-variant-coordinate": {"MolecularSequence"},
        "chromosome-window-coordinate": {"MolecularSequence"},
        "referenceseqid-variant-coordinate": {"MolecularSequence"},
        "referenceseqid-window-coordinate": {"MolecularSequence"},
    }


@pytest.mark.parametrize("type", SERVED)
def test_every_parameter_of_a_served_type_is_compiled_or_refused_with_a_reason(
    definitions: Definitions, type: str
) -> None:
    compiled, refused = compile_parameters(type, definitions)
    assert compiled.keys() | refused.keys() == definitions.search_parameters(type).keys()
    assert not compiled.keys() & refused.keys()
    assert all(refused.values())
    assert {"_id", "_lastUpdated", "_profile", "_tag", "_security", "_source"} <= compiled.keys()
    assert refused.keys() <= EVERYWHERE | {"_text", "phonetic", "near"}


@pytest.mark.parametrize(
    ("type", "code", "targets"),
    [
        ("Observation", "patient", ("Patient",)),
        ("Observation", "subject", ("Device", "Group", "Location", "Patient")),
        ("Patient", "organization", ("Organization",)),
        ("Patient", "gender", ()),
        ("AllergyIntolerance", "patient", ("Patient",)),
    ],
)
def test_what_a_reference_may_point_to(
    definitions: Definitions, type: str, code: str, targets: tuple[str, ...]
) -> None:
    assert compile_parameters(type, definitions)[0][code].targets == targets


def test_a_reference_to_anything_may_point_to_every_type(definitions: Definitions) -> None:
    item = compile_parameters("List", definitions)[0]["item"]
    assert set(item.targets) == definitions.resource_types - {"Parameters"}


def test_a_combination_is_asked_of_the_parameters_that_make_it_up(definitions: Definitions) -> None:
    compiled = compile_parameters("Observation", definitions)[0]
    combined = {code: {source.code for source in p.sources} for code, p in compiled.items() if p.sources}
    assert combined == {
        "combo-code": {"code", "component-code"},
        "combo-data-absent-reason": {"data-absent-reason", "component-data-absent-reason"},
        "combo-value-concept": {"value-concept", "component-value-concept"},
        "combo-value-quantity": {"value-quantity", "component-value-quantity"},
        "combo-code-value-concept": {"code-value-concept", "component-code-value-concept"},
        "combo-code-value-quantity": {"code-value-quantity", "component-code-value-quantity"},
    }


class WithParameter(Definitions):
    """The definitions of R4 and one parameter of an operator."""

    def __init__(self, definitions: Definitions, parameter: SearchParameter) -> None:
        self.__dict__ = copy.copy(definitions.__dict__)
        self._own = parameter

    def search_parameters(self, type: str) -> Mapping[str, SearchParameter]:
        own = {self._own.code: self._own} if type in self._own.base else {}
        return {**super().search_parameters(type), **own}


CORE = "http://hl7.org/fhir/SearchParameter/"


@pytest.mark.parametrize(
    ("type", "expression", "components", "reason"),
    [
        ("string", "Observation.nom", (), "no element 'nom'"),
        ("string", "", (), "no expression"),
        ("date", "Observation.code", (), "a date parameter cannot search CodeableConcept"),
        ("special", "Observation.code", (), "a special parameter cannot search CodeableConcept"),
        ("composite", "Observation", ("code",), "composites of two parts"),
        ("composite", "Observation", ("value-date", "code"), "first part 'value-date' is not a token"),
        ("composite", "Observation", ("code", "nom"), "Observation-nom is not defined"),
        ("composite", "Observation", ("code", "value-quantity"), "its part 'value-quantity' finds nothing"),
        (
            "composite",
            "Observation",
            ("combo-code", "combo-value-quantity"),
            "combination of other parameters",
        ),
    ],
)
def test_a_parameter_of_an_operator_that_cannot_be_searched_is_refused_with_the_reason(
    definitions: Definitions, type: str, expression: str, components: tuple[str, ...], reason: str
) -> None:
    expressions = {"code": "code", "combo-code": "code", "combo-value-quantity": "value.as(Quantity)"}
    expressions |= {"nom": "code", "value-date": "value.as(dateTime)", "value-quantity": "value.as(string)"}
    urls = {"code": "clinical-code"}
    parts = tuple(Component(CORE + urls.get(c, f"Observation-{c}"), expressions[c]) for c in components)
    own = SearchParameter("mine", type, "http://x/mine", ("Observation",), expression, (), parts)
    compiled, refused = compile_parameters("Observation", WithParameter(definitions, own))
    assert reason in refused["mine"]
    assert "mine" not in compiled


def test_a_parameter_of_an_operator_is_compiled(definitions: Definitions) -> None:
    expression = "Observation.extension('http://x/device').value.as(string)"
    own = SearchParameter("mine", "string", "http://x/mine", ("Observation",), expression)
    compiled, _ = compile_parameters("Observation", WithParameter(definitions, own))
    extended = {"extension": [{"url": "http://x/device", "valueString": "Tensiomètre"}]}
    assert [path.values(extended) for path in compiled["mine"].paths] == [["Tensiomètre"]]
