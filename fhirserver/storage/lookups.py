"""The small reads that decide writes: what matches a criterion, what exists, what refers to something.

Those asked at the same time, such as by the entries of one transaction, share a round trip.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.search.query import Keys, Query, Range
from fhirserver.storage import pipeline
from fhirserver.storage.commit import Lock
from fhirserver.storage.database import Database, Document, run
from fhirserver.storage.documents import FIELDS, Stored, from_document
from fhirserver.storage.gathering import Gathering

TO_DECIDE = 2
"""So many matches decide: none, one, or too many."""
NEWEST = 50
"""So many of what lies beyond a bound are looked at."""
IDENTIFIER = "identifier|"


@dataclass(frozen=True, slots=True)
class Beyond:
    """What has an index key, and an entry in ``sorted`` that is in a range (``search.query.Range``)."""

    type: str
    key: str
    low: str
    high: str


class Lookups:
    """Of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._locks: Gathering[str, Lock] = Gathering(self._read_locks)
        self._keys: Gathering[tuple[str, str], list[Stored]] = Gathering(self._read_keys)
        self._existing: Gathering[tuple[str, str], bool] = Gathering(self._read_existing)
        self._beyond: Gathering[Beyond, list[Stored]] = Gathering(self._read_beyond)

    async def lock(self, key: str) -> Lock:
        """A lock's count, to be read before the criteria it stands for are evaluated."""
        return await self._locks.ask(key)

    async def missing(self, named: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Those (type, id) of which there is no resource, or a deleted one."""
        return [one for one, there in (await self._existing.ask_all(named)).items() if not there]

    async def matching(self, query: Query, limit: int = TO_DECIDE) -> list[Stored]:
        """At most ``limit`` matches, newest first; those by an identifier are looked up together."""
        if limit <= TO_DECIDE and (key := _identifier(query)):
            return await self._keys.ask((query.type, key))
        try:
            return (await pipeline.page(self._database, query, None, limit)).resources
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def matching_each(self, queries: Sequence[Query]) -> list[list[Stored]]:
        """As ``matching``, for many at once."""
        keys = [_identifier(query) for query in queries]
        named = await self._keys.ask_all(
            (query.type, key) for query, key in zip(queries, keys, strict=True) if key
        )
        return [
            named[query.type, key] if key else await self.matching(query)
            for query, key in zip(queries, keys, strict=True)
        ]

    async def beyond(self, type: str, keys: Iterable[str], bounds: Range) -> list[Stored]:
        """The newest resources that have one of these index keys and an entry between the bounds, such as
        ``recorded|2025-...``: at most ``NEWEST`` of each key.
        """
        found = await self._beyond.ask_all(Beyond(type, key, bounds.low, bounds.high) for key in keys)
        return list({stored.id: stored for one in found.values() for stored in one}.values())

    async def having(self, type: str, keys: Sequence[str], limit: int) -> list[str]:
        """The references (``Patient/1``) of at most ``limit`` resources that have one of these index keys."""
        wanted: Document = {"keys": {"$in": list(keys)}, "seq": {"$gt": 0}}
        return [f"{type}/{row['_id']}" for row in await self._find(type, wanted, {"_id": 1}, limit)]

    async def keys_of(self, type: str, codes: Sequence[str]) -> set[str]:
        """The different index keys of some search parameters that resources of a type have."""
        wanted = [{"$gte": f"{code}|", "$lt": f"{code}}}"} for code in codes]
        one_of: list[Document] = [{"keys": bounds} for bounds in wanted]
        stages: list[Document] = [
            {"$match": {"seq": {"$gt": 0}, "$or": [{"keys": {"$elemMatch": bounds}} for bounds in wanted]}},
            {"$unwind": "$keys"},
            {"$match": {"$or": one_of}},
            {"$group": {"_id": "$keys"}},
        ]
        try:
            return {row["_id"] async for row in await self._database.collection(type).aggregate(stages)}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def _read_locks(self, keys: list[str]) -> dict[str, Lock]:
        rows = await self._find("locks", {"_id": {"$in": keys}}, {"n": 1})
        seen = {row["_id"]: row["n"] for row in rows}
        return {key: Lock(key, seen.get(key, 0)) for key in keys}

    async def _read_existing(self, asked: list[tuple[str, str]]) -> dict[tuple[str, str], bool]:
        async def of_type(type: str, ids: list[str]) -> set[tuple[str, str]]:
            rows = await self._find(type, {"_id": {"$in": ids}}, {"seq": 1})
            return {(type, row["_id"]) for row in rows if row.get("seq")}

        found = await asyncio.gather(*(of_type(type, ids) for type, ids in _by_type(asked).items()))
        there = set().union(*found)
        return {question: question in there for question in asked}

    async def _read_keys(self, asked: list[tuple[str, str]]) -> dict[tuple[str, str], list[Stored]]:
        types = _by_type(asked)
        found = await asyncio.gather(*(self._by_key(type, keys) for type, keys in types.items()))
        return {
            (type, key): stored
            for type, answers in zip(types, found, strict=True)
            for key, stored in answers.items()
        }

    async def _read_beyond(self, asked: list[Beyond]) -> dict[Beyond, list[Stored]]:
        groups: dict[tuple[str, str], list[Beyond]] = defaultdict(list)
        for one in asked:
            groups[one.type, one.high].append(one)
        found = await asyncio.gather(*map(self._beyond_of, groups.values()))
        return {one: stored for answers in found for one, stored in answers.items()}

    async def _beyond_of(self, asked: list[Beyond]) -> dict[Beyond, list[Stored]]:
        """Of one type and parameter: all from the least bound on, of which each takes its own."""
        type, high, low = asked[0].type, asked[0].high, min(one.low for one in asked)
        stages: list[Document] = [
            {"$match": {"keys": {"$in": list({one.key: None for one in asked})}}},
            {"$match": {"seq": {"$gt": 0}, "sorted": {"$elemMatch": {"$gte": low, "$lt": high}}}},
            {"$sort": {"seq": -1}},
            {"$limit": NEWEST},
            {"$project": {**FIELDS, "keys": 1, "sorted": 1, "seq": 1}},
        ]
        try:
            rows = await run(self._database.collection(type), stages)
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        if len(rows) == NEWEST and len(asked) > 1:
            # One of them has many and hides the others'.
            return {one: (await self._beyond_of([one]))[one] for one in asked}
        answers: dict[Beyond, list[Stored]] = {one: [] for one in asked}
        for row in rows:
            stored, keys = from_document(type, row["_id"], row), set(row["keys"])
            for one in asked:
                if one.key in keys and any(one.low <= entry < high for entry in row["sorted"]):
                    answers[one].append(stored)
        return answers

    async def _by_key(self, type: str, keys: list[str]) -> dict[str, list[Stored]]:
        most = len(keys) * TO_DECIDE + TO_DECIDE
        filter: Document = {"keys": {"$in": keys}} if len(keys) > 1 else {"keys": keys[0]}
        rows = await self._find(type, filter, {**FIELDS, "keys": 1, "seq": 1}, most)
        if len(rows) == most and len(keys) > 1:
            # One of the identifiers is that of many resources and hides the others.
            return {key: (await self._by_key(type, [key]))[key] for key in keys}
        found: dict[str, list[Stored]] = {key: [] for key in keys}
        for row in sorted(rows, key=lambda row: -row.get("seq", 0)):
            if row.get("seq"):
                stored = from_document(type, row["_id"], row)
                for key in set(row["keys"]).intersection(found):
                    found[key].append(stored)
        return {key: stored[:TO_DECIDE] for key, stored in found.items()}

    async def _find(
        self, collection: str, filter: Document, fields: Document, limit: int = 0
    ) -> list[Document]:
        try:
            return [
                row async for row in self._database.collection(collection).find(filter, fields).limit(limit)
            ]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None


def _identifier(query: Query) -> str:
    """The key of a query by one identifier; "" for others: a status may be that of half the database."""
    condition = query.condition
    if not isinstance(condition, Keys) or len(condition.keys) != 1:
        return ""
    return condition.keys[0] if condition.keys[0].startswith(IDENTIFIER) else ""


def _by_type(asked: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    types: dict[str, list[str]] = defaultdict(list)
    for type, value in asked:
        types[type].append(value)
    return types
