"""Quantity parameters: a number, with its unit as ``number|system|code`` or ``number||code-or-unit``.

A number alone is found by range. One with a UCUM unit is compared in base units, so that 0.058 kg finds 58 g:
it is a value of its own, named ``value-quantity:ucum|g``. Other units are compared as they are written, on
intervals named ``value-quantity||mg`` or with a system, such as a currency's.

https://hl7.org/fhir/R4/search.html#quantity
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.model import ucum
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition, Index, Range
from fhirserver.search.types import number, ordered
from fhirserver.search.values import escape, shown, split, unescape

CURRENCIES = "urn:iso:std:iso:4217"


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index a Quantity (or Age, Duration ...), Money or Range; one without a number is not indexed."""
    found = bounds(type, value)
    if found is not None:
        ordered.write(index, code, *found)
        index.intervals += [(code + unit, *found) for unit in units(type, value)]
        unit = _ucum(*_unit(type, value))
        if unit:
            low, high = bounds(type, value, unit.to_base) or found
            name = f"{code}{_in_base(unit)}"
            index.sorted += [f"{name}|{bound}" for bound in dict.fromkeys((low, high))]
            index.intervals.append((name, low, high))


def _unit(type: str, value: dict[str, Any]) -> tuple[str | None, str | None]:
    """The system and the code of a value's unit."""
    if type == "Range":
        value = value.get("low") or value.get("high") or {}
    if type == "Money":
        return CURRENCIES, value.get("currency")
    return value.get("system"), value.get("code")


def _ucum(system: str | None, code: str | None) -> ucum.Unit | None:
    return ucum.parse(code) if code and system == ucum.SYSTEM else None


def _in_base(unit: ucum.Unit) -> str:
    return f":ucum|{unit.base}"


def bounds(
    type: str, value: dict[str, Any], convert: Callable[[Decimal], Decimal] = Decimal
) -> tuple[str, str] | None:
    """The lowest and the highest number a value stands for; ``< 5`` has no lowest."""
    if type == "Range":
        return number.range_bounds(value, convert)
    if value.get("value") is None:
        return None
    exact = number.sortable(convert(value["value"]))
    match value.get("comparator"):
        case "<" | "<=":
            return number.LOWEST, exact
        case ">" | ">=":
            return exact, number.HIGHEST
        case _:
            return exact, exact


def units(type: str, value: dict[str, Any]) -> Iterator[str]:
    """The unit in every form in which it is compared as written, as the end of the name of an interval."""
    system, code = _unit(type, value)
    if system and code and not _ucum(system, code):
        yield f"|{escape(system)}|{escape(code)}"
    human = (value.get("low") or value.get("high") or {}) if type == "Range" else value
    for text in dict.fromkeys((code, human.get("unit"))):
        if text:
            yield f"||{escape(text)}"


def compare(parameter: Parameter, value: str, site: Site) -> Condition:
    return condition(parameter.code, value)


def condition(code: str, value: str, name: str = "") -> Condition:
    """The values of ``code`` (or of the intervals whose names begin with ``name``) that a value asks for.

    Raises:
        BadRequest: the value is not ``number``, ``number|system|code`` or ``number||code``.
    """
    asked, *unit = split(value, "|")
    if unit and (len(unit) != 2 or (unit[0] and not unit[1])):
        raise BadRequest(f"{shown(value)} is not number, number|system|code or number||code")
    prefix, exact = number.parse(asked)
    if not any(unit):
        return number.condition(code, prefix, exact, name=name)
    system, written = map(unescape, unit)
    understood = _ucum(system, written)
    if understood:
        end = _in_base(understood)
        return number.condition(code + end, prefix, exact, name and name + end, understood.to_base)
    return number.condition(code, prefix, exact, name=f"{name or code}|{escape(system)}|{escape(written)}")


def present(parameter: Parameter) -> Condition:
    return Range(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": compare}
