"""JSON Patch on FHIR resources: RFC 6902 and what FHIR adds."""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver.errors import FHIRError, TooLarge
from fhirserver.patch import PatchFailed, apply_json_patch
from fhirserver.patch.failure import MalformedPatch

PATIENT = {
    "resourceType": "Patient",
    "active": True,
    "name": [{"family": "Durand", "given": ["Éloïse", "Marie"]}, {"text": "Lolo"}],
    "_birthDate": {"id": "b"},
    "multipleBirthInteger": 1,
    "extension": [{"url": "http://x.test/e", "valueDecimal": Decimal("1.10")}],
}


@pytest.mark.parametrize(
    ("operations", "changed"),
    [
        ([{"op": "add", "path": "/gender", "value": "female"}], {"gender": "female"}),
        ([{"op": "replace", "path": "/active", "value": False}], {"active": False}),
        ([{"op": "remove", "path": "/active"}], {"active": None}),
        (
            [{"op": "add", "path": "/name/0/given/1", "value": "Anne"}],
            {"name": [{"family": "Durand", "given": ["Éloïse", "Anne", "Marie"]}, {"text": "Lolo"}]},
        ),
        (
            [{"op": "add", "path": "/name/-", "value": {"text": "L"}}],
            {"name": [*PATIENT["name"], {"text": "L"}]},  # type: ignore[misc] # a list
        ),
        (
            [{"op": "move", "from": "/name/1", "path": "/name/0"}],
            {"name": [{"text": "Lolo"}, {"family": "Durand", "given": ["Éloïse", "Marie"]}]},
        ),
        (
            [{"op": "copy", "from": "/name/0/family", "path": "/name/1/family"}],
            {
                "name": [
                    {"family": "Durand", "given": ["Éloïse", "Marie"]},
                    {"text": "Lolo", "family": "Durand"},
                ]
            },
        ),
        (
            [
                {"op": "test", "path": "/extension/0/valueDecimal", "value": Decimal("1.10")},
                {"op": "replace", "path": "/extension/0/valueDecimal", "value": Decimal("2.50")},
            ],
            {"extension": [{"url": "http://x.test/e", "valueDecimal": Decimal("2.50")}]},
        ),
        # What an operation leaves empty goes.
        ([{"op": "remove", "path": "/name/1/text"}], {"name": [PATIENT["name"][0]]}),  # type: ignore[index]
        ([{"op": "remove", "path": "/extension/0"}], {"extension": None}),
        ([{"op": "remove", "path": "/_birthDate/id"}], {"_birthDate": None}),
        ([], {}),
    ],
)
def test_applies(operations: list[Any], changed: dict[str, Any]) -> None:
    expected = {k: v for k, v in (PATIENT | changed).items() if v is not None}
    before = repr(PATIENT)
    patched = apply_json_patch(PATIENT, operations)
    assert patched == expected
    assert repr(PATIENT) == before, "the resource itself is left as it was"


def test_decimals_keep_their_digits() -> None:
    patched = apply_json_patch(PATIENT, [{"op": "copy", "from": "/extension/0", "path": "/extension/-"}])
    assert [str(e["valueDecimal"]) for e in patched["extension"]] == ["1.10", "1.10"]


def test_null_keeps_the_places_of_a_twin_array() -> None:
    resource = {"name": [{"given": ["a", "b"], "_given": [{"id": "x"}, {"id": "y"}]}]}
    patched = apply_json_patch(resource, [{"op": "remove", "path": "/name/0/_given/0/id"}])
    assert patched == {"name": [{"given": ["a", "b"], "_given": [None, {"id": "y"}]}]}


@pytest.mark.parametrize(
    ("patch", "error", "text"),
    [
        ({"op": "add"}, MalformedPatch, "array"),
        ([3], MalformedPatch, "Operation 0"),
        ([{"op": "increase", "path": "/a", "value": 1}], MalformedPatch, "Operation 0 (increase /a)"),
        ([{"op": "add", "path": "/gender"}], MalformedPatch, "Operation 0 (add /gender)"),
        ([{"op": "add", "path": "gender", "value": "male"}], MalformedPatch, "JSON Pointer"),
        ([{"op": "add", "path": "/a~2", "value": "male"}], MalformedPatch, "JSON Pointer"),
        ([{"op": "add", "path": "/name", "value": []}], MalformedPatch, "empty"),
        ([{"op": "test", "path": "/active", "value": 1}], PatchFailed, "the test does not hold"),
        ([{"op": "test", "path": "/nobody", "value": 1}], PatchFailed, "Operation 0 (test /nobody)"),
        (
            [{"op": "remove", "path": "/active"}, {"op": "remove", "path": "/active"}],
            PatchFailed,
            "Operation 1 (remove /active)",
        ),
        ([{"op": "replace", "path": "/name/2", "value": {"text": "x"}}], PatchFailed, "Operation 0"),
        ([{"op": "add", "path": "/name/9", "value": {"text": "x"}}], PatchFailed, "Operation 0"),
        ([{"op": "move", "from": "/name", "path": "/name/0"}], PatchFailed, "Operation 0"),
        ([{"op": "replace", "path": "", "value": 3}], PatchFailed, "leaves no resource"),
        ([{"op": "remove", "path": ""}], PatchFailed, "Operation 0"),
        ([{"op": "test", "path": "/active", "value": True}] * 1001, MalformedPatch, "1000"),
        ([{"op": "copy", "from": "/name", "path": "/name/-"}] * 60, TooLarge, "grown"),
    ],
)
def test_refuses_with_the_position(patch: Any, error: type[FHIRError], text: str) -> None:
    with pytest.raises(error) as raised:
        apply_json_patch(PATIENT, patch)
    assert text in str(raised.value)
    assert "Durand" not in str(raised.value)
