"""Every acknowledgement as a sender sees it: code, errors, version, character set. HL7 v2.9 chapter 2.9"""

from typing import Any

import pytest

from fhirserver.feeds.framing import frame
from fhirserver.storage.listing import Filters
from tests.feeds.conftest import Feed, OpenFeed
from tests.feeds.messages import OID, adt, message
from tests.feeds.test_mllp import Sender, listening

pytestmark = pytest.mark.anyio

PID = f"PID|||{{}}^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L||1979|F"
SELF = f"{PID.format('S')}\rMRG|S^^^&{OID}&ISO^PI"
TXA = "TXA|1|CN|TX|20260301||||||||D1"
ED = "OBX|1|ED|11488-4^CR^LN||^TEXT^XML^Base64^!!!!||||||F"


async def answer(sender: Sender) -> list[list[str]]:
    """The segments of the next acknowledgement as their fields."""
    raw = (await sender.reader.readuntil(b"\x1c\r"))[1:-3]
    return [line.split("|") for line in raw.decode("latin-1").split("\r") if line]


def shown(segments: list[list[str]]) -> tuple[str, ...]:
    """MSA-1 and MSA-2, then of each ERR location, condition and severity."""
    errors = [f"{e[2]} {e[3].partition('^')[0]} {e[4]}" for e in segments[2:]]
    return (" ".join(segments[1][1:3]), *errors)


CASES: list[tuple[bytes, tuple[str, ...]]] = [
    (adt("1", patient="A"), ("AA 1",)),
    # AR: it cannot be taken, whatever it says
    (message("2", "", PID.format("B")), ("AR 2", "MSH^1^9 200 E")),
    (message("3", "ADT", PID.format("B")), ("AR 3", "MSH^1^9^1^2 201 E")),
    (adt("4", f11="X"), ("AR 4", "MSH^1^11 202 E")),
    (adt("5", f12="3.0"), ("AR 5", "MSH^1^12 203 E")),
    (adt(""), ("AR", "MSH^1^10 101 E")),
    # AE: what it says is at fault
    (message("6", "ORU^R01"), ("AE 6", "PID^1 101 E")),
    (message("7", "ADT^A40", SELF), ("AE 7", "MRG^1^1 205 E")),
    (message("8", "ADT^A40", PID.format("M")), ("AE 8", "MRG^1 101 E")),
    # AA: it is kept, and a person here decides
    (message("9", "ZZZ^Z01"), ("AA 9", "MSH^1^9 200 W")),
    (message("10", "ADT^A99", PID.format("C")), ("AA 10", "MSH^1^9^1^2 201 W")),
    (message("11", "ADT^A08", "PID|||||MARTIN"), ("AA 11", "PID^1^3 101 W")),
    (message("16", "ORU^R01", "ADD|rest\rOBX|1|ST|x||y", f14="P-7"), ("AA 16", "MSH^1^14 207 W")),
    (message("17", "ORU^R01", f"{PID.format('H')}\rDSC|P-7"), ("AA 17", "DSC^1^1 207 W")),
    (message("12", "ORM^O01", f"{PID.format('D')}\rORC|CA|NONE"), ("AA 12", " 204 W")),
    (message("13", "MDM^T02", f"{PID.format('E')}\r{TXA}\r{ED}"), ("AA 13", "OBX^1^5^1^5 102 W")),
    # AA: it is stored, and something of it is not as it should be
    (adt("14", patient="F", pid="||19791399|F"), ("AA 14", "PID^1^7 102 W")),
    (adt("15", patient="G", pid="||1979|Q"), ("AA 15", "PID^1^8 103 W")),
    # what people here may want to know is nothing of the sender's
    (adt("18", patient="I", pid="||1979|F||||||||MAR^Mariée^99X"), ("AA 18",)),
    # the same message again, and another one of the same number
    (adt("1", patient="A"), ("AA 1",)),
    (adt("1", patient="A", family="DURAND"), ("AA 1", "MSH^1^10 205 W")),
]


@pytest.mark.parametrize("mode", ["processed", "received"])
async def test_codes_and_errors(open_feed: OpenFeed, mode: str) -> None:
    async with open_feed(mllp_port=0, hl7v2_ack=mode) as feed, listening(feed) as (_, sender):
        for raw, expected in CASES:
            await sender.send(frame(raw))
            segments = await answer(sender)
            if mode == "received" and expected[0].startswith(("AA", "AE 7", "AE 8")):
                expected = (expected[0].replace("AE", "AA"),)  # what is in it is not looked at yet
            assert shown(segments) == expected, raw
            assert all(fields[8] for fields in segments[2:]), "each error says what it is"


async def test_the_same_message_gets_the_same_answer(open_feed: OpenFeed) -> None:
    async with open_feed(mllp_port=0, hl7v2_ack="processed") as feed, listening(feed) as (_, sender):
        answers = []
        for raw in (adt("1", pid="||1979|Q"),) * 2 + (adt("1", pid="||1980|F"),):
            await sender.send(frame(raw))
            answers.append(await answer(sender))
        first, again, other = ((segments[0][9], *shown(segments)) for segments in answers)
        assert first == again
        assert other[0] != first[0]


