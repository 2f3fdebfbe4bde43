"""Runs a search: the algebra of ``search.query`` as a portable pipeline.

Both engines plan well for ``[{$match: ONE indexable filter}, {$match: everything else}, {$sort}, {$limit}]``:
MongoDB merges the two matches, the embedded engine uses an index for the first. The driver is the most
selective part, one filter or, for an Or, several that run side by side; where even that may match much of the
collection, results are taken newest first in windows of ``seq``, so that the cost follows the page.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from fhirserver.errors import TooCostly
from fhirserver.search import query as q
from fhirserver.storage.chains import resolve
from fhirserver.storage.database import Collection, Database, run
from fhirserver.storage.documents import FIELDS, Document, Stored, from_document
from fhirserver.storage.drivers import EVERYTHING, Driver, choose, newest
from fhirserver.storage.filters import exactly
from fhirserver.storage.limits import affordable, limited

WINDOW = 4096
LEAST = 64
FIRST = 256
"""So much of ``seq`` is read at least, by keys that have an index with it, and without."""
FOLLOWED = 256


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
        TooCostly: a step of a chain matches too much, all would have to be sorted, or it takes too long.
    """
    with limited(database):
        try:
            condition = await resolve(database, query.type, query.condition)
        except TooCostly:
            if query.sort:
                raise
            return _placed(query.type, await _followed(database, query, after, limit))
        if isinstance(condition, q.Nothing):
            return []
        driver = choose(condition)
        rest: list[Document] = [{"$match": exactly(condition)}]
        if query.sort:
            await affordable(database, query.type, driver)
            documents = await _sorted(database, query, driver, rest, after, limit)
        else:
            collection = database.collection(query.type)
            coarse = [] if driver.few else newest(condition)
            if coarse:
                rarest = await _rarest(database, collection, coarse, after)
                documents = await _by_keys(database, collection, rarest, rest, after, limit)
            elif driver.selective:
                documents = await _newest(collection, driver.filters, rest, _past_seq(after), limit)
            else:
                documents = await _windows(database, query.type, driver, rest, after, limit)
    return _placed(query.type, documents)


def _placed(type: str, documents: list[Document]) -> list[tuple[Stored, Position]]:
    """Each resource with its position."""
    return [
        (
            from_document(type, d["_id"], d),
            Position(tuple(d["k"]), d["_id"]) if "k" in d else Position((), int(d["seq"])),
        )
        for d in documents
    ]


async def count(database: Database, query: q.Query) -> int:
    """How many resources match; costs as much as there are. Raises TooCostly, see ``rows``."""
    with limited(database):
        condition = await resolve(database, query.type, query.condition)
        if isinstance(condition, q.Nothing):
            return 0
        driver = choose(condition)
        if not isinstance(condition, q.Everything):
            await affordable(database, query.type, driver)
        collection = database.collection(query.type)
        exact: Document = {"$match": exactly(condition)}
        keyed = [] if driver.selective else newest(condition)
        if driver.everything or (keyed and keyed[0].keys()):
            filters = keyed[0].filters if keyed else ({},)
            return await _count_in_windows(database, collection, filters, exact)
        if len(driver.filters) == 1:
            # Only what is not deleted has keys: those of an index are counted without looking further.
            rest = [] if isinstance(condition, q.Keys) else [exact]
            found = await run(collection, [{"$match": driver.filters[0]}, *rest, {"$count": "n"}])
            return int(found[0]["n"]) if found else 0
        # What satisfies two of the filters is counted once.
        parts = await asyncio.gather(
            *(run(collection, [{"$match": f}, exact, {"$project": {"_id": 1}}]) for f in driver.filters)
        )
        return len({row["_id"] for part in parts for row in part})


