"""Chooses what a search starts from: filters with an index each, of which every match satisfies one.

The most selective part of an And; for an Or those of all its parts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fhirserver.search import fulltext
from fhirserver.search import query as q
from fhirserver.storage.documents import Document

COARSE = "^"
"""What keys of ``search.buckets`` begin with."""
WORDS = (fulltext.NARRATIVE, fulltext.CONTENT)
KEYS = 8
"""A search of more common keys is not read key by key."""
MOST = 16
"""So many filters are read side by side; an Or of more has no driver."""
FEW = 12
"""Up to this rank a driver matches few resources, however large the store is."""
CONTAINED, SELDOM = "#", 30
"""What keys of contained resources begin with, and how broad they are at most."""
BROAD = 50
"""From this rank on a driver may match much of a collection."""
ALL = 100
_REFERRED_BY_MANY = frozenset(
    (
        "Organization",
        "Practitioner",
        "PractitionerRole",
        "Location",
        "HealthcareService",
        "Device",
        "Endpoint",
    )
)


@dataclass(frozen=True, slots=True)
class Driver:
    """Filters, each one indexable; a lower rank is more selective."""

    filters: tuple[Document, ...]
    rank: int

    @property
    def few(self) -> bool:
        return self.rank < FEW

    @property
    def selective(self) -> bool:
        return self.rank < BROAD

    @property
    def everything(self) -> bool:
        """Whether it leaves nothing out."""
        return self.rank == ALL

    @property
    def coarse(self) -> bool:
        """Whether it is made of keys that stand for ranges."""
        return any(key.startswith(COARSE) for key in _all_keys(self))

    def keys(self) -> list[str]:
        """The keys it finds by equality; none when something else is among its filters."""
        found = [_equal_keys(filter) for filter in self.filters]
        return [key for keys in found for key in keys] if all(found) else []


# A deletion has no seq.
EVERYTHING = Driver(({"seq": {"$gt": 0}},), ALL)


def choose(condition: q.Condition) -> Driver:
    """The driver of a condition without chains."""
    match condition:
        case q.Nothing():
            return Driver((), 0)
        case q.Ids(ids):
            return Driver(({"_id": {"$in": list(ids)}},), 0)
        case q.Keys(keys):
            return Driver((_keys(keys),), max(map(_breadth, keys), default=0))
        case q.Range(low, high):
            return Driver(({"sorted": {"$gte": low, "$lt": high}},), _spread(low, high))
        case q.KeyRange(low, high):
            return Driver(({"keys": {"$gte": low, "$lt": high}},), SELDOM if low[0] == CONTAINED else 80)
        case q.Updated(low, high):
            bounds = {op: v for op, v in (("$gte", low), ("$lt", high)) if v is not None}
            return Driver(({"updated": bounds},), 40 if low is not None else 75) if bounds else EVERYTHING
        case q.And(parts):
            return min((choose(part) for part in parts), key=lambda d: d.rank, default=EVERYTHING)
        case q.Or(parts):
            return _union([choose(part) for part in parts])
        case _:
            return EVERYTHING


def newest(condition: q.Condition) -> list[Driver]:
    """What the newest are read by: keys have an index together with ``seq``, coarse ones for this very end.

    Of words each, as none of them tells how rare it is. Empty where something else is selective, where there
    are no keys, or too many.
    """
    parts = condition.all if isinstance(condition, q.And) else (condition,)
    drivers = [driver for driver in map(choose, parts) if 0 < _size(driver) <= KEYS]
    best = min(drivers, key=lambda d: max(map(_breadth, _all_keys(d))), default=None)
    if best is None:
        return []
    coarse = {key[1:].partition("|")[0] for key in _all_keys(best) if key.startswith(COARSE)}
    if not (coarse or best.keys()):
        return []
    if any(choose(part).selective for part in parts if not _ranges(part) <= coarse):
        return []
    found = [driver for driver in drivers if _is_words(driver)] if _is_words(best) else [best]
    return [Driver(tuple(_apart(driver.filters)), driver.rank) for driver in found]


def _all_keys(driver: Driver) -> list[str]:
    return [key for filter in driver.filters for key in _equal_keys(filter)]


def _size(driver: Driver) -> int:
    """How many filters it is, key by key; 0 where it has no keys."""
    others = sum(1 for filter in driver.filters if not _equal_keys(filter))
    keys = _all_keys(driver)
    return len(keys) + others if keys else 0


def _is_words(driver: Driver) -> bool:
    return all(key.partition("|")[0] in WORDS for key in _all_keys(driver))


def _ranges(condition: q.Condition) -> set[str]:
    """The parameters of a range, or of several in an Or; of anything else one that is never coarse."""
    match condition:
        case q.Range(low):
            return {low.partition("|")[0].removesuffix(":wide")}
        case q.Or(parts):
            return set().union(*map(_ranges, parts))
        case _:
            return {""}


def _apart(filters: Sequence[Document]) -> Iterator[Document]:
    """Each key by itself: only so its index serves a range of ``seq`` as well."""
    for filter in filters:
        keys = _equal_keys(filter)
        yield from ({"keys": key} for key in keys) if keys else (filter,)


def _keys(keys: Sequence[str]) -> Document:
    return {"keys": keys[0] if len(keys) == 1 else {"$in": list(keys)}}


def _breadth(key: str) -> int:
    """How much of a collection a key may match, by what it names.

    An identifier is one resource, a code of a patient's record and a reference to a patient or a document a
    few; a code, a status, a presence key, or who did it may be half of everything.
    """
    if key.startswith(CONTAINED):
        return min(_breadth(key.partition(">")[2]), SELDOM)
    parameter, _, value = key.partition("|")
    type, slash, _ = value.partition("/")
    if parameter.startswith(COARSE):
        # A day is less than a month, five letters are less than three.
        return BROAD + 9 - min(len(key.rpartition("|")[2]), 9)
    if parameter in WORDS:
        # Long words are rare, and so are resources of very many words.
        return BROAD if value == fulltext.MORE else BROAD + 9 - min(len(value), 9)
    if parameter.startswith("@"):
        return 3
    if parameter == "identifier" and value:
        return 5
    return 10 if slash and type.isalpha() and type not in _REFERRED_BY_MANY else 60


def _spread(low: str, high: str) -> int:
    """How much of a collection a range may match: bounds that begin alike enclose little."""
    if low.startswith(CONTAINED):
        return min(_spread(low.partition(">")[2], high.partition(">")[2]), SELDOM)
    name, _, start = low.partition("|")
    end = high.partition("|")[2]
    if low.startswith("@Patient/"):
        return 4
    if name.endswith(":wide"):
        return 15
    if name == "@code":
        # Behind the code itself, when any value beyond a limit will do.
        return 20 if start.rpartition("|")[2][:7] == end.rpartition("|")[2][:7] else 65
    days = _days(start, end)
    if days is not None:
        return 15 if days <= 2 else 40 if days <= 62 else 70
    # So many letters of a name.
    return 20 if start[:8] and start[:8] == end[:8] else 30 if start[:3] and start[:3] == end[:3] else 70


def _days(start: str, end: str) -> float | None:
    try:
        length = datetime.fromisoformat(end[:26]) - datetime.fromisoformat(start[:26])
    except ValueError:
        return None
    return length / timedelta(days=1) if start[4:5] == "-" else None


def _union(drivers: list[Driver]) -> Driver:
    filters = [filter for driver in drivers for filter in driver.filters]
    rank = max((driver.rank for driver in drivers), default=0)
    ids = [id for f in filters for id in f.get("_id", {}).get("$in", ())]
    keys = [key for filter in filters for key in _equal_keys(filter)]
    others = [f for f in filters if "_id" not in f and not _equal_keys(f)]
    merged = [*([{"_id": {"$in": ids}}] if ids else []), *([_keys(keys)] if keys else []), *others]
    return EVERYTHING if rank == ALL or len(merged) > MOST else Driver(tuple(merged), rank)


def _equal_keys(filter: Document) -> list[str]:
    match filter:
        case {"keys": str(key)}:
            return [key]
        case {"keys": {"$in": list(keys)}}:
            return keys
        case _:
            return []
