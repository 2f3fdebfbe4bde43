"""Composite parameters: two values of one element, ``code$value``.

The pairs of an element are intervals, ``code-value-quantity|http://loinc.org|8480-6$`` with the bounds of the
value (and its unit after the $), or without bounds where both are found by equality. The parts are parameters
of their own, so these narrow the search and the pair is checked after.
https://hl7.org/fhir/R4/search.html#combining
"""

from collections.abc import Iterator
from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.search.parameters import Parameter, Part, Site
from fhirserver.search.query import And, Condition, Index, Interval, Keys, Nothing, Or
from fhirserver.search.text import END
from fhirserver.search.types import date, number, quantity, reference, string, token, uri
from fhirserver.search.values import shown, split

_KEYED = {"token": token, "reference": reference, "uri": uri}
_ENTRIES = {**_KEYED, "string": string, "date": date, "number": number, "quantity": quantity}


def entries(index: Index, parameter: Parameter, element: dict[str, Any], site: Site) -> None:
    """Index the pairs of one element."""
    first, second = parameter.parts
    values = list(_values(second, element, site))
    if values:
        names = [f"{parameter.code}|{key}$" for key in _keys(first, element, site)]
        index.intervals += [(name + end, low, high) for name in names for end, low, high in values]


def _keys(part: Part, element: dict[str, Any], site: Site) -> Iterator[str]:
    scratch = _indexed(part, element, site)
    prefix = f"{part.parameter.code}|"
    return (key.removeprefix(prefix) for key in scratch.keys if key.startswith(prefix) and key != prefix)


def _values(part: Part, element: dict[str, Any], site: Site) -> Iterator[tuple[str, str, str]]:
    code = part.parameter.code
    if part.parameter.type in _KEYED:
        for key in _keys(part, element, site):
            yield key, "", ""
        return
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
    if len(values) != 2 or not all(values):
        parts = "$".join(part.parameter.code for part in parameter.parts)
        raise BadRequest(f"{shown(value)} is not the {parts} that {parameter.code} needs")
    first, second = (part.parameter for part in parameter.parts)

    def pair(key: str) -> Condition:
        name = f"{parameter.code}|{key.removeprefix(first.code + '|')}$"
        return And((Keys((key,)), _second(name, second, values[1], site)))

    return _either(tuple(pair(key) for key in _searched(first, values[0], site)))


def _second(name: str, parameter: Parameter, value: str, site: Site) -> Condition:
    match parameter.type:
        case "date":
            return date.condition(parameter.code, *date.parse(value, site), name=name)
        case "number":
            return number.condition(parameter.code, *number.parse(value), name=name)
        case "quantity":
            return quantity.condition(parameter.code, value, name)
        case "string":
            folded = string.folded(value)
            start = Interval(name, (("$gte", folded), ("$lt", folded + END)))
            return And((string.starts_with(parameter, value, site), start))
        case _:
            keys = _searched(parameter, value, site)
            prefix = f"{parameter.code}|"
            return And(
                (Keys(keys), _either(tuple(Interval(name + key.removeprefix(prefix)) for key in keys)))
            )


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
