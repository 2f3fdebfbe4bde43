"""Conditions that follow from several others and find less than each of them: what a search starts from.

A patient's record may be long and a code common; both together are few. So what a record is searched by is
indexed once more with the patient in front: ``@Patient/1|code|8480-6`` (without the system) in ``keys`` and
``@Patient/1|date|2024-...`` (where the time begins) in ``sorted``. Likewise a quantity
with its code: ``@code|29463-7|value-quantity:ucum|g|...``.

What ends after A and begins before B begins between A - ``SHORT`` and B, unless it is long, or there are
several values, one of them before and another after. Such resources are marked ``date:wide|``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from fhirserver.search.query import And, Condition, Everything, Index, Keys, Or, Range
from fhirserver.search.values import split

TOKENS = frozenset({"code", "category", "type", "vaccine-code", "class"})
DATES = frozenset({"date"})
SHORT = timedelta(days=1, hours=1)
"""A day, also one on which the clocks change."""

_PATIENT = ("patient|Patient/", "subject|Patient/")
_MEASURED = "value-quantity:ucum|"
_WIDE = ":wide"


def entries(index: Index) -> None:
    """Add to the index of a resource what makes it found together with its patient."""
    # Without the parts of composites, the units of quantities and the texts of tokens.
    ordered = [interval for interval in index.intervals if "|" not in interval[0] and ":" not in interval[0]]
    number = Counter(name for name, _, _ in ordered)
    wide = {name for name, low, high in ordered if number[name] > 1 or _is_wide(low, high)}
    index.sorted += [f"{name}{_WIDE}|" for name in sorted(wide)]
    codes = [key for key in index.keys if _is_bare(key)]
    measured = [entry for entry in index.sorted if entry.startswith(_MEASURED)]
    index.sorted += [f"@{code}|{entry}" for code in codes if code.startswith("code|") for entry in measured]
    for patient in dict.fromkeys(map(_patient, index.keys)):
        if patient:
            front = f"@{patient}|"
            index.keys += [front + code for code in codes]
            dates = [(name, low) for name, low, _ in ordered if name in DATES]
            index.sorted += [f"{front}{name}|{low}" for name, low in dates]
            index.sorted += [f"{front}{name}{_WIDE}|" for name in sorted(DATES & wide)]


def narrow(conditions: Iterable[Condition]) -> Condition:
    """And, with what follows from its parts."""
    parts = tuple(_flat(conditions))
    if not parts:
        return Everything()
    found = (*_with_patient(parts), *_with_code(parts), *_between(parts, ""), *parts)
    return found[0] if len(found) == 1 else And(found)


def _flat(conditions: Iterable[Condition]) -> Iterator[Condition]:
    for condition in conditions:
        if isinstance(condition, And):
            yield from _flat(condition.all)
        elif not isinstance(condition, Everything):
            yield condition


# --- together with a patient


def _patient(key: str) -> str:
    """``Patient/1`` where the key is a reference to it, else ""."""
    return key.partition("|")[2] if key.startswith(_PATIENT) and key.count("/") == 1 else ""


def _is_bare(key: str) -> bool:
    """Whether it is a code without a system, of a parameter that records are searched by."""
    parameter, _, value = key.partition("|")
    return parameter in TOKENS and bool(value) and len(split(value, "|")) == 1


def _with_patient(parts: tuple[Condition, ...]) -> Iterator[Condition]:
    asked = (part.keys[0] for part in parts if isinstance(part, Keys) and len(part.keys) == 1)
    patient = next(filter(None, map(_patient, asked)), "")
    if not patient:
        return
    for part in parts:
        if isinstance(part, Keys):
            codes = [split(key, "|") for key in part.keys]
            if all(code[0] in TOKENS and code[-1] for code in codes):
                yield Keys(tuple(dict.fromkeys(f"@{patient}|{code[0]}|{code[-1]}" for code in codes)))
    yield from _between(parts, f"@{patient}|")


# --- what was measured, and how much


def _with_code(parts: tuple[Condition, ...]) -> Iterator[Condition]:
    values = [p for p in parts if isinstance(p, Range) and p.low.startswith(_MEASURED)]
    for part in parts if values else ():
        if isinstance(part, Keys) and len(part.keys) == 1:
            parameter, *_, code = split(part.keys[0], "|")
            if parameter == "code" and code:
                yield from (Range(f"@code|{code}|{v.low}", f"@code|{code}|{v.high}") for v in values)


# --- between two limits


def _between(parts: tuple[Condition, ...], front: str) -> Iterator[Condition]:
    """The values between all limits for a parameter; without a patient in front only if there are two."""
    limits: dict[str, tuple[str, str]] = {}
    for part in parts:
        if isinstance(part, Range) and not part.pattern:
            name, _, low = part.low.partition("|")
            high = "" if part.high == f"{name}}}" else part.high.removeprefix(f"{name}|")
            # A string's range has one limit for both ends, and is no interval.
            if name not in DATES if front else (low and high):
                continue
            known = limits.get(name, ("", ""))
            limits[name] = max(known[0], low), min(filter(None, (known[1], high)), default="")
    for name, (low, high) in limits.items():
        if (low or high) if front else (low and high):
            start = f"{front}{name}|{_earlier(low)}"
            stop = f"{front}{name}|{high}" if high else f"{front}{name}}}"
            wide = f"{front}{name}{_WIDE}|"
            yield Or((Range(start, stop), Range(wide, wide[:-1] + "}")))


def _is_wide(low: str, high: str) -> bool:
    """Whether the interval is more than a point, or a longer time than ``SHORT``."""
    if low == high:
        return False
    start, end = _time(low), _time(high)
    return start is None or end is None or end - start > SHORT


def _earlier(low: str) -> str:
    """Where an interval that is not wide begins at the earliest, if it ends after this."""
    start = _time(low)
    if start is None:
        return low
    try:
        return (start - SHORT).isoformat(timespec="microseconds")
    except OverflowError:
        return ""


@lru_cache(maxsize=4096)
def _time(text: str) -> datetime | None:
    """A bound of an interval of time, without what marks it as excluded; None where it is another text."""
    if text[4:5] != "-":
        return None
    try:
        return datetime.fromisoformat(text[:26])
    except ValueError:
        return None
