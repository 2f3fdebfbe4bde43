import pytest

from fhirserver.model.definitions import Definitions
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
