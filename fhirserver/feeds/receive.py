"""The way in for every channel: store, map, resolve, perform as a transaction, keep what became of it."""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace

import structlog

from fhirserver import metrics
from fhirserver.errors import Unavailable, VersionConflict
from fhirserver.feeds import acknowledgement
from fhirserver.feeds.envelope import Envelope, open_envelope
from fhirserver.feeds.ordering import Backlog, Turn, Turns
from fhirserver.feeds.process import Processing, remark
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.inbox import Inbox, Item, Outcome, digest
from fhirserver.storage.owners import BEAT, Owners
from mappings import hl7v2
from mappings.core.result import Issue

PARALLEL = 32
"""So many inputs of different patients are processed at once: they share round trips and commits."""
PARALLEL_LARGE = 4
BACKLOG_ITEMS = 1000
BACKLOG_BYTES = 256 * 1024 * 1024
KEPT_BYTES = 64 * 1024
"""Larger raw content is read from the inbox again when its turn comes."""
STOP_SECONDS = 20.0
WAIT_SECONDS = 60.0
"""So long is an outcome waited for before the answer says that it is not there yet."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Receipt:
    """An input that is stored: it may be acknowledged. ``item`` is as it was then."""

    item: Item
    envelope: Envelope
    wait: Callable[[Item], Awaitable[Outcome]]

    async def outcome(self) -> Outcome:
        """What became of it; ``received`` when it is not processed after a minute."""
        return await self.wait(self.item)


@dataclass(frozen=True, slots=True)
class Answer:
    """The one answer to an HL7v2 message; without ``item`` it could not be stored."""

    item: Item | None
    code: str
    acknowledgement: bytes


class Receiver:
    """Receives and processes for one process; several processes share one inbox."""

    def __init__(
        self, server: Server, inbox: Inbox, settings: Settings, processing: Processing | None = None
    ) -> None:
        self.settings = settings
        self.inbox = inbox
        self._processing = processing or Processing(server, settings)
        name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._owners = Owners(inbox.database, name)
        self._turns = Turns()
        self._slots = asyncio.Semaphore(PARALLEL)
        self._large_slots = asyncio.Semaphore(PARALLEL_LARGE)
        self.backlog = Backlog(BACKLOG_ITEMS, BACKLOG_BYTES)
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._storing: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._clock = 0
        self._missing = False

    async def start(self) -> None:
        """Register, take up what dead processes left, and keep alive. Raises Unavailable."""
        await self._owners.register()
        await self._take_over()
        self._spawn(self._beat())

    async def stop(self) -> None:
        """Finish what is in hand; what is not finished in time is left to the other processes."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.backlog.empty(), STOP_SECONDS)
        tasks = [*self._background, *self._running.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(Unavailable):
            await self._owners.release()

    # --- receive

    async def room(self) -> None:
        """Wait while too much is in hand: channels stop reading."""
        await self.backlog.room()

    async def receive(
        self,
        raw: bytes,
        kind: str,
        channel: str,
        *,
        content_type: str = "",
        issues: Sequence[Issue] = (),
        envelope: Envelope | None = None,
    ) -> Receipt:
        """Store an input durably and have it processed.

        Args:
            kind: hl7v2, cda, xdm or fhir. An HL7v2 input is one message (``hl7v2.split`` before).
            issues: what its channel has found already.

        Raises:
            Unavailable: it is not stored and must not be acknowledged.
        """
        envelope = envelope or open_envelope(kind, raw, channel)
        # A client that goes away must not leave a stored input that nobody processes.
        storing = asyncio.ensure_future(self._store(raw, envelope, channel, content_type, issues))
        return Receipt(await asyncio.shield(storing), envelope, self._outcome)

    async def receive_hl7v2(self, raw: bytes, channel: str) -> list[Answer]:
        """Receive the messages of a file or request, wait for each and give its one acknowledgement."""
        batch = hl7v2.split(raw)
        issues = batch.issues if batch.messages else []
        receipts: list[Receipt | Envelope] = []
        for message in batch.messages or [raw]:
            envelope = open_envelope("hl7v2", message, channel)
            try:
                receipt = await self.receive(message, "hl7v2", channel, issues=issues, envelope=envelope)
            except Unavailable:
                receipts.append(envelope)
            else:
                receipts.append(receipt)
        return [await self._final(receipt) for receipt in receipts]

    async def replay(self, id: str) -> None:
        """Have a held or failed item processed again: what it lacked may have come since.

        Raises:
            NotFound, VersionConflict (it is neither held nor failed), Unavailable.
        """
        item = await self.inbox.get(id)
        if not await self._open_again(item):
            raise VersionConflict(
                f"The item is {item.status}: only what is held or failed is processed again"
            )

    async def _final(self, receipt: Receipt | Envelope) -> Answer:
        if isinstance(receipt, Envelope):
            answer = acknowledgement.build(receipt, "AR", [acknowledgement.BUSY], self.settings)
            return Answer(None, "AR", answer)
        outcome = await receipt.outcome()
        code = receipt.envelope.refusal or acknowledgement.OF_STATUS[outcome.status]
        answer = acknowledgement.final(receipt.envelope, outcome, self.settings)
        return Answer(receipt.item, code, answer)

    async def _store(
        self, raw: bytes, envelope: Envelope, channel: str, content_type: str, issues: Sequence[Issue]
    ) -> Item:
        found = [*issues, *envelope.issues]
        status = "failed" if envelope.refusal else "received"
        remarks = tuple(remark(issue) for issue in found)
        self._clock = max(self._clock + 1, time.time_ns() // 1000)
        item = Item(
            id=str(uuid.uuid4()),
            channel=channel,
            kind=envelope.kind,
            source=envelope.source,
            sha256=digest(raw),
            size=len(raw),
            content_type=content_type,
            identity=envelope.identity,
            control_id=envelope.control_id,
            application=envelope.application,
            facility=envelope.facility,
            event=envelope.event,
            patients=envelope.patients,
            order=self._clock,
            owner="" if envelope.refusal else self._owners.name,
            remarks=remarks,
            outcome=Outcome(status, remarks, acknowledgement=envelope.refusal),
        )
        # The place in the queue is taken before the write: what is received later must not overtake in a
        # write that is faster.
        turn = self._turns.queue(item.patients)
        metrics.MESSAGES.labels(item.kind, channel).inc()
        self._storing.add(item.id)
        try:
            stored = await self.inbox.receive(item, raw)
        except BaseException:
            # It may be stored nevertheless: then it is taken up with the next beat.
            self._missing = True
            self._spawn(_give_up(turn))
            raise
        finally:
            self._storing.discard(item.id)
        log.info("received", id=stored.id, kind=stored.kind, channel=channel, status=stored.status)
        if stored.status == "received" and stored.id not in self._running:
            self._start(stored, turn, raw if len(raw) <= KEPT_BYTES else None)
        else:
            metrics.OUTCOMES.labels(stored.kind, stored.status).inc()
            self._spawn(_give_up(turn))
        return stored

    # --- process

    def _start(self, item: Item, turn: Turn, raw: bytes | None) -> None:
        task = asyncio.create_task(self._process(item, turn, raw), name=f"{item.id} of {item.owner}")
        self._running[item.id] = task
        task.add_done_callback(lambda done: self._ended(item, done))

    def _ended(self, item: Item, task: asyncio.Task[Outcome]) -> None:
        if self._running.get(item.id) is task:
            del self._running[item.id]
        if not task.cancelled() and task.exception() is not None:
            self._missing = True

    async def _process(self, item: Item, turn: Turn, raw: bytes | None) -> Outcome:
        async with self.backlog.holding(item.size if raw else 0), turn:
            await self._earlier(item)
            attempts = item.attempts
            while True:
                attempts += 1
                try:
                    async with self._slots if item.size <= KEPT_BYTES else self._large_slots:
                        content = raw if raw is not None else await self.inbox.raw(item)
                        outcome = await self._processing.process(item, content, repeated=attempts > 1)
                    await self._open_waiting(outcome)
                    await self.inbox.finish(item, outcome, attempts)
                    break
                except Unavailable:
                    log.warning("not processed yet", id=item.id, kind=item.kind, attempts=attempts)
                    await asyncio.sleep(min(0.1 * 2 ** min(attempts, 9), 30.0))
            metrics.OUTCOMES.labels(item.kind, outcome.status).inc()
            log.info("processed", id=item.id, kind=item.kind, status=outcome.status, attempts=attempts)
            if outcome.awaits:
                await self._look_again(replace(item, attempts=attempts, outcome=outcome))
            return outcome

    async def _open_waiting(self, outcome: Outcome) -> None:
        """Have what was held for a document processed again, now that the document is here."""
        if brought := await self._processing.documents(outcome):
            for item in await self.inbox.awaiting(brought):
                await self._open_again(item)

    async def _look_again(self, item: Item) -> None:
        """What an item is held for may have come after it was looked for, and before the item was held."""
        try:
            if await self._processing.has_document(item.outcome.awaits):
                await self._open_again(item)
        except Unavailable:
            log.warning("held, not looked up again", id=item.id, kind=item.kind)

    async def _open_again(self, item: Item) -> bool:
        opened = await self.inbox.open_again(item, self._owners.name)
        if opened is not None:
            log.info("opened again", id=item.id, kind=item.kind)
            self._start(opened, self._turns.queue(opened.patients), None)
        return opened is not None

    async def _earlier(self, item: Item) -> None:
        """Wait for earlier inputs of the same patient that other processes have in hand."""
        pause = 0.02
        while not self._owners.alone:
            try:
                if not await self.inbox.waits_for(item):
                    return
            except Unavailable:
                pause = 1.0
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    async def _outcome(self, item: Item) -> Outcome:
        """Wait for the outcome of an item, or of the one it repeats."""
        id = item.first or item.id
        if id not in self._running and item.status != "received" and not item.first:
            return item.outcome
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                if (running := self._running.get(id)) is not None:
                    return await asyncio.shield(running)
                while (current := await self.inbox.get(id)).status == "received":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # another process has it in hand: only the database knows
                return current.outcome
        return item.outcome if item.status == "received" else Outcome("received")

    # --- other processes

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            try:
                await self._take_over()
            except Unavailable:
                log.warning("the inbox does not answer")

    async def _take_over(self) -> None:
        """Stay alive; take up what dead processes left, and what a failed write may have left of our own."""
        taken = await self._owners.beat()
        if taken or self._missing:
            self._missing = False
            for item in await self.inbox.waiting():
                known = item.id in self._running or item.id in self._storing
                if item.owner in self._owners.mine and not known:
                    log.info("taken up again", id=item.id, kind=item.kind)
                    again = replace(item, attempts=item.attempts + 1)
                    self._start(again, self._turns.queue(item.patients), None)
        busy = {task.get_name() for task in self._running.values()}
        for owner in self._owners.mine - {self._owners.name} - taken:
            if not any(name.endswith(f" of {owner}") for name in busy):
                await self._owners.forget(owner)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _give_up(turn: Turn) -> None:
    """End a turn without using it; those behind still wait for those before."""
    async with turn:
        pass
