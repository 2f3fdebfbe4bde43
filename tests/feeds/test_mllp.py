"""The listener over real sockets."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fhirserver.feeds import client
from fhirserver.feeds.client import Unanswered
from fhirserver.feeds.framing import frame
from fhirserver.feeds.mllp import Listener
from fhirserver.feeds.origin import Origin
from fhirserver.storage.items import Item
from fhirserver.storage.listing import Filters
from tests.feeds.certificates import certified
from tests.feeds.conftest import Feed, OpenFeed
from tests.feeds.messages import adt, message

pytestmark = pytest.mark.anyio


class Sender:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, stream: bytes) -> None:
        self.writer.write(stream)
        await self.writer.drain()

    async def answer(self) -> str:
        """The next acknowledgement as ``code control-id``; "" at the end of the stream."""
        try:
            raw = await asyncio.wait_for(self.reader.readuntil(b"\x1c\r"), 5)
        except asyncio.IncompleteReadError:
            return ""
        fields = raw.split(b"\r")[1].decode().split("|")
        return " ".join(fields[1:3])


@contextlib.asynccontextmanager
async def listening(feed: Feed, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Listener, Sender]]:
    listener = Listener(feed.receiver, feed.settings)
    port = await listener.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    yield listener, Sender(reader, writer)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    await listener.stop()


async def kept(feed: Feed) -> list[Item]:
    return list(reversed((await feed.inbox.list(Filters(), 100)).items))


@pytest.mark.parametrize(
    ("stream", "answers"),
    [
        (frame(adt("1")), ["AA 1"]),
        (adt("1") + b"\x1c\r", ["AA 1"]),
        (b"\x0b\x1c\r" + frame(adt("1")), ["AA 1"]),
        (frame(adt("1")) + frame(adt("2")), ["AA 1", "AA 2"]),
        (frame(adt("1") + adt("2")), ["AA 1", "AA 2"]),
        (frame(b"\x0b" + adt("1") + b"\x1c\r"), ["AA 1"]),
        (frame(b"hello"), ["AR"]),
        (frame(b"noise\r" + adt("1")), ["AA 1"]),
        (frame(message("1", "ORU^R01")), ["AE 1"]),
        (frame(message("1", "ZZZ^Z01")), ["AA 1"]),
        (frame(adt("1", f15="AL", f16="AL")), ["CA 1", "AA 1"]),
        (frame(adt("1", f15="NE", f16="AL")), ["AA 1"]),
        (frame(adt("1")) + frame(adt("1")), ["AA 1", "AA 1"]),
        (b"\x0b" + adt("1") + b"\x1c", ["AA 1"]),
        (frame(message("1", "ACK^A08")) + frame(adt("2")), ["AA 2"]),
    ],
)
async def test_answers(open_feed: OpenFeed, stream: bytes, answers: list[str]) -> None:
    async with open_feed(mllp_port=0) as feed, listening(feed) as (_, sender):
        await sender.send(stream)
        assert [await sender.answer() for _ in answers] == answers


async def test_acknowledged_is_stored(open_feed: OpenFeed) -> None:
    async with open_feed(mllp_port=0) as feed, listening(feed) as (_, sender):
        await sender.send(frame(adt("1")))
        assert await sender.answer() == "AA 1"
        (item,) = await kept(feed)
        assert (item.channel, await feed.inbox.raw(item)) == ("mllp", adt("1").rstrip(b"\r"))


async def test_acknowledgement_after_processing(open_feed: OpenFeed) -> None:
    async with open_feed(mllp_port=0, hl7v2_ack="processed") as feed, listening(feed) as (_, sender):
        await sender.send(frame(adt("1")))
        assert await sender.answer() == "AA 1"
        (item,) = await kept(feed)
        assert item.status == "processed"


async def test_cut_message_is_kept_and_refused_and_can_be_sent_again(open_feed: OpenFeed) -> None:
    async with open_feed(mllp_port=0) as feed, listening(feed) as (_, sender):
        await sender.send(b"\x0b" + adt("1")[:-10])
        sender.writer.write_eof()
        assert await sender.answer() == "AE 1"
        (item,) = await kept(feed)
        assert (item.status, item.outcome.issues[-1]["code"]) == ("failed", "incomplete")
        again, outcome = await feed.take(adt("1"))
        assert (again.reused, outcome.status) == (False, "processed")


@pytest.mark.parametrize(
    ("size", "ended", "kept_bytes"),
    [(3000, False, 64 * 1024), (3000, True, 64 * 1024), (200_000, False, 64 * 1024)],
)
async def test_too_large_is_refused_and_its_beginning_kept(
    open_feed: OpenFeed, size: int, ended: bool, kept_bytes: int
) -> None:
    async with open_feed(mllp_port=0, mllp_max_message=2000) as feed, listening(feed) as (_, sender):
        raw = adt("1", family="X" * size)
        await sender.send(b"\x0b" + raw + (b"\x1c\r" if ended else b""))
        assert [await sender.answer(), await sender.answer()] == ["AR 1", ""]
        (item,) = await kept(feed)
        assert (item.status, item.control_id, item.outcome.acknowledgement) == ("failed", "1", "AR")
        (issue,) = item.outcome.issues
        assert (issue["code"], "2000 bytes (mllp_max_message)" in issue["text"]) == ("too-long", True)
        start = await feed.inbox.raw(item)
        assert f"first {len(start)} bytes" in issue["text"]
        assert raw.startswith(start)
        assert 2000 < len(start) <= kept_bytes
        _, outcome = await feed.take(adt("1"))
        assert outcome.status == "processed", "mended, it can be sent again"


async def test_silent_connection_is_closed(open_feed: OpenFeed) -> None:
    async with open_feed(mllp_port=0, mllp_idle=0.1) as feed, listening(feed) as (_, sender):
        assert await sender.answer() == ""


async def test_stop_finishes_the_message_in_hand(open_feed: OpenFeed) -> None:
    async with open_feed(mllp_port=0) as feed, listening(feed) as (listener, sender):
        await sender.send(b"\x0b" + adt("1")[:20])
        await asyncio.sleep(0.05)
        stopping = asyncio.create_task(listener.stop())
        await asyncio.sleep(0.05)
        await sender.send(adt("1")[20:] + b"\x1c\r")
        assert [await sender.answer(), await sender.answer()] == ["AA 1", ""]
        await stopping


async def test_full_backlog_stops_reading(open_feed: OpenFeed) -> None:
    async with open_feed(mllp_port=0) as feed, listening(feed) as (_, sender):
        async with feed.receiver.backlog.holding(10**12):
            await sender.send(frame(adt("1")) + frame(adt("2")))
            await asyncio.sleep(0.1)
            assert len(await kept(feed)) < 3
            await sender.send(frame(adt("3")))
        assert [await sender.answer() for _ in range(3)] == ["AA 1", "AA 2", "AA 3"]


async def test_tls(open_feed: OpenFeed, tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    options = {"mllp_tls_certificate": certificate, "mllp_tls_key": key}
    async with open_feed(mllp_port=0, **options) as feed, listening(feed, trusting) as (_, sender):
        await sender.send(frame(adt("1")))
        assert await sender.answer() == "AA 1"


PATHOLOGIES = {
    "empty frame": (b"\x0b\x1c\r" + frame(adt("1")), ["AA 1"]),
    "LF instead of CR after the end": (b"\x0b" + adt("1") + b"\x1c\n" + frame(adt("2")), ["AA 1", "AA 2"]),
    "garbage before": (b"garbage" + frame(adt("1")), ["AA 1"]),
    "no start of block": (adt("1") + b"\x1c\r" + frame(adt("2")), ["AA 1", "AA 2"]),
    "no CR at the end": (b"\x0b" + adt("1") + b"\x1c", ["AA 1"]),
    "two frames in one write": (frame(adt("1")) + frame(adt("2")), ["AA 1", "AA 2"]),
    "double wrapping": (frame(frame(adt("1"))), ["AA 1"]),
    "start of block in the middle": (b"\x0b" + adt("1") + b"\x0b" + adt("2") + b"\x1c\r", ["AA 1", "AA 2"]),
    "several messages in one frame": (frame(adt("1") + adt("2") + adt("3")), ["AA 1", "AA 2", "AA 3"]),
    "end of block inside the content": (
        frame(adt("1", family="DU\x1cPONT") + b"ZZZ|\x1c|x\r"),
        ["AA 1"],
    ),
    "line feeds between frames": (
        b"\r\n" + frame(adt("1")) + b"\r\n\r\n" + frame(adt("2")),
        ["AA 1", "AA 2"],
    ),
    "one byte at a time": (frame(adt("1")), ["AA 1"]),
}


@pytest.mark.parametrize("name", PATHOLOGIES)
async def test_framing_pathologies(open_feed: OpenFeed, name: str) -> None:
    stream, answers = PATHOLOGIES[name]
    async with open_feed(mllp_port=0) as feed, listening(feed) as (_, sender):
        if name == "one byte at a time":
            for byte in stream:
                await sender.send(bytes([byte]))
        else:
            await sender.send(stream)
        assert [await sender.answer() for _ in answers] == answers
        items = await kept(feed)
        assert len(items) == len(answers), "nothing lost, nothing doubled"


async def test_message_that_never_ends_is_cut(open_feed: OpenFeed) -> None:
    options = {"mllp_port": 0, "mllp_message_seconds": 0.4}
    async with open_feed(**options) as feed, listening(feed) as (_, sender):
        await sender.send(frame(adt("1")))
        assert await sender.answer() == "AA 1"
        await sender.send(b"\x0b" + adt("2"))
        await asyncio.sleep(0.15)
        await sender.send(b"ZZZ|1\r")
        assert [await sender.answer(), await sender.answer()] == ["AE 2", ""]
        assert "mllp_message_seconds" in (await kept(feed))[-1].outcome.issues[-1]["text"]


@pytest.mark.parametrize(
    ("options", "refused"),
    [
        ({"mllp_connections": 1}, True),
        ({"mllp_connections_per_address": 1}, True),
        ({"mllp_networks": ("10.0.0.0/8",)}, True),
        ({"mllp_networks": ("10.0.0.0/8", "127.0.0.1")}, False),
    ],
)
async def test_connections_are_limited(open_feed: OpenFeed, options: dict[str, Any], refused: bool) -> None:
    async with open_feed(mllp_port=0, **options) as feed, listening(feed) as (listener, first):
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.ports[0])
        second = Sender(reader, writer)
        with contextlib.suppress(ConnectionError):
            await second.send(frame(adt("2")))
            assert await second.answer() == ("" if refused else "AA 2")
        writer.close()
        if "mllp_networks" not in options:
            await first.send(frame(adt("1")))
            assert await first.answer() == "AA 1"


async def test_several_ports_are_several_sources(open_feed: OpenFeed, tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    options = {
        "mllp_port": 0,
        "mllp_ports": ("0+plain", "0"),
        "mllp_tls_certificate": certificate,
        "mllp_tls_key": key,
    }
    async with open_feed(**options) as feed, listening(feed, trusting) as (listener, first):
        _, plain, other = listener.ports
        assert listener.encrypted == [True, False, True]
        await feed.receiver.catalog.put("plain", {"match": {"ports": [plain]}, "test_messages": "refuse"})
        await feed.receiver.catalog.put("other", {"match": {"ports": [other]}})
        await first.send(frame(adt("1", f11="T")))
        assert await first.answer() == "AA 1"
        for port, tls, expected in ((plain, None, "AR 1"), (other, trusting, "AA 1")):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            sender = Sender(reader, writer)
            await sender.send(frame(adt("1", f11="T")))
            assert await sender.answer() == expected
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()
        assert [item.source for item in await kept(feed)] == ["LAB/HOSP", "plain", "other"]


async def send_with(tls: ssl.SSLContext, port: int) -> None:
    async with client.Sender("127.0.0.1", port, tls, 5) as sender:
        await sender.send(adt("9"))


async def test_client_certificate_is_the_source(open_feed: OpenFeed, tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    options = {
        "mllp_port": 0,
        "mllp_tls_certificate": certificate,
        "mllp_tls_key": key,
        "mllp_tls_client_ca": certificate,
    }
    mutual = ssl.create_default_context(cafile=str(certificate))
    mutual.load_cert_chain(certificate, key)
    definition = {"match": {"application": "LAB", "certificates": ["test"]}}
    async with open_feed(**options) as feed:
        await feed.receiver.catalog.put("gam", definition)
        async with listening(feed, mutual) as (listener, sender):
            await sender.send(frame(adt("1")))
            assert await sender.answer() == "AA 1"
            (item,) = await kept(feed)
            assert item.source == "gam"
            assert item.origin == f"mllp port {listener.ports[0]} 127.0.0.1 test"
            with pytest.raises((Unanswered, OSError)):
                await send_with(ssl.create_default_context(cafile=str(certificate)), listener.ports[0])
        forged = await feed.receiver.receive_hl7v2(adt("2"), Origin("mllp", address="127.0.0.1"))
        assert forged[0].code == "AR", "the same MSH-3 without the certificate"
