"""FHIRPath beyond the paths that ``expressions`` compiles, for the few parameters that need it.

An engine evaluates the expression on each resource. What it may find is not known before, so there is a path
for each FHIR type that the parameter can compare; a name that no element has is refused, as far as that can
be told without knowing the types.
"""

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any

from fhirserver.model.definitions import Definitions
from fhirserver.search.expressions import Nodes, NotCompilable, Path, Step

Values = Callable[[dict[str, Any]], Sequence[tuple[str, Any]]]
"""What an expression finds in a resource: FHIR types and values."""
FHIRPath = Callable[[str], Values]
"""Compiles an expression; raises ValueError with the reason where it cannot."""

_KEYWORDS = frozenset(
    ("and", "or", "xor", "implies", "is", "as", "in", "contains", "div", "mod", "true", "false")
)
_UNITS = frozenset(
    f"{unit}{s}"
    for unit in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
    for s in ("", "s")
)
_SYSTEM = frozenset(
    ("FHIR", "System", "Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity")
)

_names = re.compile(r"'(?:[^'\\]|\\.)*'|[%$@][\w:.+\-]*|`[^`]*`|([A-Za-z_]\w*)(\s*\()?").finditer


_UNBOUNDED = ("matches", "matchesFull", "replaceMatches")


def compile_general(
    expression: str, definitions: Definitions, type: str, types: Collection[str], fhirpath: FHIRPath
) -> tuple[Path, ...]:
    """The paths of an expression on a resource type, one for each of the ``types`` that it may find.

    Raises:
        NotCompilable: with the reason.
    """
    known = _elements(definitions, type)
    for found in _names(expression):
        name, called = found.groups()
        if called and name in _UNBOUNDED:
            raise NotCompilable(f"{name}() is not taken here: what a regular expression costs has no bound")
        if name is None or called or name in _KEYWORDS | _UNITS:
            continue
        if name[0].isupper():
            if name not in _SYSTEM and name not in definitions.structures:
                raise NotCompilable(f"There is no type {name!r}")
        elif name not in known:
            raise NotCompilable(f"There is no element {name!r} in {type} or what it is made of")
    try:
        values = _kept(fhirpath(expression))
    except ValueError as error:
        raise NotCompilable(f"{expression!r} is not understood: {error}") from None
    except RecursionError:
        raise NotCompilable("The expression is nested too deeply") from None
    return tuple(Path("", (_of_type(values, wanted),), wanted, wanted) for wanted in sorted(types))


def _kept(values: Values) -> Values:
    """The paths of one expression are walked one after the other: it is evaluated once."""
    last: tuple[Any, Sequence[tuple[str, Any]]] = (None, ())

    def kept(resource: dict[str, Any]) -> Sequence[tuple[str, Any]]:
        nonlocal last
        before, found = last
        if before is not resource:
            found = values(resource)
            last = (resource, found)
        return found

    return kept


def _of_type(values: Values, wanted: str) -> Step:
    def of_type(nodes: Nodes) -> Nodes:
        return [value for node in nodes for type, value in values(node) if type == wanted]

    return of_type


@lru_cache(maxsize=64)
def _elements(definitions: Definitions, type: str) -> frozenset[str]:
    """The names of the elements of a type and of everything below."""
    names: set[str] = set()
    seen: set[str] = set()
    waiting = [type]
    while waiting:
        structure = definitions.structures.get(waiting.pop())
        if structure is None or structure.path in seen:
            continue
        seen.add(structure.path)
        for element in structure.elements:
            names.add(element.name)
            waiting += [kind.structure for _, kind in element.json_names()]
    return frozenset(names)
