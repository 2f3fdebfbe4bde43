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
from fhirserver.storage.inbox import INLINE, Inbox
from fhirserver.storage.items import Item, Outcome, digest
from fhirserver.storage.listing import Filters, UnmappedCode
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


async def test_only_one_opens_an_item_again(inbox: Inbox) -> None:
    await store(inbox, b"x", "held", id="h")
    held = await inbox.get("h")
    opened = await asyncio.gather(*(inbox.open_again(held, name) for name in ("one", "two")))
    assert sorted(one is None for one in opened) == [False, True]
    assert (await inbox.get("h")).status == "received"
    assert not (await inbox.list(Filters(status="held"), 10)).items
    assert [one.id for one in (await inbox.list(Filters(status="received"), 10)).items] == ["h"]


async def test_settled_by_a_person(inbox: Inbox) -> None:
    waiting = await store(inbox, b"x")
    await inbox.settle(waiting, "held", {"severity": "information", "text": "wait"})
    held = await inbox.get(waiting.id)
    assert (held.status, held.outcome.issues[-1]["text"], await inbox.is_waiting(held.id)) == (
        "held",
        "wait",
        False,
    )


async def test_an_input_that_is_forgotten_is_taken_up_when_it_comes_again(inbox: Inbox) -> None:
    """Its process died before it was acknowledged: nobody has it in hand."""
    stored = await store(inbox, b"x", identity="a")
    await inbox.waiting_rows.delete_one({"_id": stored.id})
    again = await inbox.receive(item(b"x", identity="a", owner="other"), b"x")
    assert (again.id, again.status, again.owner) == (stored.id, "received", "other")
    assert [one.id for one in await inbox.waiting()] == [stored.id]


async def test_rows_without_an_input_are_removed(inbox: Inbox) -> None:
    old = await store(inbox, b"old", order=1)
    await inbox.waiting_rows.insert_one(
        {"_id": "lost", "owner": "x", "patients": [], "order": 2, "attempts": 0}
    )
    recent = await store(inbox, b"new", order=int(datetime.now(UTC).timestamp() * 1_000_000))
    await inbox.items.delete_one({"_id": recent.id})
    await inbox.forget_unstored()
    assert not await inbox.is_waiting("lost")
    assert await inbox.is_waiting(old.id)
    assert await inbox.is_waiting(recent.id), "it may be stored at this very moment"


async def test_unmapped_codes_are_counted_by_source(inbox: Inbox) -> None:
    codes = [{"system": "urn:s", "code": "A", "display": "Alpha"}, {"system": "", "code": "B"}]
    for number, (status, sent) in enumerate((("processed", codes), ("held", codes[:1]), ("processed", []))):
        one = await inbox.receive(item(b"%d" % number, id=f"u{number}"), b"%d" % number)
        await inbox.finish(one, Outcome(status, unmapped=sent), 1)
    assert (
        await inbox.unmapped()
        == await inbox.unmapped("LAB")
        == [
            UnmappedCode("LAB", "urn:s", "A", "Alpha", 2, 1, "u0"),
            UnmappedCode("LAB", "", "B", "", 1, 0, "u0"),
        ]
    )
    assert await inbox.unmapped("LA") == []
    assert [one.id for one in await inbox.with_code("LAB", "urn:s", "A")] == ["u0", "u1"]
    assert (await inbox.by_source())["LAB"] == {"processed": 2, "held": 1}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(), [5, 4, 3, 2, 1, 0]),
        (Filters(status="held"), [3, 1]),
        (Filters(kind="cda"), [4]),
        (Filters(source="HOSP"), [5, 2]),
        (Filters(control_id="c3"), [3]),
        (Filters(control_id="c3", status="failed"), []),
        (Filters(control_id="c"), []),
        (Filters(patients=("P1",)), [4, 1]),
        (Filters(patients=("P1|oid", "Q1")), [4, 1]),
        (Filters(patients=("P1|other",)), []),
        (Filters(patients=("P",)), []),
        (Filters(patients=("P1",), status="held"), [1]),
        (Filters(resource="Patient/1"), [2]),
        (Filters(status="held", source="LAB"), [3, 1]),
        (Filters(since=datetime(2026, 3, 4, tzinfo=UTC)), [5, 4, 3]),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_list(inbox: Inbox, filters: Filters, expected: list[int], limit: int) -> None:
    for number in range(6):
        moment = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=number)
        stored = await store(
            inbox,
            b"%d" % number,
            id=str(number),
            patients=("Q1|oid", "P1|oid") if number in (1, 4) else (),
            control_id=f"c{number}",
            kind="cda" if number == 4 else "hl7v2",
            source="HOSP" if number in (2, 5) else "LAB",
            order=int(moment.timestamp() * 1_000_000),
        )
        became = ("Patient/1/_history/1",) if number == 2 else ("Patient/11/_history/1",)
        outcome = Outcome("held" if number in (1, 3) else "processed", resources=became)
        await inbox.finish(stored, outcome, 1)
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


async def test_counts_while_they_are_written(inbox: Inbox) -> None:
    for number in range(1, 21):
        await store(inbox, b"%d" % number, "processed")
        writing = asyncio.create_task(inbox.store_counts())
        seen = await asyncio.gather(*(inbox.counts() for _ in range(4)))
        await writing
        assert {one["processed"] for one in seen} == {number}


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
    shapes: list[tuple[str, dict[str, Any]]] = [
        ("inbox", {"key": {"$in": ["a", "b"]}}),
        ("inbox", {"key": {"$gte": "a", "$lt": "b"}}),
        ("inbox", {"patients": "p"}),
        ("inbox", {"patients": {"$gte": "a", "$lt": "b"}}),
        ("inbox", {"seq": {"$gte": 1, "$lt": 5}}),
        ("inbox.outcomes", {"status": "held", "seq": {"$gte": 1, "$lt": 5}}),
        ("inbox.waiting", {"patients": {"$in": ["p"]}}),
        ("inbox.outcomes", {"awaits": {"$in": ["a", "b"]}}),
        ("inbox.outcomes", {"codes": "a"}),
        ("inbox.outcomes", {"codes": {"$gte": "a", "$lt": "b"}}),
    ]
    await store(inbox, b"1", patients=("p",), control_id="1")
    for collection, shape in shapes:
        plan = await inbox.database.raw.command({"explain": {"find": collection, "filter": shape}})
        assert "COLLSCAN" not in str(plan["queryPlanner"]["winningPlan"]), shape
