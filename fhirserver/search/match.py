"""What a condition means, said slowly: over one Index, without a database.

The tests hold storage and search to it.
"""

import re
from collections.abc import Iterable, Mapping
from operator import ge, gt, le, lt
from typing import Any

from fhirserver.search.contained import alone
from fhirserver.search.query import (
    And,
    Coded,
    Condition,
    Contained,
    Everything,
    Ids,
    Index,
    Interval,
    KeyRange,
    Keys,
    Near,
    Not,
    Nothing,
    Or,
    Range,
    Referred,
    Refers,
    Updated,
    Within,
)
from fhirserver.search.types.near import metres

Others = Mapping[str, Iterable[tuple[str, Index, int]]]
"""The stored resources by type, as (id, index, updated)."""

_OPERATORS: dict[str, Any] = {
    "$lt": lt,
    "$lte": le,
    "$gt": gt,
    "$gte": ge,
    "$eq": lambda a, b: a == b,
    "$ne": lambda a, b: a != b,
    "$regex": lambda a, b: re.search(b, a) is not None,
}


_SIMPLE = (Everything, Nothing, Ids, Keys, KeyRange, Range, Interval, Updated, Near, Contained)


def decidable(condition: Condition) -> bool:
    """Whether one resource says by itself if it meets the condition."""
    match condition:
        case And(parts) | Or(parts):
            return all(map(decidable, parts))
        case Not(inner):
            return decidable(inner)
        case _:
            return isinstance(condition, _SIMPLE)


def satisfies(
    index: Index, id: str, updated: int, condition: Condition, others: Others | None = None
) -> bool:
    """Whether the resource with this index, logical id and instant (microseconds since 1970) meets it.

    ``others`` is where chains look; without it nothing meets them.
    """
    match condition:
        case Everything():
            return True
        case Nothing():
            return False
        case Ids(ids):
            return id in ids
        case Keys(keys):
            return any(key in index.keys for key in keys)
        case KeyRange(low, high, pattern):
            return any(low <= key < high and re.search(pattern, key) is not None for key in index.keys)
        case Range(low, high, pattern):
            return any(low <= e < high and re.search(pattern, e) is not None for e in index.sorted)
        case Interval():
            return any(_has(condition, *interval) for interval in index.intervals)
        case Coded():
            return False  # nothing here knows the codes
        case Updated(earliest, latest):
            return (earliest is None or earliest <= updated) and (latest is None or updated < latest)
        case Near(name, latitude, longitude, distance):
            points = [(float(low), float(high)) for p, low, high in index.intervals if p == name]
            return any(metres(latitude, longitude, *point) <= distance for point in points)
        case Within():
            related = _related(condition, {o: i.keys for o, i, _ in (others or {}).get(condition.type, ())})
            return any(f"{condition.parameter}|{condition.type}/{other}" in index.keys for other in related)
        case And(conditions):
            return all(satisfies(index, id, updated, c, others) for c in conditions)
        case Or(conditions):
            return any(satisfies(index, id, updated, c, others) for c in conditions)
        case Not(inner):
            return not satisfies(index, id, updated, inner, others)
        case Contained(type, inner, parameter):
            return any(
                c.type == type
                and (not parameter or parameter in c.by)
                and satisfies(c.index, c.id, updated, inner, others)
                for c in index.contained
            )
        case Refers(parameter, type, inner):
            if alone(inner) and satisfies(index, id, updated, Contained(type, inner, parameter)):
                return True
            return any(
                f"{parameter}|{type}/{other}" in index.keys and satisfies(its, other, at, inner, others)
                for other, its, at in (others or {}).get(type, ())
            )
        case Referred(type, source, parameter, inner):
            return any(
                f"{parameter}|{type}/{id}" in its.keys and satisfies(its, other, at, inner, others)
                for other, its, at in (others or {}).get(source, ())
            )


def _related(within: Within, keys: Mapping[str, list[str]]) -> set[str]:
    """The resource and those below it, or above; ``keys`` has the index keys of all of its type by id."""

    def refers(one: str, other: str) -> bool:
        return f"{within.part}|{within.type}/{other}" in keys.get(one, ())

    found, new = {within.id}, {within.id}
    while new:
        new = {
            id
            for id in keys
            if id not in found and any(refers(n, id) if within.above else refers(id, n) for n in new)
        }
        found |= new
    return found


def _has(asked: Interval, parameter: str, low: str, high: str) -> bool:
    return (
        parameter == asked.parameter
        and all(_OPERATORS[operator](low, bound) for operator, bound in asked.low)
        and all(_OPERATORS[operator](high, bound) for operator, bound in asked.high)
    )
