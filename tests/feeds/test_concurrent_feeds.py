"""Sixteen connections at once: one new person becomes one Patient, merges and moves lose nothing."""

import asyncio

import pytest

from fhirserver.feeds.framing import frame
from fhirserver.feeds.mllp import Listener
from tests.feeds.conftest import Feed, OpenFeed
from tests.feeds.messages import OID, message

pytestmark = pytest.mark.anyio

CONNECTIONS = 16
INS = "279035121518989^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS"


def cx(number: str) -> str:
    return f"{number}^^^&{OID}&ISO^PI"


def about(control: str, numbers: str, event: str, more: str = "") -> bytes:
    return message(
        control,
        event,
        f"EVN||20260301080000\rPID|||{numbers}||MARTIN^Ada^^^^^L||19791210|F{'|' * 24}VALI\r{more}",
    )


def admission(n: int, numbers: str) -> bytes:
    pv1 = f"PV1||I|MED^{n}||||||||||||||||V{n}^^^&{OID}.2&ISO^VN"
    return about(f"A{n}", numbers, "ADT^A01^ADT_A01", pv1)


def result(n: int, numbers: str) -> bytes:
    more = (
        f"OBR|1||F{n}^LAB|718-7^Hb^LN|||20260301080000||||||||||||||||||F\r"
        "OBX|1|NM|718-7^Hb^LN||13.5|g/dL|||||F"
    )
    return about(f"R{n}", numbers, "ORU^R01^ORU_R01", more)


async def send_all(feed: Feed, inputs: list[list[bytes]]) -> list[str]:
    """Send each list on a connection of its own, all at once; the acknowledgement codes."""
    listener = Listener(feed.receiver, feed.settings)
    port = await listener.start()

    async def send(messages: list[bytes]) -> list[str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        codes = []
        for raw in messages:
            writer.write(frame(raw))
            answer = await asyncio.wait_for(reader.readuntil(b"\x1c\r"), 20)
            codes.append(answer.split(b"\r")[1].decode().split("|")[1])
        writer.close()
        await writer.wait_closed()
        return codes

    try:
        return [code for codes in await asyncio.gather(*map(send, inputs)) for code in codes]
    finally:
        await listener.stop()


@pytest.mark.parametrize("numbers", [[cx("A")], [cx("A"), f"{cx('A')}~{INS}"], [f"{cx('A')}~{INS}", INS]])
async def test_one_new_person_is_one_patient(open_feed: OpenFeed, numbers: list[str]) -> None:
    async with open_feed(mllp_port=0, hl7v2_ack="processed") as feed:
        inputs = [[(admission, result)[n % 2](n, numbers[n // 2 % len(numbers)])] for n in range(CONNECTIONS)]
        assert set(await send_all(feed, inputs)) == {"AA"}
        held = [p for p in await feed.search("Patient", _count="50") if p.get("active", True)]
        assert len(held) == 1
        reference = f"Patient/{held[0]['id']}"
        for type in ("Encounter", "Observation"):
            found = await feed.search(type, _count="50")
            assert [r["subject"]["reference"] for r in found] == [reference] * (CONNECTIONS // 2)


async def test_merges_among_results_leave_nothing_behind(open_feed: OpenFeed) -> None:
    async with open_feed(mllp_port=0, hl7v2_ack="processed") as feed:
        merge = message(
            "M", "ADT^A40^ADT_A39", f"EVN||20260302080000\rPID|||{cx('A')}||MARTIN^Ada^^^^^L\rMRG|{cx('B')}"
        )
        inputs = [[result(n, cx("AB"[n % 2]))] for n in range(CONNECTIONS - 1)]
        inputs.insert(7, [admission(99, cx("B")), merge])
        assert set(await send_all(feed, inputs)) == {"AA"}
        (left,) = [p for p in await feed.search("Patient") if p.get("active", True)]
        observations = await feed.search("Observation", _count="50")
        assert len(observations) == CONNECTIONS - 1
        assert {o["subject"]["reference"] for o in observations} == {f"Patient/{left['id']}"}
