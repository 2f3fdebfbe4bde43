"""Who works on what: processes that share the inbox, each kept alive by its heartbeat.

An item names its owner. When an owner's lease has run out, one of the living takes over the owner itself, and
so all its items at once and in their order. The clocks of the machines have to agree to a few seconds.
"""

from datetime import UTC, datetime, timedelta

from pymongo.errors import DuplicateKeyError, PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.database import Database

LEASE = timedelta(seconds=15)
"""Without a heartbeat for so long, an owner is taken for dead."""
BEAT = LEASE.total_seconds() / 3


class Owners:
    """The owners as one process sees them. ``mine`` are its own name and those it has taken over."""

    def __init__(self, database: Database, name: str) -> None:
        self._owners = database.collection("inbox.owners")
        self.name = name
        self.mine: set[str] = set()
        self.alone = False

    async def register(self) -> None:
        """Raises Unavailable."""
        try:
            await self._owners.insert_one({"_id": self.name, "until": _until()})
        except DuplicateKeyError:
            raise Unavailable(f"An owner {self.name} exists already") from None
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        self.mine = {self.name}

    async def beat(self) -> set[str]:
        """Stay alive, and take over the dead: give the owners taken over now. Raises Unavailable."""
        try:
            for owner in self.mine:
                # Who was taken for dead by mistake registers again.
                beat = {"$set": {"until": _until()}}
                await self._owners.update_one({"_id": owner}, beat, upsert=owner == self.name)
            now = datetime.now(UTC)
            others = [d async for d in self._owners.find({}) if d["_id"] not in self.mine]
            taken = set()
            for other in others:
                if other["until"].replace(tzinfo=UTC) < now and await self._take(
                    other["_id"], other["until"]
                ):
                    taken.add(other["_id"])
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        self.mine |= taken
        self.alone = {other["_id"] for other in others} <= self.mine
        return taken

    async def _take(self, owner: str, seen: datetime) -> bool:
        done = await self._owners.update_one({"_id": owner, "until": seen}, {"$set": {"until": _until()}})
        return bool(done.matched_count)

    async def forget(self, owner: str) -> None:
        """An owner that was taken over has nothing left. Raises Unavailable."""
        self.mine.discard(owner)
        try:
            await self._owners.delete_one({"_id": owner})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    async def release(self) -> None:
        """Let others take over at once what is left. Raises Unavailable."""
        past = datetime.fromtimestamp(0, UTC)
        try:
            for owner in self.mine:
                await self._owners.update_one({"_id": owner}, {"$set": {"until": past}})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None


def _until() -> datetime:
    return datetime.now(UTC) + LEASE
