"""Removes resources for good, with their history: nothing of it can be read again.

A record in the collection ``purges`` keeps, until all is done, which blobs are to go: so a purge that was
interrupted can be repeated when the resources that named them are gone.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.blobs import Blobs
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Stored, from_document

GRACE = timedelta(minutes=15)
"""Content that was stored so recently may be about to be named by a write that is under way."""
TOGETHER = 500


@dataclass(frozen=True, slots=True)
class Named:
    """A resource, perhaps deleted, that has some index keys: all of its keys."""

    type: str
    id: str
    keys: tuple[str, ...]

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


class Purge:
    """Of one database."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs
        self._records = database.collection("purges")

    async def named(self, type: str, keys: Sequence[str]) -> list[Named]:
        """The resources of a type that have one of these keys, deleted ones included. Raises Unavailable."""
        wanted = {"keys": {"$in": list(keys)}}
        try:
            cursor = self._database.collection(type).find(wanted, {"keys": 1})
            return [Named(type, row["_id"], tuple(row["keys"])) async for row in cursor]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def versions(self, references: Sequence[str]) -> AsyncIterator[Stored]:
        """All versions of some resources, in no order. Raises Unavailable."""
        history = self._database.collection("history")
        try:
            for start in range(0, len(references), TOGETHER):
                part = list(references[start : start + TOGETHER])
                for type, ids in _by_type(part).items():
                    async for row in self._database.collection(type).find({"_id": {"$in": ids}}):
                        yield from_document(type, row["_id"], row)
                async for row in history.find({"resource": {"$in": part}}):
                    type, _, id = row["resource"].partition("/")
                    yield from_document(type, id, row)
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def begin(self, name: str, digests: Iterable[str]) -> None:
        """Record durably that the blobs are to go. Raises Unavailable."""
        change = {"$addToSet": {"blobs": {"$each": sorted(set(digests))}}, "$set": {"at": datetime.now(UTC)}}
        try:
            await self._records.update_one({"_id": name}, change, upsert=True)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    async def begun(self, name: str) -> bool:
        """Whether a purge of this name has not come to its end. Raises Unavailable."""
        try:
            return await self._records.find_one({"_id": name}, {"_id": 1}) is not None
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def remove(self, references: Sequence[str]) -> int:
        """Remove resources and their history; how many versions there were. Raises Unavailable.

        The history goes first: what is interrupted is found again by the current version.
        """
        count = 0
        history = self._database.collection("history")
        try:
            for start in range(0, len(references), TOGETHER):
                part = list(references[start : start + TOGETHER])
                count += (await history.delete_many({"resource": {"$in": part}})).deleted_count
                for type, ids in _by_type(part).items():
                    gone = await self._database.collection(type).delete_many({"_id": {"$in": ids}})
                    count += gone.deleted_count
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return count

    async def finish(self, name: str, grace: timedelta = GRACE) -> tuple[int, int]:
        """Remove the recorded blobs that nothing names: how many are removed, how many have to wait.

        The record stays while some have to.
        """
        try:
            record = await self._records.find_one({"_id": name})
            removed, waiting = 0, []
            for digest in (record or {}).get("blobs", ()):
                if await self._is_named(digest):
                    continue
                if await self._blobs.remove(digest, before=datetime.now(UTC) - grace):
                    removed += 1
                else:
                    waiting.append(digest)
            if waiting:
                await self._records.update_one({"_id": name}, {"$set": {"blobs": waiting}})
            else:
                await self._records.delete_one({"_id": name})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return removed, len(waiting)

    async def _is_named(self, digest: str) -> bool:
        for collection in ("Binary", "history", "inbox"):
            if await self._database.collection(collection).find_one({"blob": digest}, {"_id": 1}):
                return True
        return False


def _by_type(references: Sequence[str]) -> dict[str, list[str]]:
    types: dict[str, list[str]] = {}
    for reference in references:
        type, _, id = reference.partition("/")
        types.setdefault(type, []).append(id)
    return types
