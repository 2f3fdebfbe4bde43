"""Versions of resources: read, list, write. The database's side of every interaction."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.search.query import Index, Query
from fhirserver.storage import pipeline
from fhirserver.storage.commit import Change, Committer, Lock, Write
from fhirserver.storage.database import Database, Document
from fhirserver.storage.documents import FIELDS, Stored, from_document, to_document, to_history
from fhirserver.storage.lookups import Lookups
from fhirserver.storage.sequence import Sequence as Numbers

TOGETHER = 64
PATIENT = "|Patient/"
"""What the keys of references to patients have."""


@dataclass(slots=True)
class Watched:
    """A change while it is written: ``epoch`` says which subscriptions it is matched with, ``told`` that some
    are told of it, ``subscription`` that it changes one."""

    epoch: int
    told: bool = False
    subscription: bool = False


class Watch(Protocol):
    """Tells which events a change makes for subscribers; every change enters before and leaves when it is
    committed, or is not."""

    async def enter(self) -> Watched: ...

    def leave(self, watched: Watched) -> None: ...

    def events(
        self, watched: Watched, stored: Stored, index: Index | None, previous: Stored | None
    ) -> list[Document]: ...


class Indexing(Protocol):
    """Knows by which SearchParameter resources a change is indexed; every change enters before, and what was
    written is told after."""

    async def enter(self) -> None: ...

    async def written(self, types: Iterable[str]) -> None: ...


class Repository:
    """The stored resources of one database.

    Reads that arrive together are one query, writes that arrive together one commit.
    """

    def __init__(self, database: Database, index: Callable[[str, bytes], Index]) -> None:
        self.database = database
        self.watch: Watch | None = None
        self.indexing: Indexing | None = None
        self.lookups = Lookups(database)
        self._index = index
        self._committer = Committer(database)
        self._reads: dict[str, dict[str, asyncio.Future[Stored | None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._writing: set[asyncio.Future[None]] = set()
        self._numbers = Numbers(database, "seq")

    async def start(self) -> None:
        await self._committer.start()

    async def stop(self) -> None:
        await self._committer.stop()

    # --- read

    async def find(self, type: str, id: str) -> Stored | None:
        """The current version, a deletion included; None when there never was one."""
        return await asyncio.shield(self._asked(type, id))

    async def find_many(self, references: Iterable[tuple[str, str]]) -> list[Stored | None]:
        """Current versions by (type, id), in the order asked."""
        asked = [self._asked(type, id) for type, id in references]
        return list(await asyncio.shield(asyncio.gather(*asked))) if asked else []

    def _asked(self, type: str, id: str) -> asyncio.Future[Stored | None]:
        waiting = self._reads.get(type)
        if waiting is None:
            waiting = self._reads[type] = {}
            # The queue is read once the event loop has run everything else that is ready: what arrived
            # meanwhile shares the query.
            task = asyncio.create_task(self._read(type))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        future = waiting.get(id)
        if future is None:
            future = waiting[id] = asyncio.get_running_loop().create_future()
        return future

    async def _read(self, type: str) -> None:
        await asyncio.sleep(0)
        waiting = self._reads.pop(type)
        try:
            cursor = self.database.collection(type).find({"_id": {"$in": list(waiting)}}, FIELDS)
            found = {d["_id"]: from_document(type, d["_id"], d) async for d in cursor}
        except PyMongoError:
            for future in waiting.values():
                future.set_exception(Unavailable("The database does not answer now"))
            return
        for id, future in waiting.items():
            future.set_result(found.get(id))

    async def find_version(self, type: str, id: str, version: int) -> Stored | None:
        current = await self.find(type, id)
        if current is None or current.version == version:
            return current
        try:
            document = await self.database.collection("history").find_one({"_id": f"{type}/{id}/{version}"})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return from_document(type, id, document) if document else None

    async def history(self, type: str, id: str) -> list[Stored]:
        """All versions of a resource, newest first; empty when there never was one."""
        current = await self.find(type, id)
        if current is None:
            return []
        try:
            cursor = self.database.collection("history").find({"resource": f"{type}/{id}"})
            older = [from_document(type, id, d) async for d in cursor]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        # An update between the two reads puts the version just read as current into the history as well.
        versions = {stored.version: stored for stored in (*older, current)}
        return [versions[n] for n in sorted(versions, reverse=True) if n <= current.version]

    async def search(self, query: Query, after: pipeline.Position | None, limit: int) -> pipeline.Page:
        """One page of a search: at most ``limit`` resources, and where the next page begins."""
        try:
            return await pipeline.page(self.database, query, after, limit)
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def count(self, query: Query) -> int:
        try:
            return await pipeline.count(self.database, query)
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    # --- write

    async def write(
        self, versions: Sequence[tuple[Stored, Stored | None]], locks: Iterable[Lock] = ()
    ) -> None:
        """Store versions, each with the one it replaces (None: it is the first), all or nothing, durably.

        Raises:
            Conflict: a version or lock has moved on; nothing was written.
        """
        indexing = self.indexing
        if indexing:
            await indexing.enter()
        writing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writing.add(writing)
        try:
            await self._write(versions, locks)
        finally:
            self._writing.discard(writing)
            writing.set_result(None)
        if indexing:
            await indexing.written(stored.type for stored, _ in versions)

    async def settled(self) -> None:
        """Wait until every write that has begun by now has ended."""
        if self._writing:
            await asyncio.wait(self._writing)

    async def _write(self, versions: Sequence[tuple[Stored, Stored | None]], locks: Iterable[Lock]) -> None:
        change = Change(locks=list(locks))
        watch = self.watch
        watched = await watch.enter() if watch else None
        try:
            for position, (stored, previous) in enumerate(versions):
                if position % TOGETHER == TOGETHER - 1:
                    await asyncio.sleep(0)  # a large transaction lets others have their turn
                index = None if stored.deleted else self._index(stored.type, stored.body)
                seq = 0 if stored.deleted else await self._numbers.next()
                document = to_document(stored, index, seq)
                if stored.deleted and previous and not previous.deleted:
                    # A purge finds what has been deleted, too; searches do not, as a deletion has no seq.
                    kept = self._index(previous.type, previous.body).keys
                    document["keys"] = [key for key in kept if PATIENT in key]
                retired = to_history(previous, stored.updated) if previous else None
                change.writes.append(Write(stored.type, document, retired))
                if watch and watched:
                    change.events += watch.events(watched, stored, index, previous)
            await self._committer.commit(change)
        finally:
            if watch and watched:
                watch.leave(watched)


def now() -> int:
    """The present instant in microseconds, at the millisecond a version's ``meta.lastUpdated`` shows."""
    return time.time_ns() // 1_000_000 * 1000
