"""FHIRPath Patch: https://hl7.org/fhir/R4/fhirpatch.html"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from fhirserver.model.definitions import Definitions
from fhirserver.model.json import Resource
from fhirserver.patch.elements import Elements, Value, value_of
from fhirserver.patch.failure import MalformedPatch, PatchFailed, check_count
from fhirserver.patch.failure import place as place_of
from fhirserver.patch.paths import NotUnderstood, Place, names, select


@dataclass(frozen=True, slots=True)
class _Operation:
    """One ``operation`` parameter, its parts by name."""

    position: int
    parts: Mapping[str, Mapping[str, Any]]
    definitions: Definitions

    @property
    def expression(self) -> str:
        return f"Parameters.parameter[{self.position}]"

    @property
    def label(self) -> str:
        return place_of(self.position, f"{self.text('type')} {self.text('path')[:100]}".strip())

    def text(self, name: str) -> str:
        part = self.parts.get(name, {})
        return next((v for k, v in part.items() if k in ("valueString", "valueCode")), "")

    def number(self, name: str) -> int:
        value = self.parts.get(name, {}).get("valueInteger")
        if not isinstance(value, int) or value < 0:
            raise self.malformed(f"the part {name} is not an integer of 0 or more")
        return value

    def malformed(self, text: str) -> MalformedPatch:
        return MalformedPatch(f"{self.label}: {text}", expression=self.expression)

    def failed(self, text: str) -> PatchFailed:
        return PatchFailed(f"{self.label}: {text}", expression=self.expression)


def apply_fhirpath_patch(resource: Resource, patch: Resource, definitions: Definitions) -> Resource:
    """The resource with the operations of a Parameters resource applied, in order, to a copy of it.

    Raises:
        MalformedPatch: an operation is not as the specification says, or its path is not understood.
        PatchFailed: an operation finds nothing (or several elements) at its path, or the value is of a type
            that the element does not have.
    """
    if patch.get("resourceType") != "Parameters":
        raise MalformedPatch("A FHIRPath Patch is a Parameters resource", expression="resourceType")
    parameters = patch.get("parameter", [])
    check_count(len(parameters))
    patched = deepcopy(resource)
    for position, parameter in enumerate(parameters):
        operation = _operation(position, parameter, definitions)
        perform = OPERATIONS.get(operation.text("type"))
        if perform is None:
            raise operation.malformed(f"the part type is not one of {', '.join(OPERATIONS)}")
        try:
            found = select(patched, operation.text("path"), definitions)
            perform(operation, found)
        except NotUnderstood as reason:
            raise operation.malformed(str(reason)) from None
    return patched


def _operation(position: int, parameter: Mapping[str, Any], definitions: Definitions) -> _Operation:
    parts: dict[str, Mapping[str, Any]] = {}
    operation = _Operation(position, parts, definitions)
    if parameter.get("name") != "operation":
        raise operation.malformed("each parameter of a FHIRPath Patch is named operation")
    for part in parameter.get("part", ()):
        if part["name"] in parts:
            raise operation.malformed(f"the part {part['name']} is there twice")
        if part["name"] not in PARTS:
            raise operation.malformed(f"the part {part['name'][:40]!r} is not one of {', '.join(PARTS)}")
        parts[part["name"]] = part
    if not operation.text("path"):
        raise operation.malformed("the part path is missing")
    return operation


def _add(operation: _Operation, found: list[Place]) -> None:
    parent = _single(operation, found)
    name = operation.text("name")
    if not name:
        raise operation.malformed("the part name is missing")
    choices = names(parent, name.removesuffix("[x]"), operation.definitions)
    value = _value(operation, choices)
    owner = Elements.owner(parent)
    if value.element.max is None:
        Elements(owner, value.name).append(value)
    elif any(key in owner or f"_{key}" in owner for key, _, _ in choices):
        raise operation.failed(f"{name} is there already and does not repeat; replace it")
    else:
        Elements.put(owner, value)


def _insert(operation: _Operation, found: list[Place]) -> None:
    elements, first = _collection(operation, found)
    index = operation.number("index")
    if index > len(elements):
        raise operation.failed(f"index {index} is beyond the {len(elements)} elements of the list")
    assert first.element is not None
    elements.insert(index, _value(operation, [(first.name, first.element, first.type)]))


def _delete(operation: _Operation, found: list[Place]) -> None:
    if len(found) > 1:
        raise operation.failed(f"the path selects {len(found)} elements; only a single one can be deleted")
    for place in found:
        _not_the_resource(operation, place)
        Elements.remove(place)


def _replace(operation: _Operation, found: list[Place]) -> None:
    place = _single(operation, found)
    _not_the_resource(operation, place)
    assert place.element is not None
    choices = [(name, place.element, type) for name, type in place.element.json_names()]
    value = _value(operation, choices)
    if place.index is None:
        Elements.remove(place)
        Elements.put(place.owner, value)
    else:
        Elements(place.owner, place.name).replace(place.index, value)


def _move(operation: _Operation, found: list[Place]) -> None:
    elements, _ = _collection(operation, found)
    source, destination = operation.number("source"), operation.number("destination")
    for index in (source, destination):
        if index >= len(elements):
            raise operation.failed(f"there is no element {index} in the list of {len(elements)}")
    elements.move(source, destination)


def _single(operation: _Operation, found: list[Place]) -> Place:
    if len(found) != 1:
        count = f"{len(found)} elements" if found else "nothing"
        raise operation.failed(f"the path selects {count}; it must select a single element")
    return found[0]


def _collection(operation: _Operation, found: list[Place]) -> tuple[Elements, Place]:
    """The one list that a path selects as a whole."""
    if not found:
        raise operation.failed("the path selects nothing; a first element is added with add")
    first = found[0]
    if first.index is None:
        raise operation.failed("the path does not select a list")
    elements = Elements(first.owner, first.name)
    if len(found) != len(elements) or any(p.owner is not first.owner or p.name != first.name for p in found):
        raise operation.failed("the path does not select one whole list")
    return elements, first


def _not_the_resource(operation: _Operation, place: Place) -> None:
    if place.is_root:
        raise operation.failed("the resource itself cannot be replaced or deleted by a patch")


def _value(operation: _Operation, choices: list[Any]) -> Value:
    part = operation.parts.get("value")
    if part is None:
        raise operation.malformed("the part value is missing")
    try:
        return value_of(part, choices, operation.definitions)
    except ValueError as error:
        raise operation.failed(str(error)) from None


OPERATIONS: Mapping[str, Callable[[_Operation, list[Place]], None]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}
PARTS = ("type", "path", "name", "value", "index", "source", "destination")
