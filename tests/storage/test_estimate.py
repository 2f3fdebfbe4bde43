"""Estimated totals: near enough, exact where there is little, and as dear for much as for little."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from fhirserver import search
from fhirserver.model.definitions import Definitions
from fhirserver.storage import estimate
from fhirserver.storage.database import Database, traced
from fhirserver.storage.documents import Stored, to_document
from fhirserver.storage.embedded import EmbeddedEngine

COUNT = 2000


@pytest.fixture(scope="module")
def estimated(engine: EmbeddedEngine, definitions: Definitions) -> Iterator[Callable[[str], tuple[int, int]]]:
    """An estimate, and how many pipelines it took; as if the store were a hundred times as large."""
    indexer = search.Indexer(definitions, words="off")
    database = Database(engine.uri, "estimates", embedded=True)
    with asyncio.Runner() as runner:

        async def fill() -> None:
            await database.prepare(("Observation",))
            rows = []
            for n in range(COUNT):
                code = {"coding": [{"code": "often" if n % 4 else "seldom"}]}
                resource = {"resourceType": "Observation", "id": f"o{n}", "code": code, "status": "final"}
                stored = Stored("Observation", f"o{n}", 1, n, "PUT", b"{}")
                rows.append(to_document(stored, indexer.index(resource), 1 + n * 20))
            await database.collection("Observation").insert_many(rows)
            await database.collection("counters").insert_one({"_id": "seq", "n": COUNT * 20})

        def find(asked: str) -> tuple[int, int]:
            name, _, value = asked.partition("=")
            query = search.compile("Observation", [(name, value)], indexer=indexer)
            with traced() as pipelines:
                return runner.run(estimate.estimate(database, query)), len(pipelines)

        runner.run(fill())
        yield find
        runner.run(database.close())


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [
        ("status:not=amended", 1700, 2300),
        # Little enough to be counted.
        ("status=final", 2000, 2000),
        ("code=often", 1500, 1500),
        ("code=seldom", 500, 500),
        ("code=never", 0, 0),
        ("_id=o1", 1, 1),
    ],
)
def test_estimate(estimated: Callable[[str], tuple[int, int]], asked: str, low: int, high: int) -> None:
    found, pipelines = estimated(asked)
    assert low <= found <= high
    assert pipelines <= estimate.SAMPLES + 1
