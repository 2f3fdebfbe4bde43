"""Contained resources: how they are found, by chains and with ``_contained``.

The index of a resource holds those of the resources it contains, each with the parameters by which it is
referred to (``Inner``). That says exactly which contained resource meets all conditions. What a search starts
from are their keys and entries once more among those of the container, ``#Medication>code|abc``.
https://hl7.org/fhir/R4/search.html#contained
"""

from collections.abc import Callable, Iterable

from fhirserver.model.json import Resource
from fhirserver.search.parameters import Parameter
from fhirserver.search.query import (
    And,
    Condition,
    Contained,
    Everything,
    Ids,
    Index,
    Inner,
    Interval,
    KeyRange,
    Keys,
    Not,
    Nothing,
    Or,
    Range,
)

MOST = 64
"""So many contained resources are indexed."""


def entries(
    index: Index, resource: Resource, parameters: Iterable[Parameter], of: Callable[[Resource], Index]
) -> None:
    """Add the indexes of contained resources, which ``of`` makes, to that of the one that contains them."""
    references = [p for p in parameters if p.type == "reference" and "Reference" in p.found]
    by: dict[str, dict[str, None]] = {}
    for parameter in references:
        for path in parameter.paths:
            for value in path.values(resource) if path.type == "Reference" else ():
                literal = value.get("reference", "")
                if literal.startswith("#"):
                    by.setdefault(literal[1:], {})[parameter.code] = None
    for contained in resource["contained"][:MOST]:
        if contained["resourceType"] == "PractitionerRole":
            # Who has a role is found by what the role is found by: ITI-67 asks for the author's name.
            person = contained.get("practitioner", {}).get("reference", "")
            by.setdefault(person.removeprefix("#"), {}).update(by.get(contained.get("id", ""), {}))
    for contained in resource["contained"][:MOST]:
        type, id = contained["resourceType"], contained.get("id", "")
        own = of(contained)
        index.contained.append(Inner(type, id, tuple(by.get(id, ())), own))
        front = _front(type)
        index.keys += [front, f"{front}_id|{id}", *(front + key for key in own.keys)]
        index.sorted += [front + entry for entry in own.sorted]
    index.keys = list(dict.fromkeys(index.keys))
    index.sorted = sorted(set(index.sorted))


def inside(type: str, condition: Condition, parameter: str = "") -> Condition:
    """What contains a resource of a type that meets a condition, and refers to it by ``parameter``, if set.

    The condition must be ``alone``.
    """
    return And((_outside(type, condition), Contained(type, condition, parameter)))


def alone(condition: Condition) -> bool:
    """Whether a contained resource says by itself if it meets the condition: not where other resources are
    asked, nor what only stored resources have."""
    match condition:
        case And(parts) | Or(parts):
            return all(map(alone, parts))
        case Not(inner):
            return alone(inner)
        case _:
            return isinstance(condition, Everything | Nothing | Ids | Keys | KeyRange | Range | Interval)


def _front(type: str) -> str:
    return f"#{type}>"


def _outside(type: str, condition: Condition) -> Condition:
    """What follows for the keys and entries of the container."""
    front = _front(type)
    match condition:
        case And(parts):
            return And(tuple(_outside(type, part) for part in parts))
        case Or(parts):
            return Or(tuple(_outside(type, part) for part in parts))
        case Keys(keys):
            return Keys(tuple(front + key for key in keys))
        case KeyRange(low, high):
            return KeyRange(front + low, front + high)
        case Range(low, high):
            return Range(front + low, front + high)
        case Ids(ids):
            return Keys(tuple(f"{front}_id|{id}" for id in ids))
        case Nothing():
            return condition
        case _:
            return Keys((front,))
