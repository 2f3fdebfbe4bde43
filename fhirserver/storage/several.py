"""A search of several resource types at once: each type's own search, merged in one order."""

import asyncio
from collections.abc import Sequence

from pymongo.errors import PyMongoError

from fhirserver.errors import Unavailable
from fhirserver.search.query import Query, Sort
from fhirserver.storage import estimate as estimates
from fhirserver.storage import pipeline
from fhirserver.storage.database import Database
from fhirserver.storage.documents import Stored
from fhirserver.storage.pipeline import Page, Position

Row = tuple[Stored, Position]


async def page(database: Database, queries: Sequence[Query], after: Position | None, limit: int) -> Page:
    """At most ``limit`` matches of all queries, which have the same sort, after a position.

    Without a sort newest first; ``seq`` grows over all types.
    Raises:
        Unavailable: the database does not answer.
    """
    try:
        if len(queries) == 1:
            return await pipeline.page(database, queries[0], after, limit)
        starts = [(query, _start(query, after)) for query in queries]
        lists = await asyncio.gather(
            *(pipeline.rows(database, query, start, limit + 1) for query, start in starts)
        )
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None
    merged = _merge([row for rows in lists for row in rows], queries[0].sort if queries else ())
    resources = [stored for stored, _ in merged[:limit]]
    if len(merged) <= limit or not limit:
        return Page(resources, None)
    last, position = merged[limit - 1]
    if not queries[0].sort:
        return Page(resources, position)
    # Resources of two types may have one id: here the type belongs to the tie-breaker.
    return Page(resources, Position(position.values, f"{last.id}/{last.type}"))


async def count(database: Database, queries: Sequence[Query]) -> int:
    """How many match; costs as much as there are. Raises Unavailable."""
    try:
        return sum(await asyncio.gather(*(pipeline.count(database, query) for query in queries)))
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None


async def estimate(database: Database, queries: Sequence[Query]) -> int:
    """About how many match; costs the same however many there are. Raises Unavailable."""
    try:
        return sum(await asyncio.gather(*(estimates.estimate(database, query) for query in queries)))
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None


def _start(query: Query, after: Position | None) -> Position | None:
    """The position in the search of one type."""
    if after is None or not query.sort:
        return after
    id, _, type = str(after.tie).rpartition("/")
    return Position(after.values, id, inclusive=query.type > type)


def _merge(rows: list[Row], sort: tuple[Sort, ...]) -> list[Row]:
    if not sort:
        return sorted(rows, key=lambda row: row[1].tie, reverse=True)
    rows = sorted(rows, key=lambda row: (row[0].id, row[0].type))
    for i, rule in reversed(list(enumerate(sort))):
        # Resources without a value come last, whatever the direction.
        valued = [row for row in rows if row[1].values[i] is not None]
        valued.sort(key=lambda row: row[1].values[i], reverse=rule.descending)  # type: ignore[arg-type, return-value]  # values of one key are of one type
        rows = valued + [row for row in rows if row[1].values[i] is None]
    return rows
