"""What people decide about the inbox: replay, hold, cancel, map a code."""

import asyncio
from typing import Any

import pytest

from fhirserver.errors import FHIRError, TypeNotServed, Unavailable, VersionConflict
from fhirserver.feeds.code_maps import id_of, table
from fhirserver.feeds.process import Processing
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.items import Item, Outcome
from fhirserver.storage.listing import Filters
from mappings.core.source import Coding
from tests.feeds.conftest import TYPES, Feed, OpenFeed
from tests.feeds.messages import OID, adt, message

pytestmark = pytest.mark.anyio

LOCAL = "urn:x-hl7v2:cs:LAB%2FHOSP:99LAB"
LOINC = "http://loinc.org"


def oru(control: str, code: str = "GLY^Glycémie^99LAB", patient: str = "P1", report: str = "R1") -> bytes:
    return message(
        control,
        "ORU^R01",
        f"PID|||{patient}^^^&{OID}&ISO^PI||MARTIN^Ada\r"
        f"OBR|1||{report}^LAB|58410-2^Hémogramme^LN|||20260301080000|||||||||||||||20260301080000|||F\r"
        f"OBX|1|NM|{code}||5.1|mmol/L|||||F",
        f18="UNICODE UTF-8",
    )


async def codings(feed: Feed) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await feed.only("Observation"))["code"]["coding"]
    return found


async def test_unmapped_code_is_listed_and_mapped_there_and_then(feed: Feed) -> None:
    item, outcome = await feed.take(oru("1"))
    assert outcome.status == "processed", "a code without a mapping is kept, not a fault"
    assert [(one["system"], one["code"]) for one in outcome.unmapped] == [(LOCAL, "GLY")]
    (row,) = await feed.inbox.unmapped()
    assert (row.source, row.system, row.code, row.display, row.count) == (
        "LAB/HOSP",
        LOCAL,
        "GLY",
        "Glycémie",
        1,
    )
    opened = await feed.receiver.map_code(
        "LAB/HOSP", LOCAL, "GLY", "Glycémie", Coding("15074-8", LOINC, "Glucose")
    )
    assert [one.id for one in opened] == [item.id]
    assert (await feed.receiver.outcome(item)).status == "processed"
    assert await codings(feed) == [
        {"system": LOINC, "code": "15074-8", "display": "Glucose"},
        {"system": LOCAL, "code": "GLY", "display": "Glycémie"},
    ]
    assert await feed.inbox.unmapped() == []
    stored = await feed.only("ConceptMap", _id=id_of("LAB/HOSP"))
    assert table(stored) == {(LOCAL, "GLY"): Coding("15074-8", LOINC, "Glucose")}
    _, outcome = await feed.take(oru("2"))
    assert not outcome.unmapped


async def test_a_source_may_wait_for_its_codes(feed: Feed) -> None:
    await feed.receiver.catalog.put("lab", {"match": {"application": "LAB"}, "unmapped": "hold"})
    system = "urn:x-hl7v2:cs:LAB%2FHOSP:99LAB"
    held = [await feed.take(oru(str(n), patient=f"P{n}", report=f"R{n}")) for n in range(3)]
    other, _ = await feed.take(oru("9", "X^X^99LAB", patient="P9", report="R9"))
    assert [outcome.status for _, outcome in held] == ["held"] * 3
    assert not await feed.search("Observation")
    assert [(one.code, one.count, one.held) for one in await feed.inbox.unmapped("lab")] == [
        ("GLY", 3, 3),
        ("X", 1, 1),
    ]
    opened = await feed.receiver.map_code("lab", system, "GLY", "", Coding("15074-8", LOINC))
    assert [one.id for one in opened] == [item.id for item, _ in held], "in the order of their receipt"
    assert [(await feed.receiver.outcome(one)).status for one in opened] == ["processed"] * 3
    assert (await feed.inbox.get(other.id)).status == "held"


async def test_code_of_a_table_is_mapped_by_the_source(feed: Feed) -> None:
    """PID-8 has a required binding: the element is a code, without a system."""
    _, outcome = await feed.take(adt("1", pid="||19800101|W"))
    (one,) = outcome.unmapped
    assert (outcome.status, one["code"], one["location"]) == ("warnings", "W", "Patient.gender")
    opened = await feed.receiver.map_code("LAB/HOSP", one["system"], "W", "", Coding("female"))
    assert (await feed.receiver.outcome(opened[0])).status == "processed"
    assert (await feed.only("Patient"))["gender"] == "female"


async def test_maps_that_a_source_names_and_changes_of_them(feed: Feed) -> None:
    group = {
        "source": LOCAL,
        "target": LOINC,
        "element": [{"code": "GLY", "target": [{"code": "1-8", "equivalence": "equivalent"}]}],
    }
    shared = {"resourceType": "ConceptMap", "id": "shared", "status": "active", "group": [group]}
    await feed.put(shared)
    await feed.receiver.catalog.put("lab", {"match": {"application": "LAB"}, "code_maps": ["shared"]})
    await feed.take(oru("1"))
    assert (await codings(feed))[0]["code"] == "1-8"
    group["element"] = [{"code": "GLY", "target": [{"code": "2-6", "equivalence": "equivalent"}]}]
    await feed.put(shared)
    await feed.receiver.catalog.refresh()
    await feed.take(oru("2"))
    assert (await codings(feed))[0]["code"] == "2-6"
    await feed.receiver.map_code("lab", LOCAL, "GLY", "", Coding("3-4", LOINC))
    await feed.take(oru("3"))
    assert (await codings(feed))[0]["code"] == "3-4", "the source's own map comes first"


