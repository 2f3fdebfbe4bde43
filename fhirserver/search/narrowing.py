"""Conditions that follow from several others and find less than each of them: what a search starts from.

A patient's record may be long and a code common; both together are few. So what a record is searched by is
indexed once more with the patient in front: ``@Patient/1|code|8480-6`` (without the system) in ``keys`` and
``@Patient/1|date|2024-...`` (where the time begins) in ``sorted``. Likewise a quantity
with its code: ``@code|29463-7|value-quantity:ucum|g|...``.

What ends after A and begins before B begins between A - ``SHORT`` and B, unless it is long, or there are
several values, one of them before and another after. Such resources are marked ``date:wide|``.

What may be much however narrow it is, a name, a day, is asked by coarse keys as well: see ``buckets``.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

from fhirserver.search import buckets
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
    coarse = list(buckets.of_names(index.sorted))
    for name, low, high in ordered:
        if name in DATES:
            coarse += [buckets.wide(name)] if name in wide else buckets.of_time(name, low, high)
    entries = [entry for entry in index.sorted if entry.startswith(_MEASURED)]
    measured = [f"@{code}|{entry}" for code in codes if code.startswith("code|") for entry in entries]
    index.sorted += measured
    coarse += [key for entry in measured for key in buckets.of_measured(entry)]
    index.keys += dict.fromkeys(coarse)
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
    if len(parts) == 1 and isinstance(parts[0], Keys):
        return parts[0]  # nothing follows from it alone; every conditional write asks this
    coarse = (*_named(parts), *_dated(parts))
    found = (*_with_patient(parts), *_with_code(parts), *coarse, *_between(parts, ""), *parts)
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
            for value in values if parameter == "code" and code else ():
                low, high = f"@code|{code}|{value.low}", f"@code|{code}|{value.high}"
                yield Range(low, high)
                keys, beyond = buckets.for_measured(low, high)
                if beyond:
                    yield Or((Keys(keys), Range(*beyond)))


# --- by coarse keys


def _named(parts: tuple[Condition, ...]) -> Iterator[Condition]:
    for part in parts:
        ranges = part.any if isinstance(part, Or) else (part,)
        keys = [buckets.for_name(r.low, r.high) if isinstance(r, Range) else () for r in ranges]
        if all(keys):
            yield Keys(tuple(dict.fromkeys(key for found in keys for key in found)))


def _dated(parts: tuple[Condition, ...]) -> Iterator[Condition]:
    for name, (low, high) in _limits(parts).items():
        if name in DATES and (keys := buckets.for_times(name, low, high)):
            yield Keys(keys)


# --- between two limits


def _limits(parts: tuple[Condition, ...]) -> dict[str, tuple[str, str]]:
    """By parameter the greatest lower and the least upper limit, "" for none, of entries in its ranges."""
    limits: dict[str, tuple[str, str]] = {}
    for part in parts:
        if isinstance(part, Range) and not part.pattern:
            name, _, low = part.low.partition("|")
            high = "" if part.high == f"{name}}}" else part.high.removeprefix(f"{name}|")
            known = limits.get(name, ("", ""))
            limits[name] = max(known[0], low), min(filter(None, (known[1], high)), default="")
    return limits


def _between(parts: tuple[Condition, ...], front: str) -> Iterator[Condition]:
    """The values between all limits for a parameter; without a patient in front only if there are two."""
    for name, (low, high) in _limits(tuple(p for p in parts if front or not _closed(p))).items():
        if front and name not in DATES:
            continue
        if (low or high) if front else (low and high):
            start = f"{front}{name}|{_earlier(low)}"
            stop = f"{front}{name}|{high}" if high else f"{front}{name}}}"
            wide = f"{front}{name}{_WIDE}|"
            yield Or((Range(start, stop), Range(wide, wide[:-1] + "}")))


def _closed(part: Condition) -> bool:
    """Whether it has both limits: that of a string is no interval, that of another narrows by itself."""
    if not isinstance(part, Range):
        return False
    name, _, low = part.low.partition("|")
    return bool(low) and part.high != f"{name}}}"


def _is_wide(low: str, high: str) -> bool:
    """Whether the interval is more than a point, or a longer time than ``SHORT``."""
    if low == high:
        return False
    start, end = buckets.time(low), buckets.time(high)
    return start is None or end is None or end - start > SHORT


def _earlier(low: str) -> str:
    """Where an interval that is not wide begins at the earliest, if it ends after this."""
    start = buckets.time(low)
    if start is None:
        return low
    try:
        return (start - SHORT).isoformat(timespec="microseconds")
    except OverflowError:
        return ""
