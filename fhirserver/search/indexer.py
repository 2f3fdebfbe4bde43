"""Resource -> Index: the values that searches find, computed in one walk over the resource's elements."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from zoneinfo import ZoneInfo

from fhirserver.errors import TypeNotServed, UnknownParameter, Unprocessable
from fhirserver.model.definitions import Definitions, SearchParameter
from fhirserver.model.json import Resource
from fhirserver.model.temporal import NotTemporal
from fhirserver.search import contained, fulltext, narrowing
from fhirserver.search.expressions import Path
from fhirserver.search.general import FHIRPath
from fhirserver.search.parameters import Custom, Parameter, Site, compile_parameters
from fhirserver.search.query import Index
from fhirserver.search.types import composite, sorting, string
from fhirserver.search.types.registry import COMPARISONS, Entries

STORED = ("_id", "_lastUpdated")
"""Parameters that storage answers by itself, from the id and the instant of the version."""


@dataclass(frozen=True, slots=True)
class TypeParameters:
    """The parameters of one resource type: those that can be searched (``compiled``), those that are indexed
    but wait for a reindex (``pending``), and why the ``refused`` cannot be searched.

    ``by_root`` says for each element what to walk and write, ``always`` what to walk in any resource;
    ``composites`` and ``combined`` are the parameters made of others.
    """

    type: str
    compiled: Mapping[str, Parameter]
    pending: Mapping[str, Parameter]
    refused: Mapping[str, str]
    by_root: Mapping[str, list[tuple[str, Path, Entries]]] = field(repr=False)
    always: list[tuple[str, Path, Entries]] = field(repr=False)
    composites: list[Parameter] = field(repr=False)
    combined: list[Parameter] = field(repr=False)

    def check_ready(self, code: str) -> None:
        """Raises UnknownParameter, whatever the handling: it will be there when the reindex has ended."""
        if code in self.pending:
            raise UnknownParameter(
                f"{code} cannot be searched yet: not every {self.type} is indexed by it. It can be once "
                f"POST {self.type}/$reindex has ended; SearchParameter/$status tells how far that is"
            )


class Indexer:
    """Knows the search parameters of every resource type and what they find in a resource.

    Safe to share between threads: a type is compiled when it is first asked for, always to the same result
    until ``use`` changes the ``customs``. ``generation`` counts these changes.
    """

    def __init__(
        self,
        definitions: Definitions,
        base_url: str | None = None,
        zone: str = "Europe/Paris",
        types: Iterable[str] = (),
        words: fulltext.Scope = "content",
        fhirpath: FHIRPath | None = None,
    ) -> None:
        """``types`` are those that are served, where a search may look (default: all); ``words`` says of what
        ``_text`` and ``_content`` find words; ``fhirpath`` evaluates what custom parameters have beyond plain
        paths."""
        self.definitions = definitions
        self.types = frozenset(types) or definitions.resource_types
        self.site = Site(base_url.rstrip("/") if base_url else None, ZoneInfo(zone))
        self.fhirpath = fhirpath
        self.customs: tuple[Custom, ...] = ()
        self.generation = 0
        self.words = words
        self._types: dict[str, TypeParameters] = {}

    def use(self, customs: Sequence[Custom]) -> None:
        """Index by these SearchParameter resources from now on, and search by those that are ready."""
        if tuple(customs) != self.customs:
            # Together: what compiles a type meanwhile keeps what it has made to itself.
            self.customs, self._types = tuple(customs), {}
            self.generation += 1

    def parameters(self, type: str) -> Mapping[str, SearchParameter]:
        """The parameters that can be searched, by code.

        Raises:
            TypeNotServed: there is no such resource type.
        """
        codes = sorted(self.compiled(type).compiled)
        return MappingProxyType({code: self.defined(type, code) for code in codes})

    def defined(self, type: str, code: str) -> SearchParameter:
        """The definition behind a code. Raises KeyError when there is none."""
        official = self.definitions.search_parameters(type).get(code)
        if official is not None:
            return official
        for custom in self.customs:
            if custom.definition.code == code and type in self.definitions.types_of(custom.definition):
                return custom.definition
        raise KeyError(code)

    def compiled(self, type: str) -> TypeParameters:
        """The parameters of a resource type as search itself needs them.

        Raises:
            TypeNotServed: there is no such resource type.
        """
        types, customs = self._types, self.customs
        known = types.get(type)
        if known is None:
            known = types[type] = self._compile(type, customs)
        return known

    def index(self, resource: Resource) -> Index:
        """Everything that searches find a resource by; what it contains has an index of its own inside.

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
                        composite.entries(index, parameter, found, resource, site)
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
        fulltext.entries(index, resource, self.words)
        index.sorted = string.without_repetition(index.sorted)
        if resource.get("contained"):
            try:
                contained.entries(index, resource, parameters.compiled.values(), self.index)
            except (AttributeError, KeyError, TypeError) as error:
                text = f"{type}.contained does not hold resources"
                raise Unprocessable(text, expression=f"{type}.contained") from error
        return index

    def _compile(self, type: str, customs: Sequence[Custom]) -> TypeParameters:
        if type not in self.definitions.resource_types:
            raise TypeNotServed(f"{type[:64]!r} is not a resource type of FHIR R4")
        found = compile_parameters(type, self.definitions, customs, self.fhirpath)
        indexed = found.searched | found.pending
        by_root: dict[str, list[tuple[str, Path, Entries]]] = {}
        always = []
        for code, parameter in indexed.items():
            if code in STORED or parameter.type == "composite" or parameter.sources:
                continue
            for path in parameter.paths:
                row = (code, path, COMPARISONS[parameter.type].entries)
                if path.root:
                    by_root.setdefault(path.root, []).append(row)
                else:
                    always.append(row)
        composites = [p for p in indexed.values() if p.type == "composite" and not p.sources]
        combined = [p for p in indexed.values() if p.type != "composite" and p.sources]
        return TypeParameters(
            type, found.searched, found.pending, found.refused, by_root, always, composites, combined
        )
