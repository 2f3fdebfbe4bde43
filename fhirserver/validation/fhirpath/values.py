"""Values of FHIRPath: equality, order and arithmetic. https://hl7.org/fhirpath/N1/#operations"""

import operator
from collections.abc import Callable, Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any

from fhirserver.model import temporal, ucum
from fhirserver.validation.fhirpath.moments import moved
from fhirserver.validation.fhirpath.nodes import NOTHING, FHIRPathError, Node, Nodes, truth

TEMPORAL = frozenset(("date", "dateTime", "instant"))
QUANTITIES = frozenset(("Quantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity"))
_CALENDAR = {
    "year": "a", "years": "a", "month": "mo", "months": "mo", "week": "wk", "weeks": "wk", "day": "d",
    "days": "d", "hour": "h", "hours": "h", "minute": "min", "minutes": "min", "second": "s",
    "seconds": "s", "millisecond": "ms", "milliseconds": "ms",
}  # fmt: skip


def boolean(nodes: Nodes) -> bool | None:
    """A collection where a boolean is expected: none is unknown, a single thing is true.

    Raises:
        FHIRPathError: there are several.
    """
    if not nodes:
        return None
    if len(nodes) > 1:
        raise FHIRPathError("a collection of several is no boolean")
    value = nodes[0].value
    return value if type(value) is bool else True


def number(node: Node) -> Decimal | int:
    """Raises FHIRPathError where it is none."""
    if type(node.value) in (int, Decimal):
        found: Decimal | int = node.value
        return found
    raise FHIRPathError("a number is expected")


def string(node: Node) -> str:
    """The text of a value, as toString() gives it. Raises FHIRPathError where it has none."""
    value = node.value
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in (int, Decimal):
        return str(value)
    if node.type in QUANTITIES and type(value) is dict:
        return f"{value.get('value')} '{value.get('code', value.get('unit', '1'))}'"
    raise FHIRPathError("a string is expected")


def equal(left: Node, right: Node) -> bool | None:
    """None where it cannot be said, as of times of different precision."""
    one, other = left.value, right.value
    if left.type in QUANTITIES and right.type in QUANTITIES and type(one) is dict and type(other) is dict:
        found = _compared(_in_base(one), _in_base(other))
        return None if found is None else found == 0
    if type(one) is dict or type(other) is dict:
        return bool(one == other)
    if (left.type in TEMPORAL or right.type in TEMPORAL) and type(one) is str and type(other) is str:
        if one == other:
            return True
        order = _temporal_order(one, other)
        return None if order is None else order == 0
    if type(one) is bool or type(other) is bool:
        return one is other
    return bool(one == other)


def equivalent(left: Node, right: Node) -> bool:
    """``~``: strings without regard to case and white space, the rest as equality that is never unknown."""
    if type(left.value) is str and type(right.value) is str:
        return " ".join(left.value.lower().split()) == " ".join(right.value.lower().split())
    return equal(left, right) is True


def same(left: Nodes, right: Nodes) -> bool | None:
    """Equality of collections, in order; None where one of them is empty."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    found = [equal(one, other) for one, other in zip(left, right, strict=True)]
    return False if False in found else None if None in found else True


def has(nodes: Nodes, wanted: Node) -> bool:
    return any(equal(node, wanted) for node in nodes)


def distinct(nodes: Nodes) -> Nodes:
    found: Nodes = []
    seen: set[Any] = set()
    for node in nodes:
        if type(node.value) is dict:
            if not has(found, node):
                found.append(node)
            continue
        key = (type(node.value) is bool, node.value)
        if key not in seen:
            seen.add(key)
            found.append(node)
    return found


def ordered(compare: Callable[[int, int], bool]) -> Callable[[Nodes, Nodes], Nodes]:
    """``<`` and its like for collections of one."""

    def comparison(left: Nodes, right: Nodes) -> Nodes:
        if not left or not right:
            return NOTHING
        if len(left) > 1 or len(right) > 1:
            raise FHIRPathError("only single values can be compared")
        order = _order(left[0], right[0])
        return NOTHING if order is None else truth(compare(order, 0))

    return comparison


def _order(left: Node, right: Node) -> int | None:
    one, other = left.value, right.value
    if one is None or other is None:
        return None
    if type(one) is dict and type(other) is dict:
        return _compared(_in_base(one), _in_base(other))
    if type(one) is str and type(other) is str:
        if left.type in TEMPORAL or right.type in TEMPORAL:
            return _temporal_order(one, other)
        return (one > other) - (one < other)
    if type(one) in (int, Decimal) and type(other) in (int, Decimal):
        return _compared(one, other)
    raise FHIRPathError("these values cannot be compared")


def _temporal_order(one: str, other: str) -> int | None:
    try:
        a, b = temporal.interval(one, UTC), temporal.interval(other, UTC)
    except temporal.NotTemporal:
        raise FHIRPathError("this is no date") from None
    if a == b:
        return 0
    return -1 if a.high <= b.low else 1 if a.low >= b.high else None


def _in_base(quantity: Mapping[str, Any]) -> tuple[str, Decimal] | None:
    value: Any = quantity.get("value")
    if type(value) not in (int, Decimal):
        return None
    code = quantity.get("code", quantity.get("unit", "1"))
    unit = ucum.parse(code) if quantity.get("system", ucum.SYSTEM) == ucum.SYSTEM else None
    return (unit.base, unit.to_base(value)) if unit else (str(code), Decimal(value))


def _compared(one: Any, other: Any) -> int | None:
    if one is None or other is None:
        return None
    if type(one) is tuple:
        if one[0] != other[0]:
            return None
        one, other = one[1], other[1]
    return int(one > other) - int(one < other)


def quantity(value: Decimal | int, unit: str) -> Node:
    return Node(
        {"value": value, "code": _CALENDAR.get(unit, unit), "system": ucum.SYSTEM}, "Quantity", "Quantity"
    )


def _divided(one: Decimal | int, other: Decimal | int) -> Decimal | None:
    return Decimal(one) / Decimal(other) if other else None


def _remainder(one: Decimal | int, other: Decimal | int) -> Decimal | int:
    """With the sign of the dividend, as FHIRPath wants it; Python's for integers has the divisor's."""
    found = Decimal(one) % Decimal(other)
    return int(found) if type(one) is int and type(other) is int else found


ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "div": lambda one, other: int(Decimal(one) / Decimal(other)) if other else None,
    "mod": lambda one, other: _remainder(one, other) if other else None,
}


def calculated(symbol: str, left: Nodes, right: Nodes) -> Nodes:
    """``+ - * / div mod``, also a date and a duration; NOTHING where an operand is missing, the divisor zero,
    or the date beyond the calendar."""
    if not left or not right:
        return NOTHING
    if len(left) > 1 or len(right) > 1:
        raise FHIRPathError(f"{symbol} takes single values")
    one, other = left[0], right[0]
    if symbol in "+-" and one.type in TEMPORAL and other.type in QUANTITIES:
        later = moved(one.value, other.value, 1 if symbol == "+" else -1)
        return [Node(later, one.type)] if later is not None else NOTHING
    if symbol == "+":
        if type(one.value) is str:
            return [Node(one.value + string(other), "string")]
        found: Any = number(one) + number(other)
    else:
        found = ARITHMETIC[symbol](number(one), number(other))
    if found is None:
        return NOTHING
    return [Node(found, "integer" if type(found) is int else "decimal")]
