"""Runs a search: the algebra of ``search.query`` as a portable pipeline.

Both engines plan well for ``[{$match: ONE indexable driver}, {$match: everything else}, {$sort}, {$limit}]``:
MongoDB merges the two matches, the embedded engine uses an index for the first. The driver is the most
selective part; where even that may match much of the collection, results are taken newest first in windows of
``seq``, so that the cost follows the size of the page.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fhirserver.search import query as q
from fhirserver.storage.database import Collection, Database
from fhirserver.storage.documents import FIELDS, Document, Stored, from_document

WINDOW = 4096
NARROW = 3


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ends: the sort values (None: missing) and the tie-breaker of its last resource."""

    values: tuple[str | int | None, ...]
    tie: str | int


@dataclass(frozen=True, slots=True)
class Page:
    resources: list[Stored]
    next: Position | None


async def page(database: Database, query: q.Query, after: Position | None, limit: int) -> Page:
    """At most ``limit`` matches after a position; ``next`` is None exactly when there is no more."""
    if isinstance(query.condition, q.Nothing):
        return Page([], None)
    collection = database.collection(query.type)
    driver = _driver(query.condition)
    rest: list[Document] = [{"$match": _filter(query.condition)}]
    if query.sort:
        documents = await _sorted(collection, driver, rest, query.sort, after, limit + 1)
    elif driver.selective:
        documents = await _newest(collection, driver, rest, after, limit + 1)
    else:
        documents = await _windows(database, collection, driver, rest, after, limit + 1)
    resources = [from_document(query.type, d["_id"], d) for d in documents[:limit]]
    if len(documents) <= limit or not resources:
        return Page(resources, None)
    last = documents[limit - 1]
    return Page(
        resources, Position(tuple(last["k"]), last["_id"]) if query.sort else Position((), int(last["seq"]))
    )


async def count(database: Database, query: q.Query) -> int:
    """How many resources match; costs as much as there are."""
    if isinstance(query.condition, q.Nothing):
        return 0
    driver = _driver(query.condition)
    stages: list[Document] = [
        {"$match": driver.filter or {"seq": {"$gt": 0}}},
        {"$match": _filter(query.condition)},
        {"$count": "n"},
    ]
    async for row in await database.collection(query.type).aggregate(stages):
        return int(row["n"])
    return 0


# --- the three ways to run


async def _newest(
    collection: Collection, driver: "Driver", rest: list[Document], after: Position | None, limit: int
) -> list[Document]:
    stages: list[Document] = [
        {"$match": driver.filter},
        *rest,
        *_before(after),
        {"$sort": {"seq": -1}},
        {"$limit": limit},
    ]
    return await _run(collection, [*stages, {"$project": {**FIELDS, "seq": 1}}])


