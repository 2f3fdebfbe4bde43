"""The search parameters of a resource type, compiled: what each finds in a resource and how it is compared.

What an operator's own SearchParameter may say is decided here as well: a parameter that cannot be compiled is
kept with the reason, and a search with it is refused with that reason.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from types import MappingProxyType

from fhirserver.model.definitions import Component, Definitions, SearchParameter
from fhirserver.search.expressions import NotCompilable, NotUnderstood, Path, compile_expression
from fhirserver.search.general import FHIRPath, compile_general

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
    "phonetic": frozenset({"string", "HumanName"}),
    "near": frozenset({"BackboneElement"}),
}
"""The FHIR types each comparison is about, as in the cross-map at the end of search.html."""

NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})

KEYED = ("token", "reference", "uri")
"""The types that are found by equality, as the first part of a composite must be."""

COMPARED_AS: Mapping[str, str] = {
    "http://hl7.org/fhir/SearchParameter/individual-phonetic": "phonetic",
    "http://hl7.org/fhir/SearchParameter/Organization-phonetic": "phonetic",
    "http://hl7.org/fhir/SearchParameter/Location-near": "near",
}
"""What is compared in another way than its type says, by the url of the parameter."""

_SPECIAL = {
    "_text": "it has no modifiers",
    "_content": "it has no modifiers",
    **dict.fromkeys(("_filter", "_query"), "it is no parameter of a resource"),
}

_SWAPPED = frozenset({"http://hl7.org/fhir/SearchParameter/DocumentReference-relationship"})
"""R4 has the definitions of the parts the wrong way round: the reference for code, the code for target."""

_COMBINED = "one of its parts is a combination of other parameters"
_RESOURCE = "%resource."


@dataclass(frozen=True, slots=True)
class Site:
    """What the meaning of values depends on: the server's own base URL and the zone of times without one."""

    base_url: str | None
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a composite parameter: a parameter of its own, walked from the composite's element,
    or from the resource itself (``of_resource``)."""

    parameter: "Parameter"
    expression: str
    paths: tuple[Path, ...]
    of_resource: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """A compiled search parameter of one resource type.

    ``sources`` are other parameters that together find just what this one does (combo-code is code or
    component-code): nothing is indexed for it, these are asked instead.
    ``paths`` lead to its values, ``parts`` are set for a composite only (its paths lead to the elements that
    have the parts). ``targets`` are the resource types a reference may point to. ``type`` says how values are
    compared: mostly it is the definition's, for some strings ``phonetic``, for a special one ``near``.
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


@dataclass(frozen=True, slots=True)
class Custom:
    """A SearchParameter resource that is in use beside those of FHIR.

    ``id`` and ``version`` are the resource's, ``ready`` the resource types whose stored resources are all
    indexed by this version. ``special`` is ``phonetic`` for strings that are compared by their sound.
    """

    id: str
    version: int
    definition: SearchParameter
    ready: frozenset[str] = frozenset()
    special: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """The parameters of a resource type by code: those that can be ``searched``, those that are indexed but
    wait for a reindex (``pending``), and of those that cannot be searched the reason (``refused``)."""

    searched: dict[str, Parameter]
    pending: dict[str, Parameter]
    refused: dict[str, str]


def compile_parameters(
    type: str,
    definitions: Definitions,
    customs: Sequence[Custom] = (),
    fhirpath: FHIRPath | None = None,
) -> Compiled:
    """Compile the parameters of FHIR and those of ``customs``; of two customs with the same code the first
    counts. ``fhirpath`` evaluates what is no plain path."""
    found = Compiled({}, {}, {})
    searched, refused = found.searched, found.refused
    declared = definitions.search_parameters(type)
    for code, parameter in sorted(declared.items(), key=lambda item: item[1].type == "composite"):
        if code in _SPECIAL:
            refused[code] = _SPECIAL[code]
            continue
        try:
            searched[code] = _compile(type, parameter, definitions, searched)
        except NotCompilable as reason:
            refused[code] = str(reason)
    for code, whole in list(searched.items()):
        searched[code] = replace(whole, sources=_sources(whole, searched.values()))
    for code, whole in list(searched.items()):
        if not whole.sources and any(searched[part.parameter.code].sources for part in whole.parts):
            refused[code] = _COMBINED
            del searched[code]
    for custom in sorted(customs, key=lambda custom: custom.definition.type == "composite"):
        if type in definitions.types_of(custom.definition):
            _add(custom, type, definitions, customs, fhirpath, found)
    return found


