"""Terminology in the database: changes of stored resources, and the concepts of loaded code systems.

A loaded system has one document in ``loaded_systems`` (``_id``: url|version) and one for each concept in
``concepts``: ``_id`` is ``<key>|<code>``, ``n`` its place in the system (active concepts first, inactive ones
from ``INACTIVE``), ``body`` the concept, and ``keys`` what it is found by: ``<key>|w|word`` of its names,
``|i|code`` for itself and everything above it, ``|c|code`` for its parents, ``|p|property|value``.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from bson import Binary
from pymongo.errors import PyMongoError

from fhirserver.errors import TooCostly, Unavailable
from fhirserver.model import json
from fhirserver.storage.database import Database, Document, run
from fhirserver.storage.limits import limited
from fhirserver.storage.repository import now
from fhirserver.terminology.catalogue import TYPES
from fhirserver.terminology.code_systems import Head
from fhirserver.terminology.concepts import Concept, plain, value_of, words
from fhirserver.terminology.questions import Body, Chosen, Codes, Question, Selected
from fhirserver.terminology.selections import Every, Except, Is, Selection, Some, Where, selects
from fhirserver.terminology.terminology import Change, LoadedSystem

INACTIVE = 1_000_000_000
MOST = 20_000
"""So many concepts are looked at for one selection."""
WORDS = 40
VALUE = 100
"""So many words of a concept's names are found, and so many characters of a property's value."""
MARGIN = 60_000_000
"""A change may be committed so many microseconds after the instant that it carries, by another's clock."""
EVERYTHING = 300.0
"""Every so many seconds all stored resources are listed, for what came later than that, or was purged."""
TOGETHER = 500
BUILT_IN = ("code", "concept", "display", "definition", "designation", "parent", "child", "inactive")
"""Properties that are not among the keys of the others."""


class Concepts:
    """The terminology of one database, as ``terminology.Store``. Every method raises Unavailable."""

    def __init__(self, database: Database, types: Iterable[str]) -> None:
        """``types`` are those that are served."""
        self._database = database
        self._types = [type for type in TYPES if type in types]
        self._seen: dict[tuple[str, str], int] = {}
        self._since = 0
        self._listed = -EVERYTHING
        self._rows = database.collection("concepts")
        self._systems = database.collection("loaded_systems")

    # --- resources of the store

    async def changes(self) -> list[Change]:
        """Stored code systems, value sets and concept maps that changed since the last call, or are gone."""
        start, clock = now(), time.monotonic()
        whole = clock - self._listed >= EVERYTHING
        found: list[Change] = []
        for type in self._types:
            found += await self._changes(type, whole=whole)
        for change in found:
            self._seen[change.type, change.id] = change.version
        self._since = start
        if whole:
            self._listed = clock
        return found

    async def _changes(self, type: str, *, whole: bool) -> list[Change]:
        collection = self._database.collection(type)
        wanted: Document = {} if whole else {"updated": {"$gte": self._since - MARGIN}}
        try:
            rows = [row async for row in collection.find(wanted, {"version": 1})]
            new = [row for row in rows if self._seen.get((type, row["_id"])) != row["version"]]
            there = {row["_id"] for row in rows}
            changed: list[Change] = []
            for start in range(0, len(new), TOGETHER):
                ids = [row["_id"] for row in new[start : start + TOGETHER]]
                cursor = collection.find({"_id": {"$in": ids}}, {"version": 1, "body": 1})
                changed += [_change(type, row) async for row in cursor]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        if whole:
            gone = [id for (own, id), v in self._seen.items() if own == type and v and id not in there]
            changed += [Change(type, id, 0, None) for id in gone]
        return changed

    async def answer(self, question: Question) -> Any:
        """Raises TooCostly as well, see ``Chosen``."""
        try:
            match question:
                case Body(type, id, version):
                    row = await self._database.collection(type).find_one(
                        {"_id": id}, {"version": 1, "body": 1}
                    )
                    return _change(type, row).resource if row and row["version"] == version else None
                case Codes(key, codes):
                    return await self._codes(key, codes)
                case Chosen():
                    return await self._chosen(question)
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    # --- loaded systems

    async def loaded(self) -> list[LoadedSystem]:
        """Those that are loaded completely."""
        try:
            rows = [row async for row in self._systems.find({})]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return [LoadedSystem(row["key"], _head(row), int(row["count"])) for row in rows if row.get("key")]

    # --- concepts

    async def _codes(self, key: str, codes: Sequence[str]) -> dict[str, Concept]:
        found = {}
        for start in range(0, len(codes), TOGETHER):
            ids = [f"{key}|{code}" for code in codes[start : start + TOGETHER]]
            async for row in self._rows.find({"_id": {"$in": ids}}, {"body": 1}):
                concept = _concept(row)
                found[concept.code] = concept
        return found

    async def _chosen(self, question: Chosen) -> Selected:
        key, selection = question.key, question.selection
        system = await self._systems.find_one({"key": key}) or {}
        if selection.where == Every() and not selection.text and not selection.selectable:
            return await self._in_order(question, int(system.get("count", 0)), int(system.get("inactive", 0)))
        found = drivers(key, selection)
        if int(system.get("count", 0)) <= MOST:
            found.append([{"$match": {"s": key}}])
        for driver in found:
            stages = [*driver, {"$limit": MOST + 1}, {"$project": {"n": 1, "body": 1}}]
            with limited(self._database):
                rows = await run(self._rows, stages)
            if len(rows) <= MOST:
                rows.sort(key=lambda row: int(row["n"]))
                chosen = [concept for concept in map(_concept, rows) if selects(selection, concept)]
                return Selected(tuple(chosen[question.skip :][: question.limit]), len(chosen))
        raise TooCostly(
            f"More than {MOST} concepts would have to be looked at; ask with a filter, or with more of a word"
        )

    async def _in_order(self, question: Chosen, count: int, inactive: int) -> Selected:
        """A page of a whole system."""
        active, low = count - inactive, question.skip
        high = low + question.limit
        windows = [(low, min(high, active))]
        if not question.selection.active:
            windows.append((INACTIVE + max(0, low - active), INACTIVE + max(0, high - active)))
        found: list[Concept] = []
        for start, end in windows:
            if start < end:
                bounds: Document = {"s": question.key, "n": {"$gte": start, "$lt": end}}
                rows = [row async for row in self._rows.find(bounds, {"n": 1, "body": 1})]
                found += map(_concept, sorted(rows, key=lambda row: int(row["n"])))
        return Selected(tuple(found), active if question.selection.active else count)


