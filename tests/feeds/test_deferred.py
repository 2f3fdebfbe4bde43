"""Application acknowledgements that go to the sender's own address."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fhirserver.feeds.client import Sender, Unanswered
from fhirserver.feeds.deferred import acknowledged
from fhirserver.feeds.framing import Framer, frame
from fhirserver.feeds.origin import Origin
from fhirserver.storage.acknowledgements import Acknowledgement
from tests.feeds.certificates import certified
from tests.feeds.conftest import Feed, OpenFeed
from tests.feeds.messages import adt

pytestmark = pytest.mark.anyio


def confirm(code: str) -> Callable[[bytes], bytes | None]:
    return lambda message: f"MSH|^~\\&|X\rMSA|{code}|1\r".encode()


class Receiving:
    """A sender's own listener: it keeps what comes and answers as it is told."""

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.answer = answer
        self.messages: list[bytes] = []
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator["Receiving"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        yield self
        server.close()
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer(1_000_000)
        while part := await reader.read(65536):
            for message in framer.feed(part):
                self.messages.append(message)
                answer = self.answer(message)
                if answer is None:
                    writer.close()
                    return
                writer.write(frame(answer))
        writer.close()


async def settled(feed: Feed, id: str, status: str = "sent") -> Acknowledgement:
    for _ in range(600):
        row = await feed.receiver.deferred.rows.find(id)
        if row and row.status == status:
            return row
        await asyncio.sleep(0.05)
    raise AssertionError(row)


async def define(feed: Feed, port: int, scheme: str = "mllp") -> None:
    to = f"{scheme}://127.0.0.1:{port}"
    await feed.receiver.catalog.put("lab", {"match": {"application": "LAB"}, "acknowledge_to": to})


@pytest.mark.parametrize(
    ("msh", "raw", "now", "later"),
    [
        ({"f15": "AL", "f16": "AL"}, "", ["CA"], "AA"),
        ({"f15": "NE", "f16": "AL"}, "", [], "AA"),
        ({"f15": "AL", "f16": "ER"}, "", ["CA"], ""),
        ({"f15": "AL", "f16": "NE"}, "", ["CA"], ""),
        ({}, "", ["AA"], ""),
    ],
)
async def test_what_is_answered_where(
    feed: Feed, msh: dict[str, str], raw: str, now: list[str], later: str
) -> None:
    async with Receiving(confirm("CA")).listening() as his:
        await define(feed, his.port)
        (answer,) = await feed.receiver.receive_hl7v2(adt("1", **msh), Origin("mllp"))
        assert answer.item is not None
        assert [acknowledged(one) for one in answer.acknowledgements] == now
        await feed.receiver.outcome(answer.item)
        if not later:
            assert await feed.receiver.deferred.rows.find(answer.item.id) is None
            return
        await settled(feed, answer.item.id)
        (message,) = his.messages
        assert acknowledged(message) == later
        fields = message.split(b"\r")[0].split(b"|")
        assert (fields[4], fields[5], fields[14:16]) == (b"LAB", b"HOSP", [b"AL", b"NE"])


async def test_repeated_message_repeats_the_acknowledgement(feed: Feed) -> None:
    async with Receiving(confirm("AA")).listening() as his:
        await define(feed, his.port)
        raw = adt("1", f15="AL", f16="AL")
        first, _ = await feed.take(raw)
        await settled(feed, first.id)
        again, _ = await feed.take(raw)
        assert again.status == "duplicate"
        for _ in range(100):
            if len(his.messages) == 2:
                break
            await asyncio.sleep(0.05)
        assert his.messages[0] == his.messages[1]


async def test_tried_again_until_somebody_listens(feed: Feed) -> None:
    his = Receiving(confirm("CA"))
    async with his.listening():
        pass  # only for its port
    await define(feed, his.port)
    item, _ = await feed.take(adt("1", f15="AL", f16="AL"))
    for _ in range(60):
        row = await feed.receiver.deferred.rows.find(item.id)
        if row and row.attempts:
            break
        await asyncio.sleep(0.05)
    assert row is not None
    assert "No connection" in row.problem
    async with his.listening():
        assert (await settled(feed, item.id)).attempts > 1


@pytest.mark.parametrize(("code", "status"), [("AE", "failed"), ("CE", "failed"), ("CA", "sent")])
async def test_answers(feed: Feed, code: str, status: str) -> None:
    async with Receiving(confirm(code)).listening() as his:
        await define(feed, his.port)
        item, _ = await feed.take(adt("1", f15="AL", f16="AL"))
        assert (await settled(feed, item.id, status)).attempts == 1


async def test_never_answered_is_believed_after_some_attempts(feed: Feed) -> None:
    async with Receiving(lambda message: None).listening() as his:
        await define(feed, his.port)
        rows = feed.receiver.deferred.rows
        item, _ = await feed.take(adt("1", f15="AL", f16="AL"))
        for _ in range(3):
            for _ in range(60):
                row = await rows.find(item.id)
                if row is None or row.due > datetime.now(UTC) + timedelta(seconds=0.5):
                    await rows._update({"_id": item.id}, {"$set": {"due": datetime.now(UTC)}})
                if row and row.status != "waiting":
                    break
                await asyncio.sleep(0.05)
        assert (await settled(feed, item.id, "unconfirmed")).unanswered == 3
        assert len(his.messages) == 3


async def test_survives_the_process(open_feed: OpenFeed) -> None:
    his = Receiving(confirm("CA"))
    async with his.listening():
        pass
    async with open_feed() as one:
        await define(one, his.port)
        item, _ = await one.take(adt("1", f15="AL", f16="AL"))
    async with his.listening(), open_feed() as two:
        await settled(two, item.id)
        assert [acknowledged(message) for message in his.messages] == ["AA"]


async def test_over_tls(open_feed: OpenFeed, tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with (
        Receiving(confirm("CA")).listening(context) as his,
        open_feed(mllp_tls_client_ca=certificate) as feed,
    ):
        await define(feed, his.port, "mllps")
        item, _ = await feed.take(adt("1", f15="AL", f16="AL"))
        await settled(feed, item.id)


async def test_sender_says_that_there_is_no_answer() -> None:
    async with (
        Receiving(lambda message: None).listening() as his,
        Sender("127.0.0.1", his.port, None, 1) as sender,
    ):
        with pytest.raises(Unanswered, match="closed"):
            await sender.send(adt("1"))


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"MSH|^~\\&\rMSA|AA|1\r", "AA"),
        (b"MSH#^~\\&\nMSA#CE#1", "CE"),
        (b"hello", ""),
        (b"MSA", ""),
        (b"", ""),
    ],
)
def test_code_of_an_acknowledgement(answer: bytes, code: str) -> None:
    assert acknowledged(answer) == code
