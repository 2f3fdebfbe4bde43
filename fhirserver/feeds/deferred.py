"""Application acknowledgements that go to the sender's own address. HL7 v2.9 chapter 2.9.3.2

They are kept in the database before the item's status says that it is processed, and sent until they are
confirmed: at least once. A receiver that takes the message and never answers is believed after some attempts.
"""

import asyncio
import contextlib
import ssl
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from fhirserver.errors import Unavailable
from fhirserver.feeds import acknowledgement
from fhirserver.feeds.catalog import Catalog
from fhirserver.feeds.client import Sender, Unanswered, tls_context
from fhirserver.feeds.definition import ADDRESS
from fhirserver.feeds.envelope import Envelope, open_envelope
from fhirserver.settings import Settings
from fhirserver.storage.acknowledgements import Acknowledgement, Acknowledgements, tried
from fhirserver.storage.database import Database
from fhirserver.storage.items import Item, Outcome

LOOK_SECONDS: Final = 1.0
ANSWER_SECONDS: Final = 15.0
BELIEVED: Final = 3
"""So often written and never answered, it is taken for delivered."""
GIVEN_UP: Final = timedelta(hours=24)

log = structlog.get_logger()


class Deferred:
    """Keeps and sends them, for one process."""

    def __init__(self, database: Database, catalog: Catalog, settings: Settings) -> None:
        self.rows = Acknowledgements(database)
        self._catalog = catalog
        self._settings = settings
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="acknowledgements")

    async def stop(self) -> None:
        """What is not sent is left to the other processes, and to the next start."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def finishing(self, item: Item, raw: bytes, outcome: Outcome) -> None:
        """Keep the acknowledgement of a message that is processed, where its source wants it so.

        Raises:
            Unavailable.
        """
        if item.kind != "hl7v2" or not self._catalog.sender(item).definition.acknowledge_to:
            return
        sender = self._catalog.sender(item)
        envelope = open_envelope("hl7v2", raw, item.channel).of(sender)
        if acknowledgement.is_deferred(envelope):
            answer = acknowledgement.when_processed(envelope, outcome, self._settings, item)
            if answer:
                await self.rows.put(item.id, item.source, sender.definition.acknowledge_to, answer)
                self._wake.set()

    async def repeat(self, item: Item, envelope: Envelope) -> None:
        """Send the acknowledgement of a message again, as it has come again."""
        if acknowledgement.is_deferred(envelope) and envelope.sender:
            with contextlib.suppress(Unavailable):  # it was sent before; who misses it repeats the message
                if kept := await self.rows.find(item.first):
                    to = envelope.sender.definition.acknowledge_to
                    await self.rows.put(kept.id, kept.source, to, kept.content)
                    self._wake.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
            self._wake.clear()
            try:
                due = await self.rows.claim()
                by_address: dict[str, list[Acknowledgement]] = defaultdict(list)
                for one in due:
                    by_address[one.address].append(one)
                await asyncio.gather(*(self._send(to, several) for to, several in by_address.items()))
            except Unavailable:
                log.warning("acknowledgements not sent: the database does not answer")

    async def _send(self, address: str, due: list[Acknowledgement]) -> None:
        """Send to one address, in order, on one connection. What fails there is tried again later."""
        match = ADDRESS.fullmatch(address)
        assert match is not None, "definitions have addresses of this form only"
        try:
            tls = self._tls() if address.startswith("mllps:") else None
            async with Sender(match[1].strip("[]"), int(match[2]), tls, ANSWER_SECONDS) as sender:
                while due:
                    await self._send_one(sender, due.pop(0))
        except OSError as error:
            log.warning("acknowledgements not sent", count=len(due), reason=type(error).__name__)
            for one in due:
                await self._later(tried(one, answered=True), f"No connection: {type(error).__name__}")

    async def _send_one(self, sender: Sender, one: Acknowledgement) -> None:
        try:
            answer = await sender.send(one.content)
        except Unanswered as error:
            one = tried(one, answered=False)
            if one.unanswered >= BELIEVED:
                await self.rows.settle(one, "unconfirmed", str(error))
            else:
                await self._later(one, str(error))
            raise ConnectionError from None  # the next one needs a connection that answers
        except OSError as error:
            await self._later(tried(one, answered=True), f"The connection was lost: {type(error).__name__}")
            raise
        one = tried(one, answered=True)
        code = acknowledged(answer)
        if code in ("CA", "AA"):
            await self.rows.settle(one, "sent")
        elif code in ("CE", "AE"):
            await self.rows.settle(one, "failed", f"It was answered {code}")
        else:
            await self._later(one, f"It was answered {code or 'with something else than an acknowledgement'}")

    async def _later(self, one: Acknowledgement, problem: str) -> None:
        if datetime.now(UTC) - one.since > GIVEN_UP:
            log.error("acknowledgement given up", id=one.id, source=one.source)
            await self.rows.settle(one, "failed", problem)
        else:
            await self.rows.again(one, problem)

    def _tls(self) -> ssl.SSLContext:
        settings = self._settings
        return tls_context(settings.mllp_tls_client_ca, settings.mllp_tls_certificate, settings.mllp_tls_key)


def acknowledged(answer: bytes) -> str:
    """MSA-1 of an acknowledgement; "" when it is none."""
    for line in answer.replace(b"\n", b"\r").split(b"\r"):
        if line.startswith(b"MSA") and len(line) > 4:
            return line[4:].split(line[3:4])[0].decode("ascii", "replace").strip()
    return ""
