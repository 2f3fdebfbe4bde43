"""FHIRPath Patch: https://hl7.org/fhir/R4/fhirpatch.html"""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver.errors import FHIRError
from fhirserver.model.definitions import Definitions
from fhirserver.patch import PatchFailed, apply_fhirpath_patch
from fhirserver.patch.failure import MalformedPatch

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:a", "value": "1"}, {"system": "urn:b", "value": "2"}],
    "name": [{"use": "official", "family": "Durand", "given": ["Éloïse", "Marie"]}],
    "birthDate": "1980-02-29",
    "_birthDate": {"id": "b"},
    "contact": [{"name": {"text": "Nadia"}}],
}


def operation(type: str, path: str, **parts: Any) -> dict[str, Any]:
    """``name="x"``, ``index=1``, ``value={"valueDate": ...}`` as the parts of one operation."""
    made: list[dict[str, Any]] = [
        {"name": "type", "valueCode": type},
        {"name": "path", "valueString": path},
    ]
    for name, value in parts.items():
        if isinstance(value, dict):
            made.append({"name": name, **value})
        else:
            made.append({"name": name, "valueInteger" if isinstance(value, int) else "valueString": value})
    return {"name": "operation", "part": made}


def parameters(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(operations)}


A = {"system": "urn:a", "value": "1"}
B = {"system": "urn:b", "value": "2"}
C = {"system": "urn:c", "value": "3"}
GIVEN = {"url": "http://x.test/e", "valueDecimal": Decimal("1.10")}


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ([operation("add", "Patient", name="gender", value={"valueCode": "female"})], {"gender": "female"}),
        (
            [operation("add", "Patient", name="identifier", value={"valueIdentifier": C})],
            {"identifier": [A, B, C]},
        ),
        (
            [operation("add", "Patient", name="deceased", value={"valueBoolean": False})],
            {"deceasedBoolean": False},
        ),
        (
            [
                operation(
                    "add",
                    "Patient",
                    name="contact",
                    value={
                        "part": [
                            {"name": "name", "valueHumanName": {"text": "a name"}},
                            {"name": "relationship", "valueCodeableConcept": {"text": "sœur"}},
                        ]
                    },
                )
            ],
            {
                "contact": [
                    {"name": {"text": "Nadia"}},
                    {"name": {"text": "a name"}, "relationship": [{"text": "sœur"}]},
                ]
            },
        ),
        (
            [operation("insert", "Patient.identifier", index=1, value={"valueIdentifier": C})],
            {"identifier": [A, C, B]},
        ),
        (
            [operation("insert", "Patient.identifier", index=2, value={"valueIdentifier": C})],
            {"identifier": [A, B, C]},
        ),
        ([operation("delete", "Patient.identifier[0]")], {"identifier": [B]}),
        ([operation("delete", "Patient.identifier.where(system = 'urn:b')")], {"identifier": [A]}),
        ([operation("delete", "Patient.birthDate")], {"birthDate": None, "_birthDate": None}),
        ([operation("delete", "Patient.photo")], {}),
        ([operation("delete", "Patient.contact[0]")], {"contact": None}),
        (
            [operation("replace", "Patient.birthDate", value={"valueDate": "1981"})],
            {"birthDate": "1981", "_birthDate": None},
        ),
        (
            [operation("replace", "Patient.name.first().given.last()", value={"valueString": "Anne"})],
            {"name": [{"use": "official", "family": "Durand", "given": ["Éloïse", "Anne"]}]},
        ),
        (
            [
                operation(
                    "replace",
                    "name.where(use='official' and given.exists()).family",
                    value={"valueString": "D"},
                )
            ],
            {"name": [{"use": "official", "family": "D", "given": ["Éloïse", "Marie"]}]},
        ),
        ([operation("move", "Patient.identifier", source=1, destination=0)], {"identifier": [B, A]}),
        (
            [
                operation("delete", "Patient.identifier[0]"),
                operation("replace", "Patient.identifier[0].value", value={"valueString": "9"}),
            ],
            {"identifier": [{"system": "urn:b", "value": "9"}]},
        ),
    ],
)
def test_applies(definitions: Definitions, operations: list[Any], changed: Any) -> None:
    before = repr(PATIENT)
    expected = {k: v for k, v in (PATIENT | changed).items() if v is not None}
    assert apply_fhirpath_patch(PATIENT, parameters(*operations), definitions) == expected
    assert repr(PATIENT) == before, "the resource itself is left as it was"


def test_an_extension_of_a_primitive_in_a_list(definitions: Definitions) -> None:
    parts = {
        "part": [
            {"name": "url", "valueUri": "http://x.test/e"},
            {"name": "value", "valueDecimal": Decimal("1.10")},
        ]
    }
    patch = parameters(operation("add", "Patient.name[0].given[1]", name="extension", value=parts))
    patched = apply_fhirpath_patch(PATIENT, patch, definitions)
    assert patched["name"][0]["_given"] == [None, {"extension": [GIVEN]}]
    patch = parameters(operation("delete", "Patient.name[0].given[1].extension('http://x.test/e')"))
    again = apply_fhirpath_patch(patched, patch, definitions)
    assert again["name"][0]["given"] == ["Éloïse", "Marie"]


