"""A visit that ends before it begins: it is told, and stored without the time that cannot be."""

import pytest

from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, message

pytestmark = pytest.mark.anyio

Event = tuple[str, str, str, str]
"""Trigger, EVN-2, PV1-44, PV1-45: a day of March, and a time."""


def event(control: int, trigger: str, evn: str, start: str, end: str) -> bytes:
    pv1 = f"PV1||I|WARD{'|' * 16}V1^^^&{OID}.2&ISO^VN{'|' * 25}{day(start)}|{day(end)}"
    pid = f"PID|||P^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L"
    return message(str(control), f"ADT^{trigger}", f"EVN||202603{evn}\r{pid}\r{pv1}")


def day(time: str) -> str:
    return f"202603{time}" if time else ""


@pytest.mark.parametrize(
    ("events", "period", "where"),
    [
        # in one message
        ([("A03", "04080000", "09", "")], "09/", "PV1-44"),
        ([("A03", "04", "04093000", "04080000")], "04/04", "PV1-45"),
        ([("A03", "04", "04093000", "04")], "04/04", ""),
        # in several: what is said last counts
        ([("A01", "05", "09", ""), ("A03", "06", "", "06")], "/06", "Encounter"),
        ([("A01", "05", "09", ""), ("A03", "06", "", "")], "/06", "Encounter"),
        ([("A03", "06", "", "06"), ("A08", "07", "09", "")], "09/", "Encounter"),
        ([("A03", "06", "", "06"), ("A08", "07", "07", "")], "07/", "Encounter"),
        ([("A03", "06", "", "06"), ("A01", "05", "09", "")], "/06", ""),
        ([("A01", "05", "05", ""), ("A03", "05", "", "05")], "05/05", ""),
        ([("A01", "05", "05", ""), ("A03", "06", "", ""), ("A13", "07", "", "")],
         "05/", ""),
    ],
)  # fmt: skip
async def test_period(feed: Feed, events: list[Event], period: str, where: str) -> None:
    for number, one in enumerate(events):
        _, outcome = await feed.take(event(number, *one))
        assert outcome.status in ("processed", "warnings"), outcome.issues
    found = (await feed.only("Encounter"))["period"]
    assert "/".join(found.get(name, "")[8:10] for name in ("start", "end")) == period
    told = [i["location"].partition(".")[0] for i in outcome.issues if i["severity"] == "warning"]
    assert told == ([where] if where else [])
