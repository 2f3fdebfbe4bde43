"""Store, acknowledge, map, resolve, perform, keep: each input once, in order, whatever happens."""

import asyncio
import time

import pytest

from fhirserver.errors import Unavailable
from fhirserver.feeds.envelope import open_envelope
from fhirserver.feeds.ordering import Turns
from fhirserver.feeds.process import Processing
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.items import Item, Outcome, digest
from fhirserver.storage.listing import Filters
from fhirserver.storage.owners import Owners
from tests.feeds.conftest import Feed, OpenFeed
from tests.feeds.messages import OID, adt, cda, mdm, message

pytestmark = pytest.mark.anyio


async def test_message_becomes_resources(feed: Feed) -> None:
    item, outcome = await feed.take(adt("1", family="CURIE"))
    assert (item.status, outcome.status, outcome.acknowledgement) == ("received", "processed", "AA")
    patient = await feed.only("Patient", identifier=f"urn:oid:{OID}|P1")
    assert patient["name"][0]["family"] == "CURIE"
    assert f"Patient/{patient['id']}/_history/1" in outcome.resources
    kept = await feed.inbox.get(item.id)
    assert (kept.control_id, kept.event, kept.source, kept.attempts) == ("1", "ADT^A08", "LAB/HOSP", 1)
    assert await feed.inbox.raw(kept) == adt("1", family="CURIE")


async def test_same_message_again_changes_nothing(feed: Feed) -> None:
    first, outcome = await feed.take(mdm("1", "D1", b"%PDF one"))
    before = await feed.search("Provenance")
    second, again = await feed.take(mdm("1", "D1", b"%PDF one"))
    assert (second.status, second.first) == ("duplicate", first.id)
    assert again.resources == outcome.resources
    assert await feed.search("Provenance") == before
    assert await feed.inbox.raw(second) == mdm("1", "D1", b"%PDF one")


async def test_resends_at_the_same_moment_are_one(feed: Feed) -> None:
    taken = await asyncio.gather(*(feed.take(adt("1")) for _ in range(8)))
    assert sorted(item.status for item, _ in taken) == ["duplicate"] * 7 + ["received"]
    assert (await feed.only("Patient"))["meta"]["versionId"] == "1"


async def test_control_id_reuse_is_processed_and_told(feed: Feed) -> None:
    await feed.take(adt("1", family="A"))
    _, outcome = await feed.take(adt("1", family="B"))
    assert outcome.status == "warnings"
    assert "control-id-reuse" in outcome.issues[0]["text"]
    assert (await feed.only("Patient"))["name"][0]["family"] == "B"
    third, _ = await feed.take(adt("1", family="B"))
    assert third.status == "duplicate"


@pytest.mark.parametrize("field", ["f3", "f4"])
async def test_same_control_id_of_another_sender_is_another_message(feed: Feed, field: str) -> None:
    await feed.take(adt("1"))
    item, outcome = await feed.take(adt("1", **{field: "OTHER"}))
    assert (item.status, item.reused, outcome.status) == ("received", False, "processed")


async def test_refused_message_is_kept_and_its_control_id_stays_free(feed: Feed) -> None:
    refused, outcome = await feed.take(adt("1", f11="X"))
    assert (refused.status, outcome.acknowledgement) == ("failed", "AR")
    item, outcome = await feed.take(adt("1"))
    assert (item.reused, outcome.status) == (False, "processed")


