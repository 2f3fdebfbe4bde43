"""Dates and times moved by a duration. https://hl7.org/fhirpath/N1/#datetime-arithmetic"""

import re
from calendar import monthrange
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

_TIME = r"T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?"
_parts = re.compile(rf"(\d{{4}})(?:-(\d\d)(?:-(\d\d)(?:{_TIME})?)?)?").fullmatch
_MONTHS = {"a": 12, "mo": 1}
_SECONDS = {"wk": "604800", "d": "86400", "h": "3600", "min": "60", "s": "1", "ms": "0.001"}
_DAY, _MONTH, _YEAR = 86_400, 30 * 86_400, 365 * 86_400


def moved(text: str, duration: Mapping[str, Any], sign: int) -> str | None:
    """A date or dateTime later (``sign`` 1) or earlier (-1), as precise as it was.

    Where it is less precise than the duration, of this only whole years, months or days count. None for what
    is no date, no duration or beyond the calendar.
    """
    number: Any = duration.get("value")
    found, unit = _parts(text), str(duration.get("code"))
    if found is None or type(number) not in (int, Decimal):
        return None
    year, month, day, clock, fraction, zone = found.groups()
    months = sign * int(number * _MONTHS[unit]) if unit in _MONTHS else 0
    if unit not in _MONTHS and unit not in _SECONDS:
        return None
    seconds = sign * Decimal(number) * Decimal(_SECONDS.get(unit, "0"))
    try:
        if month is None:
            return f"{_year(int(year) + int(Decimal(months) / 12) + int(seconds / _YEAR)):04}"
        if day is None:
            return _month(int(year), int(month), months + int(seconds / _MONTH))
        date = _month(int(year), int(month), months)
        last = monthrange(int(date[:4]), int(date[5:]))[1]
        start = datetime.fromisoformat(f"{date}-{min(int(day), last):02}T{clock or '00:00:00'}")
        if clock is None:
            return f"{start + timedelta(days=int(seconds / _DAY)):%Y-%m-%d}".zfill(10)
        end = start + timedelta(microseconds=int(seconds * 1_000_000))
        sub = end.microsecond + int(Decimal(fraction or 0) * 1_000_000)
        end = end.replace(microsecond=0) + timedelta(microseconds=sub)
    except (ValueError, OverflowError, ArithmeticError):
        return None
    shown = end.isoformat(timespec="milliseconds" if fraction or end.microsecond else "seconds")
    return shown + (zone or "")


def _month(year: int, month: int, months: int) -> str:
    year, month = divmod(year * 12 + month - 1 + months, 12)
    return f"{_year(year):04}-{month + 1:02}"


def _year(year: int) -> int:
    if not 1 <= year <= 9999:
        raise ValueError("beyond the calendar")
    return year
