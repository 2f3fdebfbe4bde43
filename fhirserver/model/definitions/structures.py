"""The elements of the resource types and datatypes, from their StructureDefinitions.

https://hl7.org/fhir/R4/elementdefinition.html
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
_SYSTEM = "http://hl7.org/fhirpath/System."
_BEST_PRACTICE = _CANONICAL + "elementdefinition-bestpractice"
_MAX_VALUE_SET = _CANONICAL + "elementdefinition-maxValueSet"
_FHIR_TYPE = _CANONICAL + "structuredefinition-fhir-type"


class Type(msgspec.Struct, frozen=True, omit_defaults=True):
    """One type that an element may have.

    ``code`` is its name (BackboneElement for elements that are defined in place), ``structure`` the key of
    its elements in ``Definitions.structures`` ("" for primitives and Resource), ``targets`` the resource
    types that a Reference or canonical may point to (none: any), ``profile`` a restriction such as
    SimpleQuantity.
    """

    code: str
    structure: str = ""
    targets: tuple[str, ...] = ()
    profile: str = ""


class Element(msgspec.Struct, frozen=True, omit_defaults=True):
    """An element: ``max`` None is ``*``; ``choice`` says that the name gets its type as suffix (value[x]).

    ``value_set`` is the value set of the binding, without version, ``max_value_set`` the one that limits what
    may replace it; ``attribute`` says that XML writes it so.
    """

    name: str
    types: tuple[Type, ...]
    min: int = 0
    max: int | None = 1
    choice: bool = False
    strength: str = ""
    value_set: str = ""
    max_value_set: str = ""
    summary: bool = False
    modifier: bool = False
    attribute: bool = False

    def json_names(self) -> Iterator[tuple[str, Type]]:
        """The names it has in JSON and XML, each with its type: one, or one for each type of a choice."""
        for type in self.types:
            yield (self.name + type.code[0].upper() + type.code[1:] if self.choice else self.name), type


class Constraint(msgspec.Struct, frozen=True):
    """An invariant of the specification; ``severity`` is error or warning, ``advice`` a best practice."""

    key: str
    severity: str
    human: str
    expression: str
    advice: bool = False


class Structure(msgspec.Struct, frozen=True, omit_defaults=True):
    """The elements of a type (``Patient``) or of an element that is defined in place (``Patient.contact``).

    ``kind`` is resource, complex-type, primitive-type or element.
    """

    path: str
    kind: str
    elements: tuple[Element, ...]
    abstract: bool = False
    constraints: tuple[Constraint, ...] = ()


def structures_of(resource: Mapping[str, Any]) -> Iterator[Structure]:
    """The structures of a StructureDefinition; none where it is a profile or a logical model."""
    if resource["kind"] == "logical" or resource.get("derivation") == "constraint":
        return
    elements: list[Mapping[str, Any]] = resource["snapshot"]["element"]
    children: dict[str, list[Mapping[str, Any]]] = {resource["type"]: []}
    for element in elements[1:]:
        children.setdefault(element["path"].rpartition(".")[0], []).append(element)
    own = {element["path"]: element for element in elements}
    for path, defined in children.items():
        yield Structure(
            path=path,
            kind=resource["kind"] if path == resource["type"] else "element",
            elements=tuple(_element(e, children, resource["kind"]) for e in defined),
            abstract=resource["abstract"] and path == resource["type"],
            constraints=tuple(
                Constraint(
                    c["key"],
                    c["severity"],
                    c["human"],
                    c.get("expression", ""),
                    any(e["url"] == _BEST_PRACTICE for e in c.get("extension", ())),
                )
                for c in own[path].get("constraint", ())
            ),
        )


def _element(element: Mapping[str, Any], children: Mapping[str, Any], kind: str) -> Element:
    path: str = element["path"]
    binding = element.get("binding", {})
    name = path.rpartition(".")[2]
    if "contentReference" in element:
        types: tuple[Type, ...] = (Type("BackboneElement", element["contentReference"].lstrip("#")),)
    elif name == "id" and kind == "resource" and path.count(".") == 1:
        types = (Type("id"),)  # The definition says string, the text of resource.html#id says id.
    else:
        types = tuple(_type(t, path if path in children else "") for t in element["type"])
    return Element(
        name=name.removesuffix("[x]"),
        types=types,
        min=element["min"],
        max=None if element["max"] == "*" else int(element["max"]),
        choice=name.endswith("[x]"),
        strength=binding.get("strength", ""),
        value_set=binding.get("valueSet", "").partition("|")[0],
        max_value_set=next(
            (e["valueCanonical"] for e in binding.get("extension", ()) if e["url"] == _MAX_VALUE_SET), ""
        ).partition("|")[0],
        summary=element.get("isSummary", False),
        modifier=element.get("isModifier", False),
        attribute="xmlAttr" in element.get("representation", ()),
    )


def _type(type: Mapping[str, Any], path: str) -> Type:
    code: str = type["code"]
    if code.startswith(_SYSTEM):
        code = next((e["valueUrl"] for e in type.get("extension", ()) if e["url"] == _FHIR_TYPE), "string")
    targets = tuple(t.removeprefix(_CANONICAL) for t in type.get("targetProfile", ()))
    return Type(
        code=code,
        structure=path or (code if code[0].isupper() and code != "Resource" else ""),
        targets=() if "Resource" in targets else targets,
        profile="".join(type.get("profile", ())[:1]).removeprefix(_CANONICAL),
    )
