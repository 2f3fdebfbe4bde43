"""The small reads that decide writes: what matches a criterion, what exists, what refers to something.

Those asked at the same time, such as by the entries of one transaction, share a round trip.
"""

from collections import defaultdict
from collections.abc import Sequence

from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.search.query import Keys, Query
from fhirserver.storage import pipeline
from fhirserver.storage.commit import Lock
from fhirserver.storage.database import Database, Document
from fhirserver.storage.documents import FIELDS, Stored, from_document
from fhirserver.storage.gathering import Gathering

TO_DECIDE = 2
"""So many matches decide: none, one, or too many."""
IDENTIFIER = "identifier|"


class Lookups:
    """Of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._locks: Gathering[str, Lock] = Gathering(self._read_locks)
        self._keys: Gathering[tuple[str, str], list[Stored]] = Gathering(self._read_keys)
        self._existing: Gathering[tuple[str, str], bool] = Gathering(self._read_existing)

    async def lock(self, key: str) -> Lock:
        """A lock's count, to be read before the criteria it stands for are evaluated."""
        return await self._locks.ask(key)

    async def exists(self, type: str, id: str) -> bool:
        """Whether there is such a resource, not deleted."""
        return await self._existing.ask((type, id))

    async def matching(self, query: Query, limit: int = TO_DECIDE) -> list[Stored]:
        """At most ``limit`` matches, newest first; those by an identifier are looked up together."""
        condition = query.condition
        if limit <= TO_DECIDE and isinstance(condition, Keys) and len(condition.keys) == 1:
            key = condition.keys[0]
            # Other keys, such as a status, may be those of half the database.
            if key.startswith(IDENTIFIER):
                return await self._keys.ask((query.type, key))
        try:
            return (await pipeline.page(self._database, query, None, limit)).resources
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

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
        found: set[tuple[str, str]] = set()
        for type, ids in _by_type(asked).items():
            rows = await self._find(type, {"_id": {"$in": ids}}, {"seq": 1})
            found |= {(type, row["_id"]) for row in rows if row.get("seq")}
        return {question: question in found for question in asked}

    async def _read_keys(self, asked: list[tuple[str, str]]) -> dict[tuple[str, str], list[Stored]]:
        answers: dict[tuple[str, str], list[Stored]] = {}
        for type, keys in _by_type(asked).items():
            answers |= {(type, key): found for key, found in (await self._by_key(type, keys)).items()}
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


def _by_type(asked: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    types: dict[str, list[str]] = defaultdict(list)
    for type, value in asked:
        types[type].append(value)
    return types
