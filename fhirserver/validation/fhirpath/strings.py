"""The functions of FHIRPath that are about one value: strings, numbers, conversions, today.

https://hl7.org/fhirpath/N1/#string-manipulation, https://hl7.org/fhirpath/N1/#math
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fhirserver.validation.fhirpath import values
from fhirserver.validation.fhirpath.nodes import NOTHING, FHIRPathError, Node, Nodes, text, truth

if TYPE_CHECKING:
    from fhirserver.validation.fhirpath.functions import Env, Evaluate, Make

_TYPES = {bool: "boolean", int: "integer", Decimal: "decimal", str: "string"}
_INTEGER = re.compile(r"[+-]?[0-9]+").fullmatch
_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?").fullmatch
_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?").match
_TIME = re.compile(r"[0-9]{2}(:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?").fullmatch
_TRUE, _FALSE = ("true", "t", "yes", "y", "1", "1.0"), ("false", "f", "no", "n", "0", "0.0")


def _nodes(found: Any) -> Nodes:
    if found is None:
        return NOTHING
    if type(found) is list:
        return [Node(item, _TYPES[type(item)]) for item in found]
    return [Node(found, _TYPES[type(found)])]


def _one(nodes: Nodes) -> Node | None:
    if len(nodes) > 1:
        raise FHIRPathError("a single value is expected")
    return nodes[0] if nodes and nodes[0].value is not None else None


def _of(read: Callable[[Node], Any], function: Callable[..., Any], least: int, most: int) -> "Make":
    """A function of one value and of ``least`` to ``most`` arguments that are single values."""

    def make(before: "Evaluate", *arguments: "Evaluate") -> "Evaluate":
        if not least <= len(arguments) <= most:
            raise TypeError

        def evaluate(env: "Env", nodes: Nodes) -> Nodes:
            focus = _one(before(env, nodes))
            given = [_one(argument(env, env.this or nodes)) for argument in arguments]
            if focus is None or None in given:
                return NOTHING
            value, values_of = read(focus), [node.value for node in given if node]
            try:
                return _nodes(function(value, *values_of))
            except (TypeError, ValueError, AttributeError):
                raise FHIRPathError("an argument is of a wrong type") from None

        return evaluate

    return make


def _text(function: Callable[..., Any], least: int = 0, most: int | None = None) -> "Make":
    return _of(values.string, function, least, least if most is None else most)


def _math(function: Callable[..., Any], least: int = 0, most: int | None = None) -> "Make":
    return _of(values.number, function, least, least if most is None else most)


def _converted(function: Callable[[Any], Any], type: str = "") -> "Make":
    """``toX()``: NOTHING where the value cannot be one."""

    def make(before: "Evaluate") -> "Evaluate":
        def convert(env: "Env", nodes: Nodes) -> Nodes:
            focus = _one(before(env, nodes))
            found = function(focus.value) if focus else None
            return NOTHING if found is None else [Node(found, type or _TYPES[_kind(found)])]

        return convert

    return make


def _kind(value: object) -> type:
    return type(value)


def _convertible(function: Callable[[Any], Any]) -> "Make":
    def make(before: "Evaluate") -> "Evaluate":
        def asked(env: "Env", nodes: Nodes) -> Nodes:
            focus = _one(before(env, nodes))
            return truth(function(focus.value) is not None) if focus else NOTHING

        return asked

    return make


def to_boolean(value: Any) -> bool | None:
    if type(value) is bool:
        return value
    name = str(value).lower()
    return True if name in _TRUE else False if name in _FALSE else None


def to_integer(value: Any) -> int | None:
    if type(value) is bool or type(value) is int:
        return int(value)
    return int(value) if type(value) is str and _INTEGER(value) else None


def to_decimal(value: Any) -> Decimal | None:
    if type(value) in (bool, int, Decimal):
        return Decimal(value)
    return Decimal(value) if type(value) is str and _NUMBER(value) else None


def to_string(value: Any) -> str | None:
    if type(value) is bool:
        return "true" if value else "false"
    return str(value) if type(value) in (str, int, Decimal) else None


def to_date(value: Any) -> str | None:
    found = _DATE(value) if type(value) is str else None
    return found[0] if found and (len(found[0]) == len(value) or value[len(found[0])] == "T") else None


def to_date_time(value: Any) -> str | None:
    return value if type(value) is str and to_date(value) else None


def to_time(value: Any) -> str | None:
    return value if type(value) is str and _TIME(value) else None


@lru_cache(maxsize=512)
def pattern(regex: str) -> re.Pattern[str]:
    """Raises FHIRPathError where Python cannot read it."""
    try:
        return re.compile(regex, re.DOTALL)
    except re.error:
        raise FHIRPathError(f"the regular expression {regex!r} is not understood") from None


def substring(value: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(value):
        return None
    return value[start:] if length is None else value[start : start + max(length, 0)]


def replace_matches(value: str, regex: str, substitution: str) -> str:
    return pattern(regex).sub(re.sub(r"\$(\d+)", r"\\\1", substitution), value)


def rounded(value: Decimal | int, digits: int = 0) -> Decimal:
    return round(Decimal(value), digits)


def root(value: Decimal | int) -> Decimal | None:
    return Decimal(value).sqrt() if value >= 0 else None


_LARGEST = 1000


def power(value: Decimal | int, exponent: Decimal | int) -> Decimal | None:
    try:
        return Decimal(value) ** exponent if -_LARGEST <= exponent <= _LARGEST else None
    except InvalidOperation:
        return None


def logarithm(value: Decimal | int) -> Decimal | None:
    return Decimal(value).ln() if value > 0 else None


def split(value: str, separator: str) -> list[str]:
    return value.split(separator) if separator else list(value)


def join(before: "Evaluate", separator: "Evaluate | None" = None) -> "Evaluate":
    def joined(env: "Env", nodes: Nodes) -> Nodes:
        between = values.string(separator(env, nodes)[0]) if separator else ""
        return text(between.join(values.string(n) for n in before(env, nodes)))

    return joined


def _now(form: Callable[[datetime], str], type: str) -> "Make":
    def make(before: "Evaluate") -> "Evaluate":
        return lambda env, nodes: [Node(form(datetime.now(UTC)), type)]

    return make


FUNCTIONS: "dict[str, Make]" = {
    "abs": _math(abs),
    "ceiling": _math(math.ceil),
    "contains": _text(lambda value, part: part in value, 1),
    "convertsToBoolean": _convertible(to_boolean),
    "convertsToDate": _convertible(to_date),
    "convertsToDateTime": _convertible(to_date_time),
    "convertsToDecimal": _convertible(to_decimal),
    "convertsToInteger": _convertible(to_integer),
    "convertsToString": _convertible(to_string),
    "convertsToTime": _convertible(to_time),
    "endsWith": _text(str.endswith, 1),
    "exp": _math(lambda value: Decimal(value).exp()),
    "floor": _math(math.floor),
    "indexOf": _text(str.find, 1),
    "join": join,
    "length": _text(len),
    "ln": _math(logarithm),
    "lower": _text(str.lower),
    "matches": _text(lambda value, regex: pattern(regex).search(value) is not None, 1),
    "matchesFull": _text(lambda value, regex: pattern(regex).fullmatch(value) is not None, 1),
    "now": _now(lambda now: now.isoformat(timespec="milliseconds"), "dateTime"),
    "power": _math(power, 1),
    "replace": _text(str.replace, 2),
    "replaceMatches": _text(replace_matches, 2),
    "round": _math(rounded, 0, 1),
    "split": _text(split, 1),
    "sqrt": _math(root),
    "startsWith": _text(str.startswith, 1),
    "substring": _text(substring, 1, 2),
    "timeOfDay": _now(lambda now: now.strftime("%H:%M:%S"), "time"),
    "toBoolean": _converted(to_boolean),
    "toChars": _text(list),
    "toDate": _converted(to_date, "date"),
    "toDateTime": _converted(to_date_time, "dateTime"),
    "toDecimal": _converted(to_decimal),
    "toInteger": _converted(to_integer),
    "toString": _converted(to_string),
    "toTime": _converted(to_time, "time"),
    "today": _now(lambda now: now.strftime("%Y-%m-%d"), "date"),
    "trim": _text(str.strip),
    "truncate": _math(int),
    "upper": _text(str.upper),
}
