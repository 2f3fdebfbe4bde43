"""Parts of resources: ``_summary`` and ``_elements``."""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver.errors import BadRequest
from fhirserver.model.definitions import Definitions
from fhirserver.model.subset import SUBSETTED, Subset, is_subsetted, parse

TEXT = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">x</div>'}
PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "meta": {"versionId": "2", "tag": [{"code": "kept"}]},
    "text": TEXT,
    "extension": [{"url": "http://x.test/e", "valueDecimal": Decimal("1.10")}],
    "modifierExtension": [{"url": "http://x.test/m", "valueBoolean": True}],
    "active": True,
    "name": [{"family": "Durand"}],
    "birthDate": "1980",
    "_birthDate": {"extension": [{"url": "http://x.test/b", "valueCode": "c"}]},
    "maritalStatus": {"text": "married"},
    "contact": [{"name": {"family": "Zola"}}],
}
DOCUMENT = {
    "resourceType": "DocumentReference",
    "id": "1",
    "status": "current",
    "text": TEXT,
    "description": "x",
    "content": [{"attachment": {"contentType": "text/plain", "data": "eA==", "title": "t"}}],
    "context": {"event": [{"text": "e"}]},
}
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "x", "extension": [{"url": "http://x.test/e", "valueCode": "c"}]},
    "valueQuantity": {"value": Decimal("1.10")},
    "note": [{"text": "n"}],
    "component": [{"code": {"text": "c"}, "valueInteger": 1}],
}
ALWAYS = {"resourceType", "meta"}


@pytest.mark.parametrize(
    ("resource", "part", "expected"),
    [
        (PATIENT, Subset("true"), {"id", "active", "name", "birthDate", "_birthDate", "modifierExtension"}),
        (PATIENT, Subset("text"), {"id", "text", "modifierExtension"}),
        (PATIENT, Subset("data"), set(PATIENT) - {"text"} - ALWAYS),
        (PATIENT, Subset(elements=("name",)), {"id", "name", "modifierExtension"}),
        (PATIENT, Subset(elements=("birthDate",)), {"id", "birthDate", "_birthDate", "modifierExtension"}),
        (DOCUMENT, Subset("true"), {"id", "status", "description", "content"}),
        (DOCUMENT, Subset("text"), {"id", "status", "text", "content"}),
        (OBSERVATION, Subset(elements=("value",)), {"status", "code", "valueQuantity"}),
        (OBSERVATION, Subset(elements=("valueQuantity",)), {"status", "code", "valueQuantity"}),
        (OBSERVATION, Subset("true"), {"status", "code", "valueQuantity", "component"}),
    ],
)
def test_what_belongs_to_a_part(
    definitions: Definitions, resource: dict[str, Any], part: Subset, expected: set[str]
) -> None:
    made = part.of(resource, definitions)
    assert set(made) == expected | ALWAYS
    assert is_subsetted(made)
    assert not is_subsetted(resource), "the resource itself is left as it is"


def test_a_summary_goes_into_the_elements(definitions: Definitions) -> None:
    made = Subset("true").of(DOCUMENT, definitions)
    assert made["content"] == [{"attachment": {"contentType": "text/plain", "title": "t"}}]
    assert "context" not in made, "an element of which nothing is left is no element"
    assert Subset("true").of(OBSERVATION, definitions)["code"] == {"text": "x"}


def test_the_tag_comes_once_and_beside_the_others(definitions: Definitions) -> None:
    once = Subset("data").of(PATIENT, definitions)
    assert once["meta"] == {"versionId": "2", "tag": [{"code": "kept"}, SUBSETTED]}
    assert Subset("data").of(once, definitions)["meta"] == once["meta"]


@pytest.mark.parametrize(
    ("summary", "elements", "types", "expected"),
    [
        ("true", "", ("Patient",), Subset("true")),
        ("", "name, birthDate", ("Patient",), Subset("", ("name", "birthDate"))),
        ("", "Patient.name", ("Patient",), Subset("", ("name",))),
        ("", "name,status", ("Patient", "Observation"), Subset("", ("name", "status"))),
    ],
)
def test_parse(
    definitions: Definitions, summary: str, elements: str, types: tuple[str, ...], expected: Subset
) -> None:
    assert parse(summary, elements, types, definitions) == expected


@pytest.mark.parametrize(
    ("summary", "elements"), [("yes", ""), ("", "nickname"), ("", "name.family"), ("", "Device.udi")]
)
def test_parse_refuses(definitions: Definitions, summary: str, elements: str) -> None:
    with pytest.raises(BadRequest):
        parse(summary, elements, ("Patient",), definitions)


@pytest.mark.parametrize(
    ("part", "expected"), [(Subset(), False), (Subset("false"), False), (Subset("count"), False)]
)
def test_the_whole_is_no_part(part: Subset, expected: bool) -> None:
    assert bool(part) is expected
