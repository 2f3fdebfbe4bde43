"""Number parameters: a searched number is an interval by its last digit, one in a resource is exact.

``100`` is [99.5, 100.5), ``100.00`` is [99.995, 100.005), ``1e2`` is [50, 150): half a unit of the last digit
that is written. Prefixes but eq and ne take the number as exact. https://hl7.org/fhir/R4/search.html#number
"""

from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition, Index, Or, Range
from fhirserver.search.types import ordered
from fhirserver.search.values import Prefix, prefixed, shown

LOWEST, HIGHEST = "", "~"
_DIGITS = 40
_EXPONENT = 10_000
_exact = Context(prec=200)
_NINES = str.maketrans("0123456789", "9876543210")


def sortable(number: Decimal | int) -> str:
    """Text that sorts as the numbers do: sign, exponent, digits; ``5.40`` and ``5.4`` are the same text."""
    number = Decimal(number)
    if not number:
        return "5"
    exponent = min(max(number.adjusted(), -_EXPONENT), _EXPONENT) + _EXPONENT
    text = f"{exponent:05d}" + "".join(map(str, number.as_tuple().digits[:_DIGITS])).rstrip("0")
    # Of negative numbers the greater comes first: digits are turned, and a longer one must sort before a
    # shorter.
    return "6" + text if number > 0 else "4" + text.translate(_NINES) + "~"


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index a decimal, an integer or a Range."""
    if type == "Range":
        ordered.write(index, code, *range_bounds(value))
    else:
        ordered.write(index, code, sortable(value), sortable(value))


def range_bounds(value: dict[str, Any], convert: Callable[[Decimal], Decimal] = Decimal) -> tuple[str, str]:
    """The bounds of a Range; one that is missing is open."""
    low, high = value.get("low", {}).get("value"), value.get("high", {}).get("value")
    return (
        LOWEST if low is None else sortable(convert(low)),
        HIGHEST if high is None else sortable(convert(high)),
    )


def compare(parameter: Parameter, value: str, site: Site) -> Condition:
    return condition(parameter.code, *parse(value))


def condition(
    code: str,
    prefix: Prefix,
    number: Decimal,
    name: str = "",
    convert: Callable[[Decimal], Decimal] = Decimal,
) -> Condition:
    """The values of ``code`` (or of the interval ``name``) that stand in this relation to a number.

    ``convert`` turns what was asked into what is indexed, after its digits have said how exact it is.
    """
    v = sortable(convert(number))
    a, b = (sortable(convert(bound)) for bound in implicit_range(number))
    match prefix:
        case "eq":
            return ordered.within(code, low=("$gte", a), high=("$lt", b), name=name)
        case "ne":
            below = ordered.within(code, low=("$lt", a), name=name)
            return Or((below, ordered.within(code, high=("$gte", b), name=name)))
        case "gt":
            return ordered.within(code, high=("$gt", v), name=name)
        case "lt":
            return ordered.within(code, low=("$lt", v), name=name)
        case "ge":
            return ordered.within(code, high=("$gte", v), name=name)
        case "le":
            return ordered.within(code, low=("$lte", v), name=name)
        case "sa":
            return ordered.within(code, low=("$gt", v), name=name)
        case "eb":
            return ordered.within(code, high=("$lt", v), name=name)
        case "ap":
            tenth = _exact.divide(abs(number), Decimal(10))
            a = sortable(convert(_exact.subtract(number, tenth)))
            b = sortable(convert(_exact.add(number, tenth)))
            return ordered.within(code, low=("$lte", b), high=("$gte", a), name=name)


def implicit_range(number: Decimal) -> tuple[Decimal, Decimal]:
    """What a number stands for by the digits that are written: 2.0 is [1.95, 2.05)."""
    half = Decimal((0, (5,), int(number.as_tuple().exponent) - 1))
    return _exact.subtract(number, half), _exact.add(number, half)


def parse(value: str) -> tuple[Prefix, Decimal]:
    """A prefix and the number after it.

    Raises:
        BadRequest: the prefix is unknown or the rest is not a number.
    """
    prefix, text = prefixed(value)
    try:
        number = Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > 100 or len(text) > 100:
        raise BadRequest(f"{shown(value)} is not a number such as 5.4, -10 or 1e3")
    return prefix, number


def present(parameter: Parameter) -> Condition:
    return Range(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": compare}