async def _count_in_windows(
    database: Database, collection: Collection, filters: Sequence[Document], exact: Document
) -> int:
    """What may be much is counted a part at a time: the embedded engine holds all of it, and others wait."""
    high, window, count = await _start(database, None), 4 * WINDOW, 0
    while high > 1:
        low = max(1, high - window)
        bounds = {"seq": {"$gte": low, "$lt": high}}
        heads = [[{"$match": {**filter, **bounds}}, exact] for filter in filters]
        if len(heads) == 1:
            rows = await run(collection, [*heads[0], {"$count": "n"}])
            found = int(rows[0]["n"]) if rows else 0
        else:
            # What has two of the keys is counted once.
            parts = await asyncio.gather(*(run(collection, [*h, {"$project": {"_id": 1}}]) for h in heads))
            found = len({row["_id"] for part in parts for row in part})
        count, high = count + found, low
        window = max(FIRST, window // 2) if found > WINDOW else 2 * window if found < WINDOW // 4 else window
    return count


# --- the three ways to run


async def _newest(
    collection: Collection,
    filters: Iterable[Document],
    rest: list[Document],
    between: list[Document],
    limit: int,
) -> list[Document]:
    """The newest of what satisfies one of the filters, each of which has an index."""
    last: list[Document] = [{"$sort": {"seq": -1}}, {"$limit": limit}, {"$project": {**FIELDS, "seq": 1}}]
    parts = await asyncio.gather(*(run(collection, [{"$match": f}, *rest, *between, *last]) for f in filters))
    return _first([document for part in parts for document in part], limit)


def _first(documents: list[Document], limit: int) -> list[Document]:
    found = {document["_id"]: document for document in documents}
    return sorted(found.values(), key=lambda document: document["seq"], reverse=True)[:limit]


async def _rarest(
    database: Database, collection: Collection, drivers: list[Driver], after: Position | None
) -> Driver:
    """The driver that matches least of the newest."""
    if len(drivers) == 1:
        return drivers[0]
    high = await _start(database, after)
    bounds = {"seq": {"$gte": high - WINDOW, "$lt": high}}
    ids: list[Document] = [{"$limit": FIRST}, {"$project": {"_id": 1}}]

    async def matches(driver: Driver) -> int:
        found = [run(collection, [{"$match": {**f, **bounds}}, *ids]) for f in driver.filters]
        return sum(map(len, await asyncio.gather(*found)))

    counts = await asyncio.gather(*map(matches, drivers))
    return min(zip(counts, drivers, strict=True), key=lambda pair: (pair[0], pair[1].rank))[1]


async def _by_keys(
    database: Database,
    collection: Collection,
    driver: Driver,
    rest: list[Document],
    after: Position | None,
    limit: int,
) -> list[Document]:
    """Newest first by a few keys: in windows of ``seq``, which with a key is one index."""
    high, read = await _start(database, after), 0
    window = max(FIRST if driver.coarse else LEAST, 2 * limit)
    keys = [filter for filter in driver.filters if "keys" in filter]
    others = [filter for filter in driver.filters if "keys" not in filter]
    if others and not await _newest(collection, others, rest, [{"$match": {"seq": {"$lt": high}}}], 1):
        others = []  # of what is beyond all keys there is mostly nothing
    found: list[Document] = []
    while high > 1 and len(found) < limit:
        low = max(1, high - window)
        bounds = {"$gte": low, "$lt": high}
        parts = await asyncio.gather(
            _newest(collection, [{**key, "seq": bounds} for key in keys], rest, [], limit),
            _newest(collection, others, rest, [{"$match": {"seq": bounds}}], limit),
        )
        found += _first([document for part in parts for document in part], limit - len(found))
        high, read = low, read + window
        # No more than what is missing seems to need; where there is nothing yet, a little of much more.
        needed = (limit - len(found)) * read * 5 // (4 * len(found)) if found else 32 * window
        window = max(LEAST, min(32 * window, needed))
    return found


async def _windows(
    database: Database,
    type: str,
    driver: Driver,
    rest: list[Document],
    after: Position | None,
    limit: int,
) -> list[Document]:
    """Newest first without an index but that of ``seq``, in windows that grow, until there is enough; when
    few of the newest match, what is older by the driver."""
    collection = database.collection(type)
    high, read = await _start(database, after), 0
    window = max(FIRST, 2 * limit)
    found: list[Document] = []
    while high > 1 and len(found) < limit:
        rare = (limit - len(found)) * read > 4 * WINDOW * max(1, len(found))
        if read > WINDOW and rare and not driver.everything:
            below: list[Document] = [{"$match": {"seq": {"$lt": high}}}]
            return found + await _newest(collection, driver.filters, rest, below, limit - len(found))
        if read > database.search_documents:
            await affordable(database, type, EVERYTHING)
        low = max(1, high - window)
        found += await _newest(
            collection, [{"seq": {"$gte": low, "$lt": high}}], rest, [], limit - len(found)
        )
        high, read = low, read + window
        # No more than what is missing seems to need.
        needed = (limit - len(found)) * read * 5 // (4 * len(found)) if found else 4 * window
        window = max(FIRST, min(4 * window, needed))
    return found


async def _followed(database: Database, query: q.Query, after: Position | None, limit: int) -> list[Document]:
    """Chains that match too much as a whole: the newest resources, a window at a time, and where these lead.

    Raises:
        TooCostly: even a few resources lead to too much.
    """
    collection = database.collection(query.type)
    parts = query.condition.all if isinstance(query.condition, q.And) else (query.condition,)
    high, window = await _start(database, after), FOLLOWED
    found: list[Document] = []
    while high > 1 and len(found) < limit:
        low = max(1, high - window)
        between = {"$match": {"seq": {"$gte": low, "$lt": high}}}
        ids = tuple(row["_id"] for row in await run(collection, [between, {"$project": {"_id": 1}}]))
        if ids:
            try:
                condition = await resolve(database, query.type, q.And((q.Ids(ids), *parts)))
            except TooCostly:
                if len(ids) == 1:
                    raise
                window = max(1, window // 4)
                continue
            exact: Document = {"$match": exactly(condition)}
            found += await _newest(collection, choose(condition).filters, [exact], [], limit - len(found))
        high, window = low, min(2 * window, WINDOW)
    return found


async def _start(database: Database, after: Position | None) -> int:
    """The ``seq`` before which a page begins."""
    if after:
        return int(after.tie)
    counter = await database.collection("counters").find_one({"_id": "seq"})
    return (int(counter["n"]) if counter else 0) + 1


async def _sorted(
    database: Database,
    query: q.Query,
    driver: Driver,
    rest: list[Document],
    after: Position | None,
    limit: int,
) -> list[Document]:
    """Explicit ``_sort``: resources without a value come last, whatever the direction; ties by id."""
    sort = query.sort
    keys = [_sort_field(s) for s in sort]
    stages = [*rest]
    stages.append({"$set": {f"k{i}": {"$ifNull": [key, None]} for i, key in enumerate(keys)}})
    stages.append({"$set": {f"m{i}": {"$eq": [f"$k{i}", None]} for i in range(len(keys))}})
    if after:
        stages.append({"$match": _past(sort, after)})
    order: dict[str, int] = {}
    for i, s in enumerate(sort):
        order |= {f"m{i}": 1, f"k{i}": -1 if s.descending else 1}
    stages += [{"$sort": {**order, "_id": 1}}, {"$limit": limit}]
    stages.append({"$project": {**FIELDS, **{f"k{i}": 1 for i in range(len(keys))}}})
    collection = database.collection(query.type)
    parts = await asyncio.gather(*(run(collection, [{"$match": f}, *stages]) for f in driver.filters))
    found = list({document["_id"]: document for part in parts for document in part}.values())
    for document in found:
        values = [document[f"k{i}"] for i in range(len(keys))]
        document["k"] = [int(v) if isinstance(v, int) else v for v in values]
    return _merged(found, sort)[:limit] if len(parts) > 1 else found


def _merged(documents: list[Document], sort: tuple[q.Sort, ...]) -> list[Document]:
    documents.sort(key=lambda document: str(document["_id"]))
    for i in reversed(range(len(sort))):
        valued = [d for d in documents if d["k"][i] is not None]
        missing = [d for d in documents if d["k"][i] is None]
        documents = sorted(valued, key=itemgetter(f"k{i}"), reverse=sort[i].descending) + missing
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


def _past_seq(after: Position | None) -> list[Document]:
    return [{"$match": {"seq": {"$lt": after.tie}}}] if after else []
