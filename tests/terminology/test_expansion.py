"""Value sets listed: includes, excludes, filters, imports, pages, languages."""

import asyncio
from typing import Any

import pytest

from fhirserver.errors import FHIRError, NotSupported, TooCostly, Unprocessable
from fhirserver.model.json import Resource
from fhirserver.terminology.expansion import Asked, Expansion, Unknown, expand, nested
from tests.terminology.memory import terminology
from tests.terminology.synthetic import ANIMALS, animals, listed, part, value_set

ALL = {"system": ANIMALS}
MAMMALS, LEGS = "http://example.org/ValueSet/mammals", "http://example.org/ValueSet/legs"


def expanded(set: Resource, asked: Asked | None = None, *others: Resource) -> Expansion:
    known = terminology(animals(), set, *others)

    async def run() -> Expansion:
        def evaluate(sources: Any) -> Expansion:
            return expand(sources, sources.value_set(set["url"]), asked or Asked())

        return await known.ask(evaluate)

    return asyncio.run(run())


def codes(expansion: Expansion) -> list[str]:
    return [member.concept.code for member in expansion.members]


@pytest.mark.parametrize(
    ("include", "expected"),
    [
        (ALL, "animal mammal dog cat unicorn bird"),
        (ALL | {"version": "1.0"}, "animal mammal dog cat unicorn bird"),
        (part("is-a", "concept", "mammal"), "mammal dog cat unicorn"),
        (part("descendent-of", "concept", "mammal"), "dog cat unicorn"),
        (part("child-of", "concept", "animal"), "mammal bird"),
        (part("is-not-a", "concept", "mammal"), "animal bird"),
        (part("generalizes", "concept", "dog"), "animal mammal dog"),
        (part("in", "concept", "dog, cat,zebra"), "dog cat"),
        (part("in", "code", "dog"), "dog"),
        (part("not-in", "code", "animal,mammal,bird"), "dog cat unicorn"),
        (part("=", "legs", "4"), "dog cat"),
        (part("=", "display", "Bird"), "bird"),
        (part("=", "parent", "mammal"), "dog cat unicorn"),
        (part("=", "child", "dog"), "mammal"),
        (part("=", "status", "retired"), "unicorn"),
        (part("exists", "legs", "true"), "dog cat bird"),
        (part("exists", "legs", "false"), "animal mammal unicorn"),
        (part("=", "notSelectable", "true"), "animal"),  # which the system calls abstract
        (part("regex", "code", "[a-c].*"), "animal cat bird"),
        (part("regex", "code", "a|o"), ""),
        (part("regex", "definition", ".*bark.*"), "dog"),
        (listed("dog", "zebra"), "dog"),
        ({"system": ANIMALS, "filter": [*part("is-a", "concept", "mammal")["filter"],
                                        *part("=", "legs", "4")["filter"]]}, "dog cat"),
        ({"valueSet": [MAMMALS]}, "mammal dog cat unicorn"),
        ({"valueSet": [MAMMALS, LEGS]}, "dog cat"),
        ({"system": ANIMALS, "valueSet": [LEGS]}, "dog cat bird"),
        (listed("dog", "mammal") | {"valueSet": [LEGS]}, "dog"),
        ({"valueSet": ["http://example.org/ValueSet/all-animals"]}, "animal mammal dog cat unicorn bird"),
        (listed("x", "y", system="http://example.org/unknown"), "x y"),
    ],
)  # fmt: skip
def test_what_is_included(include: Resource, expected: str) -> None:
    mammals = value_set("mammals", part("is-a", "concept", "mammal"))
    legs = value_set("legs", part("exists", "legs", "true"))
    found = expanded(value_set("x", include), None, mammals, legs)
    assert codes(found) == expected.split()
    assert found.total == len(expected.split())