def _add(
    custom: Custom,
    type: str,
    definitions: Definitions,
    customs: Sequence[Custom],
    fhirpath: FHIRPath | None,
    found: Compiled,
) -> None:
    code = custom.definition.code
    known = found.searched | found.pending
    if code in known or code in found.refused:
        return
    by_url = {other.definition.url: other.definition for other in customs}
    try:
        compiled = _compile(type, custom.definition, definitions, known, by_url, custom.special, fhirpath)
    except NotCompilable as reason:
        found.refused[code] = str(reason)
        return
    if any(known[part.parameter.code].sources for part in compiled.parts):
        found.refused[code] = _COMBINED
    elif type in custom.ready and all(part.parameter.code in found.searched for part in compiled.parts):
        found.searched[code] = compiled
    else:
        found.pending[code] = compiled


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
    type: str,
    parameter: SearchParameter,
    definitions: Definitions,
    others: Mapping[str, Parameter],
    by_url: Mapping[str, SearchParameter] = MappingProxyType({}),
    special: str = "",
    fhirpath: FHIRPath | None = None,
) -> Parameter:
    """``others`` are the parameters that composites may be made of, ``by_url`` the custom ones of them."""
    expression = parameter.expression_for(type)
    if not expression:
        raise NotCompilable("the definition has no expression")
    compared = special or COMPARED_AS.get(parameter.url, parameter.type)
    try:
        paths = compile_expression(expression, definitions, type)
    except NotUnderstood:
        if fhirpath is None or parameter.type == "composite":
            raise
        paths = compile_general(expression, definitions, type, TYPES.get(compared, ()), fhirpath)
    if parameter.type == "composite":
        parts = _parts(parameter, type, paths, definitions, others, by_url)
        return Parameter(parameter.code, "composite", paths, parts=parts)
    kept = tuple(path for path in paths if path.type in TYPES.get(compared, ()))
    if not kept:
        names = ", ".join(sorted({path.type for path in paths}))
        raise NotCompilable(f"a {compared} parameter cannot search {names}")
    return Parameter(parameter.code, compared, kept, _targets(parameter, kept, definitions))


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
    type: str,
    paths: tuple[Path, ...],
    definitions: Definitions,
    others: Mapping[str, Parameter],
    by_url: Mapping[str, SearchParameter],
) -> tuple[Part, ...]:
    components = list(parameter.components)
    if len(components) < 2:
        raise NotCompilable("a composite has at least two parts")
    if parameter.url in _SWAPPED:
        swapped = zip(reversed(components), components, strict=True)
        components = [Component(right.definition, this.expression) for right, this in swapped]
    parts: list[Part] = []
    for component in components:
        url = component.definition.partition("|")[0]
        try:
            definition = by_url.get(url) or definitions.search_parameter(url)
        except KeyError:
            raise NotCompilable(f"its part {component.definition} is not defined") from None
        own = others.get(definition.code)
        if own is None or own.type in ("composite", "phonetic", "near"):
            raise NotCompilable(f"its part {definition.code!r} cannot be searched")
        of_resource = component.expression.startswith(_RESOURCE)
        expression = component.expression.removeprefix(_RESOURCE)
        structures = [type] if of_resource else sorted({path.structure for path in paths})
        inner = [
            path
            for structure in structures
            for path in compile_expression(expression, definitions, structure)
            if path.type in TYPES.get(own.type, ())
        ]
        if not inner:
            raise NotCompilable(f"its part {definition.code!r} finds nothing")
        if not parts and own.type not in KEYED:
            raise NotCompilable(f"its first part {definition.code!r} is not a token, reference or uri")
        parts.append(Part(own, component.expression, tuple(dict.fromkeys(inner)), of_resource))
    _check_measured(parts)
    return tuple(parts)


def _check_measured(parts: Sequence[Part]) -> None:
    """What is not found by equality shares one interval: one part of any type, or two plain numbers."""
    measured = [part for part in parts if part.parameter.type not in KEYED]
    plain = all(path.type in NUMBERS for part in measured for path in part.paths)
    if len(measured) > 2 or (len(measured) == 2 and not plain):
        raise NotCompilable(
            "of its parts one may be compared by its size or by its start, or two that are plain numbers"
        )
