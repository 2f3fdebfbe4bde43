"""What the embedded engine cannot hold uncommitted is refused before it stands still."""

import asyncio

import pytest

from fhirserver.errors import TooLarge
from fhirserver.storage.commit import EMBEDDED_MOST, ENTRY_WEIGHT, Change, Committer, Write
from fhirserver.storage.database import Database, Document

KEYS = [f"code|{n}" for n in range(1000)]
MANY = EMBEDDED_MOST // (len(KEYS) * ENTRY_WEIGHT) + 1


def write(id: int, body: bytes, keys: list[str], *, retires: bool = False) -> Write:
    document: Document = {"_id": str(id), "version": 1, "body": body, "keys": keys, "sorted": []}
    return Write("Basic", document, {"version": 0, "body": body} if retires else None)


@pytest.mark.parametrize(
    "writes",
    [
        [write(0, bytes(EMBEDDED_MOST // 4), [])],
        [write(0, bytes(EMBEDDED_MOST // 8), [], retires=True)],
        [write(n, b"{}", KEYS) for n in range(MANY)],
        [write(n, b"{}", KEYS, retires=True) for n in range(MANY // 2)],
    ],
)
def test_a_change_that_is_too_heavy_is_refused(writes: list[Write]) -> None:
    async def commit() -> None:
        # Nothing listens there: what is refused is refused before anybody is asked.
        database = Database("mongodb://127.0.0.1:9/?replicaSet=none", "none", embedded=True)
        try:
            await Committer(database).commit(Change(writes))
        finally:
            await database.close()

    with pytest.raises(TooLarge, match="embedded engine"):
        asyncio.run(commit())
