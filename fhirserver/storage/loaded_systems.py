"""Code systems that an operator loads: concept by concept, to be gone on with after an interruption.

The rows of a system have a key that stands for its content. They are known to nobody until all of them are
there; then those of the content before are removed.
"""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from bson import Binary
from pymongo import DeleteMany
from pymongo.errors import BulkWriteError, PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.model import json
from fhirserver.storage.concepts import INACTIVE, document
from fhirserver.storage.database import Database, Document
from fhirserver.terminology.code_systems import Head
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.loading import System, above

TOGETHER = 500
DUPLICATE = 11000
"""The code of a write error: there is such an _id."""
_FORMAT = 1
"""Part of the key: to be raised with every change to what is stored of a concept."""


@dataclass(frozen=True, slots=True)
class Loading:
    """A system that is being loaded: ``done`` concepts of it are stored."""

    key: str
    done: int


class LoadedSystems:
    """Those of one database. Every method raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._rows = database.collection("concepts")
        self._systems = database.collection("loaded_systems")

    async def load(self, system: System, digest: str, progress: Callable[[int], None]) -> int:
        """Store a system, from where an earlier attempt ended; how many concepts it has, 0: it was there.

        ``digest`` stands for the files that it was read from, ``progress`` is told how many are stored.

        Raises:
            Unreadable: the files turn out to be broken.
        """
        head = system.head
        key = hashlib.sha256(f"{_FORMAT}|{head.called}|{digest}".encode()).hexdigest()[:12]
        loading = await self._begin(head, key)
        if loading is None:
            return 0
        active = inactive = 0
        concepts = _placed(system)
        for batch in iter(lambda: list(itertools.islice(concepts, TOGETHER)), []):
            inactive += sum(concept.inactive for _, concept in batch)
            active += len(batch) - sum(concept.inactive for _, concept in batch)
            if active + inactive > loading.done:
                loading = await self._put(head, loading, batch)
                progress(loading.done)
        await self._finish(head, key, active + inactive, inactive)
        return active + inactive

    async def _begin(self, head: Head, key: str) -> Loading | None:
        """None: it is loaded."""
        name = {"_id": head.called}
        try:
            row = await self._systems.find_one(name)
            if row and row.get("key") == key:
                return None
            if row and row.get("loading") == key:
                return Loading(key, int(row["done"]))
            if row and row.get("loading"):
                await self._forget(row["loading"])
            await self._systems.update_one(name, {"$set": {"loading": key, "done": 0}}, upsert=True)
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return Loading(key, 0)

    async def _put(self, head: Head, loading: Loading, concepts: Sequence[tuple[int, Concept]]) -> Loading:
        documents = [document(loading.key, n, concept) for n, concept in concepts]
        loading = Loading(loading.key, loading.done + len(concepts))
        try:
            await self._insert(documents)
            done = {"$set": {"done": loading.done}}
            await self._systems.update_one({"_id": head.called, "loading": loading.key}, done)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return loading

    async def _insert(self, documents: list[Document]) -> None:
        """What an interrupted attempt stored already is the same: inserts cost a quarter of replacements."""
        try:
            await self._rows.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            if any(e["code"] != DUPLICATE for e in error.details.get("writeErrors", ())):
                raise

    async def _finish(self, head: Head, key: str, count: int, inactive: int) -> None:
        """Make the system known to all, in place of what was loaded before as this version."""
        name = {"_id": head.called}
        values = {"key": key, "head": Binary(json.format(head)), "count": count, "inactive": inactive}
        try:
            previous = await self._systems.find_one(name)
            await self._systems.update_one(name, {"$set": values, "$unset": {"loading": "", "done": ""}})
            if previous and previous.get("key") not in (None, key):
                await self._forget(previous["key"])
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    async def remove(self, url: str, version: str = "") -> bool:
        """Forget a system; False: there is none."""
        try:
            row = await self._systems.find_one({"_id": f"{url}|{version}" if version else url})
            if row is None:
                return False
            await self._systems.delete_one({"_id": row["_id"]})
            for key in filter(None, (row.get("key"), row.get("loading"))):
                await self._forget(key)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return True

    async def _forget(self, key: str) -> None:
        await self._rows.bulk_write([DeleteMany({"s": key})])


def _placed(system: System) -> Iterator[tuple[int, Concept]]:
    """The concepts with their places and all that is above them; a code that comes again is left out."""
    active, inactive = 0, INACTIVE
    seen: set[str] = set()
    for concept in system.concepts():
        if concept.code in seen:
            continue
        seen.add(concept.code)
        if concept.inactive:
            place, inactive = inactive, inactive + 1
        else:
            place, active = active, active + 1
        yield place, replace(concept, ancestors=above(concept.code, system.parents))
