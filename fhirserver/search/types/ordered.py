"""What dates, numbers and quantities share: values are intervals, compared bound by bound.

Each value has its bounds in ``sorted`` (one entry when they are equal) and the pair of them in ``intervals``.
What asks for one bound to reach beyond a limit is answered exactly by a range over the first. What asks for
more, of one and the same value, is narrowed by a range and checked on the second.
"""

from typing import Literal

from fhirserver.search.query import And, Condition, Index, Interval, Range
from fhirserver.search.types import sorting

Bound = tuple[Literal["$lt", "$lte", "$gt", "$gte"], str]

_NEXT = "\x01"
"""No entry has this character: x + _NEXT sorts right after x, before everything that is greater."""


def write(index: Index, code: str, low: str, high: str) -> None:
    """Index one value as the interval from low to high, both sortable text."""
    index.sorted.append(f"{code}|{low}")
    if high != low:
        index.sorted.append(f"{code}|{high}")
    index.intervals.append((code, low, high))
    sorting.note_both(index, code, low, high)


def within(code: str, *, low: Bound | None = None, high: Bound | None = None, name: str = "") -> Condition:
    """One value has both bounds. ``name`` is its interval where that is not the parameter's code."""
    start, stop = f"{code}|", f"{code}}}"
    inside = False
    if low and low[0] in ("$gt", "$gte"):
        start, inside = _from(code, low), True
    if high and high[0] in ("$lt", "$lte"):
        stop, inside = _to(code, high), True
    if not inside:
        # The value overlaps a limit, and may well reach over both: only one of them narrows.
        if high:
            start = _from(code, high)
        elif low:
            stop = _to(code, low)
        if not name and (low is None or high is None):
            return Range(start, stop)
    exact = Interval(name or code, (low,) if low else (), (high,) if high else ())
    return And((Range(start, stop), exact))


def _from(code: str, bound: Bound) -> str:
    operator, value = bound
    return f"{code}|{value}" if operator == "$gte" else f"{code}|{value}{_NEXT}"


def _to(code: str, bound: Bound) -> str:
    operator, value = bound
    return f"{code}|{value}" if operator == "$lt" else f"{code}|{value}{_NEXT}"