async def _windows(
    database: Database,
    collection: Collection,
    driver: "Driver",
    rest: list[Document],
    after: Position | None,
    limit: int,
) -> list[Document]:
    counter = await database.collection("counters").find_one({"_id": "seq"})
    high = int(after.tie) if after else (int(counter["n"]) if counter else 0) + 1
    # Equality on one key and a range of seq are one index; any other driver would leave the range without.
    equality = driver.filter if isinstance(driver.filter.get("keys"), str) else {}
    window = max(WINDOW // 16, 2 * limit)
    found: list[Document] = []
    while high > 1 and len(found) < limit:
        low = max(1, high - window)
        between = {"seq": {"$gte": low, "$lt": high}}
        found += await _run(
            collection,
            [
                {"$match": {**equality, **between}},
                *rest,
                {"$sort": {"seq": -1}},
                {"$limit": limit - len(found)},
                {"$project": {**FIELDS, "seq": 1}},
            ],
        )
        high, window = low, window * 4
    return found


async def _sorted(
    collection: Collection,
    driver: "Driver",
    rest: list[Document],
    sort: tuple[q.Sort, ...],
    after: Position | None,
    limit: int,
) -> list[Document]:
    """Explicit ``_sort``: resources without a value come last, whatever the direction; ties by id."""
    keys = [_sort_field(s) for s in sort]
    stages: list[Document] = [{"$match": driver.filter or {"seq": {"$gt": 0}}}, *rest]
    stages.append({"$set": {f"k{i}": {"$ifNull": [key, None]} for i, key in enumerate(keys)}})
    stages.append({"$set": {f"m{i}": {"$eq": [f"$k{i}", None]} for i in range(len(keys))}})
    if after:
        stages.append({"$match": _past(sort, after)})
    order: dict[str, int] = {}
    for i, s in enumerate(sort):
        order |= {f"m{i}": 1, f"k{i}": -1 if s.descending else 1}
    stages += [{"$sort": {**order, "_id": 1}}, {"$limit": limit}]
    stages.append({"$project": {**FIELDS, **{f"k{i}": 1 for i in range(len(keys))}}})
    documents = await _run(collection, stages)
    for document in documents:
        values = [document[f"k{i}"] for i in range(len(keys))]
        document["k"] = [int(v) if isinstance(v, int) else v for v in values]
    return documents


def _sort_field(sort: q.Sort) -> Any:
    if sort.parameter == "_id":
        return "$_id"
    if sort.parameter == "_lastUpdated":
        return "$updated"
    # Ascending compares a resource's lowest value, descending its highest.
    return {"$arrayElemAt": [f"$sort.{sort.parameter}", 1 if sort.descending else 0]}


def _past(sort: tuple[q.Sort, ...], after: Position) -> Document:
    """Everything that sorts after the position: equal on the first keys, past it on the next."""
    alternatives: list[Document] = []
    equal: Document = {}
    for i, (s, value) in enumerate(zip(sort, after.values, strict=True)):
        if value is not None:
            beyond: Document = {f"k{i}": {"$lt" if s.descending else "$gt": value}}
            alternatives += [{**equal, **beyond}, {**equal, f"m{i}": True}]
        equal = {**equal, f"k{i}": value} if value is not None else {**equal, f"m{i}": True}
    alternatives.append({**equal, "_id": {"$gt": after.tie}})
    return {"$or": alternatives}


def _before(after: Position | None) -> list[Document]:
    return [{"$match": {"seq": {"$lt": after.tie}}}] if after else []


async def _run(collection: Collection, stages: list[Document]) -> list[Document]:
    return [document async for document in await collection.aggregate(stages)]


# --- choosing the driver


@dataclass(frozen=True, slots=True)
class Driver:
    """One indexable filter that every match satisfies. A lower rank is more selective."""

    filter: Document
    rank: int

    @property
    def selective(self) -> bool:
        return self.rank < BROAD


BROAD = 50
EVERYTHING = Driver({}, 100)


def _driver(condition: q.Condition) -> Driver:
    match condition:
        case q.Ids(ids):
            return Driver({"_id": {"$in": list(ids)}}, 0)
        case q.Keys(keys):
            wanted = keys[0] if len(keys) == 1 else {"$in": list(keys)}
            return Driver({"keys": wanted}, min(99, _breadth(keys)))
        case q.Range(low, high):
            return Driver({"sorted": {"$gte": low, "$lt": high}}, _spread(low, high))
        case q.KeyRange(low, high):
            return Driver({"keys": {"$gte": low, "$lt": high}}, 80)
        case q.Updated(low, high):
            bounds = {op: v for op, v in (("$gte", low), ("$lt", high)) if v is not None}
            return Driver({"updated": bounds}, 40) if bounds else EVERYTHING
        case q.And(parts):
            return min((_driver(part) for part in parts), key=lambda d: d.rank, default=EVERYTHING)
        case q.Or(parts):
            return _union([_driver(part) for part in parts])
        case _:
            return EVERYTHING


def _breadth(keys: Iterable[str]) -> int:
    """How much of a collection keys may match, by what they name.

    An identifier is one resource, a reference to a patient or an encounter a few; a code, a status or a
    presence key may be half of everything.
    """
    worst = 0
    for key in keys:
        _, _, value = key.partition("|")
        if key.startswith(("identifier|", "_id|")) and value:
            rank = 5
        elif re.search(
            r"\b(Patient|Encounter|RelatedPerson|DiagnosticReport|DocumentReference|Specimen)/", value
        ):
            rank = 10
        else:
            rank = 60
        worst = max(worst, rank)
    return worst


def _spread(low: str, high: str) -> int:
    """How much of a collection a range may match: bounds that begin alike enclose little."""
    start = low.find("|") + 1
    return 30 if low[: start + NARROW] == high[: start + NARROW] else 70


def _union(drivers: list[Driver]) -> Driver:
    """All alternatives by equality on one field: one $in. Anything else has no single index."""
    sets = [_equal_keys(driver) for driver in drivers]
    if sets and all(sets):
        keys = [key for found in sets for key in found]
        return Driver({"keys": {"$in": keys}}, max(d.rank for d in drivers))
    if drivers and all(set(d.filter) == {"_id"} for d in drivers):
        return Driver({"_id": {"$in": [i for d in drivers for i in d.filter["_id"]["$in"]]}}, 0)
    return EVERYTHING


def _equal_keys(driver: Driver) -> list[str]:
    """The keys that a driver finds by equality; none when it is a range or about another field."""
    match driver.filter:
        case {"keys": str(key)}:
            return [key]
        case {"keys": {"$in": list(keys)}}:
            return keys
        case _:
            return []


# --- the exact filter


def _filter(condition: q.Condition) -> Document:
    """The whole condition as a match; a deletion has no ``seq`` and never matches."""
    return {"seq": {"$gt": 0}, "$and": [_exact(condition)]}


def _exact(condition: q.Condition) -> Document:
    match condition:
        case q.Everything():
            return {}
        case q.Nothing():
            return {"_id": {"$in": []}}
        case q.Ids(ids):
            return {"_id": {"$in": list(ids)}}
        case q.Keys(keys):
            return {"keys": {"$in": list(keys)}}
        case q.KeyRange(low, high):
            return {"keys": {"$elemMatch": {"$gte": low, "$lt": high}}}
        case q.Range(low, high, pattern):
            bounds: Document = {"$gte": low, "$lt": high}
            if pattern:
                bounds["$regex"] = pattern
            return {"sorted": {"$elemMatch": bounds}}
        case q.Interval(parameter, low, high):
            wanted: Document = {"p": parameter}
            for name, sides in (("l", low), ("h", high)):
                if sides:
                    wanted[name] = dict(sides)
            return {"intervals": {"$elemMatch": wanted}}
        case q.Updated(low, high):
            limits = {op: v for op, v in (("$gte", low), ("$lt", high)) if v is not None}
            return {"updated": limits} if limits else {}
        case q.And(parts):
            return {"$and": [_exact(part) for part in parts]} if parts else {}
        case q.Or(parts):
            return {"$or": [_exact(part) for part in parts]} if parts else {"_id": {"$in": []}}
        case q.Not(inner):
            return {"$nor": [_exact(inner)]}
