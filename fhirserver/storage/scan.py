"""All resources of a type, in steps of bounded size, in the order in which they were last written."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pymongo import UpdateOne
from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.search.query import Index
from fhirserver.storage.database import Database
from fhirserver.storage.documents import FIELDS, Document, Stored, from_document, index_fields, to_index

STEP = 200
"""So many resources are read at once."""
FIRST_WINDOW = 500
LARGEST_WINDOW = 2**40

INDEX = {"keys": 1, "sorted": 1, "intervals": 1, "sort": 1, "contained": 1}


@dataclass(frozen=True, slots=True)
class Step:
    """Resources with their index as it is stored; ``next`` is where the following step begins."""

    resources: list[tuple[Stored, Index]]
    next: int


class Scan:
    """The scans of one database. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end(self) -> int:
        """Beyond the ``seq`` of everything that is written by now."""
        try:
            counter = await self._database.collection("counters").find_one({"_id": "seq"})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return int(counter["n"]) + 1 if counter else 1

    async def steps(self, type: str, begin: int, end: int) -> AsyncIterator[Step]:
        """Read a type from ``begin`` to ``end`` (``seq``); deletions have no ``seq`` and are not there.

        What is written while the scan runs moves behind ``end`` and may be missed.
        """
        low, window = max(begin, 1), FIRST_WINDOW
        while low < end:
            high = min(end, low + window)
            documents = await self._window(type, low, high)
            if len(documents) >= STEP:
                high, window = int(documents[-1]["seq"]) + 1, max(window // 2, STEP)
            elif len(documents) < STEP // 2:
                # Every type takes its numbers from the same sequence: a small type is spread thinly.
                window = min(window * 2, LARGEST_WINDOW)
            low = high
            yield Step([(from_document(type, d["_id"], d), to_index(d)) for d in documents], low)

    async def _window(self, type: str, low: int, high: int) -> list[Document]:
        wanted = {"seq": {"$gte": low, "$lt": high}}
        fields = {**FIELDS, **INDEX, "seq": 1}
        try:
            cursor = self._database.collection(type).find(wanted, fields).sort("seq").limit(STEP)
            return [document async for document in cursor]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def changed_after(self, type: str, instant: int) -> set[str]:
        """The logical ids whose current version, a deletion too, is later (microseconds since 1970)."""
        try:
            found = self._database.collection(type).find({"updated": {"$gt": instant}}, {"_id": 1})
            return {document["_id"] async for document in found}
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def deletions(self, type: str, since: int, until: int) -> AsyncIterator[tuple[str, Sequence[str]]]:
        """The logical ids that are deleted, since and until an instant, with the index keys that name their
        patients."""
        wanted = {"updated": {"$gte": since, "$lte": until}, "seq": None}
        try:
            async for document in self._database.collection(type).find(wanted, {"keys": 1}):
                yield document["_id"], document.get("keys", ())
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def version_at(self, type: str, id: str, instant: int) -> Stored | None:
        """The version that was current at an instant before the current one; None when there was none."""
        newest: Document | None = None
        try:
            async for row in self._database.collection("history").find({"resource": f"{type}/{id}"}, FIELDS):
                if row["updated"] <= instant and (newest is None or row["version"] > newest["version"]):
                    newest = row
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return from_document(type, id, newest) if newest else None

    async def write_indexes(self, type: str, indexes: Sequence[tuple[Stored, Index]]) -> int:
        """Replace the index of these versions where they still are current; how many were."""
        operations = [
            UpdateOne({"_id": stored.id, "version": stored.version}, {"$set": index_fields(index)})
            for stored, index in indexes
        ]
        if not operations:
            return 0
        try:
            done = await self._database.collection(type).bulk_write(operations, ordered=False)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return int(done.matched_count)
