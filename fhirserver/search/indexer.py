"""Resource -> Index: the values that searches find, computed in one walk over the resource's elements."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from zoneinfo import ZoneInfo

from fhirserver.errors import TypeNotServed, Unprocessable
from fhirserver.model.definitions import Definitions, SearchParameter
from fhirserver.model.json import Resource
from fhirserver.model.temporal import NotTemporal
from fhirserver.search import narrowing
from fhirserver.search.expressions import Path
from fhirserver.search.parameters import Parameter, Site, compile_parameters
from fhirserver.search.query import Index
from fhirserver.search.types import composite, sorting, string
from fhirserver.search.types.registry import COMPARISONS, Entries

STORED = ("_id", "_lastUpdated")
"""Parameters that storage answers by itself, from the id and the instant of the version."""


@dataclass(frozen=True, slots=True)
class TypeParameters:
    """The parameters of one resource type: those that can be searched, and why the ``refused`` cannot.

    ``by_root`` says for each element what to walk and write, ``always`` what to walk in any resource;
    ``composites`` and ``combined`` are the parameters made of others.
    """

    compiled: Mapping[str, Parameter]
    refused: Mapping[str, str]
    by_root: Mapping[str, list[tuple[str, Path, Entries]]] = field(repr=False)
    always: list[tuple[str, Path, Entries]] = field(repr=False)
    composites: list[Parameter] = field(repr=False)
    combined: list[Parameter] = field(repr=False)


class Indexer:
    """Knows the search parameters of every resource type and what they find in a resource.

    Safe to share between threads: a type is compiled when it is first asked for, always to the same result.
    """

    def __init__(
        self,
        definitions: Definitions,
        base_url: str | None = None,
        zone: str = "Europe/Paris",
        types: Iterable[str] = (),
    ) -> None:
        """``types`` are those that are served, where a search may look (default: all)."""
        self.definitions = definitions
        self.types = frozenset(types) or definitions.resource_types
        self.site = Site(base_url.rstrip("/") if base_url else None, ZoneInfo(zone))
        self._types: dict[str, TypeParameters] = {}

    def parameters(self, type: str) -> Mapping[str, SearchParameter]:
        """The parameters that can be searched, by code.

        Raises:
            TypeNotServed: there is no such resource type.
        """
        compiled = self.compiled(type).compiled
        defined = self.definitions.search_parameters(type)
        return MappingProxyType({code: defined[code] for code in sorted(compiled)})

    def compiled(self, type: str) -> TypeParameters:
        """The parameters of a resource type as search itself needs them.

        Raises:
            TypeNotServed: there is no such resource type.
        """
        known = self._types.get(type)
        if known is None:
            known = self._types[type] = self._compile(type)
        return known

    def index(self, resource: Resource) -> Index:
        """Everything that searches find a resource by. Contained resources are not looked into.

        Raises:
            TypeNotServed: there is no such resource type.
            Unprocessable: an element is not what FHIR defines, as in a resource that has not been validated.
        """
        type = resource["resourceType"]
        parameters = self.compiled(type)
        site = self.site
        index = Index()
        root = ""
        try:
            for root, value in resource.items():
                for code, path, write in parameters.by_root.get(root, ()):
                    for found in path.walk(value if value.__class__ is list else [value]):
                        write(index, code, path.type, found, site)
            for code, path, write in parameters.always:
                for found in path.values(resource):
                    write(index, code, path.type, found, site)
            for parameter in parameters.composites:
                for path in parameter.paths:
                    for found in path.values(resource):
                        composite.entries(index, parameter, found, site)
        except NotTemporal as error:
            raise Unprocessable(str(error), expression=f"{type}.{root}") from None
        except (AttributeError, KeyError, TypeError, ArithmeticError) as error:
            text = f"An element of {type}.{root} is not of the type that FHIR defines"
            raise Unprocessable(text, expression=f"{type}.{root}") from error
        for parameter in parameters.combined:
            for source in parameter.sources:
                if source.code in index.sort:
                    sorting.note_both(index, parameter.code, *index.sort[source.code])
        index.keys = list(dict.fromkeys(index.keys))
        index.intervals = list(dict.fromkeys(index.intervals))
        narrowing.entries(index)
        index.sorted = string.without_repetition(index.sorted)
        return index

    def _compile(self, type: str) -> TypeParameters:
        if type not in self.definitions.resource_types:
            raise TypeNotServed(f"{type[:64]!r} is not a resource type of FHIR R4")
        compiled, refused = compile_parameters(type, self.definitions)
        by_root: dict[str, list[tuple[str, Path, Entries]]] = {}
        always = []
        for code, parameter in compiled.items():
            if code in STORED or parameter.type == "composite" or parameter.sources:
                continue
            for path in parameter.paths:
                row = (code, path, COMPARISONS[parameter.type].entries)
                if path.root:
                    by_root.setdefault(path.root, []).append(row)
                else:
                    always.append(row)
        composites = [p for p in compiled.values() if p.type == "composite" and not p.sources]
        combined = [p for p in compiled.values() if p.type != "composite" and p.sources]
        return TypeParameters(compiled, refused, by_root, always, composites, combined)
