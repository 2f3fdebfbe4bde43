import pytest
from msgspec.structs import replace

from fhirserver.model.definitions import Component, Definitions, SearchParameter
from fhirserver.search.parameters import Custom, compile_parameters
from fhirserver.search.types.reference import HIERARCHIES
from fhirserver.served_types import SERVED_TYPES

NO_ELEMENTS = {"_text", "_content", "_filter", "_query"}
"""What is no parameter of elements: search understands these by themselves."""


def test_every_parameter_of_r4_compiles(definitions: Definitions) -> None:
    refused = {
        (type, code): reason
        for type in definitions.resource_types
        for code, reason in compile_parameters(type, definitions).refused.items()
        if code not in NO_ELEMENTS
    }
    assert refused == {}


@pytest.mark.parametrize("type", sorted(set(SERVED_TYPES) - {"OperationOutcome"}))
def test_every_parameter_of_a_served_type_is_compiled_or_refused_with_a_reason(
    definitions: Definitions, type: str
) -> None:
    found = compile_parameters(type, definitions)
    assert found.searched.keys() | found.refused.keys() == definitions.search_parameters(type).keys()
    assert not found.searched.keys() & found.refused.keys()
    assert not found.pending
    assert all(found.refused.values())
    assert {"_id", "_lastUpdated", "_profile", "_tag", "_security", "_source"} <= found.searched.keys()
    assert found.refused.keys() <= NO_ELEMENTS


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
    assert compile_parameters(type, definitions).searched[code].targets == targets


def test_a_reference_to_anything_may_point_to_every_type(definitions: Definitions) -> None:
    item = compile_parameters("List", definitions).searched["item"]
    assert set(item.targets) == definitions.resource_types - {"Parameters"}


def test_a_combination_is_asked_of_the_parameters_that_make_it_up(definitions: Definitions) -> None:
    compiled = compile_parameters("Observation", definitions).searched
    combined = {code: {source.code for source in p.sources} for code, p in compiled.items() if p.sources}
    assert combined == {
        "combo-code": {"code", "component-code"},
        "combo-data-absent-reason": {"data-absent-reason", "component-data-absent-reason"},
        "combo-value-concept": {"value-concept", "component-value-concept"},
        "combo-value-quantity": {"value-quantity", "component-value-quantity"},
        "combo-code-value-concept": {"code-value-concept", "component-code-value-concept"},
        "combo-code-value-quantity": {"code-value-quantity", "component-code-value-quantity"},
    }


CORE = "http://hl7.org/fhir/SearchParameter/"


@pytest.mark.parametrize(
    ("type", "expression", "components", "reason"),
    [
        ("string", "Observation.nom", (), "no element 'nom'"),
        ("string", "", (), "no expression"),
        ("date", "Observation.code", (), "a date parameter cannot search CodeableConcept"),
        ("special", "Observation.code", (), "a special parameter cannot search CodeableConcept"),
        ("composite", "Observation", ("code",), "at least two parts"),
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
    own = Custom("1", 1, SearchParameter("mine", type, URL, ("Observation",), expression, (), parts))
    found = compile_parameters("Observation", definitions, [own])
    assert reason in found.refused["mine"]
    assert "mine" not in found.searched.keys() | found.pending.keys()


URL = "http://x/mine"
DEVICE = SearchParameter(
    "mine", "string", URL, ("Observation",), "Observation.extension('http://x/device').value.as(string)"
)


@pytest.mark.parametrize("ready", [True, False])
def test_a_parameter_of_an_operator_is_compiled(definitions: Definitions, ready: bool) -> None:
    own = Custom("1", 1, DEVICE, frozenset({"Observation"} if ready else {"Patient"}))
    found = compile_parameters("Observation", definitions, [own])
    extended = {"extension": [{"url": "http://x/device", "valueString": "Tensiomètre"}]}
    compiled = (found.searched if ready else found.pending)["mine"]
    assert [path.values(extended) for path in compiled.paths] == [["Tensiomètre"]]
    assert "mine" not in (found.pending if ready else found.searched)


def test_a_composite_waits_for_its_parts(definitions: Definitions) -> None:
    code = Component(CORE + "clinical-code", "code")
    device = Component(URL, "extension('http://x/device').value.as(string)")
    whole = SearchParameter(
        "pair", "composite", "http://x/pair", ("Observation",), "Observation", (), (code, device)
    )
    here = frozenset({"Observation"})
    for ready in (True, False):
        part = Custom("1", 1, DEVICE, here if ready else frozenset())
        found = compile_parameters("Observation", definitions, [Custom("2", 1, whole, here), part])
        assert ("pair" in found.searched) is ready
        assert ("pair" in found.pending) is not ready


def test_the_first_of_two_with_one_name_counts(definitions: Definitions) -> None:
    first = Custom("1", 1, DEVICE)
    second = Custom("2", 1, replace(DEVICE, expression="Observation.status", type="token"))
    for customs, type in (([first, second], "string"), ([second, first], "token")):
        assert compile_parameters("Observation", definitions, customs).pending["mine"].type == type


def test_what_fhir_defines_is_not_defined_again(definitions: Definitions) -> None:
    own = Custom("1", 1, replace(DEVICE, code="status"), frozenset({"Observation"}))
    found = compile_parameters("Observation", definitions, [own])
    assert found.searched["status"] == compile_parameters("Observation", definitions).searched["status"]
    assert not found.pending


def test_parameters_of_operators_change_nothing_of_fhirs(definitions: Definitions) -> None:
    """An official parameter that two others split between them would no longer be indexed by itself."""
    customs = [
        Custom(id, 1, replace(DEVICE, code=id, url=id, base=("Organization",), expression=path))
        for id, path in (("one", "Organization.name"), ("two", "Organization.alias"))
    ]
    found = compile_parameters("Organization", definitions, customs)
    assert found.searched["name"] == compile_parameters("Organization", definitions).searched["name"]
    assert found.pending.keys() == {"one", "two"}


def test_the_hierarchies_are_those_of_the_definitions(definitions: Definitions) -> None:
    found = {
        type: code
        for type in definitions.resource_types
        for code, parameter in compile_parameters(type, definitions).searched.items()
        if code in ("partof", "part-of", "parent") and type in parameter.targets
    }
    assert found == HIERARCHIES
