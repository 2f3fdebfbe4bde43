"""What subscribers are to be told: written with the change, numbered in order, kept until it is delivered.

An event is written in the commit of the version it is about, *waiting*. The process that holds the lease of
the outbox numbers what waits, one number after the other for each subscription, and delivers in that order.
``deliveries`` has a document per subscription: the last number given and the last one delivered.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bson import Int64
from pymongo import UpdateOne, timeout
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.commit import COMMIT_SECONDS
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Document, Stored
from fhirserver.storage.presence import Presence

WAITING = 1000
"""So many waiting events are numbered at once."""
PURGE = 500
"""So many delivered events are looked at in one step of the purge."""


@dataclass(frozen=True, slots=True)
class Event:
    """One version that a subscription is told of; ``change`` is create, update or delete."""

    number: int
    type: str
    id: str
    version: int
    change: str
    at: int

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """How far a subscription is: ``failing`` is when its failures began (microseconds since 1970, 0: the
    last attempt succeeded), ``error`` what the last one came to."""

    last: int = 0
    delivered: int = 0
    purged: int = 0
    attempts: int = 0
    failing: int = 0
    error: str = ""


def event_document(subscription: str, stored: Stored, change: str) -> Document:
    """An event as the change writes it."""
    return {
        "subscription": subscription,
        "waiting": subscription,
        "type": stored.type,
        "id": stored.id,
        "version": stored.version,
        "change": change,
        "at": Int64(stored.updated),
    }


class Outbox:
    """The events of one database. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._events = database.collection("events")
        self._deliveries = database.collection("deliveries")
        self._watchers = Presence(database, "watchers")

    # --- events

    async def number_waiting(self) -> set[str]:
        """Number what waits; the subscriptions that have something new. Only the lease's holder may."""
        try:
            cursor = self._events.find({"waiting": {"$gt": ""}}).sort("at").limit(WAITING)
            waiting: dict[str, list[Any]] = defaultdict(list)
            async for document in cursor:
                waiting[document["waiting"]].append(document["_id"])
            for subscription, ids in waiting.items():
                await self._number(subscription, ids)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return set(waiting)

    async def _number(self, subscription: str, ids: list[Any]) -> None:
        async def write(session: AsyncClientSession) -> None:
            row = await self._deliveries.find_one({"_id": subscription}, session=session)
            last = row["last"] if row else 0
            if row is None:
                await self._deliveries.insert_one({"_id": subscription, "last": len(ids)}, session=session)
            else:
                guard = {"_id": subscription, "last": last}
                done = await self._deliveries.update_one(
                    guard, {"$set": {"last": last + len(ids)}}, session=session
                )
                if not done.matched_count:
                    raise Unavailable("Another process numbers the events")
            numbers = [
                UpdateOne({"_id": id}, {"$set": {"number": last + n}, "$unset": {"waiting": 1}})
                for n, id in enumerate(ids, 1)
            ]
            await self._events.bulk_write(numbers, session=session)

        with timeout(COMMIT_SECONDS):
            async with self._database.client.start_session() as session:
                await session.with_transaction(write)

    async def events(self, subscription: str, first: int, last: int) -> list[Event]:
        """Events by number, both ends included; those that are no longer kept are missing."""
        wanted = {"subscription": subscription, "number": {"$gte": first, "$lte": last}}
        try:
            found = [_event(d) async for d in self._events.find(wanted)]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return sorted(found, key=lambda event: event.number)

    async def purge(self, subscription: str, delivery: Delivery, before: int) -> None:
        """Forget delivered events that are older than an instant (microseconds since 1970)."""
        last = min(delivery.delivered, delivery.purged + PURGE)
        old = [e for e in await self.events(subscription, delivery.purged + 1, last) if e.at < before]
        if not old:
            return
        end = old[-1].number
        try:
            bounds = {"$gt": delivery.purged, "$lte": end}
            await self._events.delete_many({"subscription": subscription, "number": bounds})
            await self._deliveries.update_one({"_id": subscription}, {"$set": {"purged": end}})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    # --- deliveries

    async def deliveries(self, subscriptions: Iterable[str]) -> dict[str, Delivery]:
        """How far each is; one that never had an event is at its beginning."""
        ids = list(subscriptions)
        try:
            rows = {d["_id"]: d async for d in self._deliveries.find({"_id": {"$in": ids}})}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return {id: _delivery(rows.get(id, {})) for id in ids}

    async def delivered(self, subscription: str, number: int) -> None:
        """Everything up to a number was delivered; what failed before is over."""
        await self._set(subscription, {"delivered": number, "attempts": 0, "failing": 0, "error": ""})

    async def failed(self, subscription: str, attempts: int, failing: int, error: str) -> None:
        await self._set(subscription, {"attempts": attempts, "failing": Int64(failing), "error": error})

    async def _set(self, subscription: str, values: Document) -> None:
        update = {"$set": values, "$setOnInsert": {"last": 0}}
        try:
            await self._deliveries.update_one({"_id": subscription}, update, upsert=True)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    async def known(self) -> set[str]:
        """The subscriptions that have a row, also when they are no more."""
        try:
            return {d["_id"] async for d in self._deliveries.find({}, {"_id": 1})}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def remove(self, subscription: str) -> None:
        """Forget a subscription that was deleted, with its events."""
        try:
            await self._events.delete_many({"waiting": subscription})
            await self._events.delete_many({"subscription": subscription})
            await self._deliveries.delete_one({"_id": subscription})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    # --- who watches

    async def subscriptions(self, keys: Sequence[str]) -> dict[str, int]:
        """Logical id -> version of the Subscriptions that have one of these index keys."""
        try:
            found = self._database.collection("Subscription").find(
                {"keys": {"$in": list(keys)}}, {"version": 1}
            )
            return {d["_id"]: d["version"] async for d in found}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def watch(self, process: str, seen: Iterable[str]) -> None:
        """Say that a process lives and which versions of subscriptions its changes are matched with."""
        await self._watchers.say(process, seen)

    async def unwatch(self, process: str) -> None:
        await self._watchers.leave(process)

    async def seen_by_all(self) -> set[str]:
        """The versions of subscriptions that every living process knows."""
        return await self._watchers.seen_by_all()


def _event(document: Document) -> Event:
    return Event(
        document["number"],
        document["type"],
        document["id"],
        document["version"],
        document["change"],
        int(document["at"]),
    )


def _delivery(row: Document) -> Delivery:
    return Delivery(
        last=row.get("last", 0),
        delivered=row.get("delivered", 0),
        purged=row.get("purged", 0),
        attempts=row.get("attempts", 0),
        failing=int(row.get("failing", 0)),
        error=row.get("error", ""),
    )
