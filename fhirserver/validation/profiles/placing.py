"""The items an element of a profile is about, each with its place in the resource."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fhirserver.model.definitions import Definitions
from fhirserver.validation.fhirpath import Node
from fhirserver.validation.report import Node as Place


class Item(NamedTuple):
    node: Node
    place: Place


def items_of(parent: Node, place: Place, name: str, definitions: Definitions) -> list[Item]:
    """The items of the element ``name`` of an object, whatever its type makes its JSON name."""
    value = parent.value
    if type(value) is not dict:
        return _of_primitive(parent, place, name)
    found: list[Item] = []
    for json_name, twin_name, step, code, structure in _names(definitions, parent.structure, name):
        listed, twins = value.get(json_name), value.get(twin_name)
        if listed is None and twins is None:
            continue
        if type(listed) is list or type(twins) is list:
            for index, (one, twin) in enumerate(_paired(listed, twins)):
                found.append(Item(_node(one, twin, code, structure), ((place, step), index)))
        else:
            found.append(Item(_node(listed, twins, code, structure), (place, step)))
    return found


@lru_cache(maxsize=8192)
def _names(definitions: Definitions, structure: str, name: str) -> tuple[tuple[str, str, str, str, str], ...]:
    """The JSON names of an element, each with its twin, its step in FHIRPath, type and structure."""
    if structure not in definitions.structures:
        return ()
    return tuple(
        (
            json_name,
            "_" + json_name,
            f".{name}.ofType({kind.code})" if element.choice else f".{name}",
            kind.code,
            kind.structure,
        )
        for json_name, (element, kind) in definitions.elements(structure).items()
        if element.name == name
    )


def _of_primitive(parent: Node, place: Place, name: str) -> list[Item]:
    """Extensions and id of a primitive."""
    twin = parent.twin
    if twin is None or name not in ("extension", "id"):
        return []
    value = twin.get(name)
    if name == "id":
        return [Item(Node(value, "string"), (place, ".id"))] if value is not None else []
    listed = value if type(value) is list else []
    return [Item(Node(e, "Extension", "Extension"), ((place, ".extension"), i)) for i, e in enumerate(listed)]


def _node(value: Any, twin: Any, code: str, structure: str) -> Node:
    if code == "Resource":
        code = structure = str(value.get("resourceType")) if type(value) is dict else "Resource"
    return Node(value, code, structure, twin if isinstance(twin, Mapping) else None)


def _paired(listed: Any, twins: Any) -> list[tuple[Any, Any]]:
    values = listed if type(listed) is list else []
    others = twins if type(twins) is list else []
    return [
        (values[i] if i < len(values) else None, others[i] if i < len(others) else None)
        for i in range(max(len(values), len(others)))
    ]


def agrees(found: Any, wanted: Any, *, exact: bool) -> bool:
    """Whether a value is the fixed one (``exact``), or has at least what the pattern has."""
    if exact or not isinstance(wanted, dict | list):
        return type(found) is not bool and found == wanted if type(wanted) is not bool else found is wanted
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            name in found and agrees(found[name], value, exact=False) for name, value in wanted.items()
        )
    return isinstance(found, list) and all(any(agrees(f, w, exact=False) for f in found) for w in wanted)


def parts(value: Any, steps: list[str]) -> list[Any]:
    """What lies at the end of the steps in a plain value, lists taken item by item."""
    found = [value]
    for step in steps:
        found = [part for one in found if isinstance(one, dict) for part in _listed(one.get(step))]
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
