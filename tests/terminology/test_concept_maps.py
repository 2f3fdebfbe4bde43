"""Translations by concept maps, there and back."""

import asyncio
from typing import Any

import pytest

from fhirserver.terminology.concept_maps import concept_map, elsewhere, reverse, translate
from tests.terminology.memory import terminology
from tests.terminology.synthetic import concept_map as resource

A, B, C = "http://a.test", "http://b.test", "http://c.test"


def group(target: str = B, **others: Any) -> dict[str, Any]:
    element = [
        {
            "code": "1",
            "target": [{"code": "one", "equivalence": "equal"}, {"code": "eins", "equivalence": "wider"}],
        },
        {"code": "2", "target": [{"code": "two", "equivalence": "narrower"}]},
        {"code": "3"},
    ]  # fmt: skip
    return {"source": A, "target": target, "element": element, **others}


@pytest.mark.parametrize(
    ("system", "code", "target", "expected"),
    [
        (A, "1", "", ["equal one", "wider eins"]),
        (A, "1", B, ["equal one", "wider eins"]),
        (A, "1", C, []),
        ("", "2", "", ["narrower two"]),
        (A, "3", "", ["unmatched "]),
        (A, "4", "", []),
        (B, "1", "", []),
    ],
)
def test_translate(system: str, code: str, target: str, expected: list[str]) -> None:
    found = translate(concept_map(resource("x", group())), system, code, target)
    assert [f"{match.equivalence} {match.code}" for match in found] == expected


@pytest.mark.parametrize(
    ("unmapped", "expected"),
    [
        ({"mode": "provided"}, ["equal 4"]),
        ({"mode": "fixed", "code": "many"}, ["relatedto many"]),
        ({"mode": "other-map", "url": "http://example.org/other"}, []),
    ],
)
def test_what_is_not_mapped(unmapped: dict[str, str], expected: list[str]) -> None:
    made = concept_map(resource("x", group(unmapped=unmapped)))
    assert [f"{match.equivalence} {match.code}" for match in translate(made, A, "4")] == expected
    assert [match.code for match in translate(made, A, "1")] == ["one", "eins"]
    assert [match.code for match in translate(made, A, "3")] == [""]  # it says that there is none
    assert elsewhere(made, A) == ([unmapped["url"]] if "url" in unmapped else [])


@pytest.mark.parametrize(
    ("code", "expected"), [("one", ["equal 1"]), ("eins", ["narrower 1"]), ("two", ["wider 2"]), ("1", [])]
)
def test_reverse(code: str, expected: list[str]) -> None:
    found = reverse(concept_map(resource("x", group())), B, code)
    assert [f"{match.equivalence} {match.code}" for match in found] == expected


def test_depends() -> None:
    to = [{"code": "one", "dependsOn": [{"property": "p", "value": "v"}]}]
    made = concept_map(resource("x", {"source": A, "target": B, "element": [{"code": "1", "target": to}]}))
    assert translate(made, A, "1") == []
    assert translate(made, A, "1", dependencies=[("p", "w")]) == []
    assert [match.code for match in translate(made, A, "1", dependencies=[("p", "v"), ("q", "x")])] == ["one"]


async def _translated(code: str, map: str) -> list[str]:
    known = terminology(resource("x", group(), version="3"))
    return [match.source for match in await known.translate(map, A, code)]


@pytest.mark.parametrize(
    ("map", "sources"),
    [
        ("http://example.org/ConceptMap/x", ["http://example.org/ConceptMap/x|3"] * 2),
        ("http://example.org/ConceptMap/x|3", ["http://example.org/ConceptMap/x|3"] * 2),
        ("ConceptMap/x", ["http://example.org/ConceptMap/x|3"] * 2),
        ("http://example.org/ConceptMap/none", []),
    ],
)
def test_for_mappings(map: str, sources: list[str]) -> None:
    assert asyncio.run(_translated("1", map)) == sources
