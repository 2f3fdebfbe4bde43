"""Every type of search parameter on the real engine: what it finds among many generated resources is what
``slowly`` says, which reads the resources themselves.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirserver import search
from fhirserver.storage import pipeline
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Stored, to_document
from fhirserver.storage.embedded import EmbeddedEngine
from tests.search import slowly

UCUM = "http://unitsofmeasure.org"
WORDS = ["Éva", "eva", "Marie-Louise", "d'Arc", "L'Haÿ", "Le", "œuvre", "a,b", "Ev", "É|v", "Zoé"]
CODES = ["a", "A", "a|b", "b", "$", "é"]
SYSTEMS = [None, "urn:a", "urn:a|b", "http://x/$y"]
DATES = [
    "2023",
    "2023-12",
    "2024-02-29",
    "2024-02-29T12:00Z",
    "2024-03-31T01:30:00",
    "2024-01-01T00:00:00+02:00",
]
NUMBERS = [Decimal(text) for text in ("-5", "-0.5", "0", "0.50", "5.4", "5.45", "99.6", "100", "1000")]
URLS = ["http://x", "http://x/", "http://x/a", "http://x/ab", "http://x/a/b", "urn:oid:1.2", "http://x/a$b"]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
EDGE = 1e-6
"""Places so close to the edge of a circle are left out: both sides calculate with floats."""

Resources = dict[str, list[dict[str, Any]]]
Find = Callable[[str, str, str], set[str]]


def generated() -> Resources:
    """Resources of a few types, the same every time."""
    choose = random.Random(20240229)  # not for secrets

    def coding() -> dict[str, Any]:
        system = choose.choice(SYSTEMS)
        return {"code": choose.choice(CODES), **({"system": system} if system else {})}

    def observation() -> dict[str, Any]:
        start, end = choose.choice(DATES), choose.choice(DATES)
        period = {"start": min(start, end), "end": max(start, end)}
        effective = {"effectivePeriod": period} if choose.random() < 0.3 else {"effectiveDateTime": start}
        parts = [
            {"code": {"coding": [coding()]}, "valueQuantity": {"value": choose.choice(NUMBERS)}} for _ in "ab"
        ]
        unit = choose.choice(sorted(slowly.GRAMS))
        return {
            "code": {"coding": [coding() for _ in range(choose.randint(1, 2))]},
            **({"subject": {"reference": choose.choice(REFERENCES)}} if choose.random() < 0.8 else {}),
            **effective,
            "valueQuantity": {"value": choose.choice(NUMBERS), "system": UCUM, "code": unit},
            "component": parts,
        }

    def location(number: int) -> dict[str, Any]:
        parent = choose.randrange(40)  # sometimes itself, or a circle
        position = {
            "latitude": Decimal(choose.randint(-9000, 9000)) / 100,
            "longitude": Decimal(choose.randint(-18000, 18000)) / 100,
        }
        return {
            **({"partOf": {"reference": f"Location/{parent}"}} if choose.random() < 0.7 else {}),
            **({"position": position} if choose.random() < 0.9 else {}),
            "name": str(number),
        }

    def sequence() -> dict[str, Any]:
        variants = [{"start": choose.randint(1, 3), "end": choose.randint(3, 5)} for _ in "ab"]
        return {"referenceSeq": {"chromosome": {"coding": [coding()]}}, "variant": variants}

    made = {
        "Patient": [
            {"name": [{"given": [" ".join(choose.choices(WORDS, k=choose.randint(1, 3))) for _ in "ab"]}]}
            for _ in range(80)
        ],
        "Observation": [observation() for _ in range(150)],
        "Location": [location(number) for number in range(60)],
        "RiskAssessment": [{"prediction": [{"probabilityDecimal": number}]} for number in NUMBERS * 2],
        "ValueSet": [{"url": url} for url in URLS] + [{}],
        "MolecularSequence": [sequence() for _ in range(60)],
    }
    return {
        type: [{"resourceType": type, "id": str(n), **resource} for n, resource in enumerate(resources)]
        for type, resources in made.items()
    }


REFERENCES = [
    *("Patient/1", "Patient/12", f"{slowly.OWN}/Patient/1", "https://autre.example/fhir/Patient/1"),
    *("Group/1", "Patient/1/_history/1", "Patient/1/_history/2"),
]
RESOURCES = generated()


@pytest.fixture(scope="module")
def find(engine: EmbeddedEngine, indexer: search.Indexer) -> Iterator[Find]:
    """The ids that a search of a type by one parameter finds."""
    database = Database(engine.uri, "laws", embedded=True)

    async def fill() -> None:
        await database.prepare(RESOURCES)
        for type, resources in RESOURCES.items():
            await database.collection(type).insert_many(
                to_document(Stored(type, r["id"], 1, 1000, "PUT", b"{}"), indexer.index(r), int(r["id"]) + 1)
                for r in resources
            )
        await database.collection("counters").insert_one({"_id": "seq", "n": 1000})

    with asyncio.Runner() as runner:
        runner.run(fill())

        def found(type: str, name: str, value: str) -> set[str]:
            query = search.compile(type, [(name, value)], indexer=indexer)
            page = runner.run(pipeline.page(database, query, None, 1000))
            return {stored.id for stored in page.resources}

        yield found
        runner.run(database.close())


def ids(type: str, matches: Callable[[dict[str, Any]], bool]) -> set[str]:
    return {resource["id"] for resource in RESOURCES[type] if matches(resource)}


few = settings(max_examples=15, deadline=None)


@few
@given(st.sampled_from(["", ":contains", ":exact"]), st.lists(st.sampled_from(WORDS), min_size=1, max_size=2))
def test_strings(find: Find, modifier: str, asked: list[str]) -> None:
    text = " ".join(asked)
    expected = ids(
        "Patient",
        lambda p: any(slowly.string_matches(modifier, name, text) for name in p["name"][0]["given"]),
    )
    assert find("Patient", f"given{modifier}", slowly.escaped(text)) == expected


def tokens(concept: dict[str, Any], system: str | None, code: str | None, any_system: bool) -> bool:
    return any(slowly.token_matches(coding, system, code, any_system) for coding in concept["coding"])


@few
@given(st.sampled_from(SYSTEMS), st.sampled_from(CODES), st.sampled_from(["code", "system|code", "system|"]))
def test_tokens(find: Find, system: str | None, code: str, form: str) -> None:
    written, escaped = slowly.escaped(system or ""), slowly.escaped(code)
    if form == "code":
        asked, expected = escaped, ids("Observation", lambda o: tokens(o["code"], None, code, True))
    elif form == "system|" and system:
        asked, expected = f"{written}|", ids("Observation", lambda o: tokens(o["code"], system, None, False))
    else:
        asked = f"{written}|{escaped}"
        expected = ids("Observation", lambda o: tokens(o["code"], system, code, False))
    assert find("Observation", "code", asked) == expected
    assert find("Observation", "code:not", asked) == ids("Observation", lambda o: True) - expected


@few
@given(st.sampled_from([*REFERENCES, "1", "12", "2"]))
def test_references(find: Find, asked: str) -> None:
    expected = ids(
        "Observation", lambda o: slowly.reference_matches(o.get("subject", {}).get("reference", ""), asked)
    )
    assert find("Observation", "subject", asked) == expected
    assert find("Observation", "subject:missing", "true") == ids("Observation", lambda o: "subject" not in o)


def times(observation: dict[str, Any]) -> tuple[Any, Any]:
    period = observation.get("effectivePeriod")
    if period:
        return slowly.span(period["start"])[0], slowly.span(period["end"])[1]
    return slowly.span(observation["effectiveDateTime"])


@few
@given(st.sampled_from(PREFIXES), st.sampled_from(DATES))
def test_dates(find: Find, prefix: str, asked: str) -> None:
    expected = ids("Observation", lambda o: slowly.date_matches(prefix, *times(o), asked))
    assert find("Observation", "date", prefix + asked) == expected


@few
@given(st.sampled_from(PREFIXES), st.sampled_from(NUMBERS))
def test_numbers(find: Find, prefix: str, asked: Decimal) -> None:
    def matches(resource: dict[str, Any]) -> bool:
        value = Fraction(resource["prediction"][0]["probabilityDecimal"])
        return slowly.number_matches(value, value, prefix, asked)

    assert find("RiskAssessment", "probability", f"{prefix}{asked}") == ids("RiskAssessment", matches)


@few
@given(st.sampled_from(PREFIXES), st.sampled_from(NUMBERS), st.sampled_from(sorted(slowly.GRAMS)))
def test_quantities(find: Find, prefix: str, asked: Decimal, unit: str) -> None:
    def matches(resource: dict[str, Any]) -> bool:
        quantity = resource["valueQuantity"]
        value = Fraction(quantity["value"]) * slowly.GRAMS[quantity["code"]]
        return slowly.quantity_matches(value, prefix, asked, slowly.GRAMS[unit])

    text = f"{prefix}{asked}|{UCUM}|{unit}"
    assert find("Observation", "value-quantity", text) == ids("Observation", matches)


@few
@given(st.sampled_from(["", ":below", ":above"]), st.sampled_from(URLS))
def test_uris(find: Find, modifier: str, asked: str) -> None:
    if modifier and asked.startswith("urn:"):
        return
    expected = ids("ValueSet", lambda v: "url" in v and slowly.uri_matches(modifier, v["url"], asked))
    assert find("ValueSet", f"url{modifier}", slowly.escaped(asked)) == expected


@few
@given(st.sampled_from(CODES), st.sampled_from(PREFIXES), st.sampled_from(NUMBERS))
def test_composites(find: Find, code: str, prefix: str, asked: Decimal) -> None:
    def matches(component: dict[str, Any]) -> bool:
        value = Fraction(component["valueQuantity"]["value"])
        return tokens(component["code"], None, code, True) and slowly.number_matches(
            value, value, prefix, asked
        )

    expected = ids("Observation", lambda o: any(map(matches, o["component"])))
    text = f"{slowly.escaped(code)}${prefix}{asked}"
    assert find("Observation", "component-code-value-quantity", text) == expected


@few
@given(
    st.sampled_from(CODES),
    st.tuples(st.sampled_from(PREFIXES), st.integers(1, 5)),
    st.tuples(st.sampled_from(PREFIXES), st.integers(1, 5)),
)
def test_composites_of_three(find: Find, code: str, start: tuple[str, int], end: tuple[str, int]) -> None:
    def number(value: int, asked: tuple[str, int]) -> bool:
        return slowly.number_matches(Fraction(value), Fraction(value), asked[0], Decimal(asked[1]))

    def matches(resource: dict[str, Any]) -> bool:
        return tokens(resource["referenceSeq"]["chromosome"], None, code, True) and any(
            number(variant["start"], start) and number(variant["end"], end) for variant in resource["variant"]
        )

    text = f"{slowly.escaped(code)}${start[0]}{start[1]}${end[0]}{end[1]}"
    found = find("MolecularSequence", "chromosome-variant-coordinate", text)
    assert found == ids("MolecularSequence", matches)


@few
@given(
    st.decimals(-90, 90, places=1),
    st.decimals(-180, 180, places=1),
    st.sampled_from([0, 1, 50, 700, 3000, 9000, 19000, 20016]),
)
def test_near(find: Find, latitude: Decimal, longitude: Decimal, kilometres: int) -> None:
    def distance(resource: dict[str, Any]) -> float:
        position = resource["position"]
        place = (float(position["latitude"]), float(position["longitude"]))
        return slowly.metres((float(latitude), float(longitude)), place) / 1000

    at_edge = ids("Location", lambda r: "position" in r and abs(distance(r) - kilometres) < EDGE)
    expected = ids("Location", lambda r: "position" in r and distance(r) <= kilometres)
    found = find("Location", "near", f"{latitude}|{longitude}|{kilometres}|km")
    assert found - at_edge == expected - at_edge


@few
@given(st.integers(0, 45), st.sampled_from(["below", "above"]))
def test_hierarchies(find: Find, id: int, modifier: str) -> None:
    parents = {
        r["id"]: r.get("partOf", {}).get("reference", "").partition("/")[2] or None
        for r in RESOURCES["Location"]
    }
    related = getattr(slowly, modifier)(parents, str(id))
    assert find("Location", f"partof:{modifier}", str(id)) == slowly.refers(parents, related)
    assert find("Location", f"partof:{modifier}", f"Location/{id}") == slowly.refers(parents, related)


@few
@given(st.data())
def test_sounds(find: Find, data: st.DataObject) -> None:
    """A name is found by itself, and as records in capitals without accents have it."""
    patient = data.draw(st.sampled_from(RESOURCES["Patient"]))
    name = data.draw(st.sampled_from(patient["name"][0]["given"]))
    bare = " ".join(slowly.plain(name)).upper()
    for asked in (slowly.escaped(name), bare, bare.replace(" ", "-")):
        assert patient["id"] in find("Patient", "phonetic", asked), asked
