"""An ADT that is older than what is stored undoes nothing."""

import pytest

from tests.feeds.conftest import Feed
from tests.feeds.messages import adt

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
