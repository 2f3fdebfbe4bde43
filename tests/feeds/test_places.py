"""Where patients have been: transfers, corrections, cancels, in whatever order they come."""

from typing import Any

import pytest

from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, message

pytestmark = pytest.mark.anyio

Step = tuple[str, int, str]
"""Event, day in March, point of care."""


def step(
    control: str, event: str, day: int, place: str, *, pv1: str = "", segments: str = "", kind: str = "I"
) -> bytes:
    number = f"V1^^^&{OID}.2&ISO^VN"
    return message(
        control,
        f"ADT^{event}^ADT_A01",
        f"EVN||202603{day:02}080000\rPID|||P^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L\r"
        f"PV1||{kind}|{place}{'|' * 16}{number}{pv1}" + (f"\r{segments}" if segments else ""),
    )


def zbe(id: str, day: int, action: str) -> str:
    return f"ZBE|{id}^GAM|202603{day:02}080000||{action}|N||Chirurgie^^^^^CHU&1.2.3.4&ISO^UF^^^6268||HMS"


async def run(feed: Feed, *inputs: bytes) -> dict[str, Any]:
    for raw in inputs:
        _, outcome = await feed.take(raw)
        assert outcome.status in ("processed", "warnings"), outcome.issues
    return await feed.only("Encounter")


def history(encounter: dict[str, Any]) -> list[str]:
    """``place from-to`` with days; * for where the patient is now."""

    def day(time: str) -> str:
        return str(int(time[8:10])) if time else ""

    return [
        f"{place['location']['display']} {day(place.get('period', {}).get('start', ''))}"
        f"-{day(place.get('period', {}).get('end', ''))}"
        + {"active": "*", "planned": "?", "completed": ""}[place["status"]]
        for place in encounter.get("location", ())
    ]


@pytest.mark.parametrize(
    ("steps", "status", "expected"),
    [
        ([("A01", 1, "A")], "in-progress", ["A 1-*"]),
        ([("A01", 1, "A"), ("A02", 2, "B")], "in-progress", ["A 1-2", "B 2-*"]),
        ([("A01", 1, "A"), ("A02", 2, "B"), ("A02", 3, "A")], "in-progress", ["A 1-2", "B 2-3", "A 3-*"]),
        ([("A01", 1, "A"), ("A02", 2, "B"), ("A03", 4, "B")], "finished", ["A 1-2", "B 2-4"]),
        ([("A01", 1, "A"), ("A03", 4, "A"), ("A13", 5, "A")], "in-progress", ["A 1-*"]),
        ([("A01", 1, "A"), ("A02", 2, "B"), ("A12", 3, "A")], "in-progress", ["A 1-*"]),
        ([("A01", 1, "A"), ("A02", 2, "B"), ("A12", 3, "A"), ("A12", 3, "A")], "in-progress", ["A 1-*"]),
        ([("A01", 1, "A"), ("A11", 2, "A")], "cancelled", ["A 1-"]),
        ([("A01", 1, "A"), ("A23", 2, "A")], "entered-in-error", ["A 1-"]),
        ([("A01", 1, "A"), ("A08", 2, "B")], "in-progress", ["B 1-*"]),
        ([("A01", 1, "A"), ("A03", 4, "A"), ("A08", 5, "A")], "finished", ["A 1-4"]),
        ([("A05", 1, "A")], "planned", ["A -?"]),
        ([("A05", 1, "A"), ("A38", 2, "A")], "cancelled", ["A -?"]),
        ([("A14", 1, "A"), ("A27", 2, "A")], "cancelled", ["A -?"]),
        ([("A05", 1, "A"), ("A01", 2, "B")], "in-progress", ["B 2-*"]),
        ([("A01", 1, "A"), ("A21", 2, "A")], "onleave", ["A 1-*"]),
        ([("A01", 1, "A"), ("A21", 2, "A"), ("A22", 3, "A")], "in-progress", ["A 1-*"]),
        ([("A01", 1, "A"), ("A21", 2, "A"), ("A52", 3, "A")], "in-progress", ["A 1-*"]),
        # in another order than it happened
        ([("A01", 1, "A"), ("A02", 3, "C"), ("A02", 2, "B")], "in-progress", ["A 1-2", "B 2-3", "C 3-*"]),
        ([("A02", 2, "B"), ("A01", 1, "A")], "in-progress", ["A 1-2", "B 2-*"]),
        ([("A03", 4, "B"), ("A01", 1, "A")], "finished", ["A 1-", "B -4"]),
        ([("A03", 4, "A"), ("A01", 1, "A")], "finished", ["A 1-4"]),
        ([("A01", 1, "A"), ("A03", 4, "A"), ("A01", 1, "A")], "finished", ["A 1-4"]),
        ([("A01", 1, "A"), ("A11", 3, "A"), ("A02", 2, "B")], "cancelled", ["A 1-2", "B 2-"]),
        # the first of a visit
        ([("A12", 3, "A")], "in-progress", ["A -*"]),
        ([("A03", 4, "A")], "finished", ["A -4"]),
        ([("A11", 4, "A")], "cancelled", ["A -?"]),
    ],
)
async def test_events(feed: Feed, steps: list[Step], status: str, expected: list[str]) -> None:
    inputs = [step(str(n), *one) for n, one in enumerate(steps)]
    encounter = await run(feed, *inputs)
    assert (encounter["status"], history(encounter)) == (status, expected)