def drivers(key: str, selection: Selection) -> list[list[Document]]:
    """Indexed queries that each find all that is selected, and more; the narrowest first, presumably."""
    long = sorted(words(selection.text), key=len, reverse=True)
    named = [_between(f"{key}|w|{word}") for word in long[:1]]
    others = [[{"$match": filter}] for filter in _filters(key, selection.where)]
    ranges = [_between(start) for start in _present(key, selection.where)]
    return [*others, *ranges, *named] if not long or len(long[0]) < 3 else [*named, *others, *ranges]


def _between(start: str) -> list[Document]:
    """What has a key that begins so. MongoDB needs both forms to use both bounds, see ``pipeline``."""
    bounds = {"$gte": start, "$lt": start + "\U0010ffff"}
    return [{"$match": {"keys": bounds}}, {"$match": {"keys": {"$elemMatch": bounds}}}]


def _filters(key: str, where: Where) -> list[Document]:
    match where:
        case Every(parts):
            return [filter for part in parts for filter in _filters(key, part)]
        case Some(parts):
            # Together, if each part is found by keys.
            found = [next((f for f in _filters(key, part) if "keys" in f), None) for part in parts]
            lists = [f["keys"]["$in"] for f in found if f]
            return (
                [{"keys": {"$in": [k for keys in lists for k in keys]}}] if len(lists) == len(parts) else []
            )
        case Is("is-a" | "descendent-of", _, values):
            return [{"keys": {"$in": [f"{key}|i|{value}" for value in values]}}]
        case Is("child-of", _, values):
            return [{"keys": {"$in": [f"{key}|c|{value}" for value in values]}}]
        case Is("=" | "in", "code" | "concept", values):
            return [{"_id": {"$in": [f"{key}|{value}" for value in values]}}]
        case Is("=" | "in", property, values) if property not in BUILT_IN:
            return [{"keys": {"$in": [f"{key}|p|{property}|{value[:VALUE]}" for value in values]}}]
        case Is() | Except():
            return []


def _present(key: str, where: Where) -> list[str]:
    """What the keys of a property begin with, where it must be there."""
    match where:
        case Every(parts):
            return [start for part in parts for start in _present(key, part)]
        case Is("exists" | "regex", property, values) if property not in BUILT_IN and values[0] != "false":
            return [f"{key}|p|{property}|"]
        case _:
            return []


def _change(type: str, row: Document) -> Change:
    body = bytes(row["body"])
    return Change(type, row["_id"], row["version"], json.stored(body) if body else None)


def _head(row: Document) -> Head:
    return msgspec.convert(json.stored(bytes(row["head"])), Head)


def _concept(row: Document) -> Concept:
    return msgspec.convert(json.stored(bytes(row["body"])), Concept)


def document(key: str, n: int, concept: Concept) -> Document:
    """The row of a concept at a place of the system with this key."""
    named = list(dict.fromkeys(word for text in concept.texts for word in words(text)))[:WORDS]
    keys = [f"w|{word}" for word in named]
    keys += [f"i|{code}" for code in (concept.code, *sorted(concept.ancestors))]
    keys += [f"c|{code}" for code in concept.parents]
    keys += [f"p|{p.get('code', '')}|{plain(value_of(p))[:VALUE]}" for p in concept.properties]
    return {
        "_id": f"{key}|{concept.code}",
        "s": key,
        "n": n,
        "keys": [f"{key}|{own}" for own in dict.fromkeys(keys)],
        "body": Binary(json.format(concept)),
    }
