"""Group commit: concurrent changes share one round trip and one durable commit.

A *change* is all or nothing. Its writes are optimistic: each names the version it replaces, each lock the
count it saw, and the commit fails with ``Conflict`` when either has moved on. So nothing is locked while a
request thinks, and no database transaction outlives one batch.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pymongo import ReplaceOne, UpdateOne, timeout
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

from fhirserver.errors import TooLarge, Unavailable
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Document

MAX_CHANGES = 64
MAX_WRITES = 400
COMMIT_SECONDS = 30
WRITES_A_SECOND = 200
"""What a busy machine manages at least: a large transaction is given more time."""
EMBEDDED_MOST = 640_000_000
"""Bytes of its cache that one change may take in the embedded engine, which stands still at 800 MB."""
ENTRY_WEIGHT = 1024
BODY_WEIGHT = 4
"""What an index entry, and a byte of a body, take there: measured, with the log of operations."""
DUPLICATE_KEY = 11000
TOO_LARGE = (10334, 17280, 257)


class Conflict(Exception):
    """A version or a lock has moved on since it was read: read again and decide again."""


@dataclass(frozen=True, slots=True)
class Write:
    """The next version of a resource: ``document`` is the new current one, ``retired`` the history row of the
    one before (None for the first version)."""

    type: str
    document: Document
    retired: Document | None = None

    @property
    def key(self) -> str:
        return f"{self.type}/{self.document['_id']}"

    @property
    def weight(self) -> int:
        """About how many bytes of cache it takes until it is committed."""
        entries = len(self.document.get("keys", ())) + len(self.document.get("sorted", ())) + 4
        bodies = len(self.document["body"]) + (len(self.retired["body"]) if self.retired else 0)
        return ENTRY_WEIGHT * entries * (2 if self.retired else 1) + BODY_WEIGHT * bodies


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock document: ``seen`` is its count when the criteria were evaluated (0: there was none)."""

    key: str
    seen: int


@dataclass(slots=True)
class Change:
    """What becomes visible together or not at all; ``events`` tell subscribers of it (``storage.outbox``)."""

    writes: list[Write] = field(default_factory=list)
    locks: list[Lock] = field(default_factory=list)
    events: list[Document] = field(default_factory=list)

    def keys(self) -> set[str]:
        return {w.key for w in self.writes} | {f"lock:{lock.key}" for lock in self.locks}

    def seen(self) -> set[tuple[str, int]]:
        """The counts of the locks that it was decided under."""
        return {(lock.key, lock.seen) for lock in self.locks}

    @property
    def single(self) -> bool:
        """One insert of one document: atomic by itself, needs no transaction."""
        alone = len(self.writes) == 1 and not self.locks and not self.events
        return alone and self.writes[0].retired is None


