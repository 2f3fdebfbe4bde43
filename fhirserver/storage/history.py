"""Versions in the order they were made: of one resource, of a type, of everything.

The current versions (deletions included) are in their type's collection, the earlier ones in ``history``. The
versions of one resource are numbered without a gap, so a page of them is read by ``_id``. Those of many
resources are read in windows of ``updated`` that grow while they are empty: the embedded engine would decode
all that a query finds before it sorts and cuts.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.database import Database, Document
from fhirserver.storage.documents import FIELDS, Stored, from_document

HISTORY = "history"
SECOND = 1_000_000
GROWTH = 8
CLOCKS = 3600 * SECOND
"""By so much the clocks of two machines may differ."""


@dataclass(frozen=True, slots=True)
class Period:
    """The versions made in ``low <= updated < high``, microseconds since 1970; with ``alive`` only those that
    were still current after that instant."""

    low: int
    high: int
    alive: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the instant and resource of its last version; ``width`` is the last window's."""

    updated: int
    reference: str
    width: int = SECOND


async def numbers(database: Database, current: Stored, period: Period) -> tuple[int, int]:
    """The first and the last version of a resource in a period; the last is the smaller when there is none.

    Raises:
        Unavailable: the database does not answer.
    """

    async def made(number: int) -> int:
        if number == current.version:
            return current.updated
        id = f"{current.reference}/{number}"
        document = await database.collection(HISTORY).find_one({"_id": id}, {"updated": 1})
        return int(document["updated"]) if document else 0

    async def first_from(instant: int) -> int:
        low, high = 1, current.version + 1
        while low < high:
            middle = (low + high) // 2
            if await made(middle) >= instant:
                high = middle
            else:
                low = middle + 1
        return low

    try:
        first = await first_from(period.low) if period.low else 1
        if period.alive:
            # Current at an instant is the last version made until then.
            first = max(first, await first_from(period.alive + 1) - 1)
        last = await first_from(period.high) - 1 if current.updated >= period.high else current.version
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None
    return first, last


async def versions(database: Database, current: Stored, wanted: Sequence[int]) -> list[Stored]:
    """Versions of a resource by their numbers, in that order. Raises Unavailable."""
    ids = {f"{current.reference}/{number}": number for number in wanted if number != current.version}
    found = {current.version: current}
    try:
        if ids:
            cursor = database.collection(HISTORY).find({"_id": {"$in": list(ids)}}, FIELDS)
            found |= {
                ids[document["_id"]]: from_document(current.type, current.id, document)
                async for document in cursor
            }
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None
    return [found[number] for number in wanted if number in found]


async def page(
    database: Database, types: Sequence[str], period: Period, newest: bool, after: Place | None, limit: int
) -> tuple[list[Stored], Place | None]:
    """At most ``limit`` versions of resources of these types, newest or oldest first, and where the next page
    begins (None: there is no more).

    Raises:
        Unavailable: the database does not answer.
    """
    try:
        return await _page(database, types, period, newest, after, limit)
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None


async def _page(
    database: Database, types: Sequence[str], period: Period, newest: bool, after: Place | None, limit: int
) -> tuple[list[Stored], Place | None]:
    earliest = await _earliest(database)
    low, high = (period.high if earliest is None else max(period.low, earliest)), period.high
    if after:
        low, high = (low, min(high, after.updated + 1)) if newest else (max(low, after.updated), high)
    width = after.width if after else SECOND
    found: list[Stored] = []
    while low < high and len(found) <= limit:
        start, end = (max(low, high - width), high) if newest else (low, min(high, low + width))
        window = _Window(types, Period(start, end, period.alive), newest, after, limit + 1 - len(found))
        made = await window.read(database)
        found += made
        low, high = (low, start) if newest else (end, high)
        missing = limit + 1 - len(found)
        if missing > 0:
            fitting = 2 * width * missing // len(made) if made else width * GROWTH
            width = max(SECOND, min(fitting, width * GROWTH))
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], Place(int(last.updated), last.reference, width)


