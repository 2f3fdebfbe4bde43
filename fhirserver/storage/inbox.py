"""What feeds received: every input is stored raw and durably before it is acknowledged.

An item is *received* until its processing ends in another status. Equal input is stored once: a resend of
what was processed, or still is, becomes an item *duplicate* that names the first one; a resend of what was
held or failed opens that item again.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pymongo import InsertOne, ReplaceOne
from pymongo.errors import PyMongoError

from fhirserver.errors import NotFound, Unavailable
from fhirserver.storage.blobs import Blobs
from fhirserver.storage.database import Collection, Database
from fhirserver.storage.gathering import Gathering
from fhirserver.storage.grouping import Duplicate, GroupWriter
from fhirserver.storage.items import (
    RESENT_OPENS,
    STATUSES,
    Document,
    Item,
    Outcome,
    keys_of,
    outcome_document,
    to_document,
    waiting_document,
)
from fhirserver.storage.listing import Listing
from fhirserver.storage.sequence import Sequence as Numbers

INLINE = 64 * 1024
"""Content beyond this many bytes is kept in the blob store, once with the Binary of a document."""
COUNT_SECONDS = 1.0
UNSTORED_SECONDS = 600.0
"""After so long a row without its input is believed to stay without it."""


class Inbox(Listing):
    """The items of one database. Inputs that arrive together are stored in one write."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        super().__init__(database, Numbers(database, "inbox"))
        self._totals: Collection = database.collection("counters")
        self._blobs = blobs
        self._items_writer = GroupWriter(self.items)
        self._waiting_writer = GroupWriter(self.waiting_rows)
        self._outcomes_writer = GroupWriter(self.outcomes)
        self._done: Gathering[str, bool] = Gathering(self._remove)
        self._changes: Counter[str] = Counter()
        self._counting: asyncio.Task[None] | None = None
        self._counts_stored = asyncio.Lock()
        self.database = database

    # --- write

    async def receive(self, item: Item, raw: bytes) -> Item:
        """Store an input durably; give the item that stands for it.

        That is the item itself; with ``reused`` when its identity has come before with other bytes; an item
        ``duplicate`` when it repeats one; or the held or failed item that it repeats, opened again unless
        the input is refused again.

        Raises:
            Unavailable: the database does not take it now: it must not be acknowledged.
        """
        item = replace(item, seq=await self.numbers.next())
        content: Document = {"raw": raw}
        if len(raw) > INLINE:
            content = {"blob": await self._blobs.put(raw)}
        if item.status == "received":
            # First: who dies between the two leaves a row without an input, never an input that is forgotten.
            await self._waiting_writer.write(InsertOne(waiting_document(item)))
        keys = keys_of(item)
        try:
            await self._insert(item, content, keys)
        except Duplicate:
            return await self._receive_again(item, content, keys)
        return item

    async def _receive_again(self, item: Item, content: Document, keys: list[str]) -> Item:
        found = {key: one for one, document in await self.by_keys(keys) for key in document["key"]}
        first = found.get(keys[-1])
        if first is None:
            item = replace(item, reused=True)
            try:
                await self._insert(item, content, keys[-1:])
            except Duplicate:  # the same bytes a second time, at this very moment
                return await self._receive_again(item, content, keys)
            return item
        if item.status == "received":
            await self._done.ask(item.id)
        if item.status == "received" and (first.status in RESENT_OPENS or _forgotten(first)):
            again = await self.open_again(first, item.owner)
            if again is not None:
                return again
        if item.status == first.status == "failed":  # refused at first sight, again
            return first
        repeated = replace(item, first=first.id, outcome=replace(first.outcome, status="duplicate"), owner="")
        await self._insert(repeated, {}, [])
        return repeated

    async def open_again(self, item: Item, owner: str) -> Item | None:
        """Make an item wait for ``owner`` to process it; None when it waits already."""
        again = replace(item, owner=owner, outcome=replace(item.outcome, status="received"))
        try:
            await self._waiting_writer.write(InsertOne(waiting_document(again)))
        except Duplicate:
            return None
        self._count(item.status, -1)
        return again

    async def settle(self, item: Item, status: str, issue: Document) -> Item:
        """Decide about an item: ``held`` or ``cancelled``, with the reason. It waits no more."""
        outcome = replace(item.outcome, status=status, issues=(*item.outcome.issues, issue), awaits=())
        await self.finish(item, outcome, item.attempts)
        return replace(item, outcome=outcome, owner="")

    async def finish(self, item: Item, outcome: Outcome, attempts: int) -> None:
        """Store what became of an item. Raises Unavailable."""
        await self._put_outcome(outcome_document(item, outcome, attempts), again=attempts > 1)
        self._count(item.status, -1)
        self._count(outcome.status, 1)
        await self._done.ask(item.id)

    async def forget_unstored(self) -> None:
        """Remove rows of inputs that were never stored: their process died, or the database was away."""
        before = int((time.time() - UNSTORED_SECONDS) * 1_000_000)
        try:
            rows = self.waiting_rows.find({"order": {"$lt": before}}, {"_id": 1})
            ids = [row["_id"] async for row in rows]
            there = {row["_id"] async for row in self.items.find({"_id": {"$in": ids}}, {"_id": 1})}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        if unstored := set(ids) - there:
            await self._remove(sorted(unstored))

    async def _insert(self, item: Item, content: Document, keys: list[str]) -> None:
        document = {**to_document(item, keys), **content}
        await self._items_writer.write(InsertOne(document), len(content.get("raw", b"")))
        if item.status != "received":
            await self._put_outcome(outcome_document(item, item.outcome, item.attempts), again=False)
            self._count(item.status, 1)

    async def _put_outcome(self, document: Document, *, again: bool) -> None:
        """Store an outcome; ``again`` says that there may be one already."""
        if not again:
            try:
                # An upsert of what is not there costs several times an insert.
                await self._outcomes_writer.write(InsertOne(document))
            except Duplicate:
                again = True
        if again:
            await self._outcomes_writer.write(ReplaceOne({"_id": document["_id"]}, document, upsert=True))

    async def _remove(self, ids: Sequence[str]) -> dict[str, bool]:
        try:
            await self.waiting_rows.delete_many({"_id": {"$in": list(ids)}})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return dict.fromkeys(ids, True)

    # --- read

    async def raw(self, item: Item) -> bytes:
        """The bytes as they were received; of a duplicate, those of the item it repeats."""
        try:
            document = await self.items.find_one({"_id": item.first or item.id}, {"raw": 1, "blob": 1})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        if document is None:
            raise NotFound(f"There is no item {item.id} in the inbox")
        if "blob" in document:
            return await self._blobs.get(document["blob"])
        return bytes(document["raw"])

    # --- counts

    async def counts(self) -> dict[str, int]:
        """Items by status: ``received`` is exact, of the others a killed process may have missed some."""
        try:
            received = await self.waiting_rows.count_documents({})
            async with self._counts_stored:
                totals = await self._totals.find_one({"_id": "inbox status"}) or {}
                found = {s: max(0, int(totals.get(s, 0)) + self._changes[s]) for s in STATUSES}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return found | {"received": received}

    def _count(self, status: str, change: int) -> None:
        """Counts are for people: they are written together, once a second."""
        if status == "received":
            return
        self._changes[status] += change
        if self._counting is None or self._counting.done():
            self._counting = asyncio.create_task(self._count_later())

    async def _count_later(self) -> None:
        await asyncio.sleep(COUNT_SECONDS)
        with contextlib.suppress(Unavailable):
            await self.store_counts()

    async def store_counts(self) -> None:
        """Write what was counted. Raises Unavailable."""
        async with self._counts_stored:
            changes, self._changes = self._changes, Counter()
            if not any(changes.values()):
                return
            try:
                increments = {status: n for status, n in changes.items() if n}
                await self._totals.update_one({"_id": "inbox status"}, {"$inc": increments}, upsert=True)
            except PyMongoError:
                self._changes.update(changes)
                raise Unavailable("The database does not take the counts now") from None

    async def close(self) -> None:
        """Write what was counted, and end."""
        if self._counting:
            self._counting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._counting
        with contextlib.suppress(Unavailable):
            await self.store_counts()


def _forgotten(item: Item) -> bool:
    """Whether nobody has it in hand though it is not processed."""
    return item.status == "received" and not item.owner