class Committer:
    """Applies changes in batches, in the order they were submitted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[Change, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="committer")

    async def stop(self) -> None:
        """Finish what was submitted, then end."""
        await asyncio.gather(*(future for _, future in self._waiting), return_exceptions=True)
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def commit(self, change: Change) -> None:
        """Return when the change is durable.

        Raises:
            Conflict: nothing was written, read again.
            TooLarge: a document is beyond what the database stores.
            Unavailable: the database does not take it now; nothing may be assumed written.
        """
        if not change.writes and not change.locks:
            return
        if self._database.embedded and sum(write.weight for write in change.writes) > EMBEDDED_MOST:
            raise TooLarge(
                f"{len(change.writes)} resources of this size are more than the embedded engine stores "
                "at once; MongoDB stores more"
            )
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, future))
        self._wake.set()
        await future

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            batch = self._take()
            if not batch:
                self._wake.clear()
                continue
            try:
                await self._apply(batch)
            except asyncio.CancelledError:
                _fail([f for _, f in batch], Unavailable("The server is stopping"))
                raise
            except Exception as error:  # the loop serves everybody: one batch's failure is that batch's
                _fail([f for _, f in batch], _translate(error))

    def _take(self) -> list[tuple[Change, asyncio.Future[None]]]:
        """The next changes that touch different documents; the others wait for the next batch, in order."""
        batch: list[tuple[Change, asyncio.Future[None]]] = []
        later: list[tuple[Change, asyncio.Future[None]]] = []
        touched: set[str] = set()
        writes = 0
        for change, future in self._waiting:
            if future.done():
                continue
            keys = change.keys()
            full = len(batch) >= MAX_CHANGES or (batch and writes + len(change.writes) > MAX_WRITES)
            if full or touched & keys:
                later.append((change, future))
            else:
                batch.append((change, future))
                writes += len(change.writes)
            touched |= keys
        self._waiting = later
        return batch

    async def _apply(self, batch: list[tuple[Change, asyncio.Future[None]]]) -> None:
        singles = [(c, f) for c, f in batch if c.single]
        others = [(c, f) for c, f in batch if not c.single]
        if singles:
            await self._insert(singles)
        if others:
            await self._apply_together(others)

    async def _apply_together(self, batch: list[tuple[Change, asyncio.Future[None]]]) -> None:
        """In one transaction; where one change spoils it, in halves, so that only that one fails."""
        try:
            await self._transact(c for c, _ in batch)
        except Exception as error:
            cause = _translate(error)
            if len(batch) == 1 or isinstance(cause, Unavailable):
                _fail([f for _, f in batch], cause)
                return
            middle = len(batch) // 2
            await self._apply_together(batch[:middle])
            await self._apply_together(batch[middle:])
        else:
            _succeed([f for _, f in batch])
            self._overtaken(batch)

    def _overtaken(self, done: list[tuple[Change, asyncio.Future[None]]]) -> None:
        """Turn away what waits and was decided under a lock that these changes have just advanced: it would
        spoil a batch, and finds at once what they have made. Who waits with a version of a resource takes
        turns: turned away all at once, sixteen writers would come back all at once, sixteen times.
        """
        replaced = {state for change, _ in done for state in change.seen()}
        late = [future for change, future in self._waiting if not replaced.isdisjoint(change.seen())]
        _fail(late, Conflict())

    async def _insert(self, singles: list[tuple[Change, asyncio.Future[None]]]) -> None:
        by_type: dict[str, list[tuple[Change, asyncio.Future[None]]]] = defaultdict(list)
        for change, future in singles:
            by_type[change.writes[0].type].append((change, future))
        for type, changes in by_type.items():
            documents = [c.writes[0].document for c, _ in changes]
            failed: dict[int, Exception] = {}
            try:
                await self._database.collection(type).insert_many(documents, ordered=False)
            except BulkWriteError as error:
                details = error.details or {}
                failed = {e["index"]: _write_error(e) for e in details.get("writeErrors", ())}
                if details.get("writeConcernErrors"):
                    failed = {
                        i: Unavailable("The write was not confirmed as durable")
                        for i in range(len(documents))
                    }
            except PyMongoError as error:
                failed = {i: _translate(error) for i in range(len(documents))}
            for position, (_, future) in enumerate(changes):
                if position in failed:
                    _fail([future], failed[position])
                else:
                    _succeed([future])

    async def _transact(self, changes: Iterable[Change]) -> None:
        """Apply all of the changes in one transaction; the driver repeats it while conflicts pass."""
        changes = list(changes)

        async def write(session: AsyncClientSession) -> None:
            await self._write(changes, session)

        with timeout(max(COMMIT_SECONDS, sum(len(c.writes) for c in changes) / WRITES_A_SECOND)):
            async with self._database.client.start_session() as session:
                await session.with_transaction(write)

    async def _write(self, changes: list[Change], session: AsyncClientSession) -> None:
        retired = [w.retired for c in changes for w in c.writes if w.retired is not None]
        inserts: dict[str, list[Document]] = defaultdict(list)
        replaces: dict[str, list[ReplaceOne[Document]]] = defaultdict(list)
        for write in (w for c in changes for w in c.writes):
            if write.retired is None:
                inserts[write.type].append(write.document)
            else:
                guard = {"_id": write.document["_id"], "version": write.retired["version"]}
                replaces[write.type].append(ReplaceOne(guard, write.document))
        await self._advance([lock for c in changes for lock in c.locks], session)
        if retired:
            await self._database.collection("history").insert_many(retired, session=session)
        for type, documents in inserts.items():
            for start in range(0, len(documents), MAX_WRITES):  # the driver encodes what it sends at once
                part = documents[start : start + MAX_WRITES]
                await self._database.collection(type).insert_many(part, session=session)
        if events := [event for c in changes for event in c.events]:
            await self._database.collection("events").insert_many(events, session=session)
        for type, operations in replaces.items():
            result = await self._database.collection(type).bulk_write(operations, session=session)
            if result.matched_count != len(operations):
                raise Conflict

    async def _advance(self, locks: list[Lock], session: AsyncClientSession) -> None:
        now = datetime.now(UTC)
        collection = self._database.collection("locks")
        fresh: list[Document] = [{"_id": lock.key, "n": 1, "at": now} for lock in locks if not lock.seen]
        if fresh:
            await collection.insert_many(fresh, session=session)
        advances = [
            UpdateOne({"_id": lock.key, "n": lock.seen}, {"$set": {"n": lock.seen + 1, "at": now}})
            for lock in locks
            if lock.seen
        ]
        if advances:
            result = await collection.bulk_write(advances, session=session)
            if result.matched_count != len(advances):
                raise Conflict


def _write_error(error: Document) -> Exception:
    if error.get("code") == DUPLICATE_KEY:
        return Conflict()
    if error.get("code") in TOO_LARGE:
        return TooLarge("The resource is larger than the database stores")
    return Unavailable("The database refused the write")


def _translate(error: Exception) -> Exception:
    """A database error as one of ours. Its own text may quote a document, so it goes no further."""
    match error:
        case Conflict() | TooLarge() | Unavailable():
            return error
        case DuplicateKeyError():
            return Conflict()
        case BulkWriteError():
            errors = (error.details or {}).get("writeErrors") or [{}]
            return _write_error(errors[0])
        case OperationFailure() if error.has_error_label("TransientTransactionError"):
            return Conflict()
        case OperationFailure() if error.code in TOO_LARGE:
            return TooLarge("The resource is larger than the database stores")
        case PyMongoError() if type(error).__name__ == "DocumentTooLarge":
            return TooLarge("The resource is larger than the database stores")
        case PyMongoError():
            return Unavailable("The database does not take the write now")
        case _:
            return error


def _fail(futures: Iterable[asyncio.Future[None]], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)


def _succeed(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