async def test_mapping_at_once_loses_nothing(feed: Feed) -> None:
    await asyncio.gather(
        *(feed.receiver.map_code("lab", LOCAL, f"C{n}", "", Coding(f"{n}", LOINC)) for n in range(6))
    )
    stored = await feed.only("ConceptMap")
    assert sorted(code for _, code in table(stored)) == [f"C{n}" for n in range(6)]


async def test_a_map_that_is_refused_or_not_possible(open_feed: OpenFeed) -> None:
    async with open_feed() as feed:
        with pytest.raises(FHIRError, match="not valid"):
            await feed.receiver.map_code("lab", LOCAL, "A", "", Coding(" not a code ", LOINC))
    without = tuple(type for type in TYPES if type != "ConceptMap")
    async with open_feed(types=without) as feed:
        with pytest.raises(TypeNotServed, match="ConceptMap is off"):
            await feed.receiver.map_code("lab", LOCAL, "A", "", Coding("1", LOINC))


async def test_replay_of_all_keeps_the_order_of_a_patient(feed: Feed) -> None:
    """They were held for an identity that was ambiguous; then it was mended."""
    number = {"system": f"urn:oid:{OID}", "value": "P1"}
    for id in ("a", "b"):
        await feed.put({"resourceType": "Patient", "id": id, "identifier": [number]})
    held = [(await feed.take(adt(str(n), family=f"NAME{n}")))[0] for n in range(6)]
    await feed.put({"resourceType": "Patient", "id": "b", "active": True})
    opened = await feed.receiver.replay_all(Filters(status="held"))
    assert [one.id for one in opened] == [one.id for one in held]
    assert {(await feed.receiver.outcome(one)).status for one in opened} == {"processed"}
    found = await feed.only("Patient", _id="a")
    assert (found["name"][0]["family"], found["meta"]["versionId"]) == ("NAME5", "7")


async def test_replay_of_an_older_message_does_not_undo_a_newer_one(feed: Feed) -> None:
    first, _ = await feed.take(adt("1", family="OLD"))
    later = adt("2", family="NEW").replace(b"EVN||20260301080000", b"EVN||20260302080000")
    await feed.take(later)
    await feed.receiver.replay(first.id)
    assert (await feed.receiver.outcome(first)).status == "processed"
    assert (await feed.only("Patient"))["name"][0]["family"] == "NEW"


@pytest.mark.parametrize(
    ("status", "decision", "possible"),
    [
        ("processed", "replay", True),
        ("processed", "held", False),
        ("processed", "cancelled", False),
        ("held", "replay", True),
        ("held", "cancelled", True),
        ("held", "held", False),
        ("failed", "held", True),
        ("cancelled", "replay", True),
        ("duplicate", "replay", False),
        ("duplicate", "cancelled", False),
    ],
)
async def test_what_is_possible(feed: Feed, status: str, decision: str, possible: bool) -> None:
    raw = {"held": message("1", "ZZZ^Z01"), "cancelled": message("1", "ZZZ^Z01"), "failed": adt("1", f11="X")}
    item, _ = await feed.take(raw.get(status, adt("1")))
    if status == "cancelled":
        await feed.receiver.settle(item.id, "cancelled")
    if status == "duplicate":
        item, _ = await feed.take(adt("1"))
    decide = (
        feed.receiver.replay(item.id) if decision == "replay" else feed.receiver.settle(item.id, decision)
    )
    if not possible:
        with pytest.raises(VersionConflict, match=status):
            await decide
        return
    await decide
    if decision == "replay":
        await feed.receiver.outcome(item)
        assert (await feed.inbox.get(item.id)).attempts >= 1
    else:
        assert (await feed.inbox.get(item.id)).status == decision


class Shut(Processing):
    """Processing that finds no database."""

    async def process(self, item: Item, raw: bytes, *, repeated: bool) -> Outcome:
        raise Unavailable("not now")


async def test_what_cannot_be_processed_now_is_held_by_a_person(open_feed: OpenFeed) -> None:
    def shut(server: Server, settings: Settings) -> Processing:
        return Shut(server, settings)

    async with open_feed(shut) as feed:
        receipt = await feed.receiver.receive(adt("1"), "hl7v2", "test")
        await feed.receiver.settle(receipt.item.id, "held")
        assert (await receipt.outcome()).status == "held"
        assert (await feed.inbox.get(receipt.item.id)).status == "held"


async def test_items_of_a_patient(feed: Feed) -> None:
    one, _ = await feed.take(adt("1"))
    await feed.take(adt("2", patient="P2"))
    held, _ = await feed.take(message("3", "ZZZ^Z01", f"PID|||P1^^^&{OID}&ISO"))
    id = (await feed.only("Patient", identifier=f"urn:oid:{OID}|P1"))["id"]
    for patient in ("P1", f"P1|{OID}", f"Patient/{id}"):
        filters = await feed.receiver.of_patient(Filters(patients=(patient,)))
        page = await feed.inbox.list(filters, 10)
        assert [item.id for item in page.items] == [held.id, one.id], patient
    with pytest.raises(FHIRError, match="There is no Patient/none"):
        await feed.receiver.of_patient(Filters(patients=("Patient/none",)))


async def test_names_that_nobody_defined_are_forgotten(feed: Feed) -> None:
    """Anybody can write a name into MSH-3."""
    codes = feed.receiver.catalog.codes
    await feed.receiver.map_code("lab", LOCAL, "GLY", "", Coding("1", LOINC))
    for number in range(450):
        assert await codes.codes((id_of(f"made up {number}"),)) == {}
    assert len(codes._tables) <= 250
    assert (LOCAL, "GLY") in await codes.codes((id_of("lab"),))
    both = await codes.codes((id_of("made up 1"), id_of("lab")))
    assert (LOCAL, "GLY") in both
