"""What a condition means, said slowly: over one Index, without a database.

The tests hold storage and search to it.
"""

import re
from operator import ge, gt, le, lt
from typing import Any

from fhirserver.search.query import (
    And,
    Condition,
    Everything,
    Ids,
    Index,
    Interval,
    KeyRange,
    Keys,
    Not,
    Nothing,
    Or,
    Range,
    Updated,
)

_OPERATORS: dict[str, Any] = {
    "$lt": lt,
    "$lte": le,
    "$gt": gt,
    "$gte": ge,
    "$eq": lambda a, b: a == b,
    "$ne": lambda a, b: a != b,
}


def satisfies(index: Index, id: str, updated: int, condition: Condition) -> bool:
    """Whether the resource with this index, logical id and instant (microseconds since 1970) meets it."""
    match condition:
        case Everything():
            return True
        case Nothing():
            return False
        case Ids(ids):
            return id in ids
        case Keys(keys):
            return any(key in index.keys for key in keys)
        case KeyRange(low, high):
            return any(low <= key < high for key in index.keys)
        case Range(low, high, pattern):
            return any(low <= e < high and re.search(pattern, e) is not None for e in index.sorted)
        case Interval():
            return any(_has(condition, *interval) for interval in index.intervals)
        case Updated(earliest, latest):
            return (earliest is None or earliest <= updated) and (latest is None or updated < latest)
        case And(conditions):
            return all(satisfies(index, id, updated, c) for c in conditions)
        case Or(conditions):
            return any(satisfies(index, id, updated, c) for c in conditions)
        case Not(inner):
            return not satisfies(index, id, updated, inner)


def _has(asked: Interval, parameter: str, low: str, high: str) -> bool:
    return (
        parameter == asked.parameter
        and all(_OPERATORS[operator](low, bound) for operator, bound in asked.low)
        and all(_OPERATORS[operator](high, bound) for operator, bound in asked.high)
    )
