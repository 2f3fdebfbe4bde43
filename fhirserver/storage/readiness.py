"""Which SearchParameter resources are in use, and for which types all stored resources are indexed by them.

A document of ``parameters``, ``SearchParameter's id/version/type``, says the latter; ``indexers`` are the
processes that write, and what they index by.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pymongo import ReplaceOne
from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.storage.database import Database
from fhirserver.storage.presence import Presence


class Readiness:
    """Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._ready = database.collection("parameters")
        self._resources = database.collection("SearchParameter")
        self.indexers = Presence(database, "indexers")

    async def read(self, keys: Sequence[str]) -> dict[str, tuple[int, frozenset[str]]]:
        """The SearchParameters that have one of these index keys: id -> version, and the types it is ready
        for."""
        try:
            # In this order: what was made ready by an older version than the one that is read next is old.
            rows = [document["_id"] async for document in self._ready.find({})]
            found = self._resources.find({"keys": {"$in": list(keys)}}, {"version": 1})
            versions = {document["_id"]: int(document["version"]) async for document in found}
            types: dict[str, set[str]] = defaultdict(set)
            old = []
            for row in rows:
                id, version, type = row.split("/")
                if str(versions.get(id)) == version:
                    types[id].add(type)
                else:
                    old.append(row)
            if old:
                await self._ready.delete_many({"_id": {"$in": old}})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return {id: (version, frozenset(types[id])) for id, version in versions.items()}

    async def mark(self, type: str, parameters: Iterable[str]) -> None:
        """Say that all resources of a type are indexed by these, each as ``id/version``."""
        rows = [f"{parameter}/{type}" for parameter in parameters]
        operations = [ReplaceOne({"_id": row}, {"_id": row}, upsert=True) for row in rows]
        if not operations:
            return
        try:
            await self._ready.bulk_write(operations, ordered=False)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None


def seen(known: Mapping[str, tuple[int, frozenset[str]]]) -> set[str]:
    """What a process says that knows this: ``id/version`` and ``id/version/type``."""
    parameters = {f"{id}/{version}" for id, (version, _) in known.items()}
    ready = {f"{id}/{version}/{type}" for id, (version, types) in known.items() for type in types}
    return parameters | ready
