"""What FHIRPath expressions walk over: JSON values that know their FHIR type."""

from collections.abc import Iterable, Mapping
from typing import Any

from fhirserver.model.definitions import Definitions, Type


class FHIRPathError(Exception):
    """The expression cannot be compiled, or cannot be evaluated on this content."""


class Node:
    """A value in a collection: an element of a resource, or something computed.

    ``value`` is a dict for objects and None for a primitive that has nothing but extensions, which are in
    ``twin``; ``type`` is the FHIR type's name, ``structure`` the key of its elements in the definitions.
    """

    __slots__ = ("structure", "twin", "type", "value")

    def __init__(
        self, value: Any, type: str, structure: str = "", twin: Mapping[str, Any] | None = None
    ) -> None:
        self.value = value
        self.type = type
        self.structure = structure
        self.twin = twin


Nodes = list[Node]

TYPE = "ClassInfo"
"""The type of what type() gives: the name of a type, which has a ``name`` and a ``namespace``."""

TRUE = [Node(True, "boolean")]
FALSE = [Node(False, "boolean")]
NOTHING: Nodes = []


def truth(value: bool) -> Nodes:
    return TRUE if value else FALSE


def text(value: str) -> Nodes:
    return [Node(value, "string")]


class Model:
    """The definitions as FHIRPath sees them: children by element name, whatever the JSON calls them."""

    def __init__(self, definitions: Definitions) -> None:
        self._structures = definitions.structures
        self._children: dict[str, dict[str, list[tuple[str, Type]]]] = {}

    def resource(self, value: Mapping[str, Any]) -> Node:
        type = str(value.get("resourceType"))
        return Node(value, type, type)

    def element(self, value: Any, structure: str) -> Node:
        """A node for an object of this structure (``HumanName``, ``Patient.contact``)."""
        return Node(value, structure if "." not in structure else "BackboneElement", structure)

    def children(self, node: Node, name: str) -> Nodes:
        """The children with this element name; of a resource's name (``Patient``), the node itself."""
        value = node.value
        if type(value) is not dict:
            if node.type == TYPE:
                return {"name": text(value), "namespace": text("FHIR")}.get(name, NOTHING)
            twin = node.twin
            if twin is None or name not in ("extension", "id"):
                return NOTHING
            value = twin
            names = self._names("Element").get(name)
        else:
            names = self._names(node.structure).get(name)
        if names is None:
            return NOTHING
        found: Nodes = []
        for json_name, kind in names:
            item, twin = value.get(json_name), value.get("_" + json_name)
            if item is not None or twin is not None:
                found += self._nodes(item, twin, kind)
        return found

    def all_children(self, node: Node) -> Nodes:
        if type(node.value) is dict:
            return [c for name in self._names(node.structure) for c in self.children(node, name)]
        return self.children(node, "extension") if node.twin else NOTHING

    def descendants(self, node: Node) -> Iterable[Node]:
        for child in self.all_children(node):
            yield child
            yield from self.descendants(child)

    def is_type(self, node: Node, name: str) -> bool:
        """Whether the node's type is this one or specialises it; System types count as FHIR's."""
        wanted = name.rpartition(".")[2]
        if node.type == wanted or (wanted[:1].isupper() and wanted[0].lower() + wanted[1:] == node.type):
            return True
        structure = self._structures.get(node.type)
        if structure is None:
            return wanted in _PRIMITIVE_BASES.get(node.type, ())
        if structure.kind == "resource":
            return wanted == "Resource" or (
                wanted == "DomainResource" and "contained" in self._names(node.type)
            )
        if wanted == "Quantity":
            return node.type in ("Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity")
        return wanted == "Element" or wanted in _PRIMITIVE_BASES.get(node.type, ())

    def _names(self, structure: str) -> dict[str, list[tuple[str, Type]]]:
        found = self._children.get(structure)
        if found is None:
            defined = self._structures.get(structure)
            found = {}
            for element in defined.elements if defined else ():
                found[element.name] = list(element.json_names())
            self._children[structure] = found
        return found

    def _nodes(self, item: Any, twin: Any, kind: Type) -> Nodes:
        if type(item) is list or type(twin) is list:
            items = item if type(item) is list else []
            twins = twin if type(twin) is list else []
            length = max(len(items), len(twins))
            pairs = (
                (items[i] if i < len(items) else None, twins[i] if i < len(twins) else None)
                for i in range(length)
            )
            return [self._node(one, other, kind) for one, other in pairs if one is not None or other]
        return [self._node(item, twin, kind)]

    def _node(self, item: Any, twin: Any, kind: Type) -> Node:
        if kind.code == "Resource" and type(item) is dict:
            return self.resource(item)
        return Node(item, kind.code, kind.structure, twin if type(twin) is dict else None)


_PRIMITIVE_BASES = {
    "code": ("string", "String"),
    "id": ("string", "String"),
    "markdown": ("string", "String"),
    "url": ("uri", "String"),
    "canonical": ("uri", "String"),
    "oid": ("uri", "String"),
    "uuid": ("uri", "String"),
    "uri": ("String",),
    "unsignedInt": ("integer", "Integer"),
    "positiveInt": ("integer", "Integer"),
    "date": ("Date",),
    "instant": ("DateTime",),
}
