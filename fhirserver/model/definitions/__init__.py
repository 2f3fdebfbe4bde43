"""The FHIR R4 definitions: compiled once from the official package, then kept in a cache on disk.

definitions = load(download(Path("profiles/packages")), Path(".cache"))
definitions.structures["Patient.contact"].elements
definitions.search_parameters("Patient")["birthdate"].expression_for("Patient")
"""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from fhirserver.model import json
from fhirserver.model.definitions import ihe
from fhirserver.model.definitions.package import (
    PACKAGE,
    PackageError,
    download,
    read,
    resources,
    write_atomically,
)
from fhirserver.model.definitions.profiles import (
    CHECKED,
    Operators,
    bound_by,
    is_profile,
    is_usable,
    operators,
    trimmed,
)
from fhirserver.model.definitions.search_parameters import (
    Component,
    SearchParameter,
    search_parameters_of,
)
from fhirserver.model.definitions.structures import (
    Constraint,
    Element,
    Structure,
    Type,
    structures_of,
)
from fhirserver.model.definitions.value_sets import ValueSet, ValueSets

__all__ = [
    "PACKAGE",
    "Component",
    "Constraint",
    "Definitions",
    "Element",
    "Operators",
    "PackageError",
    "SearchParameter",
    "Structure",
    "Type",
    "ValueSet",
    "download",
    "is_usable",
    "load",
    "operators",
    "trimmed",
]

_FORMAT = 2
"""Part of the cache's name: to be raised with every change to what is compiled or how."""

_log = logging.getLogger(__name__)


class _Compiled(msgspec.Struct, frozen=True):
    structures: dict[str, Structure]
    value_sets: dict[str, ValueSet]
    code_systems: dict[str, tuple[str, ...]]
    profiles: dict[str, bytes]
    search_parameters: tuple[SearchParameter, ...]
    compartments: dict[str, dict[str, tuple[str, ...]]]


class Definitions:
    """What FHIR R4 defines. Immutable, safe to share between threads.

    ``structures`` has the types by name and the elements defined in place by path; ``value_sets`` the sets of
    bindings (not preferred ones and examples) by url, as far as they can be expanded; ``code_systems`` the
    codes of HL7's complete code systems; ``profiles`` the profiles and extensions of the specification as
    trimmed JSON by url; ``resource_types`` those that have instances.
    """

    def __init__(self, compiled: _Compiled) -> None:
        self.structures: Mapping[str, Structure] = MappingProxyType(compiled.structures)
        self.value_sets: Mapping[str, ValueSet] = MappingProxyType(compiled.value_sets)
        self.code_systems: Mapping[str, tuple[str, ...]] = MappingProxyType(compiled.code_systems)
        self.profiles: Mapping[str, bytes] = MappingProxyType(compiled.profiles)
        self.resource_types = frozenset(
            s.path for s in compiled.structures.values() if s.kind == "resource" and not s.abstract
        )
        self._names: dict[str, Mapping[str, tuple[Element, Type]]] = {}
        self._compartments = compiled.compartments
        parameters = (*compiled.search_parameters, *ihe.SEARCH_PARAMETERS)
        self._parameters_by_url = {p.url: p for p in parameters}
        self._parameters: dict[str, dict[str, SearchParameter]] = {type: {} for type in self.resource_types}
        for parameter in parameters:
            for type in self.types_of(parameter):
                self._parameters[type][parameter.code] = parameter

    def elements(self, path: str) -> Mapping[str, tuple[Element, Type]]:
        """The elements of a structure by JSON (and XML) name, in order: ``valueQuantity`` for a choice.

        Raises:
            KeyError: there is no such structure.
        """
        found = self._names.get(path)
        if found is None:
            elements = self.structures[path].elements
            found = MappingProxyType({n: (e, type) for e in elements for n, type in e.json_names()})
            self._names[path] = found
        return found

    def search_parameters(self, type: str) -> Mapping[str, SearchParameter]:
        """The parameters of a resource type by code, with those of Resource and DomainResource.

        Raises:
            KeyError: there is no such resource type.
        """
        return MappingProxyType(self._parameters[type])

    def types_of(self, parameter: SearchParameter) -> list[str]:
        """The resource types that a parameter is about."""
        return [type for base in parameter.base for type in self._descendants(base)]

    def search_parameter(self, url: str) -> SearchParameter:
        """The parameter with this canonical url, as composites name their components.

        Raises:
            KeyError: there is none.
        """
        return self._parameters_by_url[url]

    def compartment(self, name: str) -> Mapping[str, tuple[str, ...]]:
        """Resource type -> the search parameters that put a resource into the compartment (``Patient``).

        Types that never are in it are left out.

        Raises:
            KeyError: there is no such compartment.
        """
        return MappingProxyType(self._compartments[name])

    def has_compartment(self, name: str) -> bool:
        return name in self._compartments

    def is_domain_resource(self, type: str) -> bool:
        """Whether the type has text, contained and extension: all but Bundle, Binary and Parameters do."""
        return any(element.name == "contained" for element in self.structures[type].elements)

    def _descendants(self, base: str) -> list[str]:
        if base == "Resource":
            return list(self.resource_types)
        if base == "DomainResource":
            return [type for type in self.resource_types if self.is_domain_resource(type)]
        return [base]


