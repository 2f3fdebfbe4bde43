"""Chooses what a search starts from: ONE indexable filter that every match satisfies, the most selective."""

from collections.abc import Iterable
from dataclasses import dataclass

from fhirserver.search import query as q
from fhirserver.storage.documents import Document

NARROW = 3


@dataclass(frozen=True, slots=True)
class Driver:
    """One indexable filter that every match satisfies. A lower rank is more selective."""

    filter: Document
    rank: int

    @property
    def selective(self) -> bool:
        return self.rank < BROAD


BROAD = 50
_REFERRED_BY_MANY = frozenset(
    {
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Location",
        "HealthcareService",
        "Device",
        "Endpoint",
    }
)
EVERYTHING = Driver({}, 100)


def choose(condition: q.Condition) -> Driver:
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
            return min((choose(part) for part in parts), key=lambda d: d.rank, default=EVERYTHING)
        case q.Or(parts):
            return _union([choose(part) for part in parts])
        case _:
            return EVERYTHING


def _breadth(keys: Iterable[str]) -> int:
    """How much of a collection keys may match, by what they name.

    An identifier is one resource, a reference to a patient or a document a few; a code, a status, a presence
    key, or who did it may be half of everything.
    """
    worst = 0
    for key in keys:
        parameter, _, value = key.partition("|")
        type, slash, _ = value.partition("/")
        if parameter == "identifier" and value:
            rank = 5
        elif slash and type.isalpha() and type not in _REFERRED_BY_MANY:
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