async def test_held_input_is_opened_again_when_it_comes_again(feed: Feed) -> None:
    for id in ("a", "b"):
        number = {"system": f"urn:oid:{OID}", "value": "P1"}
        await feed.put({"resourceType": "Patient", "id": id, "identifier": [number]})
    held, outcome = await feed.take(adt("1"))
    assert outcome.status == "held"
    await feed.server.perform(Request("DELETE", "Patient/b"))
    again, outcome = await feed.take(adt("1"))
    assert (again.id, outcome.status) == (held.id, "processed")
    kept = await feed.inbox.get(held.id)
    assert (kept.status, kept.attempts) == ("processed", 2)


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (b"hello", "hl7v2", "failed"),
        (b"PID|||1", "hl7v2", "failed"),
        (b"MSH", "hl7v2", "failed"),
        (b"\x00\xff\xfe\x0b", "hl7v2", "failed"),
        (message("1", "ZZZ^Z01"), "hl7v2", "held"),
        (message("1", "ORU^R01"), "hl7v2", "failed"),
        (b"<ClinicalDocument", "cda", "failed"),
        (cda("1")[:-40], "cda", "failed"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><ClinicalDocument/>', "cda", "failed"),
        (b"PK\x03\x04 cut", "xdm", "failed"),
        (b"", "xdm", "failed"),
        (b"{", "fhir", "failed"),
        (b'{"resourceType":"Patient","gender":"x"}', "fhir", "failed"),
    ],
)
async def test_what_cannot_be_stored_is_kept_with_the_reason(
    feed: Feed, raw: bytes, kind: str, status: str
) -> None:
    item, outcome = await feed.take(raw, kind)
    assert outcome.status == status
    assert any(issue["severity"] == "error" and issue["text"] for issue in outcome.issues)
    assert not any("Unforeseen" in issue["text"] for issue in outcome.issues)
    assert await feed.inbox.raw(await feed.inbox.get(item.id)) == raw


async def test_large_input_is_kept_whole(feed: Feed) -> None:
    raw = mdm("1", "D1", b"%PDF" + b"x" * 2_000_000)
    item, outcome = await feed.take(raw)
    assert outcome.status == "processed"
    assert await feed.inbox.raw(item) == raw


@pytest.mark.parametrize(
    ("charset", "codec", "status"), [("8859/1", "cp1252", "processed"), ("KLINGON", "utf-8", "warnings")]
)
async def test_character_sets(feed: Feed, charset: str, codec: str, status: str) -> None:
    _, outcome = await feed.take(adt("1", family="LEFÈVRE", f18=charset))
    assert outcome.status == status, codec
    assert (await feed.only("Patient"))["name"][0]["family"] == "LEFÈVRE"


async def test_messages_of_a_patient_stay_in_order(feed: Feed) -> None:
    names = [f"NAME{number}" for number in range(12)]
    receipts = [
        await feed.receiver.receive(adt(str(number), patient=patient, family=name), "hl7v2", "test")
        for number, name in enumerate(names)
        for patient in ("P1", "P2")
        for number in [number * 2 + (patient == "P2")]
    ]
    await asyncio.gather(*(receipt.outcome() for receipt in receipts))
    for patient in ("P1", "P2"):
        found = await feed.only("Patient", identifier=f"urn:oid:{OID}|{patient}")
        assert (found["name"][0]["family"], found["meta"]["versionId"]) == ("NAME11", "12")


async def test_turns_share_keys() -> None:
    done: list[str] = []
    turns = Turns()

    async def work(name: str, keys: list[str], seconds: float) -> None:
        async with turns.queue(keys):
            await asyncio.sleep(seconds)
            done.append(name)

    await asyncio.gather(
        work("slow a", ["a"], 0.05), work("a and b", ["a", "b"], 0), work("b", ["b"], 0), work("c", ["c"], 0)
    )
    assert done == ["c", "slow a", "a and b", "b"]


class Gate(Processing):
    """Processing that finds no database for one control id while ``shut``."""

    def __init__(self, server: Server, settings: Settings) -> None:
        super().__init__(server, settings)
        self.shut = ""

    async def process(self, item: Item, raw: bytes, *, repeated: bool) -> Outcome:
        if item.control_id == self.shut:
            raise Unavailable("not now")
        return await super().process(item, raw, repeated=repeated)


async def test_poison_delays_nobody(open_feed: OpenFeed) -> None:
    """A message that cannot be processed now waits with those behind it; other patients' do not."""
    gates: list[Gate] = []

    def gate(server: Server, settings: Settings) -> Gate:
        gates.append(Gate(server, settings))
        return gates[0]

    async with open_feed(gate) as feed:
        gates[0].shut = "poison"
        poison = await feed.receiver.receive(adt("poison", family="A"), "hl7v2", "test")
        behind = await feed.receiver.receive(adt("behind", family="B"), "hl7v2", "test")
        _, outcome = await feed.take(adt("other", patient="P2"))
        assert outcome.status == "processed"
        assert (await feed.inbox.get(behind.item.id)).status == "received"
        gates[0].shut = ""
        assert (await poison.outcome()).status == (await behind.outcome()).status == "processed"
        assert (await feed.only("Patient", identifier=f"urn:oid:{OID}|P1"))["name"][0]["family"] == "B"
        assert (await feed.inbox.get(poison.item.id)).attempts > 1