def load(package: Path, cache: Path) -> Definitions:
    """The definitions of a package, from the directory ``cache`` where they have been compiled before.

    Raises:
        PackageError: the package is missing or broken.
    """
    digest = hashlib.sha256(read(package)).hexdigest()
    compiled_file = cache / f"definitions-{digest[:16]}-{_FORMAT}.msgpack"
    compiled = _cached(compiled_file)
    if compiled is None:
        compiled = _compile(package)
        try:
            cache.mkdir(parents=True, exist_ok=True)
            write_atomically(compiled_file, msgspec.msgpack.encode(compiled))
        except OSError as error:
            _log.warning("The compiled definitions cannot be kept in %s: %s", cache, error.strerror)
    return Definitions(compiled)


def _cached(file: Path) -> _Compiled | None:
    try:
        return msgspec.msgpack.decode(file.read_bytes(), type=_Compiled)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("The compiled definitions in %s are broken and compiled again: %s", file, error)
        return None


def _compile(package: Path) -> _Compiled:
    structures: dict[str, Structure] = {}
    search_parameters: list[SearchParameter] = []
    value_sets = ValueSets()
    compartments = {}
    profiles: dict[str, bytes] = {}
    bound: set[str] = set()
    kinds = ("StructureDefinition", "SearchParameter", "CompartmentDefinition", "ValueSet", "CodeSystem")
    for resource in resources(package, *kinds):
        match resource["resourceType"]:
            case "StructureDefinition" if is_profile(resource):
                profile = trimmed(resource)
                profiles[resource["url"]] = json.format(profile)
                bound |= bound_by(profile)
            case "StructureDefinition":
                structures.update((s.path, s) for s in structures_of(resource))
            case "SearchParameter":
                search_parameters.extend(search_parameters_of(resource))
            case "CompartmentDefinition" if resource["id"] != "example":
                compartments[resource["code"]] = {
                    r["code"]: tuple(r["param"]) for r in resource["resource"] if "param" in r
                }
            case _:
                value_sets.add(resource)
    if "Patient" not in structures:
        raise PackageError(f"{package} is not the FHIR R4 core package: it does not define Patient")
    for structure in structures.values():
        for element in structure.elements:
            bound |= {element.max_value_set, element.value_set if element.strength in CHECKED else ""}
    return _Compiled(
        structures=structures,
        value_sets=value_sets.expand(sorted(bound - {""})),
        code_systems=value_sets.code_systems(),
        profiles=profiles,
        search_parameters=tuple(search_parameters),
        compartments=compartments,
    )