def test_a_choice_takes_the_name_of_its_new_type(definitions: Definitions) -> None:
    observation = {"resourceType": "Observation", "valueQuantity": {"value": Decimal("1.0")}}
    patch = parameters(operation("replace", "Observation.value", value={"valueString": "présent"}))
    patched = apply_fhirpath_patch(observation, patch, definitions)
    assert patched == {"resourceType": "Observation", "valueString": "présent"}
    patch = parameters(
        operation("replace", "Observation.value.ofType(Quantity).unit", value={"valueString": "g"})
    )
    with pytest.raises(PatchFailed, match="nothing"):
        apply_fhirpath_patch(patched, patch, definitions)


@pytest.mark.parametrize(
    ("made", "error", "text"),
    [
        ({"name": "op"}, MalformedPatch, "named operation"),
        (operation("upsert", "Patient"), MalformedPatch, "add, insert, delete, replace, move"),
        (operation("add", "Patient", value={"valueCode": "female"}), MalformedPatch, "name"),
        (operation("add", "Patient", name="gender"), MalformedPatch, "value"),
        (
            operation("add", "Patient", name="sex", value={"valueCode": "f"}),
            MalformedPatch,
            "no element 'sex'",
        ),
        (
            operation("add", "Patient", name="gender", value={"valueDate": "1980"}),
            PatchFailed,
            "of type code",
        ),
        (operation("add", "Patient", name="birthDate", value={"valueDate": "1980"}), PatchFailed, "already"),
        (operation("add", "Patient.photo", name="title", value={"valueString": "x"}), PatchFailed, "nothing"),
        (
            operation("add", "Patient.identifier", name="value", value={"valueString": "x"}),
            PatchFailed,
            "2 el",
        ),
        (
            operation("insert", "Patient.identifier", index=3, value={"valueIdentifier": A}),
            PatchFailed,
            "beyond",
        ),
        (
            operation("insert", "Patient.photo", index=0, value={"valueAttachment": {}}),
            PatchFailed,
            "nothing",
        ),
        (operation("insert", "Patient.identifier", value={"valueIdentifier": A}), MalformedPatch, "index"),
        (operation("insert", "Patient.birthDate", index=0, value={"valueDate": "1980"}), PatchFailed, "list"),
        (
            operation("insert", "Patient.identifier[0]", index=0, value={"valueIdentifier": A}),
            PatchFailed,
            "whole",
        ),
        (operation("delete", "Patient.identifier"), PatchFailed, "2 elements"),
        (operation("delete", "Patient"), PatchFailed, "the resource itself"),
        (operation("replace", "Patient.photo", value={"valueAttachment": {}}), PatchFailed, "nothing"),
        (operation("move", "Patient.identifier", source=0, destination=2), PatchFailed, "no element 2"),
        (operation("move", "Patient.identifier", source=-1, destination=0), MalformedPatch, "source"),
        (operation("delete", "Patient.generalPractitioner.resolve()"), MalformedPatch, "resolve()"),
        (operation("delete", "Patient.name.where(use ="), MalformedPatch, "missing"),
        (operation("delete", "Patient.name)"), MalformedPatch, "not understood"),
        (operation("delete", f"Patient.name.where({'(' * 40}use = 'x'{')' * 41}"), MalformedPatch, "deep"),
        (operation("delete", "x" * 3000), MalformedPatch, "longer"),
    ],
)
def test_refuses_with_the_position(
    definitions: Definitions, made: dict[str, Any], error: type[FHIRError], text: str
) -> None:
    patch = parameters(operation("add", "Patient", name="active", value={"valueBoolean": True}), made)
    with pytest.raises(error) as raised:
        apply_fhirpath_patch(PATIENT, patch, definitions)
    assert text in str(raised.value)
    assert raised.value.issues[0].expression == "Parameters.parameter[1]"
    assert "Durand" not in str(raised.value)


@pytest.mark.parametrize(
    ("criterion", "found"),
    [
        ("value = '2'", ["2"]),
        ("value != '2'", ["1"]),
        ("value = '2' or system = 'urn:a'", ["1", "2"]),
        ("(value = '2' or value = '1') and system = 'urn:a'", ["1"]),
        ("system.startsWith('urn:')", ["1", "2"]),
        ("system.endsWith('b')", ["2"]),
        ("value.contains('2')", ["2"]),
        ("period.empty()", ["1", "2"]),
        ("period.exists()", []),
        ("(value = '2').not()", ["1"]),
        ("value > '1'", ["2"]),
        ("value <= '1'", ["1"]),
        ("system ~ 'URN:A'", ["1"]),
        ("period.start = @1980", []),
        ("extension.where(url = 'x').exists()", []),
    ],
)
def test_criteria(definitions: Definitions, criterion: str, found: list[str]) -> None:
    from fhirserver.patch.paths import select

    places = select(PATIENT, f"Patient.identifier.where({criterion})", definitions)
    assert [place.value["value"] for place in places] == found
