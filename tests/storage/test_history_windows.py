"""Histories of years, minutes and single instants, against a list that is sorted and cut."""

import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from fhirserver.storage import history
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Stored, to_document, to_history
from fhirserver.storage.embedded import EmbeddedEngine
from fhirserver.storage.history import Period, Place

pytestmark = pytest.mark.anyio

TYPES = ("Device", "Organization", "Patient")
BEGIN = 1_767_225_600_000_000  # 2026-01-01
END = BEGIN + 10 * 365 * 86_400_000_000
# Quiet years, a burst in a few milliseconds, and everything between.
GAPS = (0, 1000, 1000, 1000, 40_000, 5_000_000, 3_600_000_000, 86_400_000_000 * 400)


def record() -> list[Stored]:
    """200 versions of 60 resources, some of them deletions, many at one instant."""
    chance = random.Random(7)
    versions: list[Stored] = []
    latest: dict[tuple[str, str], Stored] = {}
    instant = BEGIN
    for _ in range(200):
        instant += chance.choices(GAPS, (40, 20, 10, 10, 10, 5, 4, 1))[0]
        key = (chance.choice(TYPES), f"r{chance.randrange(20)}")
        before = latest.get(key)
        number = before.version + 1 if before else 1
        instant = max(instant, before.updated + 1000) if before else instant
        deleted = before is not None and chance.random() < 0.15
        made = Stored(*key, number, instant, "DELETE" if deleted else "PUT", b"" if deleted else b"{}")
        latest[key] = made
        versions.append(made)
    return versions


VERSIONS = record()


def untils() -> dict[tuple[str, int], int]:
    return {(v.reference, v.version - 1): v.updated for v in VERSIONS}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def database(engine: EmbeddedEngine) -> AsyncIterator[Database]:
    database = Database(engine.uri, "historywindows", embedded=True)
    await database.prepare(TYPES)
    until = untils()
    for stored in VERSIONS:
        retired = until.get((stored.reference, stored.version))
        if retired is None:
            await database.collection(stored.type).insert_one(to_document(stored, None, 0))
        else:
            await database.collection("history").insert_one(to_history(stored, retired))
    yield database
    await database.close()


def expected(types: tuple[str, ...], period: Period, newest: bool) -> list[str]:
    until = untils()
    kept = [
        v
        for v in VERSIONS
        if v.type in types
        and period.low <= v.updated < period.high
        and until.get((v.reference, v.version), END) > period.alive
    ]
    kept.sort(key=lambda v: (v.updated, v.reference), reverse=newest)
    return [f"{v.reference}/{v.version}" for v in kept]


MIDDLE = VERSIONS[100].updated


@pytest.mark.parametrize("limit", [1, 7, 1000])
@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("types", [TYPES, ("Patient",), ("Device", "Patient")])
@pytest.mark.parametrize(
    "period",
    [
        Period(0, END),
        Period(MIDDLE, END),
        Period(0, MIDDLE),
        Period(0, END, MIDDLE),
        Period(0, MIDDLE + 1, MIDDLE),
    ],
)
async def test_pages(
    database: Database, period: Period, types: tuple[str, ...], newest: bool, limit: int
) -> None:
    wanted = expected(types, period, newest)
    if limit == 1:
        wanted = wanted[:12]
    found: list[str] = []
    after: Place | None = None
    while len(found) < len(wanted):
        page, after = await history.page(database, types, period, newest, after, limit)
        assert page
        found += [f"{v.reference}/{v.version}" for v in page]
        if after is None:
            break
    assert found[: len(wanted)] == wanted
    if limit > 1:
        assert after is None
        assert await history.count(database, types, period) == len(wanted)


@pytest.mark.parametrize(
    "period", [Period(0, END), Period(MIDDLE, END), Period(0, END, MIDDLE), Period(END, END + 1)]
)
async def test_numbers_of_a_resource(database: Database, period: Period) -> None:
    for reference in {v.reference for v in VERSIONS}:
        type, _, id = reference.partition("/")
        own = [v for v in VERSIONS if v.reference == reference]
        first, last = await history.numbers(database, own[-1], period)
        wanted = sorted(
            int(v.rpartition("/")[2])
            for v in expected((type,), period, False)
            if v.startswith(f"{type}/{id}/")
        )
        assert list(range(first, last + 1)) == wanted
        found = await history.versions(database, own[-1], wanted)
        assert [v.version for v in found] == wanted


async def test_nothing_scans(database: Database) -> None:
    window = {"updated": {"$gte": 1, "$lt": 5}}
    shapes: list[tuple[str, dict[str, Any]]] = [
        ("Patient", window),
        ("history", window),
        ("history", {"type": "Patient", **window}),
        ("history", {"_id": {"$in": ["Patient/r1/1"]}}),
    ]
    for name, shape in shapes:
        plan = await database.raw.command({"explain": {"find": name, "filter": shape}})
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"]), shape


async def test_an_empty_database_has_no_history(engine: EmbeddedEngine) -> None:
    database = Database(engine.uri, "historyempty", embedded=True)
    await database.prepare(TYPES)
    assert await history.page(database, TYPES, Period(0, END), True, None, 10) == ([], None)
    await database.close()
