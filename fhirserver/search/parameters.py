"""The search parameters of a resource type, compiled: what each finds in a resource and how it is compared.

What an operator's own SearchParameter may say is decided here as well: a parameter that cannot be compiled is
kept with the reason, and a search with it is refused with that reason.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo

from fhirserver.model.definitions import Component, Definitions, SearchParameter
from fhirserver.search.expressions import NotCompilable, Path, compile_expression

TYPES: Mapping[str, frozenset[str]] = {
    "string": frozenset(
        {"string", "markdown", "HumanName", "Address", "code", "id", "uri", "url", "canonical"}
    ),
    "token": frozenset(
        {"code", "id", "boolean", "string", "uri", "url", "canonical", "oid", "uuid"}
        | {"Coding", "CodeableConcept", "Identifier", "ContactPoint"}
    ),
    "reference": frozenset({"Reference", "canonical", "uri", "url", "Resource"}),
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing"}),
    "number": frozenset({"decimal", "integer", "positiveInt", "unsignedInt", "Range"}),
    "quantity": frozenset({"Quantity", "Age", "Duration", "Count", "Distance", "Money", "Range"}),
    "uri": frozenset({"uri", "url", "canonical", "oid", "uuid"}),
}
"""The FHIR types each type of search parameter compares, as in the cross-map at the end of search.html."""

KEYED = ("token", "reference", "uri")
"""The types that are found by equality, as the first part of a composite must be."""

_SPECIAL = {
    "phonetic": "phonetic matching is not supported; search name instead",
    "near": "searching by distance is not supported",
    "_text": "full-text search is not supported; search the parameters that say what the text says",
    "_content": "full-text search is not supported; search the parameters that say what the text says",
    "_filter": "it is no parameter of a resource",
    "_query": "named queries are not supported",
}

_SWAPPED = frozenset({"http://hl7.org/fhir/SearchParameter/DocumentReference-relationship"})
"""R4 has the definitions of the parts the wrong way round: the reference for code, the code for target."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the meaning of values depends on: the server's own base URL and the zone of times without one."""

    base_url: str | None
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a composite parameter: a parameter of its own, walked from the composite's element."""

    parameter: "Parameter"
    expression: str
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A compiled search parameter of one resource type.

    ``sources`` are other parameters that together find just what this one does (combo-code is code or
    component-code): nothing is indexed for it, these are asked instead.
    ``paths`` lead to its values, ``parts`` are set for a composite only (its paths lead to the elements that
    have the parts). ``targets`` are the resource types a reference may point to.
    """

    code: str
    type: str
    paths: tuple[Path, ...]
    targets: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    sources: tuple["Parameter", ...] = ()

    @property
    def found(self) -> frozenset[str]:
        """The FHIR types of its values."""
        return frozenset(path.type for path in self.paths)


def compile_parameters(type: str, definitions: Definitions) -> tuple[dict[str, Parameter], dict[str, str]]:
    """The parameters of a resource type by code, and of those that cannot be searched the reason."""
    compiled: dict[str, Parameter] = {}
    refused: dict[str, str] = {}
    declared = definitions.search_parameters(type)
    for code, parameter in sorted(declared.items(), key=lambda item: item[1].type == "composite"):
        if code in _SPECIAL:
            refused[code] = _SPECIAL[code]
            continue
        try:
            compiled[code] = _compile(type, parameter, definitions, compiled)
        except NotCompilable as reason:
            refused[code] = str(reason)
    for code, whole in list(compiled.items()):
        compiled[code] = replace(whole, sources=_sources(whole, compiled.values()))
    for code, whole in list(compiled.items()):
        if not whole.sources and any(compiled[part.parameter.code].sources for part in whole.parts):
            refused[code] = "one of its parts is a combination of other parameters"
            del compiled[code]
    return compiled, refused


def _sources(whole: Parameter, others: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """Parameters that split this one between them, if there are such."""
    paths = set(whole.paths)
    inside = [
        p for p in others if p.type == whole.type and set(p.paths) < paths and _pairs(p) == _pairs(whole)
    ]
    covered = {path for parameter in inside for path in parameter.paths}
    return tuple(inside) if covered == paths else ()


def _pairs(parameter: Parameter) -> tuple[str, ...]:
    """What a composite pairs, whatever names its parts have on their own."""
    return tuple(part.parameter.type + part.expression for part in parameter.parts)


def _compile(
    type: str, parameter: SearchParameter, definitions: Definitions, others: Mapping[str, Parameter]
) -> Parameter:
    expression = parameter.expression_for(type)
    if not expression:
        raise NotCompilable("the definition has no expression")
    paths = compile_expression(expression, definitions, type)
    if parameter.type == "composite":
        return Parameter(
            parameter.code, "composite", paths, parts=_parts(parameter, paths, definitions, others)
        )
    kept = tuple(path for path in paths if path.type in TYPES.get(parameter.type, ()))
    if not kept:
        names = ", ".join(sorted({path.type for path in paths}))
        raise NotCompilable(f"a {parameter.type} parameter cannot search {names}")
    return Parameter(parameter.code, parameter.type, kept, _targets(parameter, kept, definitions))


def _targets(
    parameter: SearchParameter, paths: tuple[Path, ...], definitions: Definitions
) -> tuple[str, ...]:
    """What a reference may point to: by the elements it is found in, else by the parameter's own list."""
    if parameter.type != "reference":
        return ()
    if all(path.targets for path in paths):
        return tuple(sorted({target for path in paths for target in path.targets}))
    return tuple(sorted(parameter.target)) or tuple(sorted(definitions.resource_types))


def _parts(
    parameter: SearchParameter,
    paths: tuple[Path, ...],
    definitions: Definitions,
    others: Mapping[str, Parameter],
) -> tuple[Part, ...]:
    if len(parameter.components) != 2:
        raise NotCompilable("only composites of two parts are supported")
    parts: list[Part] = []
    components = list(parameter.components)
    if parameter.url in _SWAPPED:
        swapped = zip(reversed(components), components, strict=True)
        components = [Component(right.definition, this.expression) for right, this in swapped]
    for component in components:
        try:
            definition = definitions.search_parameter(component.definition)
        except KeyError:
            raise NotCompilable(f"its part {component.definition} is not defined") from None
        own = others.get(definition.code)
        if own is None:
            raise NotCompilable(f"its part {definition.code!r} cannot be searched")
        structures = sorted({path.structure for path in paths})
        inner = [
            path
            for structure in structures
            for path in compile_expression(component.expression, definitions, structure)
            if path.type in TYPES.get(own.type, ())
        ]
        if not inner:
            raise NotCompilable(f"its part {definition.code!r} finds nothing")
        if not parts and own.type not in KEYED:
            raise NotCompilable(f"its first part {definition.code!r} is not a token, reference or uri")
        parts.append(Part(own, component.expression, tuple(dict.fromkeys(inner))))
    return tuple(parts)