async def test_cancel_of_a_discharge_opens_the_visit(feed: Feed) -> None:
    left = "|" * 17 + "01"
    discharge = step("2", "A03", 4, "A", pv1=left + "|" * 9 + "20260304100000")
    encounter = await run(feed, step("1", "A01", 1, "A", pv1="|" * 25 + "20260301070000"), discharge)
    assert encounter["period"]["end"] == "2026-03-04T10:00:00+01:00"
    assert encounter["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "01"
    encounter = await run(feed, step("3", "A13", 5, "A"))
    assert encounter["period"] == {"start": "2026-03-01T07:00:00+01:00"}
    assert "hospitalization" not in encounter
    assert history(encounter) == ["A 1-*"]


async def test_class_changes_are_kept(feed: Feed) -> None:
    encounter = await run(feed, step("1", "A04", 1, "A", kind="E"), step("2", "A06", 2, "B", kind="I"))
    assert encounter["class"]["code"] == "IMP"
    (before,) = encounter["classHistory"]
    assert (before["class"]["code"], before["period"]["end"][:10]) == ("EMER", "2026-03-02")
    encounter = await run(feed, step("3", "A07", 3, "B", kind="O"))
    assert [entry["class"]["code"] for entry in encounter["classHistory"]] == ["EMER", "IMP"]


async def test_cancel_says_nothing_else(feed: Feed) -> None:
    cancel = step("2", "A11", 2, "Z", kind="E").replace(b"MARTIN^Ada", b"MARTINE^Ada")
    encounter = await run(feed, step("1", "A01", 1, "A"), cancel)
    assert (encounter["class"]["code"], history(encounter)) == ("IMP", ["A 1-"])
    assert (await feed.only("Patient"))["name"][0]["family"] == "MARTIN"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("A01", 1, "A", "1", "INSERT"), ("A02", 2, "B", "2", "INSERT")], ["A 1-2", "B 2-*"]),
        (
            [("A01", 1, "A", "1", "INSERT"), ("A02", 2, "B", "2", "INSERT"), ("A12", 3, "A", "2", "CANCEL")],
            ["A 1-*"],
        ),
        (
            [("A01", 1, "A", "1", "INSERT"), ("A02", 4, "B", "2", "INSERT"), ("Z99", 3, "C", "2", "UPDATE")],
            ["A 1-3", "C 3-*"],
        ),
        (
            [("A01", 1, "A", "1", "INSERT"), ("A02", 4, "C", "3", "INSERT"), ("A02", 2, "B", "2", "INSERT")],
            ["A 1-2", "B 2-4", "C 4-*"],
        ),
        (
            [
                ("A01", 1, "A", "1", "INSERT"),
                ("A02", 2, "B", "2", "INSERT"),
                ("A02", 3, "C", "3", "INSERT"),
                ("A12", 4, "C", "2", "CANCEL"),
            ],
            ["A 1-3", "C 3-*"],
        ),
        ([("A01", 1, "A", "1", "INSERT"), ("A12", 3, "A", "9", "CANCEL")], ["A 1-*"]),
    ],
)
async def test_movements_of_pam_france(
    feed: Feed, steps: list[tuple[str, int, str, str, str]], expected: list[str]
) -> None:
    inputs = [
        step(str(n), event, max(day, n + 1), place, segments=zbe(id, day, action))
        for n, (event, day, place, id, action) in enumerate(steps)
    ]
    encounter = await run(feed, *inputs)
    assert history(encounter) == expected
    assert encounter["serviceProvider"]["display"] == "Chirurgie"


async def test_times_that_contradict_lose_no_message(feed: Feed) -> None:
    """A discharge before the admission, by another clock: what comes last counts."""
    admitted = step("1", "A01", 5, "A", pv1="|" * 25 + "20260305080000")
    left = step("2", "A03", 6, "A", pv1="|" * 26 + "20260304100000")
    encounter = await run(feed, admitted, left)
    assert encounter["period"] == {"end": "2026-03-04T10:00:00+01:00"}
    assert (encounter["status"], history(encounter)) == ("finished", ["A 5-"])


def with_preadmission(raw: bytes) -> bytes:
    return raw.replace(b"|A||||", f"|A||PRE7^^^&{OID}.3&ISO^VN||".encode())


def preadmission() -> bytes:
    return with_preadmission(step("1", "A05", 1, "A").replace(f"V1^^^&{OID}.2&ISO^VN".encode(), b""))


async def test_a_preadmission_becomes_the_visit(feed: Feed) -> None:
    encounter = await run(feed, preadmission(), with_preadmission(step("2", "A01", 2, "A")))
    assert (encounter["status"], history(encounter)) == ("in-progress", ["A 2-*"])
    assert sorted(i["value"] for i in encounter["identifier"]) == ["PRE7", "V1"]


async def test_number_of_another_visit_is_not_taken(feed: Feed) -> None:
    for raw in (preadmission(), step("2", "A01", 2, "A"), with_preadmission(step("3", "A08", 3, "A"))):
        _, outcome = await feed.take(raw)
    assert "a merge says so" in str(outcome.issues)
    assert len(await feed.search("Encounter", identifier="PRE7")) == 1