@dataclass(frozen=True, slots=True)
class _Window:
    types: Sequence[str]
    period: Period
    newest: bool
    after: Place | None
    limit: int

    async def read(self, database: Database) -> list[Stored]:
        # The current ones first: a version that is retired meanwhile is found in the history then.
        current = await asyncio.gather(*(self._current(database, type) for type in self.types))
        earlier = await self._earlier(database)
        found = {(s.reference, s.version): s for s in (*earlier, *(s for part in current for s in part))}
        order = sorted(found.values(), key=lambda s: (s.updated, s.reference), reverse=self.newest)
        return order[: self.limit]

    async def _current(self, database: Database, type: str) -> list[Stored]:
        stages = [{"$match": self._made()}, *self._past("_id", type), *self._first("_id")]
        cursor = await database.collection(type).aggregate(stages)
        return [from_document(type, document["_id"], document) async for document in cursor]

    async def _earlier(self, database: Database) -> list[Stored]:
        driver: Document = self._made()
        rest: list[Document] = [*self._past("resource", "")]
        if len(self.types) == 1:
            driver = {"type": self.types[0], **driver}
        else:
            rest.append({"$match": {"type": {"$in": list(self.types)}}})
        if self.period.alive:
            rest.append({"$match": {"until": {"$gt": self.period.alive}}})
        stages = [{"$match": driver}, *rest, *self._first("resource")]
        found = []
        async for document in await database.collection(HISTORY).aggregate(stages):
            type, id, _ = document["_id"].split("/")
            found.append(from_document(type, id, document))
        return found

    def _made(self) -> Document:
        return {"updated": {"$gte": self.period.low, "$lt": self.period.high}}

    def _past(self, field: str, type: str) -> list[Document]:
        """Of the versions made in the same instant those after the place, by reference; ``type`` is set where
        the field has the id alone."""
        after = self.after
        if after is None:
            return []
        beyond = "$lt" if self.newest else "$gt"
        at, _, id = after.reference.partition("/")
        later: Document = {"updated": {beyond: after.updated}}
        same: Document = {"updated": after.updated}
        if not type:
            return [{"$match": {"$or": [later, {**same, field: {beyond: after.reference}}]}}]
        if type == at:
            return [{"$match": {"$or": [later, {**same, field: {beyond: id}}]}}]
        # References begin with the type, so all ids of another type are on one side of the place.
        follows = f"{type}/" < f"{at}/" if self.newest else f"{type}/" > f"{at}/"
        return [] if follows else [{"$match": later}]

    def _first(self, field: str) -> list[Document]:
        direction = -1 if self.newest else 1
        return [
            {"$sort": {"updated": direction, field: direction}},
            {"$limit": self.limit},
            {"$project": FIELDS},
        ]


async def count(database: Database, types: Sequence[str], period: Period) -> int:
    """How many versions there are in a period; costs as much as there are. Raises Unavailable."""
    made: Document = {"updated": {"$gte": period.low, "$lt": period.high}}
    alive: list[Document] = [{"$match": {"until": {"$gt": period.alive}}}] if period.alive else []

    async def one(name: str, stages: list[Document]) -> int:
        async for row in await database.collection(name).aggregate([*stages, {"$count": "n"}]):
            return int(row["n"])
        return 0

    counts = [one(type, [{"$match": made}]) for type in types]
    counts += [one(HISTORY, [{"$match": {"type": type, **made}}, *alive]) for type in types]
    try:
        return sum(await asyncio.gather(*counts))
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None


async def following_deletion(database: Database, made: Sequence[Stored]) -> set[str]:
    """Which of these versions revived a deleted resource, as ``Type/id/version``. Raises Unavailable."""
    before = {
        f"{s.reference}/{s.version - 1}": f"{s.reference}/{s.version}"
        for s in made
        if s.version > 1 and s.method != "DELETE"
    }
    if not before:
        return set()
    try:
        cursor = database.collection(HISTORY).find({"_id": {"$in": list(before)}}, {"method": 1})
        return {before[document["_id"]] async for document in cursor if document["method"] == "DELETE"}
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None


async def _earliest(database: Database) -> int | None:
    """An instant before which no version was made (None: there is none at all).

    It is found out once and then kept in the database.
    """
    counters = database.collection("counters")
    if kept := await counters.find_one({"_id": "earliest"}):
        return int(kept["n"])
    names = [name for name in await database.raw.list_collection_names() if name[0].isupper()]

    async def oldest(name: str) -> list[int]:
        cursor = database.collection(name).find({}, {"updated": 1}).sort("updated", 1).limit(1)
        return [int(document["updated"]) async for document in cursor]

    found: list[list[int]] = await asyncio.gather(*(oldest(name) for name in (*names, HISTORY)))
    instants = [instant for part in found for instant in part]
    if not instants:
        return None
    earliest: int = min(instants) - CLOCKS
    await counters.update_one({"_id": "earliest"}, {"$min": {"n": earliest}}, upsert=True)
    return earliest
