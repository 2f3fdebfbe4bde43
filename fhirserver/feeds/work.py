"""The processing of one process: what it has in hand, in whose turn, and what dead processes have left."""

import asyncio
import contextlib
import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import replace

import structlog

from fhirserver import metrics
from fhirserver.errors import Unavailable
from fhirserver.feeds.ordering import Backlog, Turn, Turns
from fhirserver.feeds.process import Processing
from fhirserver.storage.inbox import Inbox
from fhirserver.storage.items import Item, Outcome
from fhirserver.storage.owners import BEAT, Owners

PARALLEL = 64
"""So many inputs of different patients are processed at once: they share round trips and commits."""
PARALLEL_MEDIUM = 16
PARALLEL_LARGE = 4
SMALL_BYTES = 64 * 1024
"""Of larger content fewer are processed at once, and fewest of what is not kept."""
BACKLOG_ITEMS = 1000
BACKLOG_BYTES = 256 * 1024 * 1024
KEPT_BYTES = 1024 * 1024
"""Larger raw content is read from the inbox again when its turn comes."""
STOP_SECONDS = 20.0
TIDY_BEATS = 24
WAIT_SECONDS = 60.0
"""So long is an outcome waited for before the answer says that it is not there yet."""

Finishing = Callable[[Item, bytes, Outcome], Awaitable[None]]

log = structlog.get_logger()


class Work:
    """What is stored is processed here, each once: inputs of one patient in order, others at the same time.

    ``finishing`` is awaited with each outcome before that is stored; it may be awaited twice with one.
    """

    def __init__(self, inbox: Inbox, processing: Processing, finishing: Finishing) -> None:
        self._inbox = inbox
        self._processing = processing
        self._finishing = finishing
        name = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._owners = Owners(inbox.database, name)
        self._turns = Turns()
        self._slots = asyncio.Semaphore(PARALLEL)
        self._medium_slots = asyncio.Semaphore(PARALLEL_MEDIUM)
        self._large_slots = asyncio.Semaphore(PARALLEL_LARGE)
        self.backlog = Backlog(BACKLOG_ITEMS, BACKLOG_BYTES)
        self._running: dict[str, asyncio.Task[Outcome]] = {}
        self._storing: set[str] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._missing = False

    @property
    def owner(self) -> str:
        """Under what name this process has items in hand."""
        return self._owners.name

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

    # --- what is stored

    def queue(self, patients: Iterable[str]) -> Turn:
        """A place behind all inputs before of the same patients."""
        return self._turns.queue(patients)

    async def store(self, item: Item, raw: bytes, turn: Turn) -> Item:
        """Store an input that has its turn, and have it processed. Raises Unavailable."""
        self._storing.add(item.id)
        try:
            stored = await self._inbox.receive(item, raw)
        except BaseException:
            # It may be stored nevertheless: then it is taken up with the next beat.
            self._missing = True
            self._spawn(_give_up(turn))
            raise
        finally:
            self._storing.discard(item.id)
        if stored.status == "received" and stored.id not in self._running:
            self._start(stored, turn, raw if len(raw) <= KEPT_BYTES else None)
        else:
            metrics.OUTCOMES.labels(stored.kind, stored.status).inc()
            self._spawn(_give_up(turn))
        return stored

    async def open_again(self, item: Item) -> bool:
        """Have an item processed again; False when it waits already. Raises Unavailable."""
        opened = await self._inbox.open_again(item, self.owner)
        if opened is not None:
            log.info("opened again", id=item.id, kind=item.kind)
            self._start(opened, self._turns.queue(opened.patients), None)
        return opened is not None

    async def outcome(self, item: Item) -> Outcome:
        """Wait for the outcome of an item, or of the one it repeats."""
        id = item.first or item.id
        if id not in self._running and item.status != "received" and not item.first:
            return item.outcome
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                if (running := self._running.get(id)) is not None:
                    return await asyncio.shield(running)
                while (current := await self._inbox.get(id)).status == "received":  # noqa: ASYNC110
                    await asyncio.sleep(0.1)  # another process has it in hand: only the database knows
                return current.outcome
        return item.outcome if item.status == "received" else Outcome("received")

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

    def _slots_for(self, size: int) -> asyncio.Semaphore:
        if size <= SMALL_BYTES:
            return self._slots
        return self._medium_slots if size <= KEPT_BYTES else self._large_slots

    async def _process(self, item: Item, turn: Turn, raw: bytes | None) -> Outcome:
        async with self.backlog.holding(item.size if raw else 0), turn:
            await self._earlier(item)
            attempts = item.attempts
            while True:
                attempts += 1
                try:
                    if attempts > item.attempts + 1 and not await self._inbox.is_waiting(item.id):
                        return (await self._inbox.get(item.id)).outcome  # a person has decided meanwhile
                    async with self._slots_for(item.size):
                        content = raw if raw is not None else await self._inbox.raw(item)
                        outcome = await self._processing.process(item, content, repeated=attempts > 1)
                    await self._finishing(item, content, outcome)
                    await self._open_waiting(outcome)
                    await self._inbox.finish(item, outcome, attempts)
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
            for item in await self._inbox.awaiting(brought):
                await self.open_again(item)

    async def _look_again(self, item: Item) -> None:
        """What an item is held for may have come after it was looked for, and before the item was held."""
        try:
            if await self._processing.has_document(item.outcome.awaits):
                await self.open_again(item)
        except Unavailable:
            log.warning("held, not looked up again", id=item.id, kind=item.kind)

    async def _earlier(self, item: Item) -> None:
        """Wait for earlier inputs of the same patient that other processes have in hand."""
        pause = 0.02
        while not self._owners.alone:
            try:
                if not await self._inbox.waits_for(item):
                    return
            except Unavailable:
                pause = 1.0
            await asyncio.sleep(pause)
            pause = min(pause * 2, 1.0)

    # --- other processes

    async def _beat(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(BEAT)
            beats += 1
            try:
                await self._take_over()
                if beats % TIDY_BEATS == 0:
                    await self._inbox.forget_unstored()
            except Unavailable:
                log.warning("the inbox does not answer")

    async def _take_over(self) -> None:
        """Stay alive; take up what dead processes left, and what a failed write may have left of our own."""
        taken = await self._owners.beat()
        if taken or self._missing:
            self._missing = False
            for item in await self._inbox.waiting():
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
