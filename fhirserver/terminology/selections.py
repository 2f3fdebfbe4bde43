"""Which concepts of one code system are meant: a small algebra, and what it says of one concept.

A database turns the same algebra into a query, see ``storage.concepts``.
https://hl7.org/fhir/R4/valueset-filter-operator.html
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from pydantic_core import SchemaError, SchemaValidator, core_schema

from fhirserver.errors import Unprocessable
from fhirserver.terminology.concepts import Concept, is_called

LONGEST = 500
"""Longer regular expressions are refused."""


@dataclass(frozen=True, slots=True)
class Is:
    """One filter. ``values`` has one text, of the operators ``in`` and ``ancestors`` any number.

    ``op`` is one of the R4 codes, or ``child-of``; ``in`` with the property ``code`` is a list of codes.
    """

    op: str
    property: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Every:
    """All of these; all concepts where there is none."""

    parts: "tuple[Where, ...]" = ()


@dataclass(frozen=True, slots=True)
class Some:
    parts: "tuple[Where, ...]"


@dataclass(frozen=True, slots=True)
class Except:
    part: "Where"


Where = Is | Every | Some | Except
ALL = Every()


@dataclass(frozen=True, slots=True)
class Selection:
    """``text`` is what a user typed, ``active`` and ``selectable`` leave out the other concepts."""

    where: Where = ALL
    text: str = ""
    active: bool = False
    selectable: bool = False


def selects(selection: Selection, concept: Concept) -> bool:
    if (selection.active and concept.inactive) or (selection.selectable and concept.abstract):
        return False
    return meets(concept, selection.where) and (not selection.text or is_called(concept, selection.text))


def meets(concept: Concept, where: Where) -> bool:
    """Whether a concept meets a condition. ``generalizes`` must have been turned into ``in`` before."""
    match where:
        case Every(parts):
            return all(meets(concept, part) for part in parts)
        case Some(parts):
            return any(meets(concept, part) for part in parts)
        case Except(part):
            return not meets(concept, part)
        case Is(op, property, values):
            return OPERATORS[op](concept, property, values)


def is_a(concept: Concept, property: str, values: tuple[str, ...]) -> bool:
    return concept.code in values or not concept.ancestors.isdisjoint(values)


def descends(concept: Concept, property: str, values: tuple[str, ...]) -> bool:
    return not concept.ancestors.isdisjoint(values)


def is_child(concept: Concept, property: str, values: tuple[str, ...]) -> bool:
    return any(parent in values for parent in concept.parents)


def equals(concept: Concept, property: str, values: tuple[str, ...]) -> bool:
    return any(value in values for value in concept.values(property)) or any(
        f"{system}{sign}{code}" in values for system, code in concept.codings(property) for sign in "#|"
    )


def resembles(concept: Concept, property: str, values: tuple[str, ...]) -> bool:
    expression = pattern(values[0])
    return any(expression(value) for value in concept.values(property))


def exists(concept: Concept, property: str, values: tuple[str, ...]) -> bool:
    return bool(concept.values(property)) == (values[0] == "true")


Test = Callable[[Concept, str, tuple[str, ...]], bool]
OPERATORS: dict[str, Test] = {
    "=": equals,
    "is-a": is_a,
    "descendent-of": descends,
    "is-not-a": lambda concept, property, values: not is_a(concept, property, values),
    "child-of": is_child,
    "regex": resembles,
    "in": equals,
    "not-in": lambda concept, property, values: not equals(concept, property, values),
    "exists": exists,
}


@lru_cache(maxsize=256)
def pattern(text: str) -> Callable[[str], bool]:
    """A test for the whole of a text; in linear time, because the expression may be a stranger's.

    Raises:
        Unprocessable: it is no regular expression, or one with look-around or back references.
    """
    if len(text) > LONGEST:
        raise Unprocessable(f"A regular expression of {len(text)} characters; {LONGEST} are the most")
    try:
        schema = core_schema.str_schema(pattern=f"^(?:{text})$", regex_engine="rust-regex", strict=True)
        return SchemaValidator(schema).isinstance_python
    except SchemaError:
        raise Unprocessable(f"{text[:80]!r} is not a regular expression that can be used here") from None
