"""The listener over real sockets."""

import asyncio
import contextlib
import ipaddress
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fhirserver.feeds.framing import frame
from fhirserver.feeds.mllp import Listener
from fhirserver.storage.items import Item
from fhirserver.storage.listing import Filters
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


def certified(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(encoding))
    return folder / "certificate.pem", folder / "key.pem"
