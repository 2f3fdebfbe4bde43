"""Numbers that grow: each larger than those before it in this process, and in no other process."""

import asyncio

from bson import Int64
from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.database import Database

BLOCK = 1000


class Sequence:
    """One named sequence; a process takes its numbers in blocks, so gaps occur."""

    def __init__(self, database: Database, name: str) -> None:
        self._counters = database.collection("counters")
        self._name = name
        self._last = self._end = 0
        self._lock = asyncio.Lock()

    async def next(self) -> int:
        """Raises Unavailable when a new block is needed and the database does not answer."""
        while self._last == self._end:
            async with self._lock:
                if self._last == self._end:
                    await self._take()
        self._last += 1
        return self._last

    async def end(self) -> int:
        """At least the largest number taken by anybody."""
        try:
            document = await self._counters.find_one({"_id": self._name})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return int(document["n"]) if document else 0

    async def _take(self) -> None:
        try:
            # Two steps: where several processes create the counter at once, find_one_and_update with upsert
            # gives some of them no document on the embedded engine.
            name = {"_id": self._name}
            await self._counters.update_one(name, {"$setOnInsert": {"n": Int64(0)}}, upsert=True)
            document = await self._counters.find_one_and_update(
                name, {"$inc": {"n": Int64(BLOCK)}}, return_document=True
            )
        except PyMongoError:
            document = None
        if document is None:
            raise Unavailable("The database does not take the write now")
        self._end = int(document["n"])
        self._last = self._end - BLOCK
