"""Quantity parameters: a number, with its unit as ``number|system|code`` or ``number||code-or-unit``.

The number is found by range; the unit is checked on intervals named
``value-quantity|http://unitsofmeasure.org|mg`` and ``value-quantity||mg``. Units are compared as they are
written: 1 g does not find 1000 mg.

https://hl7.org/fhir/R4/search.html#quantity
"""

from collections.abc import Iterator
from typing import Any

from fhirserver.errors import BadRequest
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


def bounds(type: str, value: dict[str, Any]) -> tuple[str, str] | None:
    """The lowest and the highest number a value stands for; ``< 5`` has no lowest."""
    if type == "Range":
        return number.range_bounds(value)
    if value.get("value") is None:
        return None
    exact = number.sortable(value["value"])
    match value.get("comparator"):
        case "<" | "<=":
            return number.LOWEST, exact
        case ">" | ">=":
            return exact, number.HIGHEST
        case _:
            return exact, exact


def units(type: str, value: dict[str, Any]) -> Iterator[str]:
    """The unit in every form it is asked for, as the end of the name of an interval."""
    if type == "Range":
        value = value.get("low") or value.get("high") or {}
    system, code = value.get("system"), value.get("code")
    if type == "Money":
        system, code = CURRENCIES, value.get("currency")
    if system and code:
        yield f"|{escape(system)}|{escape(code)}"
    for text in dict.fromkeys((code, value.get("unit"))):
        if text:
            yield f"||{escape(text)}"


def compare(parameter: Parameter, value: str, site: Site) -> Condition:
    asked, unit = parse(value)
    return number.condition(parameter.code, *number.parse(asked), name=parameter.code + unit if unit else "")


def parse(value: str) -> tuple[str, str]:
    """The number with its prefix, and the unit as in ``units`` ("" for any).

    Raises:
        BadRequest: the value is not ``number``, ``number|system|code`` or ``number||code``.
    """
    asked, *unit = split(value, "|")
    if unit and (len(unit) != 2 or (unit[0] and not unit[1])):
        raise BadRequest(f"{shown(value)} is not number, number|system|code or number||code")
    if not unit or unit == ["", ""]:
        return asked, ""
    return asked, f"|{escape(unescape(unit[0]))}|{escape(unescape(unit[1]))}"


def present(parameter: Parameter) -> Condition:
    return Range(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": compare}
