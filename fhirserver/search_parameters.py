"""The SearchParameter resources that are in use, as one process knows them.

Every process indexes what it writes, so a parameter must not be *ready* before every living process indexes
by it and a reindex, begun after that, has ended: each says what it indexes by once its earlier writes have
ended, and one that could not say so for a while asks again before it writes.
"""

import asyncio
import contextlib
import os
import socket
import time
import uuid
from collections.abc import Iterable, Mapping

import structlog

from fhirserver import search
from fhirserver.errors import Unavailable
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.search.custom import check, is_used, read_custom
from fhirserver.search.parameters import Custom
from fhirserver.search.query import Keys
from fhirserver.storage.presence import LEASE
from fhirserver.storage.readiness import Readiness, seen
from fhirserver.storage.repository import Repository

TYPE = "SearchParameter"
REFRESH = 1.0
BEAT = LEASE.total_seconds() / 3
FRESH = LEASE.total_seconds() * 0.8
"""After so many seconds without having said that it lives, a process asks before it writes."""
PAUSE = 0.1

log = structlog.get_logger()


class SearchParameters:
    """Implements ``storage.repository.Indexing``."""

    def __init__(self, repository: Repository, indexer: search.Indexer) -> None:
        self._repository = repository
        self._indexer = indexer
        self._readiness = Readiness(repository.database)
        self._process = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._keys = _used_keys(indexer)
        self._known: Mapping[str, tuple[int, frozenset[str]]] = {}
        self._fresh = 0.0
        self._said: tuple[float, set[str]] = (0.0, set())
        self._refreshing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Know the parameters before the first write. Raises Unavailable."""
        await self.refresh()
        self._repository.indexing = self
        self._task = asyncio.create_task(self._run(), name="search parameters")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])  # the driver may end a cancelled wait with another error
        with contextlib.suppress(Unavailable):
            await self._readiness.indexers.leave(self._process)

    async def accept(self, resource: Resource) -> None:
        """Raises Unprocessable: a SearchParameter is to be used that this server could not search."""
        if is_used(resource):
            await self.refresh()  # a part of a composite may have been stored just now by another process
            check(read_custom(resource, 0), self._indexer)

    # --- the repository's side

    async def enter(self) -> None:
        """Raises Unavailable: the parameters cannot be known now, so nothing may be written."""
        if time.monotonic() > self._fresh:
            async with self._refreshing:
                if time.monotonic() > self._fresh:  # else another write has just asked
                    await self._refresh()

    async def written(self, types: Iterable[str]) -> None:
        """What this process writes is known to it before the answer, if the database lets it."""
        if TYPE in types:
            with contextlib.suppress(Unavailable):
                await self.refresh()

    # --- the reindex's side

    async def awaited(self, type: str) -> list[str]:
        """The parameters that a reindex of a type, begun now, will make ready, each as ``id/version``: once
        every process indexes by them. Raises Unavailable."""
        while True:
            await self.refresh()
            wanted = {f"{id}/{version}" for id, (version, _) in self._known.items()}
            if wanted <= await self._readiness.indexers.seen_by_all():
                break
            await asyncio.sleep(PAUSE)
        types_of = self._indexer.definitions.types_of
        about = {custom.id for custom in self._indexer.customs if type in types_of(custom.definition)}
        return sorted(parameter for parameter in wanted if parameter.partition("/")[0] in about)

    async def make_ready(self, type: str, parameters: Iterable[str]) -> None:
        """All resources of a type are indexed by these: searches may use them, in every process, when this
        returns. Raises Unavailable."""
        parameters = set(parameters)
        await self._readiness.mark(type, parameters)
        while True:
            await self.refresh()
            # One that was changed or deleted meanwhile is nobody's.
            current = {f"{id}/{version}" for id, (version, _) in self._known.items()}
            wanted = {f"{parameter}/{type}" for parameter in parameters & current}
            if wanted <= await self._readiness.indexers.seen_by_all():
                return
            await asyncio.sleep(PAUSE)

    # --- knowing the parameters

    async def refresh(self) -> None:
        """Read what has changed; say what is known when the writes that knew less have ended.

        Raises:
            Unavailable: the database does not answer.
        """
        async with self._refreshing:
            await self._refresh()

    async def _refresh(self) -> None:
        now = time.monotonic()
        known = await self._readiness.read(self._keys)
        if known != self._known:
            self._indexer.use(await self._read(known))
            self._known = known
        said, before = self._said
        knows = seen(known)
        if knows != before or now - said > BEAT:
            if knows != before:
                await self._repository.settled()
            await self._readiness.indexers.say(self._process, knows)
            self._said = (now, knows)
            self._fresh = now + FRESH

    async def _read(self, known: Mapping[str, tuple[int, frozenset[str]]]) -> list[Custom]:
        """In an order that every process agrees on: of two with the same code the first counts."""
        customs = []
        for stored in await self._repository.find_many((TYPE, id) for id in sorted(known)):
            resource = json.stored(stored.body) if stored and stored.body else {}
            if stored and is_used(resource):
                custom = read_custom(resource, stored.version)
                version, ready = known[stored.id]
                ready = ready if version == stored.version else frozenset()
                customs.append(Custom(custom.id, version, custom.definition, ready, custom.special))
        return customs

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await self.refresh()
            except Unavailable:
                log.warning("the search parameters cannot be read now")


def _used_keys(indexer: search.Indexer) -> tuple[str, ...]:
    query = search.compile(TYPE, [("status", "active")], indexer=indexer)
    assert isinstance(query.condition, Keys)
    return query.condition.keys
