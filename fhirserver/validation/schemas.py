"""JSON Schemas of resource types and profiles, so that senders can check before they send.

Made from the same definitions as the rules. A schema says what JSON Schema can: names, JSON types,
cardinality, formats, codes of required bindings, fixed values; not invariants, references, slices, texts.

https://json-schema.org/draft/2020-12/schema
"""

from collections.abc import Iterable, Mapping
from typing import Any

from fhirserver.model.definitions import Definitions, Element, Type
from fhirserver.validation.profiles.elements import MISSING, Constrained

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_YEAR, _MONTH = "(?!0000)[0-9]{4}", "(0[1-9]|1[0-2])"
_DAY = "(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"


def _text(pattern: str = "") -> Schema:
    return {"type": "string", "minLength": 1, **({"pattern": f"^{pattern}$"} if pattern else {})}


def _whole(low: int, high: int = 0x7FFFFFFF) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


PRIMITIVES: dict[str, Schema] = {
    "base64Binary": {**_text(), "contentEncoding": "base64"},
    "boolean": {"type": "boolean"},
    "canonical": _text(r"\S+"),
    "code": _text(r"\S+( \S+)*"),
    "date": _text(f"{_YEAR}(-{_MONTH}(-{_DAY})?)?"),
    "dateTime": _text(f"{_YEAR}(-{_MONTH}(-{_DAY}(T{_TIME}{_ZONE})?)?)?"),
    "decimal": {"type": "number"},
    "id": _text(r"[A-Za-z0-9\-.]{1,64}"),
    "instant": _text(f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}"),
    "integer": _whole(-0x80000000),
    "markdown": _text(),
    "oid": _text(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+"),
    "positiveInt": _whole(1),
    "string": _text(),
    "time": _text(_TIME),
    "unsignedInt": _whole(0),
    "uri": _text(r"\S+"),
    "url": _text(r"\S+"),
    "uuid": _text("urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "xhtml": _text(),
}
"""The schema of every primitive type."""

ANY_RESOURCE: Schema = {
    "type": "object",
    "properties": {"resourceType": {"type": "string"}},
    "required": ["resourceType"],
}


def schema_of(type: str, definitions: Definitions, url: str) -> Schema:
    """The schema of a resource type; ``url`` is where it is served. Raises KeyError: no such type."""
    schemas = _Schemas(definitions)
    schemas.define(type)
    return {
        "$schema": DIALECT,
        "$id": url,
        "title": type,
        "description": f"FHIR R4 {type}: names, cardinality, formats and required codes",
        "$ref": f"#/$defs/{type}",
        "$defs": schemas.defined,
    }


def profile_schema(tree: Constrained, definitions: Definitions, url: str, canonical: str) -> Schema:
    """The schema of a profile: that of its type, and what the profile adds."""
    base = schema_of(tree.name, definitions, url)
    del base["$ref"]
    return {
        **base,
        "title": canonical.rpartition("/")[2],
        "description": f"{canonical}: what JSON Schema can say of it",
        "allOf": [{"$ref": f"#/$defs/{tree.name}"}, _constrained(tree, tree.structure, definitions)],
    }


class _Schemas:
    """The schemas of structures, each defined once and referred to by its path."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self.defined: dict[str, Schema] = {}

    def define(self, path: str) -> None:
        if path in self.defined:
            return
        structure = self._definitions.structures[path]
        properties: dict[str, Schema] = {}
        self.defined[path] = found = {
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "minProperties": 1,
        }
        needed: list[str] = []
        alternatives: list[Schema] = []
        if structure.kind == "resource":
            properties["resourceType"] = {"const": path}
            needed.append("resourceType")
        for element in structure.elements:
            names = []
            for name, type in element.json_names():
                properties[name] = self._repeated(self._value(element, type), element)
                names.append(name)
                if not type.structure and type.code != "Resource" and not element.attribute:
                    self.define("Element")
                    properties["_" + name] = self._repeated({"$ref": "#/$defs/Element"}, element, pads=True)
                    names.append("_" + name)
            if element.choice and len(names) > 1:
                alternatives.append(_at_most_one(n for n in names if n[0] != "_"))
            if element.min and len(names) == 1:
                needed += names
            elif element.min:
                alternatives.append({"anyOf": [{"required": [name]} for name in names]})
        if needed:
            found["required"] = needed
        if alternatives:
            found["allOf"] = alternatives

    def _value(self, element: Element, type: Type) -> Schema:
        if type.code == "Resource":
            return ANY_RESOURCE
        if type.structure:
            self.define(type.structure)
            return {"$ref": f"#/$defs/{type.structure}"}
        value_set = self._definitions.value_sets.get(element.value_set)
        if element.strength == "required" and type.code == "code" and value_set and not value_set.open:
            return {"enum": [code for listed in value_set.codes.values() for code in listed]}
        return PRIMITIVES[type.code]

    @staticmethod
    def _repeated(value: Schema, element: Element, *, pads: bool = False) -> Schema:
        if element.max is not None and element.max <= 1:
            return value
        primitive = pads or not any(t.structure or t.code == "Resource" for t in element.types)
        items = {"anyOf": [value, {"type": "null"}]} if primitive else value
        return {"type": "array", "minItems": 1, "items": items}


def _at_most_one(names: Iterable[str]) -> Schema:
    """A choice is there once: as none of its names, or as exactly one."""
    required: list[Schema] = [{"required": [name]} for name in names]
    return {"oneOf": [*required, {"not": {"anyOf": required}}]}


def _constrained(tree: Constrained, structure: str, definitions: Definitions) -> Schema:
    """What a profile adds to an object; slices are left out, for JSON Schema cannot tell them apart."""
    properties: dict[str, Any] = {}
    alternatives: list[Schema] = []
    known: Mapping[str, tuple[Element, Type]] = (
        definitions.elements(structure) if structure in definitions.structures else {}
    )
    for child in tree.children.values():
        names = {name: pair for name, pair in known.items() if pair[0].name == child.name}
        allowed = {kind.code for kind in child.kinds}
        for name, (element, type) in names.items():
            if child.most == 0 or (element.choice and allowed and type.code not in allowed):
                properties[name] = properties["_" + name] = False
                continue
            value = _constrained(child, type.structure, definitions)
            many = element.max is None or element.max > 1
            if many:
                value = {"items": value, **({"minItems": child.least} if child.least else {})}
                if child.most is not None:
                    value["maxItems"] = child.most
            properties[name] = value
        if child.least and names:
            alternatives.append({"anyOf": [{"required": [n]} for m in names for n in (m, "_" + m)]})
    found: Schema = {}
    if properties:
        found["properties"] = properties
    if alternatives:
        found["allOf"] = alternatives
    if tree.fixed is not MISSING:
        found["const"] = tree.fixed
    if tree.pattern is not MISSING and not isinstance(tree.pattern, dict | list):
        found["const"] = tree.pattern
    if tree.max_length is not None:
        found["maxLength"] = tree.max_length
    return found
