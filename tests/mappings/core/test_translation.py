"""A source's code map over a mapped Bundle."""

from typing import Any

import pytest

from mappings.core.result import Mapped, Unmapped
from mappings.core.source import Coding, Source
from mappings.core.translation import ALTERNATE_CODES, translate

LOCAL = {"system": "urn:x-hl7v2:cs:LAB:99X", "code": "GLY", "display": "Glycémie"}
LOINC = {"system": "http://loinc.org", "code": "15074-8", "display": "Glucose"}
KEPT = {
    "extension": [
        {"url": ALTERNATE_CODES, "valueCodeableConcept": {"coding": [{"system": "v2-1", "code": "W"}]}}
    ]
}
SOURCE = Source(codes={(LOCAL["system"], "GLY"): Coding("15074-8", "http://loinc.org", "Glucose")})


def mapped(resource: dict[str, Any]) -> Mapped:
    entry = {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Observation", **resource}}
    return Mapped({"resourceType": "Bundle", "entry": [entry]})


@pytest.mark.parametrize(
    ("source", "codings", "expected", "unmapped"),
    [
        (SOURCE, [LOCAL], [LOINC, LOCAL], False),
        (SOURCE, [LOCAL, LOINC], [LOINC, LOCAL], False),
        (SOURCE, [LOINC], [LOINC], False),
        (Source(), [LOCAL], [LOCAL], True),
        (Source(), [LOCAL, LOINC], [LOCAL, LOINC], False),
        (Source(), [{"code": "GLY"}], [{"code": "GLY"}], True),
        (Source(), [{"display": "x"}], [{"display": "x"}], False),
    ],
)
def test_concepts(
    source: Source, codings: list[dict[str, str]], expected: list[dict[str, str]], unmapped: bool
) -> None:
    result = mapped({"code": {"coding": list(codings), "text": "t"}, "component": [{"valueInteger": 1}]})
    translate(result, source)
    concept = result.bundle["entry"][0]["resource"]["code"]
    assert concept == {"coding": expected, "text": "t"}
    assert bool(result.unmapped) is unmapped
    assert bool(result.issues) is (unmapped and codings == [LOCAL])


def test_a_code_is_told_once_with_its_place() -> None:
    concept = {"coding": [LOCAL]}
    result = mapped({"category": [concept], "component": [{"code": concept}], "_status": KEPT})
    translate(result, Source())
    assert result.unmapped == [
        Unmapped(LOCAL["system"], "GLY", "Glycémie", "Observation.category"),
        Unmapped("v2-1", "W", "", "Observation.status", told=True),
    ]
    (issue,) = result.issues
    assert (issue.severity, issue.location) == ("information", "Observation.category")
