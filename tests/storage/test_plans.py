"""Every search starts from an index, and a record's examines little more than it returns: by counting."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import TooCostly
from fhirserver.model.definitions import Definitions
from fhirserver.storage import pipeline
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Stored, to_document
from fhirserver.storage.embedded import EmbeddedEngine
from fhirserver.storage.explain import Step, explain

PATIENTS, EACH = 20, 24
UCUM = "http://unitsofmeasure.org"


def records() -> Iterator[dict[str, Any]]:
    """People with a measure of one of six kinds twice a month, for a year."""
    for p in range(PATIENTS):
        yield {
            "resourceType": "Patient",
            "id": f"p{p}",
            "identifier": [{"system": "urn:ins", "value": f"1{p:04d}"}],
            "name": [{"family": f"Famille{p}", "given": ["Zoé"]}],
            "gender": "female" if p % 2 else "male",
            "birthDate": f"{1950 + p}-03-14",
        }
        for n in range(EACH):
            yield {
                "resourceType": "Observation",
                "id": f"p{p}-o{n}",
                "status": "final",
                "category": [{"coding": [{"system": "urn:c", "code": "lab" if n % 3 else "vital"}]}],
                "code": {"coding": [{"system": "http://loinc.org", "code": f"{n % 6}-8"}]},
                "subject": {"reference": f"Patient/p{p}"},
                "performer": [{"reference": "Practitioner/zoe"}],
                "text": {"status": "generated", "div": f"<div>Mesure périodique {n} de Zoé</div>"},
                "effectiveDateTime": f"2024-{n // 2 + 1:02d}-{10 + n % 2:02d}T09:30:00+01:00",
                "valueQuantity": {"value": 10 * n + p, "system": UCUM, "code": "g"},
            }


Run = Callable[[str], tuple[list[Step], int]]


@pytest.fixture(scope="module")
def run(engine: EmbeddedEngine, definitions: Definitions) -> Iterator[Run]:
    """Explain the first page of a search, and count what is on it."""
    indexer = search.Indexer(definitions)
    database = Database(engine.uri, "plans", embedded=True)
    with asyncio.Runner() as runner:

        async def fill() -> None:
            await database.prepare(("Patient", "Observation", "List"))
            documents: dict[str, list[dict[str, Any]]] = {"Patient": [], "Observation": []}
            for number, resource in enumerate(records(), 1):
                stored = Stored(resource["resourceType"], resource["id"], 1, number, "PUT", b"{}")
                documents[stored.type].append(to_document(stored, indexer.index(resource), number))
            for type, rows in documents.items():
                await database.collection(type).insert_many(rows)
            await database.collection("counters").insert_one({"_id": "seq", "n": PATIENTS * (EACH + 1)})

        def explained(asked: str) -> tuple[list[Step], int]:
            type, _, text = asked.partition("?")
            pairs = [(name, value) for name, _, value in (p.partition("=") for p in text.split("&") if p)]
            query = search.compile(type, pairs, indexer=indexer)
            steps = runner.run(explain(database, [query], query.count))
            return steps, len(runner.run(pipeline.page(database, query, None, query.count)).resources)

        runner.run(fill())
        yield explained
        runner.run(database.close())


@pytest.mark.parametrize(
    ("asked", "returned"),
    [
        ("Patient?_id=p3", 1),
        ("Patient?_id=p3,p4", 2),
        ("Patient?identifier=urn:ins|10003", 1),
        ("Patient?identifier=10003", 1),
        ("Patient?family=famille7&birthdate=1957-03-14", 1),
        ("Patient?birthdate=1957-03-14", 1),
        ("Observation?patient=p3", 24),
        ("Observation?subject=Patient/p3", 24),
        ("Observation?patient=p3&_sort=-date", 24),
        ("Observation?patient=p3&code=2-8", 4),
        ("Observation?patient=p3&code=http://loinc.org|2-8,http://loinc.org|3-8", 8),
        ("Observation?patient=p3&category=urn:c|vital&_sort=-date", 8),
        ("Observation?patient=p3&date=2024-05", 2),
        ("Observation?patient=p3&date=ge2024-11&_sort=-date", 4),
        ("Observation?patient=p3&date=ge2024-05&date=lt2024-07&_sort=-date", 4),
        ("Observation?patient=p3&status=final", 24),
        ("Observation?code=2-8&value-quantity=0.203|http://unitsofmeasure.org|kg", 1),
        ("Observation?date=ge2024-05-01&date=lt2024-06-01", 40),
        ("Observation?patient.identifier=10003", 24),
        ("Observation?patient.identifier=none", 0),
        ("Observation?patient.family=personne", 0),
        ("Observation?patient.birthdate=gt1968-03-14&_sort=date", 24),
        ("Observation?date=2024-05-10", 20),
        ("Observation?date=2024-05", 40),
        ("Observation?code=2-8", 50),
        ("Observation?code=2-8,3-8", 50),
        ("Observation?code=2-8&value-quantity=gt0.1|http://unitsofmeasure.org|kg", 40),
        ("Observation?code-value-quantity=2-8$gt100|http://unitsofmeasure.org|g", 40),
        ("Patient?_content=famille7", 1),
        ("Observation?_text=periodique", 50),
        ("Observation?patient=p3&_text=periodique", 24),
        ("Patient?name=fam", 20),
        ("Patient?name=famil", 20),
        ("Patient?given=zoe", 20),
        ("Patient?family=famille1,famille2", 12),
    ],
)
def test_what_a_record_is_read_by_examines_little(run: Run, asked: str, returned: int) -> None:
    steps, found = run(asked)
    assert found == returned
    assert all(step.index for step in steps), steps
    assert sum(step.keys for step in steps) <= 3 * max(found, 1), steps


@pytest.mark.parametrize(
    "asked",
    [
        "Patient",
        "Patient?_sort=family",
        "Patient?family=fam",
        "Patient?family=f",
        "Patient?family:contains=mille",
        "Patient?family:exact=Famille3",
        "Patient?family=famille3,famille4",
        "Patient?name:missing=true",
        "Patient?gender=male",
        "Patient?gender=male,female",
        "Patient?gender:not=male",
        "Patient?gender:missing=false",
        "Patient?identifier=urn:ins|",
        "Patient?birthdate=lt1960",
        "Patient?birthdate=ne1960",
        "Patient?_lastUpdated=gt2024",
        "Patient?_lastUpdated=lt2024",
        "Patient?_list=l",
        "Patient?_profile:below=http://a/",
        "Patient?_has:Observation:patient:code=2-8",
        "Observation?code=2-8",
        "Observation?code=2-8,3-8",
        "Observation?code=" + ",".join(f"{n}-8" for n in range(40)),
        "Observation?code:text=x",
        "Observation?performer=zoe",
        "Observation?patient=p1,p2,p3",
        "Observation?patient.family=famille3",
        "Observation?patient.family=famille3&code=2-8",
        "Observation?patient=p1&performer:Practitioner.name=x",
        "Observation?value-quantity=gt5",
        "Observation?value-quantity=5|http://unitsofmeasure.org|g",
        "Observation?value-quantity=5||g",
        "Observation?code=2-8&value-quantity=gt0.23|http://unitsofmeasure.org|kg",
        "Observation?code-value-quantity=2-8$gt100",
        "Observation?date=ge2024-06",
        "Observation?date=ne2024-06&_sort=date",
    ],
)
def test_no_search_looks_at_a_collection_without_an_index(run: Run, asked: str) -> None:
    steps, _ = run(asked)
    assert all(step.index for step in steps), [step for step in steps if not step.index]


def test_what_no_index_serves_is_refused_when_there_is_much(
    engine: EmbeddedEngine, definitions: Definitions, run: Run
) -> None:
    indexer = search.Indexer(definitions)

    async def ask(text: str, type: str = "Observation", total: bool = False) -> int:
        database = Database(engine.uri, "plans", embedded=True, search_documents=100)
        pairs = [(name, value) for name, _, value in (p.partition("=") for p in text.split("&"))]
        query = search.compile(type, pairs, indexer=indexer)
        try:
            if total:
                return await pipeline.count(database, query)
            return len((await pipeline.page(database, query, None, 5)).resources)
        finally:
            await database.close()

    assert asyncio.run(ask("_sort=family", "Patient")) == 5
    assert asyncio.run(ask("patient=p3&_sort=date")) == 5
    assert asyncio.run(ask("status:not=final&patient=p3")) == 0
    assert asyncio.run(ask("status:not=amended")) == 5
    assert asyncio.run(ask("patient=p3", total=True)) == EACH
    for costly, total in (("_sort=date", False), ("status:not=final", True), ("status:not=final", False)):
        with pytest.raises(TooCostly, match="add a criterion"):
            asyncio.run(ask(costly, total=total))


def test_a_search_ends_in_time(engine: EmbeddedEngine, definitions: Definitions, run: Run) -> None:
    indexer = search.Indexer(definitions)

    async def ask() -> None:
        database = Database(engine.uri, "plans", embedded=True, search_seconds=0.001)
        query = search.compile("Observation", [("code:not", "1")], indexer=indexer)
        await database.ping()
        try:
            await pipeline.page(database, query, None, 5)
        finally:
            await database.close()

    with pytest.raises(TooCostly, match=r"more than 0\.001 seconds"):
        asyncio.run(ask())


def test_of_several_words_the_rarest_is_read(run: Run) -> None:
    for asked in ("Observation?_text=periodique 13", "Observation?_text=13 periodique"):
        steps, found = run(asked)
        assert found == PATIENTS
        # Besides the look at how often each word is said.
        assert sum(step.keys for step in steps[4:]) <= 3 * found, steps


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("Observation", PATIENTS * EACH),
        ("Observation?code=2-8", PATIENTS * EACH // 6),
        ("Observation?code=2-8,3-8", PATIENTS * EACH // 3),
        ("Observation?code=2-8,3-8&category=vital,lab", PATIENTS * EACH // 3),
        ("Observation?status:not=amended", PATIENTS * EACH),
        ("Observation?patient=p3,p4", 2 * EACH),
        ("Observation?date=2024-05", 40),
        ("Patient?name=fam", PATIENTS),
        ("Patient?gender=male,female", PATIENTS),
        ("Patient?name=x", 0),
    ],
)
def test_what_is_counted(
    engine: EmbeddedEngine, definitions: Definitions, run: Run, asked: str, expected: int
) -> None:
    type, _, text = asked.partition("?")
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in text.split("&") if p)]
    query = search.compile(type, pairs, indexer=search.Indexer(definitions))

    async def count() -> int:
        database = Database(engine.uri, "plans", embedded=True)
        try:
            return await pipeline.count(database, query)
        finally:
            await database.close()

    assert asyncio.run(count()) == expected
