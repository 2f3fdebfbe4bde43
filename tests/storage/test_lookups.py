"""What lies beyond a bound, looked up for many questions at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fhirserver.search.query import Range
from fhirserver.storage.database import Database
from fhirserver.storage.embedded import EmbeddedEngine
from fhirserver.storage.lookups import NEWEST, Lookups

pytestmark = pytest.mark.anyio
TYPE, MANY = "Provenance", NEWEST + 10


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def lookups(engine: EmbeddedEngine) -> AsyncIterator[Lookups]:
    """Patient/1 has one of each day from 1 to 3, Patient/2 the last one as well; Patient/3 many; Patient/4
    one that is deleted."""
    database = Database(engine.uri, "beyond", embedded=True)
    rows = [("1", 1, ["1"]), ("2", 2, ["1"]), ("3", 3, ["1", "2"])]
    rows += [(f"m{number}", 9, ["3"]) for number in range(MANY)]
    documents = [
        {"_id": id, "keys": [f"target|Patient/{p}" for p in patients], "sorted": [f"recorded|{day}"]}
        | {"seq": seq, "version": 1, "updated": 0, "method": "PUT", "body": b"{}"}
        for seq, (id, day, patients) in enumerate(rows, 1)
    ]
    deleted = {"_id": "gone", "keys": ["target|Patient/4"], "version": 2, "updated": 0, "method": "DELETE"}
    await database.collection(TYPE).insert_many([*documents, {**deleted, "body": b""}])
    yield Lookups(database)
    await database.client.drop_database("beyond")
    await database.close()


async def test_each_question_has_its_own_answer(lookups: Lookups) -> None:
    async def ids(day: int, *patients: int) -> list[str]:
        keys = [f"target|Patient/{patient}" for patient in patients]
        found = await lookups.beyond(TYPE, keys, Range(f"recorded|{day}\x01", "recorded}"))
        return sorted(stored.id for stored in found)

    asked = [(0, 1), (1, 1), (3, 1), (0, 2), (1, 1, 2), (0, 4), (0, 5)]
    expected = [["1", "2", "3"], ["2", "3"], [], ["3"], ["2", "3"], [], []]
    assert await asyncio.gather(*(ids(*one) for one in asked)) == expected
    # Together with one that has more than is looked at.
    *answers, many = await asyncio.gather(*(ids(*one) for one in (*asked, (0, 3))))
    assert answers == expected
    assert len(many) == NEWEST
    assert "m0" not in many
