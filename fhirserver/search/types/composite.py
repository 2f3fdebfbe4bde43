"""Composite parameters: two or more values of one element, ``code$value``.

The pairs of an element are intervals, ``code-value-quantity|http://loinc.org|8480-6$`` with the bounds of the
value (and its unit after the $), or without bounds where all parts are found by equality. Of two plain
numbers (``chromosome-window-coordinate``) the first is the lower bound and the second the upper one. The
parts are parameters of their own, so these narrow the search and the pair is checked after.
https://hl7.org/fhir/R4/search.html#combining
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.search.parameters import Parameter, Part, Site
from fhirserver.search.query import And, Condition, Index, Interval, Keys, Nothing, Or, Range
from fhirserver.search.text import END
from fhirserver.search.types import date, number, quantity, reference, string, token, uri
from fhirserver.search.values import shown, split

_KEYED = {"token": token, "reference": reference, "uri": uri}
_ENTRIES = {**_KEYED, "string": string, "date": date, "number": number, "quantity": quantity}


def entries(
    index: Index, parameter: Parameter, element: dict[str, Any], resource: dict[str, Any], site: Site
) -> None:
    """Index the pairs of one element of a resource."""
    keyed = [part for part in parameter.parts if _is_keyed(part)]
    measured = [part for part in parameter.parts if not _is_keyed(part)]
    keys = [list(_keys(part, resource if part.of_resource else element, site)) for part in keyed]
    names = [_name(parameter, pair, bool(measured)) for pair in product(*keys)]
    if not names:
        return
    values = [list(_values(part, resource if part.of_resource else element, site)) for part in measured]
    match values:
        case []:
            found = [("", "", "")]
        case [only]:
            found = only
        case [first, second]:
            found = [("", low, high) for (_, low, _), (_, high, _) in product(first, second)]
    index.intervals += [(name + end, low, high) for name in names for end, low, high in found]


def _is_keyed(part: Part) -> bool:
    return part.parameter.type in _KEYED


def _name(parameter: Parameter, keys: tuple[str, ...], is_measured: bool) -> str:
    return f"{parameter.code}|{'$'.join(keys)}{'$' if is_measured else ''}"


def _keys(part: Part, element: dict[str, Any], site: Site) -> Iterator[str]:
    scratch = _indexed(part, element, site)
    prefix = f"{part.parameter.code}|"
    return (key.removeprefix(prefix) for key in scratch.keys if key.startswith(prefix) and key != prefix)


def _values(part: Part, element: dict[str, Any], site: Site) -> Iterator[tuple[str, str, str]]:
    code = part.parameter.code
    scratch = _indexed(part, element, site)
    if part.parameter.type == "string":
        for entry in scratch.sorted:
            yield "", entry.removeprefix(f"{code}|"), ""
    for name, low, high in scratch.intervals:
        yield name.removeprefix(code), low, high


def _indexed(part: Part, element: dict[str, Any], site: Site) -> Index:
    scratch = Index()
    write = _ENTRIES[part.parameter.type].entries
    for path in part.paths:
        for value in path.values(element):
            write(scratch, part.parameter.code, path.type, value, site)
    return scratch


def pairs(parameter: Parameter, value: str, site: Site) -> Condition:
    values = split(value, "$")
    if len(values) != len(parameter.parts) or not all(values):
        parts = "$".join(part.parameter.code for part in parameter.parts)
        raise BadRequest(f"{shown(value)} is not the {parts} that {parameter.code} needs")
    asked = list(zip(parameter.parts, values, strict=True))
    searched = [_searched(part.parameter, text, site) for part, text in asked if _is_keyed(part)]
    measured = [(part.parameter, text) for part, text in asked if not _is_keyed(part)]

    def pair(keys: tuple[str, ...]) -> Condition:
        name = _name(parameter, tuple(key.partition("|")[2] for key in keys), bool(measured))
        found = tuple(Keys((key,)) for key in keys)
        match measured:
            case []:
                return And((*found, Interval(name)))
            case [(only, text)]:
                return And((*found, _measured(name, only, text, site)))
            case _:
                return And((*found, _both(name, [_number(name, p, text) for p, text in measured])))

    return _either(tuple(map(pair, product(*searched))))


def _number(name: str, parameter: Parameter, value: str) -> list[And]:
    """The alternatives that a comparison with a plain number is, each a range and an exact check."""
    found = number.condition(parameter.code, *number.parse(value), name=name)
    return [part for part in (found.any if isinstance(found, Or) else (found,)) if isinstance(part, And)]


def _both(name: str, asked: list[list[And]]) -> Condition:
    """Two numbers, one in each bound of an interval: what is asked of either bound is asked of the number."""
    alternatives = []
    for first, second in product(*asked):
        ranges = tuple(part for and_ in (first, second) for part in and_.all if isinstance(part, Range))
        bounds = [
            tuple(bound for part in and_.all if isinstance(part, Interval) for bound in part.low + part.high)
            for and_ in (first, second)
        ]
        alternatives.append(And((*ranges, Interval(name, *bounds))))
    return _either(tuple(alternatives))


def _measured(name: str, parameter: Parameter, value: str, site: Site) -> Condition:
    match parameter.type:
        case "date":
            return date.condition(parameter.code, *date.parse(value, site), name=name)
        case "number":
            return number.condition(parameter.code, *number.parse(value), name=name)
        case "quantity":
            return quantity.condition(parameter.code, value, name)
        case _:
            folded = string.folded(value)
            start = Interval(name, (("$gte", folded), ("$lt", folded + END)))
            return And((string.starts_with(parameter, value, site), start))


def _searched(parameter: Parameter, value: str, site: Site) -> tuple[str, ...]:
    condition = _KEYED[parameter.type].MODIFIERS[""](parameter, value, site)
    if isinstance(condition, Nothing):
        return ()
    if not isinstance(condition, Keys):
        raise BadRequest(f"{shown(value)} does not name one {parameter.code}, as one part of a pair must")
    return condition.keys


def _either(alternatives: tuple[Condition, ...]) -> Condition:
    match alternatives:
        case ():
            return Nothing()
        case (only,):
            return only
        case _:
            return Or(alternatives)


MODIFIERS = {"": pairs}
