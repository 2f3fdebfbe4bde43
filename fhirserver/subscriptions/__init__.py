"""Subscriptions: who is told of changes, how it is remembered and delivered.

https://hl7.org/fhir/R4/subscription.html and https://hl7.org/fhir/uv/subscriptions-backport/
"""

import asyncio
import contextlib
import os
import socket
import time
import uuid

import structlog

from fhirserver import search
from fhirserver.errors import Unavailable
from fhirserver.model.json import Resource
from fhirserver.outbound import Outbound
from fhirserver.settings import Settings
from fhirserver.storage.leases import LEASE, Lease
from fhirserver.storage.outbox import Outbox
from fhirserver.storage.repository import Repository, now
from fhirserver.subscriptions.definition import Definition, read
from fhirserver.subscriptions.delivery import Delivering
from fhirserver.subscriptions.lifecycle import asked, change_status
from fhirserver.subscriptions.watcher import Watcher

POLL = 1.0
RENEW = LEASE.total_seconds() / 3
TIDY = 600.0

log = structlog.get_logger()


class Subscriptions:
    """The subscriptions of one process.

    Every process matches what it writes; the one that holds the lease numbers the events and delivers them,
    each subscription in a task of its own.
    """

    def __init__(
        self,
        settings: Settings,
        repository: Repository,
        indexer: search.Indexer,
        outbound: Outbound,
        base_url: str,
    ) -> None:
        self._types = frozenset(settings.resource_types)
        self._settings = settings
        self._repository = repository
        self._indexer = indexer
        self._outbound = outbound
        self._base_url = base_url
        self.outbox = Outbox(repository.database)
        process = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._news = asyncio.Event()
        self.watcher = Watcher(repository, self.outbox, indexer, outbound, self._types, process)
        self.watcher.news = self._news.set
        self._lease = Lease(repository.database, "outbox", process)
        self._working: dict[str, tuple[Delivering, asyncio.Task[None]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._renewed = self._tidied = 0.0

    async def start(self, *, deliver: bool = True) -> None:
        """Match changes from now on, and take part in the deliveries. Raises Unavailable."""
        await self.watcher.start()
        if deliver:
            self._task = asyncio.create_task(self._run(), name="outbox")

    async def stop(self) -> None:
        """Leave what is not delivered to another process, or to the next start."""
        if self._task:
            await _end(self._task)
            await self._end_all()
            with contextlib.suppress(Unavailable):
                await self._lease.release()
        await self.watcher.stop()

    def accept(self, resource: Resource) -> Resource:
        """A Subscription as it is stored when a client writes it.

        Raises:
            Unprocessable: this server could not do what it asks.
        """
        resource = asked(resource)
        self.definition(resource, 0)
        return resource

    def definition(self, resource: Resource, version: int) -> Definition:
        """Read a Subscription. Raises Unprocessable when this server cannot do what it asks."""
        return read(resource, version, self._indexer, self._outbound, self._types)

    # --- the process that holds the lease

    async def _run(self) -> None:
        while True:
            try:
                if await self._leads():
                    await self._step()
            except Unavailable:
                log.warning("the outbox does not answer")
                await asyncio.sleep(POLL)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._news.wait()
            self._news.clear()

    async def _leads(self) -> bool:
        """Whether this process delivers; asked of the database as often as the lease needs."""
        if time.monotonic() - self._renewed < RENEW:
            return True
        if await self._lease.take():
            self._renewed = time.monotonic()
            return True
        await self._end_all()
        return False

    async def _step(self) -> None:
        """Number what waits, and let one task per subscription work on its current version."""
        definitions = self.watcher.definitions
        new = await self.outbox.number_waiting() if definitions else set()
        for id, (working, task) in list(self._working.items()):
            current = definitions.get(id)
            failed = task.done() and not task.cancelled() and task.exception() is not None
            if failed or current is None or current.version != working.definition.version:
                await _end(task)
                del self._working[id]
        for id, definition in definitions.items():
            if id not in self._working:
                working = Delivering(
                    definition,
                    self._repository,
                    self.outbox,
                    self._outbound,
                    self._base_url,
                    self._settings.subscription_retry,
                    self._known_to_all,
                )
                task = asyncio.create_task(working.run(), name=f"subscription {id}")
                task.add_done_callback(_report)
                self._working[id] = (working, task)
            elif id in new:
                self._working[id][0].news.set()
        for id, (version, reason) in list(self.watcher.broken.items()):
            await change_status(self._repository, id, version, "error", reason)
        if time.monotonic() - self._tidied > TIDY:
            self._tidied = time.monotonic()
            await self._tidy()

    async def _known_to_all(self, id: str, version: int) -> None:
        while f"{id}/{version}" not in await self.outbox.seen_by_all():  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # other processes know: only the database tells

    async def _tidy(self) -> None:
        """Forget subscriptions that were deleted and events that were delivered long ago."""
        known = await self.outbox.known()
        found = await self._repository.find_many(("Subscription", id) for id in known)
        there = {stored.id for stored in found if stored and not stored.deleted}
        for id in known - there:
            await self.outbox.remove(id)
        before = now() - int(self._settings.subscription_keep * 1_000_000)
        for id, delivery in (await self.outbox.deliveries(there)).items():
            await self.outbox.purge(id, delivery, before)

    async def _end_all(self) -> None:
        for _, task in self._working.values():
            await _end(task)
        self._working.clear()


async def _end(task: "asyncio.Task[None]") -> None:
    """The driver may end a cancelled wait with another error: nothing is raised here."""
    task.cancel()
    await asyncio.wait([task])


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("delivery failed unforeseen", kind=type(error).__name__, task=task.get_name())