@pytest.mark.parametrize(
    ("exclude", "expected"),
    [
        (listed("dog"), "animal mammal cat unicorn bird"),
        (part("is-a", "concept", "mammal"), "animal bird"),
        ({"valueSet": [MAMMALS]}, "animal bird"),
        (ALL, ""),
    ],
)
def test_what_is_excluded(exclude: Resource, expected: str) -> None:
    mammals = value_set("mammals", part("is-a", "concept", "mammal"))
    assert codes(expanded(value_set("x", ALL, exclude=(exclude,)), None, mammals)) == expected.split()


@pytest.mark.parametrize(
    ("asked", "expected", "total"),
    [
        (Asked(text="ma"), "mammal", 1),
        (Asked(text="mammifere"), "mammal", 1),
        (Asked(text="CHI"), "dog", 1),
        (Asked(text="do"), "dog", 1),
        (Asked(text="world"), "", 0),
        (Asked(count=2), "animal mammal", 6),
        (Asked(offset=4), "unicorn bird", 6),
        (Asked(offset=1, count=2), "mammal dog", 6),
        (Asked(offset=9), "", 6),
        (Asked(count=0), "", 6),
        (Asked(active=True), "animal mammal dog cat bird", 5),
        (Asked(selectable=True), "mammal dog cat unicorn bird", 5),
        (Asked(without=(ANIMALS,)), "", 0),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_what_is_asked_for(asked: Asked, expected: str, total: int, together: bool) -> None:
    """A set of one part is looked up by pages, one of several parts put together: with the same result."""
    parts = (ALL, listed("bird")) if together else (ALL,)
    found = expanded(value_set("x", *parts), asked)
    assert (codes(found), found.total) == (expected.split(), total)


def test_a_set_may_leave_out_what_is_inactive() -> None:
    set = value_set("x", ALL)
    set["compose"]["inactive"] = False
    assert "unicorn" not in codes(expanded(set))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(), {"system": ANIMALS, "version": "1.0", "code": "dog", "display": "Dog"}),
        (Asked(language="fr"), {"system": ANIMALS, "version": "1.0", "code": "dog", "display": "Chien"}),
        (Asked(language="fr-CA"), {"system": ANIMALS, "version": "1.0", "code": "dog", "display": "Pitou"}),
        (Asked(language="de"), {"system": ANIMALS, "version": "1.0", "code": "dog", "display": "Dog"}),
        (
            Asked(designations=True, languages=("fr",)),
            {
                "system": ANIMALS,
                "version": "1.0",
                "code": "dog",
                "display": "Dog",
                "designation": [{"language": "fr", "value": "Chien"}],
            },
        ),
    ],
)
def test_what_is_shown(asked: Asked, expected: Resource) -> None:
    found = expanded(value_set("x", listed("dog")), asked)
    assert [member.shown(asked) for member in found.members] == [expected]


def test_the_display_of_the_set_comes_first() -> None:
    include = {"system": ANIMALS, "concept": [{"code": "dog", "display": "Best friend"}]}
    found = expanded(value_set("x", include), Asked(text="friend"))
    assert [member.shown(Asked())["display"] for member in found.members] == ["Best friend"]


def test_what_is_abstract_or_inactive_says_so() -> None:
    shown = {m.concept.code: m.shown(Asked()) for m in expanded(value_set("x", ALL)).members}
    assert shown["animal"]["abstract"] is True
    assert shown["unicorn"]["inactive"] is True


def test_nested() -> None:
    top = nested(expanded(value_set("x", part("is-a", "concept", "mammal"), listed("bird"))), Asked())
    assert [entry["code"] for entry in top] == ["mammal", "bird"]
    assert [entry["code"] for entry in top[0]["contains"]] == ["dog", "cat", "unicorn"]


def test_of_a_circle_nothing_is_lost() -> None:
    circle = animals(
        concept=[
            {"code": "a", "property": [{"code": "parent", "valueCode": "b"}]},
            {"code": "b", "property": [{"code": "parent", "valueCode": "a"}]},
        ]
    )
    known = terminology(circle, value_set("x", ALL))

    def evaluate(sources: Any) -> Expansion:
        return expand(sources, sources.value_set("http://example.org/ValueSet/x"), Asked())

    assert {entry["code"] for entry in nested(asyncio.run(known.ask(evaluate)), Asked())} == {"a", "b"}