@pytest.mark.parametrize(
    ("accept", "application", "good", "refused", "failed"),
    [
        # failed: it is taken, and what it says turns out to be at fault
        ("", "", ["AA"], ["AR"], ["AE"]),
        ("AL", "AL", ["CA", "AA"], ["CR"], ["CA", "AE"]),
        ("AL", "NE", ["CA"], ["CR"], ["CA"]),
        ("AL", "ER", ["CA"], ["CR"], ["CA", "AE"]),
        ("AL", "SU", ["CA", "AA"], ["CR"], ["CA"]),
        ("AL", "", ["CA"], ["CR"], ["CA"]),
        ("NE", "AL", ["AA"], ["AR"], ["AE"]),
        ("NE", "NE", [], [], []),
        ("ER", "ER", [], ["CR"], ["AE"]),
        ("ER", "SU", ["AA"], ["CR"], []),
        ("SU", "SU", ["CA", "AA"], [], ["CA"]),
        ("SU", "ER", ["CA"], ["AR"], ["CA", "AE"]),
        ("", "AL", ["AA"], ["AR"], ["AE"]),
        ("al", "ne", ["CA"], ["CR"], ["CA"]),
    ],
)
async def test_who_is_answered_when(
    open_feed: OpenFeed,
    accept: str,
    application: str,
    good: list[str],
    refused: list[str],
    failed: list[str],
) -> None:
    modes = {"f15": accept, "f16": application}
    inputs = (
        (adt("1", **modes), good),
        (adt("2", f11="X", **modes), refused),
        (message("3", "ADT^A40", SELF, **modes), failed),
    )
    async with open_feed(mllp_port=0, hl7v2_ack="processed") as feed, listening(feed) as (_, sender):
        for raw, expected in inputs:
            await sender.send(frame(raw))
            # What is not asked for does not come: the next message is the next that is answered.
            assert [shown(await answer(sender))[0][:2] for _ in expected] == expected
        await sender.send(frame(adt("4", patient="LAST")))
        assert shown(await answer(sender)) == ("AA 4",)


@pytest.mark.parametrize(
    ("version", "kind", "error"),
    [
        ("2.1", "ACK^R01", "PID^1^^101&Required field missing&HL70357"),
        ("2.2", "ACK^R01", "PID^1^^101&Required field missing&HL70357"),
        ("2.3", "ACK^R01", "PID^1^^101&Required field missing&HL70357"),
        ("2.3.1", "ACK^R01", "PID^1^^101&Required field missing&HL70357"),
        ("2.4", "ACK^R01", "PID^1^^101&Required field missing&HL70357"),
        *(
            (version, "ACK^R01^ACK", "")
            for version in ("2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.2", "2.9", "", "2.5^FRA")
        ),
    ],
)
async def test_answers_are_of_the_version_of_the_message(
    open_feed: OpenFeed, version: str, kind: str, error: str
) -> None:
    async with open_feed(mllp_port=0) as feed, listening(feed) as (_, sender):
        await sender.send(frame(message("1", "ORU^R01", f12=version)))
        msh, msa, err = await answer(sender)
        assert (msh[8], msh[11], msa[1]) == (kind, version or "2.5", "AE")
        assert (err[1], err[3:4]) == (error, [] if error else ["101^Required field missing^HL70357"])


@pytest.mark.parametrize(
    ("declared", "codec", "told"),
    [
        ("UNICODE UTF-8", "utf-8", "UNICODE UTF-8"),
        ("8859/1", "cp1252", "8859/1"),
        ("8859/15", "iso8859-15", "8859/15"),
        ("", "utf-8", ""),
        ("", "cp1252", ""),
    ],
)
async def test_answers_are_in_the_character_set_of_the_message(
    open_feed: OpenFeed, declared: str, codec: str, told: str
) -> None:
    raw = message("1", "ADT^A08", PID.format("P"), f3="GÉM", f18=declared).decode(
        "cp1252" if declared == "8859/1" else "utf-8"
    )
    async with open_feed(mllp_port=0) as feed, listening(feed) as (_, sender):
        await sender.send(frame(raw.encode(codec)))
        answered = await sender.reader.readuntil(b"\x1c\r")
        fields = answered[1:].split(b"\r")[0].split(b"|")
        assert fields[4] == "GÉM".encode(codec)
        assert (fields[17].decode() if len(fields) > 17 else "") == told


@pytest.mark.parametrize(
    ("policy", "expected", "status"),
    [
        ("process", ("AA 1",), "processed"),
        ("hold", ("AA 1", "MSH^1^11 202 I"), "held"),
        ("refuse", ("AR 1", "MSH^1^11 202 E"), "failed"),
    ],
)
@pytest.mark.parametrize("kind", ["T", "D", "T^A"])
async def test_test_messages(
    open_feed: OpenFeed, policy: str, kind: str, expected: tuple[str, ...], status: str
) -> None:
    options: dict[str, Any] = {"mllp_port": 0, "hl7v2_test_messages": policy}
    async with open_feed(**options) as feed, listening(feed) as (_, sender):
        await sender.send(frame(adt("1", f11=kind)))
        assert shown(await answer(sender)) == expected
        assert await stored(feed) == status


async def stored(feed: Feed) -> str:
    """What became of the one item in the inbox."""
    _, outcome = await feed.take(adt("2", patient="OTHER"))
    assert outcome.status == "processed"
    items = (await feed.inbox.list(Filters(), 10)).items
    return next(item.status for item in items if item.control_id == "1")
