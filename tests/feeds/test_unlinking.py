"""A24 links two patients, A37 takes it back, also a merge."""

from typing import Any

import pytest

from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, adt, message

pytestmark = pytest.mark.anyio


def cx(number: str) -> str:
    return f"{number}^^^&{OID}&ISO^PI"


def pair(control: str, event: str, one: str = "A", other: str = "B", day: int = 3) -> bytes:
    pids = "\r".join(f"PID|||{cx(number)}||MARTIN^Ada^^^^^L" for number in (one, other))
    return message(control, f"ADT^{event}^ADT_{event}", f"EVN||202603{day:02}080000\r{pids}")


def merge(control: str, survivor: str, victim: str) -> bytes:
    segments = f"EVN||20260302080000\rPID|||{cx(survivor)}||MARTIN^Ada^^^^^L\rMRG|{cx(victim)}"
    return message(control, "ADT^A40^ADT_A39", segments)


def visit(control: str, patient: str, number: str) -> bytes:
    return message(
        control,
        "ADT^A01^ADT_A01",
        f"EVN||20260301080000\rPID|||{cx(patient)}||MARTIN^Ada^^^^^L\r"
        f"PV1||I|||||||||||||||||{number}^^^&{OID}.2&ISO^VN",
    )


async def take(feed: Feed, *inputs: bytes) -> None:
    for raw in inputs:
        _, outcome = await feed.take(raw)
        assert outcome.status in ("processed", "warnings"), outcome.issues


async def patients(feed: Feed) -> dict[str, dict[str, Any]]:
    """The patients by the number they go by."""
    return {
        next(i["value"] for i in p["identifier"] if i.get("use") != "old"): p
        for p in await feed.search("Patient")
        if p.get("active", True)
    }


async def test_link_and_unlink(feed: Feed) -> None:
    await take(feed, adt("1", patient="A"), adt("2", patient="B"), pair("3", "A24"))
    found = await patients(feed)
    for one, other in (("A", "B"), ("B", "A")):
        assert found[one]["link"] == [
            {"other": {"reference": f"Patient/{found[other]['id']}"}, "type": "seealso"}
        ]
    await take(feed, pair("4", "A37"))
    assert all("link" not in patient for patient in (await patients(feed)).values())


async def test_link_of_unknown_ones(feed: Feed) -> None:
    await take(feed, pair("1", "A24"))
    assert [len(p["link"]) for p in await feed.search("Patient")] == [1, 1]


async def test_link_stays_with_others(feed: Feed) -> None:
    await take(feed, pair("1", "A24", "A", "B"), pair("2", "A24", "A", "C"), pair("3", "A37", "A", "B"))
    found = await patients(feed)
    assert [len(found[n].get("link", ())) for n in "ABC"] == [1, 0, 1]


async def test_merge_is_undone(feed: Feed) -> None:
    await take(feed, visit("1", "A", "VA"), visit("2", "B", "VB"))
    before = await patients(feed)
    await take(feed, merge("3", "A", "B"), visit("4", "A", "VC"), pair("5", "A37"))
    after = await patients(feed)
    for number in "AB":
        assert after[number]["identifier"] == before[number]["identifier"]
        assert {"link", "active"}.isdisjoint(after[number])
    subjects = {
        e["identifier"][0]["value"]: e["subject"]["reference"] for e in await feed.search("Encounter")
    }
    a, b = (f"Patient/{after[number]['id']}" for number in "AB")
    assert subjects == {"VA": a, "VB": b, "VC": a}
    await take(feed, merge("6", "A", "B"))
    assert {e["subject"]["reference"] for e in await feed.search("Encounter")} == {a}
    await take(feed, pair("7", "A37", "B", "A", day=4))
    assert sorted(e["subject"]["reference"] for e in await feed.search("Encounter")) == sorted([a, a, b])


async def test_one_record_that_no_merge_made_is_held(feed: Feed) -> None:
    await take(feed, adt("1", patient="A"))
    stored = await feed.only("Patient")
    number = {"system": f"urn:oid:{OID}", "value": "B"}
    await feed.put({**stored, "identifier": [*stored["identifier"], number]})
    _, outcome = await feed.take(pair("2", "A37"))
    assert outcome.status == "held"
    assert "which merge" in outcome.issues[-1]["text"]


@pytest.mark.parametrize("other", ["A", ""])
async def test_link_with_oneself_is_refused(feed: Feed, other: str) -> None:
    _, outcome = await feed.take(pair("1", "A24", "A", other or "A"))
    assert outcome.status == "failed"
    assert "two patients" in outcome.issues[-1]["text"]
