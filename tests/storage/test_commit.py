"""Changes that wait for each other: those that others have overtaken fail, and no other one."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest
from bson import Int64

from fhirserver.storage.commit import Change, Committer, Conflict, Lock, Write
from fhirserver.storage.database import Database, Document
from fhirserver.storage.embedded import EmbeddedEngine

pytestmark = pytest.mark.anyio
TYPE, NAME = "Practitioner", "commit"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def database(engine: EmbeddedEngine) -> AsyncIterator[Database]:
    database = Database(engine.uri, NAME, embedded=True)
    for name in (TYPE, "history", "locks"):
        await database.raw.create_collection(name)
    yield database
    await database.client.drop_database(NAME)
    await database.close()


def document(id: str, version: int) -> Document:
    return {"_id": id, "version": version, "updated": Int64(version), "method": "PUT", "body": b"{}"}


def created(id: str, *locks: Lock) -> Change:
    return Change([Write(TYPE, document(id, 1))], list(locks))


def updated(id: str, version: int) -> Change:
    retired = {**document(id, version - 1), "_id": f"{TYPE}/{id}/{version - 1}"}
    return Change([Write(TYPE, document(id, version), retired)])


async def outcomes(database: Database, *changes: Change) -> list[bool]:
    """Which of the changes, submitted at once, were made."""
    committer = Committer(database)
    await committer.start()
    done = await asyncio.gather(*map(committer.commit, changes), return_exceptions=True)
    await committer.stop()
    assert all(one is None or isinstance(one, Conflict) for one in done), done
    return [one is None for one in done]


async def stored(database: Database) -> dict[str, int]:
    return {row["_id"]: row["version"] async for row in database.collection(TYPE).find({})}


@pytest.mark.parametrize(
    ("changes", "made"),
    [
        # Two looked under one lock and found nothing; the others have nothing to do with it.
        (
            [created(f"{n}", Lock("doctor", 0)) for n in range(3)]
            + [created(f"other{n}", Lock(f"{n}", 0)) for n in range(40)],
            [True, False, False, *[True] * 40],
        ),
        # Both have read version 1.
        ([updated("known", 2), updated("known", 2), created("new", Lock("x", 0))], [True, False, True]),
        # The one is decided on what the other makes of it.
        ([updated("known", 2), updated("known", 3)], [True, True]),
        # What none of those that wait has done: the lock and the version have long moved on.
        (
            [created("a", Lock("old", 1)), updated("known", 5)]
            + [created(f"{n}", Lock(f"{n}", 0)) for n in range(9)],
            [False, False, *[True] * 9],
        ),
    ],
    ids=["one lock", "one version", "one after the other", "all spoilt by two"],
)  # fmt: skip
async def test_only_what_is_overtaken_fails(
    database: Database, changes: list[Change], made: list[bool]
) -> None:
    await database.collection(TYPE).insert_one(document("known", 1))
    await database.collection("locks").insert_one({"_id": "old", "n": 7})
    assert await outcomes(database, *changes) == made
    versions = {"known": 1}
    for change, there in zip(changes, made, strict=True):
        if there:
            versions |= {w.document["_id"]: w.document["version"] for w in change.writes}
    assert await stored(database) == versions


async def test_what_waits_for_the_impossible_costs_no_transactions(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sixty want to create what the first of them creates: one transaction, not sixty."""
    committer = Committer(database)
    transact, begun = committer._transact, []

    async def counted(changes: Iterable[Change]) -> None:
        begun.append(changes)
        await transact(changes)

    monkeypatch.setattr(committer, "_transact", counted)
    await committer.start()
    changes = [created(f"{n}", Lock("doctor", 0)) for n in range(60)]
    done = await asyncio.gather(*map(committer.commit, changes), return_exceptions=True)
    await committer.stop()
    assert [type(one).__name__ for one in done] == ["NoneType", *["Conflict"] * 59]
    assert len(begun) == 1
