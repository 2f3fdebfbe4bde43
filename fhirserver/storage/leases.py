"""Tasks that one process of a database does at a time: whoever holds the lease."""

from datetime import UTC, datetime, timedelta

from pymongo.errors import DuplicateKeyError, PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.database import Database

LEASE = timedelta(seconds=15)
"""A holder that does not take its lease again for so long has lost it."""


class Lease:
    """A named lease as one process sees it."""

    def __init__(self, database: Database, name: str, holder: str) -> None:
        self._leases = database.collection("leases")
        self._name = name
        self._holder = holder

    async def take(self) -> bool:
        """Take the lease, or keep it; False while another process holds it. Raises Unavailable."""
        now = datetime.now(UTC)
        mine = {"$set": {"holder": self._holder, "until": now + LEASE}}
        try:
            for held in ({"holder": self._holder}, {"until": {"$lt": now}}):
                done = await self._leases.update_one({"_id": self._name, **held}, mine)
                if done.matched_count:
                    return True
            if await self._leases.find_one({"_id": self._name}):
                return False
            await self._leases.insert_one({"_id": self._name, "holder": self._holder, "until": now + LEASE})
        except DuplicateKeyError:
            return False
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return True

    async def release(self) -> None:
        """Let another process take it at once. Raises Unavailable."""
        try:
            await self._leases.delete_one({"_id": self._name, "holder": self._holder})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
