"""Whether a code is in a value set: yes, no, cannot be told."""

import asyncio

import pytest

from fhirserver.model.json import Resource
from fhirserver.terminology import AtOnce, Terminology, Verdict
from tests.terminology.memory import NO_PACKAGES, Memory, terminology
from tests.terminology.synthetic import ANIMALS, animals, listed, part, value_set

ALL = {"system": ANIMALS}
X = "http://example.org/ValueSet/x"
UNKNOWN = "http://example.org/unknown"
UCUM, LANGUAGES, MEDIA = "http://unitsofmeasure.org", "urn:ietf:bcp:47", "urn:ietf:bcp:13"


@pytest.mark.parametrize(
    ("set", "system", "code", "expected"),
    [
        (value_set("x", ALL), ANIMALS, "dog", "known"),
        (value_set("x", ALL), ANIMALS, "DOG", "unknown"),
        (value_set("x", ALL), ANIMALS, "zebra", "unknown"),
        (value_set("x", ALL), UNKNOWN, "dog", "unknown"),
        (value_set("x", ALL), "", "dog", "known"),
        (value_set("x", part("is-a", "concept", "mammal")), ANIMALS, "cat", "known"),
        (value_set("x", part("is-a", "concept", "mammal")), ANIMALS, "bird", "unknown"),
        (value_set("x", part("generalizes", "concept", "dog")), ANIMALS, "mammal", "known"),
        (value_set("x", listed("dog")), ANIMALS, "dog", "known"),
        (value_set("x", listed("dog")), ANIMALS, "cat", "unknown"),
        (value_set("x", listed("dog", system=UNKNOWN)), UNKNOWN, "dog", "known"),
        (value_set("x", listed("dog", system=UNKNOWN)), UNKNOWN, "cat", "unknown"),
        (value_set("x", {"system": UNKNOWN}), UNKNOWN, "dog", "cannot tell"),
        (value_set("x", {"system": UNKNOWN}), ANIMALS, "dog", "unknown"),
        (value_set("x", {"system": UNKNOWN}, listed("dog")), ANIMALS, "dog", "known"),
        (value_set("x", ALL, exclude=(listed("dog"),)), ANIMALS, "dog", "unknown"),
        (value_set("x", ALL, exclude=(listed("dog"),)), ANIMALS, "cat", "known"),
        (value_set("x", ALL, exclude=({"valueSet": [UNKNOWN]},)), ANIMALS, "cat", "cannot tell"),
        (value_set("x", {"valueSet": [UNKNOWN]}), ANIMALS, "cat", "cannot tell"),
        (value_set("x", {"valueSet": [f"{X}es"]}), ANIMALS, "cat", "cannot tell"),
        (value_set("x", {"valueSet": [X]}), ANIMALS, "cat", "cannot tell"),
        (value_set("x", {"system": UCUM}), UCUM, "mg", "known"),
        (value_set("x", {"system": UCUM}), UCUM, "mgg", "unknown"),
        (value_set("x", {"system": LANGUAGES}), LANGUAGES, "fr-FR", "known"),
        (value_set("x", {"system": LANGUAGES}), LANGUAGES, "f", "unknown"),
        (value_set("x", {"system": MEDIA}), MEDIA, "text/xml; charset=utf-8", "known"),
        (value_set("x", {"system": MEDIA}), MEDIA, "text", "unknown"),
    ],
)  # fmt: skip
def test_verdicts(set: Resource, system: str, code: str, expected: Verdict) -> None:
    known = terminology(animals(), set)
    assert asyncio.run(known.verify(system, code, X)) == expected
    # What was read once is known at once.
    assert known.validate(system, code, X) == expected


@pytest.mark.parametrize(
    ("content", "code", "expected"),
    [
        ("complete", "zebra", "unknown"),
        ("fragment", "dog", "known"),
        ("fragment", "zebra", "cannot tell"),
        ("example", "zebra", "cannot tell"),
        ("not-present", "zebra", "cannot tell"),
    ],
)
def test_of_an_incomplete_system_nothing_is_unknown(content: str, code: str, expected: Verdict) -> None:
    known = terminology(animals(content=content))
    assert asyncio.run(known.verify(ANIMALS, code)) == expected


def test_case_may_not_matter() -> None:
    known = terminology(animals(caseSensitive=False), value_set("x", listed("dog")))
    assert asyncio.run(known.verify(ANIMALS, "DOG")) == "known"
    assert known.validate(ANIMALS, "Dog", X) == "known"


def test_a_set_without_compose_is_its_expansion() -> None:
    set = value_set("x")
    del set["compose"]
    set["expansion"] = {"contains": [{"system": ANIMALS, "code": "dog"}]}
    known = terminology(set)
    assert asyncio.run(known.verify(ANIMALS, "dog", X)) == "known"
    assert known.validate(ANIMALS, "cat", X) == "unknown"


def test_a_change_is_noticed() -> None:
    store = Memory(animals(), value_set("x", listed("dog")))
    known = Terminology(NO_PACKAGES, store)
    assert asyncio.run(known.verify(ANIMALS, "cat", X)) == "unknown"
    store.put(value_set("x", listed("cat")))
    assert asyncio.run(known.verify(ANIMALS, "cat", X)) == "known"
    store.delete("ValueSet", "x")
    assert asyncio.run(known.verify(ANIMALS, "cat", X)) == "cannot tell"


def test_what_has_no_room_is_read_again() -> None:
    many = animals(concept=[{"code": f"c{number}"} for number in range(100_000)])
    store = Memory(many, *(value_set(f"x{n}", listed("dog")) for n in range(3)))
    known = Terminology(NO_PACKAGES, store)
    assert asyncio.run(known.verify(ANIMALS, "c99999")) == "known"
    assert known.validate(ANIMALS, "c1") == "known"
    assert asyncio.run(known.verify(ANIMALS, "dog", "http://example.org/ValueSet/x0")) == "known"
    assert store.asked


def test_what_cannot_be_told_at_once_is_learnt() -> None:
    supplement = {
        "resourceType": "CodeSystem",
        "id": "more",
        "url": ANIMALS + "-more",
        "status": "active",
        "content": "supplement",
        "supplements": ANIMALS,
        "concept": [{"code": "dog", "designation": [{"value": "Hund", "language": "de"}]}],
    }
    known = Terminology(NO_PACKAGES, Memory(animals(), supplement))
    asyncio.run(known.refresh())
    at_once = AtOnce(known)
    assert at_once.names(ANIMALS, "dog", "de") == ()
    asyncio.run(known.learn())
    assert "Hund" in at_once.names(ANIMALS, "dog", "de")


def test_versions() -> None:
    old = animals(version="1.9") | {"id": "old", "concept": [{"code": "dodo"}]}
    new = animals(version="1.10") | {"id": "new"}
    known = terminology(old, new, value_set("x", ALL | {"version": "1.9"}))
    assert asyncio.run(known.verify(ANIMALS, "dodo")) == "unknown"
    assert known.validate(ANIMALS, "dodo", X) == "known"
