"""Coarse keys for what is ordered: so that a range becomes a few keys, which are read newest first.

An index over ``sorted`` finds a range, but all of it: of a frequent name thousands, for a page of fifty. Keys
have an index together with ``seq``, so the newest of a key are found as such. So the days and months of a
date, the first letters of a name and the magnitude of what was measured are keys as well,
``^date|2024-05-01``, ``^name|dur``, ``^@code|8480-6|value-quantity:ucum|...|6100021``. They only narrow: what
was asked is checked.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

NAMES = frozenset({"name", "family", "given"})
LETTERS = (3, 5)
"""The first so many letters of a name are a key."""
MOST = 7
"""A range that needs more keys has none; one more says what is too long for them."""
DECADES = 2
"""An open range is read by the keys of so many powers of ten, and beyond them as a range."""
WIDE = "wide"

_MAGNITUDE, _DIGIT = 6, 7
"""So long is the power of ten, and that with the first digit, in the sortable text of a number."""


# --- names


def of_names(entries: Iterable[str]) -> Iterator[str]:
    """The keys of the entries of strings, ``family|durand\\x1fDURAND``."""
    for entry in entries:
        name, _, text = entry.partition("|")
        if name in NAMES:
            folded = text.partition("\x1f")[0]
            yield from (f"^{name}|{folded[:n]}" for n in LETTERS if len(folded) >= n)


def for_name(low: str, high: str) -> tuple[str, ...]:
    """The key of a range of strings whose limits begin alike."""
    name, _, text = low.partition("|")
    start = text.partition("\x1f")[0]
    if name in NAMES and high.startswith(f"{name}|"):
        for letters in reversed(LETTERS):
            if len(start) >= letters and high[len(name) + 1 :].startswith(start[:letters]):
                return (f"^{name}|{start[:letters]}",)
    return ()


# --- times


def of_time(name: str, low: str, high: str) -> Iterator[str]:
    """The days and the months that a short interval touches."""
    start, end = time(low), time(high)
    if start is not None and end is not None:
        for day in _days(start, max(start, end - timedelta(microseconds=1))):
            yield f"^{name}|{day}"
            yield f"^{name}|{day[:7]}"


def wide(name: str) -> str:
    """The key of what has an interval that is not short."""
    return f"^{name}|{WIDE}"


def for_times(name: str, low: str, high: str) -> tuple[str, ...]:
    """The days between two limits, or the months, and what is wide; nothing when these are too many."""
    start, end = time(low), time(high)
    if start is None or end is None or end < start:
        return ()
    if len(high) <= 26 and end > start:
        end -= timedelta(microseconds=1)
    months = (end.year - start.year) * 12 + end.month - start.month + 1
    if (end.date() - start.date()).days < MOST:
        found: Sequence[str] = _days(start, end)
    elif months <= MOST:
        first = start.year * 12 + start.month - 1
        found = [f"{n // 12:04d}-{n % 12 + 1:02d}" for n in range(first, first + months)]
    else:
        return ()
    return (*(f"^{name}|{part}" for part in found), wide(name))


def _days(start: datetime, end: datetime) -> list[str]:
    count = (end.date() - start.date()).days + 1
    return [(start.date() + timedelta(days=n)).isoformat() for n in range(count)]


@lru_cache(maxsize=4096)
def time(text: str) -> datetime | None:
    """A bound of an interval of time, without what marks it as excluded; None where it is another text."""
    if text[4:5] != "-":
        return None
    try:
        return datetime.fromisoformat(text[:26])
    except ValueError:
        return None


# --- numbers


def of_measured(entry: str) -> Iterator[str]:
    """The magnitude and the first digit of ``@code|...|value-quantity:ucum|g|61000490``; those of zero and
    of what is below are not asked for."""
    start, _, number = entry.rpartition("|")
    if number[:1] == "6":
        yield f"^{start}|{number[:_MAGNITUDE]}"
        yield f"^{start}|{number[:_DIGIT]}"
    elif number == "~":
        yield f"^{start}|{WIDE}"


def for_measured(low: str, high: str) -> tuple[tuple[str, ...], tuple[str, str] | None]:
    """The keys of an open range of measured values above a positive limit, and the range of what is beyond.

    Both limits begin with ``@code|...|value-quantity:ucum|g``; without keys the range is read as it is.
    """
    start, _, number = low.rpartition("|")
    if (
        not high.endswith("}")
        or number[:1] != "6"
        or len(number) < _DIGIT
        or not number[1:_DIGIT].isdecimal()
    ):
        return (), None
    magnitude, digit = int(number[1:_MAGNITUDE]), int(number[_MAGNITUDE])
    if magnitude + DECADES >= 99_999:
        return (), None
    digits = range(digit, 10)
    if digit and len(digits) + DECADES <= MOST:
        first = [f"6{magnitude:05d}{d}" for d in digits]
    else:
        first = [f"6{magnitude:05d}"]
    above = [f"6{magnitude + n:05d}" for n in range(1, DECADES)]
    keys = tuple(f"^{start}|{part}" for part in (*first, *above, WIDE))
    return keys, (f"{start}|6{magnitude + DECADES:05d}", high)
