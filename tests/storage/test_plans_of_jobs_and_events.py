"""What subscriptions and jobs ask of the database has an index: a scan would hold up everybody."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fhirserver.settings import Settings
from fhirserver.storage.database import Database

SHAPES: list[tuple[str, dict[str, Any]]] = [
    ("events", {"waiting": {"$gt": ""}}),
    ("events", {"waiting": "a"}),
    ("events", {"subscription": "a"}),
    ("events", {"subscription": "a", "number": {"$gte": 1, "$lte": 9}}),
    ("events", {"subscription": "a", "number": {"$gt": 1, "$lte": 9}}),
    ("jobs", {"status": {"$in": ["waiting", "running"]}}),
    ("jobs", {"finished": {"$gt": 0, "$lt": 9}}),
    ("Subscription", {"keys": {"$in": ["status|a", "status|b"]}}),
    ("Patient", {"seq": {"$gte": 1, "$lt": 9}}),
    ("Patient", {"updated": {"$gt": 1}}),
]


@pytest.fixture(scope="module")
def plans(make_settings: Callable[..., Settings]) -> list[str]:
    """The plan of each shape, over a few documents."""
    settings = make_settings()

    async def explain() -> list[str]:
        database = Database(settings.mongodb_uri, settings.database, embedded=True)
        await database.prepare(settings.resource_types)
        for name in {name for name, _ in SHAPES}:
            documents = [{"_id": f"x{n}", "seq": n, "updated": n, "number": n} for n in range(20)]
            await database.collection(name).insert_many(documents)
        found = []
        for name, shape in SHAPES:
            plan = await database.raw.command({"explain": {"find": name, "filter": shape}})
            found.append(str(plan["queryPlanner"]["winningPlan"]))
        await database.close()
        return found

    return asyncio.run(explain())


@pytest.mark.parametrize("position", range(len(SHAPES)), ids=[f"{n} {s}" for n, s in SHAPES])
def test_no_collection_is_scanned(plans: list[str], position: int) -> None:
    assert "COLLSCAN" not in plans[position]
