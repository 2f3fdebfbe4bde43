"""An ADT that is older than what is stored undoes nothing."""

import pytest

from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, adt, message

pytestmark = pytest.mark.anyio


def at(day: int, control: str, family: str, *, birth: str = "", sex: str = "", **msh: str) -> bytes:
    """An ADT of a day in March that says a name, and may say more."""
    raw = adt(control, family=family, pid=f"||{birth}|{sex}", **msh)
    return raw.replace(b"EVN||20260301", b"EVN||202603%02d" % day)


@pytest.mark.parametrize(
    ("late", "family", "birth"),
    [
        (at(1, "3", "OLD", birth="19791210"), "NEW", "1979-12-10"),
        (at(1, "3", "OLD", birth="19791210", sex="F"), "NEW", "1979-12-10"),
        (at(5, "3", "LATER", birth="19791210"), "LATER", "1979-12-10"),
        (at(6, "3", "LATER"), "LATER", None),
        (at(1, "3", "OTHER", f4="CLINIC"), "OTHER", None),
    ],
)
async def test_older_message_only_adds(feed: Feed, late: bytes, family: str, birth: str | None) -> None:
    for raw in (at(4, "1", "FIRST", sex="M"), at(5, "2", "NEW", sex="M"), late):
        _, outcome = await feed.take(raw)
        assert outcome.status in ("processed", "warnings"), outcome.issues
    found = await feed.only("Patient")
    assert (found["name"][0]["family"], found.get("birthDate"), found["gender"]) == (family, birth, "male")
    told = [issue["text"] for issue in outcome.issues if "older than what is stored" in issue["text"]]
    assert len(told) == (family == "NEW")


async def test_older_message_adds_no_second_answer_to_one_question(feed: Feed) -> None:
    alive, dead = "|" * 25 + "N", "|" * 24 + "20260302"
    for day, pid in ((5, dead), (1, alive)):
        raw = adt(str(day), pid=pid).replace(b"EVN||20260301", b"EVN||202603%02d" % day)
        _, outcome = await feed.take(raw)
        assert outcome.status in ("processed", "warnings"), outcome.issues
    found = await feed.only("Patient")
    assert ("deceasedDateTime" in found, "deceasedBoolean" in found) == (True, False)


async def test_older_message_clears_nothing(feed: Feed) -> None:
    for raw in (at(5, "1", "NEW", birth="19791210"), at(1, "2", "NEW", birth='""')):
        await feed.take(raw)
    assert (await feed.only("Patient"))["birthDate"] == "1979-12-10"


def result(control: str, status: str, value: str, *, day: int = 1, report: str = "") -> bytes:
    return message(
        control,
        "ORU^R01^ORU_R01",
        f"PID|||P1^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L\r"
        f"OBR|1||F1^LAB|718-7^Hb^LN|||20260301080000||||||||||||||||||{report or status}\r"
        f"OBX|1|NM|718-7^Hb^LN||{value}|g/dL|||||{status}",
        f7=f"202603{day:02}080000+0100",
    )


@pytest.mark.parametrize(
    ("first", "second", "status", "value"),
    [
        ("P", "F", "final", "2"),
        ("F", "P", "final", "1"),
        ("F", "R", "final", "1"),
        ("F", "F", "final", "2"),
        ("F", "C", "corrected", "2"),
        ("C", "F", "corrected", "1"),
        ("C", "P", "corrected", "1"),
        ("A", "P", "amended", "1"),
        ("F", "D", "entered-in-error", None),
        ("F", "W", "entered-in-error", None),
        ("D", "P", "entered-in-error", None),
        ("D", "C", "corrected", "2"),
        ("X", "F", "final", "2"),
    ],
)
async def test_less_final_results_change_nothing(
    feed: Feed, first: str, second: str, status: str, value: str | None
) -> None:
    for control, code in (("1", first), ("2", second)):
        report = code if code in "PFC" else "F"
        _, outcome = await feed.take(result(control, code, control, day=int(control), report=report))
        assert outcome.status in ("processed", "warnings"), outcome.issues
    found = await feed.only("Observation")
    assert found["status"] == status
    if value:
        assert str(found["valueQuantity"]["value"]) == value


async def test_older_result_changes_nothing(feed: Feed) -> None:
    for raw in (result("1", "F", "1", day=5), result("2", "F", "2", day=4)):
        _, outcome = await feed.take(raw)
    assert "older than what is stored" in str(outcome.issues)
    assert str((await feed.only("Observation"))["valueQuantity"]["value"]) == "1"
    await feed.take(result("3", "F", "3", day=6))
    assert str((await feed.only("Observation"))["valueQuantity"]["value"]) == "3"


@pytest.mark.parametrize("kind", ["I10^Hypertension^I10||20260301|W", "I10^Hypertension^I10|||F"])
async def test_older_diagnosis_changes_nothing_and_a_newer_does(feed: Feed, kind: str) -> None:
    for control, day, code in (("1", 5, kind), ("2", 4, kind.replace("Hypertension", "HTA"))):
        raw = at(day, control, "NEW") + f"DG1|1||{code}\r".encode()
        await feed.take(raw)
    condition = await feed.only("Condition")
    assert condition["code"]["coding"][0]["display"] == "Hypertension"
    await feed.take(at(6, "3", "NEW") + f"DG1|1||{kind.replace('Hypertension', 'HTA')}\r".encode())
    assert (await feed.only("Condition"))["code"]["coding"][0]["display"] == "HTA"