@pytest.mark.parametrize(
    ("include", "error", "text"),
    [
        ({"system": "http://example.org/unknown"}, Unknown, "http://example.org/unknown"),
        (ALL | {"version": "9"}, Unknown, "known are the versions 1.0"),
        ({"valueSet": ["http://example.org/none"]}, Unknown, "http://example.org/none"),
        ({"system": ANIMALS, "valueSet": ["http://example.org/none"]}, Unknown, "http://example.org/none"),
        ({"valueSet": ["http://example.org/ValueSet/x"]}, Unprocessable, "levels"),
        (part("like", "code", "x"), Unprocessable, "like"),
        (part("exists", "legs", "maybe"), Unprocessable, "maybe"),
        (part("regex", "code", "(("), Unprocessable, "regular expression"),
        (part("regex", "code", "x" * 501), Unprocessable, "501"),
        (part("=", "constraint", "< 1234567: 363698007 = 1"), NotSupported, "ECL"),
        (part("=", "constraint", "dog"), Unprocessable, "ECL"),
        ({"system": "http://unitsofmeasure.org"}, TooCostly, "no end"),
    ],
)
def test_what_cannot_be_listed(include: Resource, error: type[FHIRError], text: str) -> None:
    with pytest.raises(error, match=text):
        expanded(value_set("x", include))


def test_an_expansion_that_came_along_serves_what_is_not_known_here() -> None:
    set = value_set("x", {"system": "http://example.org/unknown"})
    set["expansion"] = {
        "contains": [
            {"abstract": True, "display": "Group", "contains": [{"system": "http://x.test", "code": "1"}]},
            {"system": "http://x.test", "code": "2", "display": "Two"},
        ]
    }
    assert codes(expanded(set)) == ["1", "2"]
    assert codes(expanded(set, Asked(text="two"))) == ["2"]


def test_too_many_codes() -> None:
    many = animals(concept=[{"code": f"c{number}"} for number in range(10_001)])
    known = terminology(many, value_set("x", ALL))

    def evaluate(asked: Asked) -> Any:
        return lambda sources: expand(sources, sources.value_set("http://example.org/ValueSet/x"), asked)

    with pytest.raises(TooCostly):
        asyncio.run(known.ask(evaluate(Asked())))
    assert len(asyncio.run(known.ask(evaluate(Asked(count=3)))).members) == 3


PAINT = "http://example.org/CodeSystem/paint"
COLOURS = "http://example.org/CodeSystem/colours"


def paint() -> Resource:
    def tin(code: str, colour: str, **content: Any) -> Resource:
        own = {"code": "colour", "valueCoding": {"system": COLOURS, "code": colour}}
        return {"code": code, "property": [own], **content}

    concepts = [tin("a", "red", definition="For walls"), tin("b", "blue")]
    return animals(id="paint", url=PAINT, valueSet=PAINT + "/vs", property=[], concept=concepts)


@pytest.mark.parametrize("value", ["red", f"{COLOURS}#red", f"{COLOURS}|red"])
def test_filters_on_codings(value: str) -> None:
    set = value_set("x", {**part("=", "colour", value), "system": PAINT})
    assert codes(expanded(set, None, paint())) == ["a"]


def test_properties_that_are_asked_for() -> None:
    asked = Asked(properties=("definition", "colour", "none"))
    members = expanded(value_set("x", {"system": PAINT}), asked, paint()).members
    told = [
        [(part["extension"][0]["valueCode"], part["extension"][1]) for part in m.shown(asked)["extension"]]
        for m in members
    ]
    red, blue = ({"url": "value", "valueCoding": {"system": COLOURS, "code": c}} for c in ("red", "blue"))
    walls = {"url": "value", "valueString": "For walls"}
    assert told == [[("definition", walls), ("colour", red)], [("colour", blue)]]
