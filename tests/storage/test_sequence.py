"""Numbers that several processes take from one sequence."""

import asyncio
import itertools

import pytest

from fhirserver.storage.database import Database
from fhirserver.storage.embedded import EmbeddedEngine
from fhirserver.storage.sequence import BLOCK, Sequence

pytestmark = pytest.mark.anyio
_numbers = itertools.count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_processes_never_share_a_number(engine: EmbeddedEngine) -> None:
    """Four processes begin at the same moment on a database that has no counter yet."""
    name = f"sequence{next(_numbers)}"
    databases = [Database(engine.uri, name, embedded=True) for _ in range(4)]
    sequences = [Sequence(database, "n") for database in databases]
    await asyncio.gather(*(database.ping() for database in databases))
    taken = await asyncio.gather(*(take(sequence, BLOCK + 10) for sequence in sequences))
    assert all(numbers == sorted(numbers) for numbers in taken)
    assert len({number for numbers in taken for number in numbers}) == 4 * (BLOCK + 10)
    assert await sequences[0].end() >= max(map(max, taken))
    for database in databases:
        await database.close()


async def take(sequence: Sequence, count: int) -> list[int]:
    return [await sequence.next() for _ in range(count)]
