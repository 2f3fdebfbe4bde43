"""The subscriptions as one process knows them, and the events that its changes make.

Every change is matched in the process that writes it, so a subscription must not become *active* before
every living process knows it: each says which versions it has seen once its earlier changes have ended, and
one that could not say so for a while asks again before it writes.
"""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import Callable

import structlog

from fhirserver import search
from fhirserver.errors import FHIRError, Unavailable
from fhirserver.model import json
from fhirserver.outbound import Outbound
from fhirserver.search.match import satisfies
from fhirserver.search.query import Index, Keys
from fhirserver.storage.documents import Document, Stored
from fhirserver.storage.outbox import Outbox, event_document
from fhirserver.storage.presence import LEASE
from fhirserver.storage.repository import Repository, Watched
from fhirserver.subscriptions.definition import LIVE, Definition, read

REFRESH = 1.0
BEAT = LEASE.total_seconds() / 3
FRESH = LEASE.total_seconds() * 0.8
"""After so many seconds without having said that it lives, a process asks before it writes."""

log = structlog.get_logger()


class Watcher:
    """Implements ``storage.repository.Watch``.

    ``definitions`` are by logical id; ``broken`` are those that cannot be read: version and reason.
    ``news`` is called when a change has made events and when the set has changed.
    """

    def __init__(
        self,
        repository: Repository,
        outbox: Outbox,
        indexer: search.Indexer,
        outbound: Outbound,
        types: frozenset[str],
        process: str,
    ) -> None:
        self._repository = repository
        self._outbox = outbox
        self._indexer = indexer
        self._outbound = outbound
        self._types = types
        self._process = process
        self._keys = self._live_keys()
        self.definitions: dict[str, Definition] = {}
        self.broken: dict[str, tuple[int, str]] = {}
        self.news: Callable[[], None] = lambda: None
        self._versions: dict[str, int] = {}
        self._by_type: dict[str, list[Definition]] = {}
        self._epoch = 0
        self._writing: Counter[int] = Counter()
        self._left = asyncio.Event()
        self._fresh = 0.0
        self._said: tuple[float, set[str]] = (0.0, set())
        self._wake = asyncio.Event()
        self._refreshing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Know the subscriptions before the first change. Raises Unavailable."""
        await self.refresh()
        self._repository.watch = self
        self._task = asyncio.create_task(self._run(), name="subscriptions")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])  # the driver may end a cancelled wait with another error
        with contextlib.suppress(Unavailable):
            await self._outbox.unwatch(self._process)

    # --- the repository's side

    async def enter(self) -> Watched:
        """Raises Unavailable: the subscriptions cannot be known now, so nothing may be written."""
        if time.monotonic() > self._fresh:
            async with self._refreshing:
                if time.monotonic() > self._fresh:  # else another change has just asked
                    await self._refresh()
        self._writing[self._epoch] += 1
        return Watched(self._epoch)

    def leave(self, watched: Watched) -> None:
        self._writing[watched.epoch] -= 1
        if not self._writing[watched.epoch]:
            del self._writing[watched.epoch]
            self._left.set()
        if watched.told:
            self.news()
        if watched.subscription:
            self._wake.set()

    def events(
        self, watched: Watched, stored: Stored, index: Index | None, previous: Stored | None
    ) -> list[Document]:
        """The events of one version, to be written with it."""
        watched.subscription |= stored.type == "Subscription"
        watching = self._by_type.get(stored.type)
        if not watching:
            return []
        if index is not None:
            change = "create" if previous is None or previous.deleted else "update"
            seen, updated = index, stored.updated
        else:
            watching = [d for d in watching if d.topic]
            if not watching or previous is None or previous.deleted:
                return []
            change, updated = "delete", previous.updated
            seen = self._indexer.index(json.stored(previous.body))
        found = [d.id for d in watching if satisfies(seen, stored.id, updated, d.condition)]
        watched.told |= bool(found)
        return [event_document(id, stored, change) for id in found]

    # --- knowing the subscriptions

    async def refresh(self) -> None:
        """Read what has changed; say what is known when the changes that knew less have ended.

        Raises:
            Unavailable: the database does not answer.
        """
        async with self._refreshing:
            await self._refresh()

    async def _refresh(self) -> None:
        now = time.monotonic()
        versions = await self._outbox.subscriptions(self._keys)
        changed = versions != self._versions
        if changed:
            await self._read(versions)
            self._epoch += 1
        said, seen = self._said
        known = {f"{id}/{version}" for id, version in self._versions.items()}
        if seen != known or now - said > BEAT:
            while any(epoch < self._epoch for epoch in self._writing):
                self._left.clear()
                await self._left.wait()
            await self._outbox.watch(self._process, known)
            self._said = (now, known)
            self._fresh = now + FRESH
        if changed:
            self.news()

    async def _read(self, versions: dict[str, int]) -> None:
        new = [id for id, version in versions.items() if self._versions.get(id) != version]
        for id in self._versions.keys() - versions.keys() | set(new):
            self.definitions.pop(id, None)
            self.broken.pop(id, None)
        found = await self._repository.find_many(("Subscription", id) for id in new)
        for stored in found:
            resource = json.stored(stored.body) if stored and stored.body else {}
            if stored is None or resource.get("status") not in LIVE:
                continue
            try:
                definition = read(resource, stored.version, self._indexer, self._outbound, self._types)
            except FHIRError as error:
                # It was accepted under other settings or by another version of this program.
                self.broken[stored.id] = (stored.version, str(error))
                log.warning("subscription cannot be used", id=stored.id)
            else:
                self.definitions[stored.id] = definition
            versions[stored.id] = stored.version
        by_type = defaultdict(list)
        for definition in self.definitions.values():
            by_type[definition.type].append(definition)
        self._by_type, self._versions = dict(by_type), versions

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REFRESH):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self.refresh()
            except Unavailable:
                log.warning("the subscriptions cannot be read now")
                await asyncio.sleep(REFRESH)

    def _live_keys(self) -> tuple[str, ...]:
        query = search.compile("Subscription", [("status", ",".join(LIVE))], indexer=self._indexer)
        assert isinstance(query.condition, Keys)
        return query.condition.keys
