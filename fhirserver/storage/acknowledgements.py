"""Application acknowledgements that are sent later, to an address of the sender: kept until they arrive.

A row is *waiting* until it is *sent*, *unconfirmed* (it was written several times and never answered) or
*failed*. Who sends one moves its due time on first, so that no other process sends it as well.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from bson import Binary
from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.database import Database, Document

CLAIM = timedelta(seconds=60)
MOST = 64
LONGEST = timedelta(minutes=5)
FIRST = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """One acknowledgement. ``id`` is that of the inbox's item, ``address`` mllp://host:port, ``unanswered``
    how often it was written without an answer, ``since`` when it was first to be sent."""

    id: str
    source: str
    address: str
    content: bytes
    status: str = "waiting"
    attempts: int = 0
    unanswered: int = 0
    problem: str = ""
    since: datetime = FIRST
    due: datetime = FIRST


class Acknowledgements:
    """Those of one database. Every method raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("acknowledgements")

    async def put(self, id: str, source: str, address: str, content: bytes) -> None:
        """Have an acknowledgement sent; one that is there already is sent again as it is."""
        now = datetime.now(UTC)
        fresh = {"source": source, "content": Binary(content)}
        state = {
            "address": address,
            "status": "waiting",
            "due": now,
            "since": now,
            "attempts": 0,
            "unanswered": 0,
        }
        change = {"$setOnInsert": fresh, "$set": {**state, "problem": ""}}
        await self._update({"_id": id}, change, upsert=True)

    async def find(self, id: str) -> Acknowledgement | None:
        return next(iter(await self._find({"_id": id})), None)

    async def claim(self) -> list[Acknowledgement]:
        """Some that are due, which nobody else sends for a minute."""
        now = datetime.now(UTC)
        found = await self._find({"status": "waiting", "due": {"$lte": now}})
        claimed = []
        for one in found:
            seen = {"_id": one.id, "due": one.due, "status": "waiting"}
            if await self._update(seen, {"$set": {"due": now + CLAIM}}):
                claimed.append(one)
        return claimed

    async def settle(self, one: Acknowledgement, status: str, problem: str = "") -> None:
        """It is sent, unconfirmed or failed."""
        values = {
            "status": status,
            "problem": problem,
            "attempts": one.attempts,
            "unanswered": one.unanswered,
        }
        await self._update({"_id": one.id}, {"$set": values})

    async def again(self, one: Acknowledgement, problem: str) -> None:
        """It is tried again, after a pause that grows."""
        pause = min(timedelta(seconds=2 ** min(one.attempts, 10)), LONGEST)
        values: Document = {"attempts": one.attempts, "unanswered": one.unanswered, "problem": problem}
        await self._update({"_id": one.id}, {"$set": {**values, "due": datetime.now(UTC) + pause}})

    async def _find(self, wanted: Document) -> list[Acknowledgement]:
        try:
            return [_row(row) async for row in self._rows.find(wanted).limit(MOST)]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def _update(self, wanted: Document, change: Document, *, upsert: bool = False) -> bool:
        try:
            done = await self._rows.update_one(wanted, change, upsert=upsert)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return done.matched_count > 0


def tried(one: Acknowledgement, *, answered: bool) -> Acknowledgement:
    """After another attempt."""
    return replace(one, attempts=one.attempts + 1, unanswered=one.unanswered + (not answered))


def _row(row: Document) -> Acknowledgement:
    return Acknowledgement(
        row["_id"],
        row["source"],
        row["address"],
        bytes(row["content"]),
        row["status"],
        row["attempts"],
        row["unanswered"],
        row["problem"],
        row["since"].replace(tzinfo=UTC),
        row["due"].replace(tzinfo=UTC),
    )
