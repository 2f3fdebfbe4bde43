"""Where an evaluation finds code systems, value sets and concept maps, compiled."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirserver.errors import NotFound
from fhirserver.model.json import Resource
from fhirserver.terminology.catalogue import Catalogue, Entry
from fhirserver.terminology.code_systems import PROPERTY, CodeSystem, Head, Listed, Loaded, listed
from fhirserver.terminology.concept_maps import ConceptMap, concept_map
from fhirserver.terminology.grammars import GRAMMARS
from fhirserver.terminology.packages import Packages
from fhirserver.terminology.questions import Answers, Body
from fhirserver.terminology.selections import Every, Except, Is, Some, Where
from fhirserver.terminology.value_sets import ValueSet, implicit, value_set

ROOM = 60_000
"""So many codes are kept compiled."""
UPWARDS = ("generalizes", "ancestor-of", "parent-of")


@dataclass(slots=True)
class Compiled:
    """What was compiled last, until there is no room for it."""

    room: int = ROOM
    _kept: "OrderedDict[Any, tuple[Any, int]]" = field(default_factory=OrderedDict)
    _weight: int = 0

    def get(self, key: Any) -> Any:
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: Any, value: Any, weight: int) -> None:
        if key in self._kept:
            self._weight -= self._kept.pop(key)[1]
        self._kept[key] = value, weight
        self._weight += weight
        while self._weight > self.room and len(self._kept) > 1:
            self._weight -= self._kept.popitem(last=False)[1][1]

    def __len__(self) -> int:
        return len(self._kept)


@dataclass(frozen=True, slots=True)
class Sources:
    """For one evaluation: ``answers`` are what it has asked so far. Methods raise Missing."""

    catalogue: Catalogue
    packages: Packages
    compiled: Compiled
    heads: Mapping[str, Head]
    """Of the loaded systems, by key."""
    answers: Answers

    def resource(self, entry: Entry) -> Resource:
        """The content of an entry. Raises NotFound when it has just been deleted."""
        if entry.source == "package":
            return self.packages.resource(entry)
        id, version = entry.place
        found: Resource | None = self.answers.get(Body(entry.type, str(id), int(version)))
        if found is None:
            raise NotFound(f"{entry.type}/{id} was deleted meanwhile")
        return found

    def code_system(self, url: str, version: str = "") -> CodeSystem | None:
        """A code system; None where it, or this version of it, is not known."""
        entry = self.catalogue.find("CodeSystem", url, version)
        if entry is None:
            grammar = GRAMMARS.get(url)
            return grammar if grammar and (not version or version == grammar.head.version) else None
        if entry.source == "loaded":
            held: Listed | None = self.compiled.get((entry, ()))
            key = str(entry.place[0])
            return held or Loaded(self.heads[key], key, self.answers)
        supplements = tuple(self.catalogue.supplements(url))
        found: Listed | None = self.compiled.get((entry, supplements))
        if found is None:
            found = self._listed(entry, self.resource(entry), supplements)
        if found.head.content == "not-present" and url in GRAMMARS:
            return GRAMMARS[url]
        return found

    def value_set(self, canonical: str) -> ValueSet | None:
        """A value set by its canonical, also one that is defined by its url alone; None: not known."""
        entry = self.catalogue.find("ValueSet", canonical)
        if entry is None:
            return implicit(canonical, self.catalogue)
        found: ValueSet | None = self.compiled.get(entry)
        return found or self._value_set(entry, self.resource(entry))

    def concept_map(self, entry: Entry) -> ConceptMap:
        found: ConceptMap | None = self.compiled.get(entry)
        return found or self._concept_map(entry, self.resource(entry))

    def compile(self, entry: Entry, resource: Resource) -> None:
        """Compile a resource that is at hand."""
        match entry.type:
            case "CodeSystem":
                self._listed(entry, resource, tuple(self.catalogue.supplements(entry.url)))
            case "ValueSet":
                self._value_set(entry, resource)
            case _:
                self._concept_map(entry, resource)

    def _listed(self, entry: Entry, resource: Resource, supplements: tuple[Entry, ...]) -> Listed:
        made = listed(resource, map(self.resource, supplements))
        self.compiled.put((entry, supplements), made, len(made.concepts) + 1)
        return made

    def _value_set(self, entry: Entry, resource: Resource) -> ValueSet:
        made = value_set(resource)
        weight = sum(len(clause.concepts) for clause in (*made.includes, *made.excludes)) + 1
        self.compiled.put(entry, made, weight + len(made.expansion or ()))
        return made

    def _concept_map(self, entry: Entry, resource: Resource) -> ConceptMap:
        made = concept_map(resource)
        self.compiled.put(entry, made, made.size + 1)
        return made


def settled(where: Where, system: CodeSystem) -> Where:
    """The condition with what lies above a concept turned into a list of codes."""
    match where:
        case Every(parts):
            return Every(tuple(settled(part, system) for part in parts)) if parts else where
        case Some(parts):
            return Some(tuple(settled(part, system) for part in parts))
        case Except(part):
            return Except(settled(part, system))
        case Is(op, _, values) if op in UPWARDS:
            concept = system.find(values[0])
            if concept is None:
                return Is("in", "code", ())
            above = concept.parents if op == "parent-of" else tuple(sorted(concept.ancestors))
            return Is("in", "code", (concept.code, *above) if op == "generalizes" else above)
        case Is(op, property, values):
            return Is(op, _own_name(property, system), values)


def _own_name(property: str, system: CodeSystem) -> str:
    """What a code system calls a property that HL7 has defined."""
    defined = {str(p.get("code")): p.get("uri") for p in system.head.properties}
    if property in defined:
        return property
    return next((code for code, uri in defined.items() if uri == PROPERTY + property), property)