async def leave(feed: Feed, raw: bytes, number: int, owner: str) -> Item:
    """Store an input as a process does that is killed before it processes it."""
    envelope = open_envelope("hl7v2", raw, "test")
    item = Item(
        id=f"left-{number}",
        channel="test",
        kind="hl7v2",
        source=envelope.source,
        sha256=digest(raw),
        size=len(raw),
        identity=envelope.identity,
        control_id=envelope.control_id,
        patients=envelope.patients,
        order=time.time_ns() // 1000,
        owner=owner,
    )
    return await feed.inbox.receive(item, raw)


async def test_what_a_dead_process_left_is_taken_up_in_order(open_feed: OpenFeed) -> None:
    async with open_feed() as first:
        dead = Owners(first.inbox.database, "dead")
        await dead.register()
        left = [await leave(first, adt(str(n), family=f"NAME{n}"), n, "dead") for n in range(3)]
        await dead.release()
        async with open_feed() as second:
            outcomes = [(await second.take(adt(str(n), family=f"NAME{n}")))[1] for n in range(3)]
            assert [outcome.status for outcome in outcomes] == ["processed"] * 3
            found = await second.only("Patient")
            assert (found["name"][0]["family"], found["meta"]["versionId"]) == ("NAME2", "3")
            items = [await second.inbox.get(item.id) for item in left]
            assert [(item.status, item.attempts) for item in items] == [("processed", 2)] * 3


async def test_earlier_message_of_a_living_process_goes_first(open_feed: OpenFeed) -> None:
    """The other process holds it; when that one dies, its message is taken up, and still goes first."""
    async with open_feed() as one:
        other = Owners(one.inbox.database, "other")
        await other.register()
        async with open_feed() as two:
            await leave(two, adt("1", family="FIRST"), 1, "other")
            second = await two.receiver.receive(adt("2", family="SECOND"), "hl7v2", "test")
            _, outcome = await two.take(adt("3", patient="P2"))
            assert outcome.status == "processed"
            assert (await two.inbox.get(second.item.id)).status == "received"
            await other.release()
            async with open_feed():
                assert (await second.outcome()).status == "processed"
            found = await two.only("Patient", identifier=f"urn:oid:{OID}|P1")
            assert (found["name"][0]["family"], found["meta"]["versionId"]) == ("SECOND", "2")


async def test_processing_again_after_a_crash_has_no_second_effect(feed: Feed) -> None:
    """Killed between the commit of the effects and the item's status."""
    item, outcome = await feed.take(mdm("1", "D1", b"%PDF one"))
    types = ("Patient", "DocumentReference", "Binary", "Provenance")
    before = [await feed.search(type) for type in types]
    again = await Processing(feed.server, feed.settings).process(
        item, await feed.inbox.raw(item), repeated=True
    )
    assert [await feed.search(type) for type in types] == before
    assert again.status == "processed"
    assert set(again.resources) == set(outcome.resources)


async def test_full_backlog_makes_channels_wait(feed: Feed) -> None:
    async with feed.receiver.backlog.holding(10**12):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(feed.receiver.room(), 0.05)
    await asyncio.wait_for(feed.receiver.room(), 0.05)


async def test_many_messages_at_once_share_writes(feed: Feed) -> None:
    began = time.perf_counter()
    taken = await asyncio.gather(
        *(feed.receiver.receive(message(str(n), "ZZZ^Z01"), "hl7v2", "test") for n in range(200))
    )
    assert time.perf_counter() - began < 5
    page = await feed.inbox.list(Filters(kind="hl7v2"), 500)
    assert {item.id for item in page.items} == {receipt.item.id for receipt in taken}
    await asyncio.gather(*(receipt.outcome() for receipt in taken))
    assert (await feed.inbox.counts())["held"] == 200
