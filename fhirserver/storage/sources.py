"""The definitions of sources: who sends, and how it is read. Every version is kept.

What a definition says is up to ``feeds``: here it is a document with a name. A revision counts all changes,
so that other processes see with one small read that there is something new.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bson import Int64
from pymongo.errors import DuplicateKeyError, PyMongoError

from fhirserver.errors import NotFound, Unavailable, VersionConflict
from fhirserver.storage.database import Database, Document

ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class SourceVersion:
    """One version of a definition. ``origin`` says who has it in hand: ``file`` or ``api``; of a deleted one
    ``definition`` is empty."""

    name: str
    version: int
    updated: datetime
    origin: str
    definition: Mapping[str, Any]
    deleted: bool = False


class SourceVersions:
    """The definitions of one database. Every method raises Unavailable when it does not answer."""

    def __init__(self, database: Database) -> None:
        self._sources = database.collection("sources")
        self._history = database.collection("sources.history")
        self._counters = database.collection("counters")

    async def all(self) -> list[SourceVersion]:
        """The current ones that are not deleted, by name."""
        try:
            found = [_version(document) async for document in self._sources.find({})]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return sorted((one for one in found if not one.deleted), key=lambda one: one.name)

    async def get(self, name: str) -> SourceVersion:
        """Raises NotFound."""
        found = await self._find(name)
        if found is None or found.deleted:
            raise NotFound(f"There is no source {name[:64]}")
        return found

    async def history(self, name: str) -> list[SourceVersion]:
        """All versions, newest first. Raises NotFound when there never was one."""
        current = await self._find(name)
        if current is None:
            raise NotFound(f"There is no source {name[:64]}")
        try:
            older = [_version(document) async for document in self._history.find({"name": name})]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        versions = {one.version: one for one in (*older, current)}
        return [versions[number] for number in sorted(versions, reverse=True)]

    async def put(
        self, name: str, definition: Mapping[str, Any], origin: str, *, seen: int | None = None
    ) -> SourceVersion:
        """Store the next version; the current one when it says the same.

        Raises:
            VersionConflict: ``seen`` is not the current version (0: there is none).
        """
        return await self._advance(name, dict(definition), origin, seen)

    async def delete(self, name: str, origin: str) -> None:
        """Raises NotFound."""
        await self.get(name)
        await self._advance(name, None, origin, None)

    async def revision(self) -> int:
        """A number that every change makes larger."""
        try:
            document = await self._counters.find_one({"_id": "sources"})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return int(document["n"]) if document else 0

    async def changed(self) -> None:
        """Make all processes look again."""
        try:
            await self._counters.update_one({"_id": "sources"}, {"$inc": {"n": Int64(1)}}, upsert=True)
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    async def _advance(
        self, name: str, definition: Document | None, origin: str, seen: int | None
    ) -> SourceVersion:
        for _ in range(ATTEMPTS):
            current = await self._find(name)
            there = current.version if current and not current.deleted else 0
            if seen is not None and seen != there:
                raise VersionConflict(f"The current version of the source is {there}, not {seen}")
            if current and there and current.definition == definition and current.origin == origin:
                return current
            following = SourceVersion(
                name,
                current.version + 1 if current else 1,
                datetime.now(UTC),
                origin,
                definition or {},
                definition is None,
            )
            if await self._replace(current, following):
                await self.changed()
                return following
        raise Unavailable("Others keep changing the same source")

    async def _replace(self, current: SourceVersion | None, following: SourceVersion) -> bool:
        """False when somebody else was faster."""
        document = _document(following)
        try:
            if current is None:
                await self._sources.insert_one(document)
                return True
            # The row of the version before is written first: it may be there twice, never missing.
            row = {**_document(current), "_id": f"{current.name}/{current.version}", "name": current.name}
            await self._history.replace_one({"_id": row["_id"]}, row, upsert=True)
            guard = {"_id": current.name, "version": current.version}
            return bool((await self._sources.replace_one(guard, document)).matched_count)
        except DuplicateKeyError:
            return False
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None

    async def _find(self, name: str) -> SourceVersion | None:
        try:
            document = await self._sources.find_one({"_id": name})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return _version(document) if document else None


def _document(one: SourceVersion) -> Document:
    return {
        "_id": one.name,
        "version": one.version,
        "updated": one.updated,
        "origin": one.origin,
        "definition": dict(one.definition),
        **({"deleted": True} if one.deleted else {}),
    }


def _version(document: Document) -> SourceVersion:
    return SourceVersion(
        str(document.get("name", document["_id"])),
        document["version"],
        document["updated"].replace(tzinfo=UTC),
        document["origin"],
        document["definition"],
        document.get("deleted", False),
    )
