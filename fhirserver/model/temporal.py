"""Dates and times as intervals that can be compared as text.

A FHIR date is not a point: ``2013-01`` is the whole of January. An ``Interval`` is ``[low, high)``, both in
UTC and of one width, ``2013-01-14T10:00:00.000000``, so that comparing text compares time, from the year 0001
to 9999 (what the zone would carry beyond is cut to these).

* A date or time without a zone is in the server's default zone (Europe/Paris unless set otherwise), on both
  sides of a comparison: https://hl7.org/fhir/R4/search.html#date says "the server's local time zone".
* The last digit that is written is the precision: ``10:00`` is a minute, ``10:00:00.5`` a tenth of a second.
  Digits beyond the microsecond are accepted and not kept.
* ``MIN`` stands for "no lower limit", ``MAX`` for "no upper limit"; they sort before and after every time.
"""

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, NamedTuple

MIN, MAX = "", "~"

_parts = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
).fullmatch
_EPOCH = datetime(1970, 1, 1)  # Naive times are UTC throughout this module.
_MICROSECOND = timedelta(microseconds=1)


class NotTemporal(ValueError):
    """The text is not a FHIR date, dateTime or instant."""


class Interval(NamedTuple):
    """``low <= t < high`` as sortable text."""

    low: str
    high: str


def interval(text: str, zone: tzinfo) -> Interval:
    """The time that a date, dateTime or instant covers; ``zone`` is for one that does not say its own.

    Raises:
        NotTemporal: it is none of these, or there is no such day or hour.
    """
    return _interval(text, zone)


def period(element: Mapping[str, Any], zone: tzinfo) -> Interval:
    """The time that a Period covers: from ``start`` to the end of ``end``, open where one is missing.

    Raises:
        NotTemporal: see ``interval``.
    """
    start, end = element.get("start"), element.get("end")
    return Interval(
        interval(start, zone).low if start else MIN,
        interval(end, zone).high if end else MAX,
    )


def timing(element: Mapping[str, Any], zone: tzinfo) -> Interval | None:
    """The outer limits of a Timing, by its events and its bounds; None when it has no calendar time at all.

    Raises:
        NotTemporal: see ``interval``.
    """
    intervals = [interval(event, zone) for event in element.get("event", ()) if event is not None]
    bounds = element.get("repeat", {}).get("boundsPeriod")
    if bounds:
        intervals.append(period(bounds, zone))
    if not intervals:
        return None
    return Interval(min(i.low for i in intervals), max(i.high for i in intervals))


def microseconds(bound: str) -> int:
    """A bound of an interval as microseconds since 1970; MIN and MAX are the calendar's ends."""
    if bound == MIN:
        instant = datetime.min
    elif bound == MAX:
        instant = datetime.max
    else:
        instant = datetime.fromisoformat(bound)
    return (instant - _EPOCH) // _MICROSECOND


def bound(microseconds: int) -> str:
    """Microseconds since 1970 as a bound; MIN or MAX beyond the calendar's ends."""
    try:
        return _sortable(_EPOCH + microseconds * _MICROSECOND)
    except OverflowError:
        return MIN if microseconds < 0 else MAX


@lru_cache(maxsize=4096)
def _interval(text: str, zone: tzinfo) -> Interval:
    found = _parts(text)
    if found is None:
        example = "2024, 2024-03, 2024-03-31 or 2024-03-31T10:00:00Z"
        raise NotTemporal(f"{text[:40]!r} is not a date such as {example}")
    try:
        return _time(found, zone) if found[4] else _days(found, zone)
    except ValueError:
        raise NotTemporal(f"{text[:40]!r} has a month, day, hour or zone that does not exist") from None


def _days(found: re.Match[str], zone: tzinfo) -> Interval:
    year, month, day = found.group(1, 2, 3)
    first = date(int(year), int(month or 1), int(day or 1))
    if day:
        last = first
    elif month:
        last = first.replace(day=monthrange(first.year, first.month)[1])
    else:
        last = date(first.year, 12, 31)
    low = _utc(datetime(first.year, first.month, first.day), zone)
    if last == date.max:
        return Interval(_sortable(low), MAX)
    following = last + timedelta(days=1)
    high = _utc(datetime(following.year, following.month, following.day), zone)
    return Interval(_sortable(low), _sortable(high))


def _time(found: re.Match[str], zone: tzinfo) -> Interval:
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    # 60 is a leap second: the calendar here has none, it is the first second of the next minute.
    leap = second == "60"
    local = datetime(
        int(year), int(month), int(day), int(hour), int(minute), 59 if leap else int(second or 0)
    )
    if leap or fraction:
        local += timedelta(seconds=leap, microseconds=int((fraction or "0")[:6].ljust(6, "0")))
    low = _utc(local, _offset(offset) if offset else zone)
    if second is None:
        width = timedelta(minutes=1)
    elif fraction is None:
        width = timedelta(seconds=1)
    else:
        width = timedelta(microseconds=10 ** max(0, 6 - len(fraction)))
    try:
        return Interval(_sortable(low), _sortable(low + width))
    except OverflowError:
        return Interval(_sortable(low), MAX)


def _utc(local: datetime, zone: tzinfo) -> datetime:
    offset = local.replace(tzinfo=zone).utcoffset()
    assert offset is not None
    try:
        return local - offset
    except OverflowError:
        return datetime.min if local.year == 1 else datetime.max


@lru_cache(maxsize=64)
def _offset(text: str) -> tzinfo:
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if minutes > 59 or hours * 60 + minutes > 14 * 60:
        raise ValueError(text)
    return timezone((1 if text[0] == "+" else -1) * timedelta(hours=hours, minutes=minutes))


def _sortable(instant: datetime) -> str:
    return instant.isoformat(timespec="microseconds")
