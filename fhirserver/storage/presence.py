"""Which processes of a database live, and what each of them knows."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.database import Database

LEASE = timedelta(seconds=15)
"""A process that does not say so again for so long lives no longer."""


class Presence:
    """The living processes, a document each in a collection. Every method raises Unavailable when the
    database does not answer."""

    def __init__(self, database: Database, collection: str) -> None:
        self._processes = database.collection(collection)

    async def say(self, process: str, seen: Iterable[str]) -> None:
        """Say that a process lives and what it has seen."""
        values = {"until": datetime.now(UTC) + LEASE, "seen": sorted(seen)}
        try:
            await self._processes.update_one({"_id": process}, {"$set": values}, upsert=True)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    async def leave(self, process: str) -> None:
        try:
            await self._processes.delete_one({"_id": process})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    async def seen_by_all(self) -> set[str]:
        """What every living process has seen; forgets dead processes."""
        now = datetime.now(UTC)
        common: set[str] | None = None
        try:
            async for document in self._processes.find({}):
                if document["until"].replace(tzinfo=UTC) < now:
                    gone = {"_id": document["_id"], "until": document["until"]}
                    await self._processes.delete_one(gone)
                    continue
                seen = set(document["seen"])
                common = seen if common is None else common & seen
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return common or set()
