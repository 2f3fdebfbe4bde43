"""What a file of terminology holds, whatever its format."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirserver.model.json import Resource
from fhirserver.terminology.code_systems import Head
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.loading.folder import Unreadable


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator says of a file: ``system`` and ``version`` of its codes, ``value_set`` the canonical
    that it becomes, ``language`` of the names to show."""

    system: str = ""
    version: str = ""
    value_set: str = ""
    name: str = ""
    language: str = "fr"


@dataclass(frozen=True, slots=True)
class System:
    """A code system: ``concepts`` gives them one by one, always in the same order, with their parents;
    ``parents`` knows these for each code, so that what is above can be said of the first already."""

    head: Head
    concepts: Callable[[], Iterator[Concept]] = field(repr=False)
    parents: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """Code systems, and resources that are stored as such."""

    systems: tuple[System, ...] = ()
    resources: tuple[Resource, ...] = ()


def head(options: Options, url: str, version: str, name: str, title: str, **others: Any) -> Head:
    """The head of a system, where the operator's words come first."""
    return Head(
        options.system or url,
        options.version or version,
        options.name or name,
        title,
        **others,
    )


def need(name: str, what: str) -> str:
    """Raises Unreadable where there is no such file."""
    if not name:
        raise Unreadable(f"There is no {what}")
    return name


def above(code: str, parents: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Everything above a code; a circle ends where it began."""
    found: set[str] = set()
    waiting = list(parents.get(code, ()))
    while waiting:
        parent = waiting.pop()
        if parent not in found and parent != code:
            found.add(parent)
            waiting += parents.get(parent, ())
    return frozenset(found)


def texts(**values: str) -> tuple[dict[str, Any], ...]:
    """Properties of type string, those that have a value."""
    return tuple({"code": code, "valueString": value} for code, value in values.items() if value)
