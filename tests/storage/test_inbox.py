"""The inbox as processes share it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fhirserver.errors import NotFound
from fhirserver.storage.blobs import Blobs
from fhirserver.storage.database import Database
from fhirserver.storage.embedded import EmbeddedEngine
from fhirserver.storage.inbox import INLINE, Filters, Inbox, Item, Outcome, digest
from fhirserver.storage.owners import Owners

pytestmark = pytest.mark.anyio
_numbers = itertools.count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def inbox(engine: EmbeddedEngine) -> AsyncIterator[Inbox]:
    database = Database(engine.uri, f"inbox{next(_numbers)}", embedded=True)
    await database.prepare([])
    yield Inbox(database, Blobs(database))
    await database.close()


def item(raw: bytes, **values: Any) -> Item:
    number = next(_numbers)
    defaults = {"id": f"i{number}", "channel": "test", "kind": "hl7v2", "source": "LAB", "order": number}
    return Item(**{**defaults, "sha256": digest(raw), "size": len(raw), "owner": "me", **values})


async def store(inbox: Inbox, raw: bytes, status: str = "", **values: Any) -> Item:
    stored = await inbox.receive(item(raw, **values), raw)
    if status:
        await inbox.finish(stored, Outcome(status), 1)
    return stored


@pytest.mark.parametrize("size", [0, 10, INLINE, INLINE + 1])
async def test_raw_comes_back(inbox: Inbox, size: int) -> None:
    raw = bytes(range(256)) * (size // 256 + 1)
    raw = raw[:size]
    stored = await store(inbox, raw)
    assert await inbox.raw(await inbox.get(stored.id)) == raw


async def test_item_comes_back(inbox: Inbox) -> None:
    sent = item(
        b"x", identity="a", control_id="1", patients=("p", "q"), event="ADT^A01", remarks=({"text": "t"},)
    )
    stored = await inbox.receive(sent, b"x")
    found = await inbox.get(stored.id)
    assert found == stored
    outcome = Outcome("warnings", ({"text": "t"},), ("PID-1",), ("Patient/1/_history/1",), "AA")
    await inbox.finish(found, outcome, 3)
    finished = await inbox.get(stored.id)
    assert (finished.outcome, finished.attempts, finished.owner) == (outcome, 3, "")
    assert finished.finished is not None


@pytest.mark.parametrize(
    ("identities", "raws", "statuses", "reused"),
    [
        (("a", "a"), (b"x", b"x"), ("received", "duplicate"), (False, False)),
        (("a", "a"), (b"x", b"y"), ("received", "received"), (False, True)),
        (("a", "b"), (b"x", b"x"), ("received", "received"), (False, False)),
        (("", ""), (b"x", b"x"), ("received", "duplicate"), (False, False)),
        (("", ""), (b"x", b"y"), ("received", "received"), (False, False)),
        (
            ("a", "a", "a"),
            (b"x", b"y", b"y"),
            ("received", "received", "duplicate"),
            (False, True, False),
        ),
    ],
)
async def test_what_is_the_same(
    inbox: Inbox,
    identities: tuple[str, ...],
    raws: tuple[bytes, ...],
    statuses: tuple[str, ...],
    reused: tuple[bool, ...],
) -> None:
    stored = [await store(inbox, raw, identity=i) for i, raw in zip(identities, raws, strict=True)]
    assert tuple(one.status for one in stored) == statuses
    assert tuple(one.reused for one in stored) == reused


@pytest.mark.parametrize(
    ("status", "again"),
    [("processed", "duplicate"), ("warnings", "duplicate"), ("held", "received"), ("failed", "received")],
)
async def test_a_resend_opens_again_what_did_not_get_in(inbox: Inbox, status: str, again: str) -> None:
    first = await store(inbox, b"x", status, identity="a")
    second = await inbox.receive(item(b"x", identity="a", owner="other"), b"x")
    assert second.status == again
    assert (second.id == first.id) is (again == "received")
    assert second.owner == ("other" if again == "received" else "")


async def test_an_input_refused_again_is_kept_once(inbox: Inbox) -> None:
    refused = {"outcome": Outcome("failed"), "owner": ""}
    first = await inbox.receive(item(b"x", **refused), b"x")
    assert (await inbox.receive(item(b"x", **refused), b"x")).id == first.id
    assert len((await inbox.list(Filters(), 10)).items) == 1


async def test_finish_of_somebody_elses_item_changes_nothing(inbox: Inbox) -> None:
    stored = await store(inbox, b"x", owner="other")
    await inbox.finish(item(b"x", id=stored.id, owner="me"), Outcome("failed"), 1)
    assert (await inbox.get(stored.id)).status == "received"


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [5, 4, 3, 2, 1, 0]),
        (Filters(status="held"), [3, 1]),
        (Filters(kind="cda"), [4]),
        (Filters(source="HOSP"), [5, 2]),
        (Filters(control_id="c3"), [3]),
        (Filters(control_id="c3", status="failed"), []),
        (Filters(status="held", source="LAB"), [3, 1]),
        (Filters(since=datetime(2026, 3, 4, tzinfo=UTC)), [5, 4, 3]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_list(inbox: Inbox, filters: Filters, expected: list[int], limit: int) -> None:
    for number in range(6):
        moment = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number)
        await store(
            inbox,
            b"%d" % number,
            "held" if number in (1, 3) else "processed",
            id=str(number),
            control_id=f"c{number}",
            kind="cda" if number == 4 else "hl7v2",
            source="HOSP" if number in (2, 5) else "LAB",
            order=int(moment.timestamp() * 1_000_000),
        )
    found, before = [], 0
    while True:
        page = await inbox.list(filters, limit, before)
        assert len(page.items) <= limit
        found += [int(one.id) for one in page.items]
        before = page.next
        if not before:
            break
    assert found == expected


async def test_counts_and_lag(inbox: Inbox) -> None:
    assert await inbox.lag() == 0
    for number, status in enumerate(("processed", "held", "held", "failed")):
        await store(inbox, b"%d" % number, status)
    await inbox.receive(item(b"0"), b"0")
    counts = {
        "received": 0,
        "processed": 1,
        "warnings": 0,
        "held": 2,
        "failed": 1,
        "duplicate": 1,
        "cancelled": 0,
    }
    assert await inbox.counts() == counts
    await inbox.receive(item(b"1"), b"1")
    assert await inbox.counts() == {**counts, "received": 1, "held": 1}
    assert await inbox.lag() > 0


async def test_unknown_item(inbox: Inbox) -> None:
    with pytest.raises(NotFound):
        await inbox.get("none")


async def test_waits_for_earlier_items_of_the_patient(inbox: Inbox) -> None:
    earlier = await store(inbox, b"1", patients=("p",), owner="other", order=10)
    later = await store(inbox, b"2", patients=("p", "q"), owner="me", order=20)
    stranger = await store(inbox, b"3", patients=("q",), owner="me", order=5)
    assert [await inbox.waits_for(one) for one in (earlier, later, stranger)] == [False, True, False]
    await inbox.finish(earlier, Outcome("processed"), 1)
    assert not await inbox.waits_for(later)


async def test_writes_at_once_are_all_durable(inbox: Inbox) -> None:
    stored = await asyncio.gather(*(store(inbox, b"%d" % n, "processed") for n in range(300)))
    page = await inbox.list(Filters(), 1000)
    assert {one.id for one in page.items} == {one.id for one in stored}
    assert (await inbox.counts())["processed"] == 300


async def test_one_of_the_living_takes_over_a_dead_owner(inbox: Inbox) -> None:
    dead, one, two = (Owners(inbox.database, name) for name in ("dead", "one", "two"))
    for owners in (dead, one, two):
        await owners.register()
    assert await one.beat() == set()
    assert not one.alone
    await dead.release()
    taken = await asyncio.gather(one.beat(), two.beat())
    assert sorted(taken, key=len) == [set(), {"dead"}]
    keeper, other = (one, two) if taken[0] else (two, one)
    assert keeper.mine == {keeper.name, "dead"}
    await keeper.forget("dead")
    assert await other.beat() == set()
    await other.release()
    assert await keeper.beat() == {other.name}
    assert keeper.alone
    await keeper.forget(other.name)
    await other.beat()  # it lives after all
    assert await keeper.beat() == set()
    assert not keeper.alone


async def test_listing_uses_indexes(inbox: Inbox) -> None:
    """No query of the inbox may scan: on the embedded engine a scan stops everybody."""
    shapes: list[dict[str, Any]] = [
        {"key": {"$in": ["a", "b"]}},
        {"control_id": "1"},
        {"seq": {"$gte": 1, "$lt": 5}},
        {"status": "held", "seq": {"$gte": 1, "$lt": 5}},
        {"status": "received"},
        {"status": "received", "patients": {"$in": ["p"]}},
        {"awaits": {"$in": ["a", "b"]}},
    ]
    await store(inbox, b"1", patients=("p",), control_id="1")
    for shape in shapes:
        plan = await inbox.database.raw.command({"explain": {"find": "inbox", "filter": shape}})
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"]), shape
