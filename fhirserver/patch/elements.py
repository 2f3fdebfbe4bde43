"""Elements in their JSON form, written: lists of primitives have a twin list for ids and extensions.

https://hl7.org/fhir/R4/json.html#primitive
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhirserver.model.definitions import Definitions, Element, Type
from fhirserver.patch.paths import Place

Choice = tuple[str, Element, Type]
"""A name that an element may have in JSON, with the type that goes with it."""


@dataclass(frozen=True, slots=True)
class Value:
    """What is written for an element, under the JSON name that its type gives."""

    name: str
    element: Element
    content: Any = None
    twin: Any = None


class Elements:
    """The elements of one list, with the twins of primitives beside them."""

    def __init__(self, owner: dict[str, Any], name: str) -> None:
        self._owner = owner
        self._name = name
        values, twins = owner.get(name) or [], owner.get(f"_{name}") or []
        count = max(len(values), len(twins))
        padded = ([*items, *[None] * (count - len(items))] for items in (values, twins))
        self._items = list(zip(*padded, strict=True))

    def __len__(self) -> int:
        return len(self._items)

    def append(self, value: Value) -> None:
        self.insert(len(self._items), value)

    def insert(self, index: int, value: Value) -> None:
        self._items.insert(index, (value.content, value.twin))
        self._write()

    def replace(self, index: int, value: Value) -> None:
        self._items[index] = (value.content, value.twin)
        self._write()

    def move(self, source: int, destination: int) -> None:
        self._items.insert(destination, self._items.pop(source))
        self._write()

    def delete(self, index: int) -> None:
        del self._items[index]
        self._write()

    def _write(self) -> None:
        """A list without any part is left out: FHIR has no empty ones."""
        for name, part in ((self._name, 0), (f"_{self._name}", 1)):
            parts = [item[part] for item in self._items]
            if any(p is not None for p in parts):
                self._owner[name] = parts
            else:
                self._owner.pop(name, None)

    @staticmethod
    def owner(place: Place) -> dict[str, Any]:
        """The object that holds an element's children; a primitive gets its twin now when it has none."""
        if isinstance(place.value, dict):
            return place.value
        if not isinstance(place.twin, dict):
            twin: dict[str, Any] = {}
            if place.index is None:
                place.owner[f"_{place.name}"] = twin
            else:
                value = Value(place.name, place.element, place.value, twin)  # type: ignore[arg-type]  # only the root has no element, and it is no primitive
                Elements(place.owner, place.name).replace(place.index, value)
            return twin
        return place.twin

    @staticmethod
    def put(owner: dict[str, Any], value: Value) -> None:
        """Write an element that does not repeat."""
        parts = {value.name: value.content, f"_{value.name}": value.twin}
        owner.update((name, part) for name, part in parts.items() if part is not None)

    @staticmethod
    def remove(place: Place) -> None:
        if place.index is not None:
            Elements(place.owner, place.name).delete(place.index)
            return
        for name in (place.name, f"_{place.name}"):
            place.owner.pop(name, None)


def value_of(part: Mapping[str, Any], choices: Sequence[Choice], definitions: Definitions) -> Value:
    """The content that a parameter gives an element: ``value[x]``, a resource, or parts for each child.

    https://hl7.org/fhir/R4/fhirpatch.html, "Anonymous Types"

    Raises:
        ValueError: it has none, or one of a type that the element does not have.
    """
    possible = ", ".join(dict.fromkeys(type.code for _, _, type in choices))
    if "resource" in part:
        for name, element, type in choices:
            if type.code == "Resource":
                return Value(name, element, part["resource"])
        raise ValueError(f"the value is a resource; the element is of type {possible}")
    if "part" in part:
        if len(choices) != 1 or not choices[0][2].structure:
            raise ValueError(f"a value in parts is for elements with children, not for {possible}")
        name, element, type = choices[0]
        return Value(name, element, _from_parts(part["part"], type.structure, definitions))
    given = next((k.lstrip("_") for k in part if k.lstrip("_").startswith("value")), None)
    if given is None:
        raise ValueError("the value is missing")
    code = given.removeprefix("value")
    for name, element, type in choices:
        if type.code[0].upper() + type.code[1:] == code:
            return Value(name, element, part.get(given), part.get(f"_{given}"))
    raise ValueError(f"the value is a {code}; the element is of type {possible}")


def _from_parts(
    parts: Sequence[Mapping[str, Any]], structure: str, definitions: Definitions
) -> dict[str, Any]:
    content: dict[str, Any] = {}
    elements = {element.name: element for element in definitions.structures[structure].elements}
    for part in parts:
        element = elements.get(part["name"])
        if element is None:
            raise ValueError(f"{structure} has no element {part['name'][:40]!r}")
        choices = [(name, element, type) for name, type in element.json_names()]
        value = value_of(part, choices, definitions)
        if element.max is None:
            Elements(content, value.name).append(value)
        elif value.name in content or f"_{value.name}" in content:
            raise ValueError(f"{part['name']} is there twice and does not repeat")
        else:
            Elements.put(content, value)
    return content
