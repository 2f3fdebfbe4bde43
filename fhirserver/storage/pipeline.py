"""Runs a search: the algebra of ``search.query`` as a portable pipeline.

Both engines plan well for ``[{$match: ONE indexable driver}, {$match: everything else}, {$sort}, {$limit}]``:
MongoDB merges the two matches, the embedded engine uses an index for the first. The driver is the most
selective part; where even that may match much of the collection, results are taken newest first in windows of
``seq``, so that the cost follows the size of the page.
"""

from dataclasses import dataclass
from typing import Any

from fhirserver.search import query as q
from fhirserver.storage.chains import resolve
from fhirserver.storage.database import Collection, Database
from fhirserver.storage.documents import FIELDS, Document, Stored, from_document
from fhirserver.storage.drivers import Driver, choose
from fhirserver.storage.filters import exactly

WINDOW = 4096


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ends: the sort values (None: missing) and the tie-breaker of its last resource."""

    values: tuple[str | int | None, ...]
    tie: str | int
    inclusive: bool = False
    """Whether the resource of the tie-breaker itself still belongs after the position."""


@dataclass(frozen=True, slots=True)
class Page:
    resources: list[Stored]
    next: Position | None


async def page(database: Database, query: q.Query, after: Position | None, limit: int) -> Page:
    """At most ``limit`` matches after a position; ``next`` is None exactly when there is no more."""
    found = await rows(database, query, after, limit + 1)
    more = len(found) > limit > 0
    return Page([stored for stored, _ in found[:limit]], found[limit - 1][1] if more else None)


async def rows(
    database: Database, query: q.Query, after: Position | None, limit: int
) -> list[tuple[Stored, Position]]:
    """At most ``limit`` matches after a position, in order, each with its own position.

    Raises:
        TooCostly: a step of a chain matches too much.
    """
    condition = await resolve(database, query.type, query.condition)
    if isinstance(condition, q.Nothing):
        return []
    collection = database.collection(query.type)
    driver = choose(condition)
    rest: list[Document] = [{"$match": exactly(condition)}]
    if query.sort:
        documents = await _sorted(collection, driver, rest, query.sort, after, limit)
        positions = [Position(tuple(d["k"]), d["_id"]) for d in documents]
    else:
        if driver.selective:
            documents = await _newest(collection, driver, rest, after, limit)
        else:
            documents = await _windows(database, collection, driver, rest, after, limit)
        positions = [Position((), int(d["seq"])) for d in documents]
    found = [from_document(query.type, d["_id"], d) for d in documents]
    return list(zip(found, positions, strict=True))


async def count(database: Database, query: q.Query) -> int:
    """How many resources match; costs as much as there are. Raises TooCostly, see ``rows``."""
    condition = await resolve(database, query.type, query.condition)
    if isinstance(condition, q.Nothing):
        return 0
    stages: list[Document] = [
        {"$match": choose(condition).filter or {"seq": {"$gt": 0}}},
        {"$match": exactly(condition)},
        {"$count": "n"},
    ]
    async for row in await database.collection(query.type).aggregate(stages):
        return int(row["n"])
    return 0


# --- the three ways to run


async def _newest(
    collection: Collection, driver: Driver, rest: list[Document], after: Position | None, limit: int
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
    driver: Driver,
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
    driver: Driver,
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
    alternatives.append({**equal, "_id": {"$gte" if after.inclusive else "$gt": after.tie}})
    return {"$or": alternatives}


def _before(after: Position | None) -> list[Document]:
    return [{"$match": {"seq": {"$lt": after.tie}}}] if after else []


async def _run(collection: Collection, stages: list[Document]) -> list[Document]:
    return [document async for document in await collection.aggregate(stages)]
