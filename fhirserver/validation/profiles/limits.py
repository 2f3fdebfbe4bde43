"""Whether a value is beyond the limit that a profile sets. https://hl7.org/fhir/R4/elementdefinition.html"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from fhirserver.model import ucum

Number = int | Decimal

_MONTHS = {"mo": 1, "a": 12}
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "wk": 7 * 86400}


def is_beyond(value: Any, limit: Any, sign: str) -> bool:
    """Whether a value is below its minimum (``>=``) or above its maximum (``<=``).

    Numbers, dates, times, quantities; a limit of a date that is a duration counts from now. What cannot be
    compared is not beyond.
    """
    if isinstance(value, dict) and isinstance(limit, dict):
        value, limit = _number(value, limit), _number(limit, value)
    elif isinstance(value, str) and isinstance(limit, dict):
        limit = _moment(limit, past=sign == ">=")
    if isinstance(value, str) and isinstance(limit, str):
        shared = min(len(value), len(limit), 10)
        value, limit = value[:shared], limit[:shared]
    elif not (isinstance(value, Number) and isinstance(limit, Number)):
        return False
    return bool(value < limit if sign == ">=" else value > limit)


def _number(quantity: dict[str, Any], other: dict[str, Any]) -> Number | None:
    """The number of a quantity, to be compared with that of the other one: in base units where their units
    differ; None where they say nothing of each other."""
    number = quantity.get("value")
    if not isinstance(number, Number):
        return None
    if all(quantity.get(name) == other.get(name) for name in ("system", "code")):
        return number
    unit, wanted = (
        ucum.parse(str(one.get("code"))) if one.get("system") == ucum.SYSTEM else None
        for one in (quantity, other)
    )
    if unit is None or wanted is None or unit.dimension != wanted.dimension:
        return None
    return unit.to_base(number)


def _moment(duration: dict[str, Any], *, past: bool) -> str | None:
    """The moment that lies a duration before or after now; None where there is no such moment."""
    number, code = duration.get("value"), str(duration.get("code"))
    if not isinstance(number, Number):
        return None
    way, now = (-1 if past else 1), datetime.now(UTC)
    try:
        if code in _MONTHS:
            years, month = divmod(now.year * 12 + now.month - 1 + way * int(number * _MONTHS[code]), 12)
            found = now.replace(year=years, month=month + 1, day=min(now.day, 28))
        elif code in _SECONDS:
            found = now + timedelta(seconds=way * float(number) * _SECONDS[code])
        else:
            return None
    except (ValueError, OverflowError):
        return None
    return found.isoformat()
