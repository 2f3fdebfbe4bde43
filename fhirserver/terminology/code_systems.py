"""Code systems: one interface over those that are a resource and those that are rows of the database."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from fhirserver.model.json import Resource
from fhirserver.terminology.concepts import Concept, value_of
from fhirserver.terminology.questions import Answers, Chosen, Selected
from fhirserver.terminology.selections import Selection, selects

PROPERTY = "http://hl7.org/fhir/concept-properties#"
INACTIVE = ("retired", "inactive")
"""The values of the property ``status`` that make a concept inactive: deprecated ones may still be used."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a code system besides its concepts.

    ``content`` is a code of https://hl7.org/fhir/R4/valueset-codesystem-content-mode.html: only of a complete
    one can be said that a code is not in it. ``properties`` are those that it defines.
    """

    url: str
    version: str = ""
    name: str = ""
    title: str = ""
    content: str = "complete"
    case_sensitive: bool = True
    language: str = ""
    value_set: str = ""
    properties: tuple[dict[str, Any], ...] = ()

    @property
    def complete(self) -> bool:
        return self.content == "complete"

    @property
    def called(self) -> str:
        """Its canonical url, with the version."""
        return f"{self.url}|{self.version}" if self.version else self.url


class CodeSystem(Protocol):
    """What an evaluation asks of a code system; each method may raise Missing."""

    @property
    def head(self) -> Head: ...

    def find(self, code: str) -> Concept | None:
        """The concept of a code, in the spelling of the system where that ignores case."""
        ...

    def find_many(self, codes: Sequence[str]) -> dict[str, Concept]:
        """Those of the codes that there are."""
        ...

    def select(self, selection: Selection, skip: int, limit: int) -> Selected:
        """A page of the concepts of a selection.

        Raises:
            TooCostly: this cannot be found out in a reasonable time.
            NotSupported: it cannot be found out at all.
        """
        ...


@dataclass(frozen=True, slots=True)
class Listed:
    """A code system that is held as a whole."""

    head: Head
    concepts: dict[str, Concept] = field(repr=False)
    folded: dict[str, str] = field(default_factory=dict, repr=False)

    def find(self, code: str) -> Concept | None:
        found = self.concepts.get(code)
        if found is None and not self.head.case_sensitive:
            found = self.concepts.get(self.folded.get(code.casefold(), ""))
        return found

    def find_many(self, codes: Sequence[str]) -> dict[str, Concept]:
        return {code: concept for code in codes if (concept := self.find(code))}

    def select(self, selection: Selection, skip: int, limit: int) -> Selected:
        found = [c for c in self.concepts.values() if selects(selection, c)]
        return Selected(tuple(found[skip : skip + limit]), len(found))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A code system that an operator loaded into the database; ``key`` is that of its rows."""

    head: Head
    key: str
    answers: Answers = field(repr=False)

    def find(self, code: str) -> Concept | None:
        return self.answers.concepts(self.key, (code,)).get(code)

    def find_many(self, codes: Sequence[str]) -> dict[str, Concept]:
        return self.answers.concepts(self.key, codes)

    def select(self, selection: Selection, skip: int, limit: int) -> Selected:
        selected: Selected = self.answers.get(Chosen(self.key, selection, skip, limit))
        return selected


def head_of(resource: Resource) -> Head:
    """What a CodeSystem resource says of itself."""
    return Head(
        url=resource.get("url", ""),
        version=resource.get("version", ""),
        name=resource.get("name", ""),
        title=resource.get("title", ""),
        content=resource.get("content", "complete"),
        case_sensitive=resource.get("caseSensitive", True),
        language=resource.get("language", ""),
        value_set=resource.get("valueSet", ""),
        properties=tuple(resource.get("property", ())),
    )


def listed(resource: Resource, supplements: Iterable[Resource] = ()) -> Listed:
    """Compile a CodeSystem resource, with the designations and properties that its supplements add."""
    head = head_of(resource)
    uris = {p["code"]: p.get("uri", "").removeprefix(PROPERTY) for p in head.properties if "code" in p}
    concepts = {c.code: c for c in _walk(resource.get("concept", ()), (), uris)}
    for supplement in supplements:
        for extra in _walk(supplement.get("concept", ()), (), {}):
            if known := concepts.get(extra.code):
                named = ({"value": extra.display, "language": supplement.get("language", "")},)
                concepts[extra.code] = replace(
                    known,
                    designations=known.designations + extra.designations + (named if extra.display else ()),
                    properties=known.properties + extra.properties,
                )
    folded = {} if head.case_sensitive else {code.casefold(): code for code in concepts}
    return Listed(head, with_hierarchy(concepts), folded)


def with_hierarchy(concepts: dict[str, Concept]) -> dict[str, Concept]:
    """The concepts with their ancestors and children, from the parents and children that they name."""
    parents: dict[str, dict[str, None]] = {code: {} for code in concepts}
    children: dict[str, dict[str, None]] = {code: {} for code in concepts}
    for code, concept in concepts.items():
        for parent in concept.parents:
            parents[code][parent] = None
            children.get(parent, {})[code] = None
        for child in concept.children:
            children[code][child] = None
            parents.get(child, {})[code] = None
    ancestors = closure({code: tuple(above) for code, above in parents.items()})
    return {
        code: replace(
            c, parents=tuple(parents[code]), children=tuple(children[code]), ancestors=ancestors[code]
        )
        if parents[code] or children[code]
        else c
        for code, c in concepts.items()
    }


def closure(parents: dict[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    """All that is above each code; a circle ends where it began."""
    found: dict[str, frozenset[str]] = {}
    for start in parents:
        open_: list[str] = [start]
        inside: set[str] = set()
        while open_:
            code = open_[-1]
            inside.add(code)
            waiting = [p for p in parents.get(code, ()) if p not in found and p not in inside]
            if waiting:
                open_.append(waiting[0])
                continue
            open_.pop()
            above = set(parents.get(code, ()))
            found[code] = frozenset(above.union(*(found.get(p, frozenset()) for p in above)) - {code})
    return found


def _walk(concepts: Any, above: tuple[str, ...], uris: dict[str, str]) -> Iterator[Concept]:
    for concept in concepts:
        code = concept.get("code", "")
        parents, children = list(above), []
        inactive = abstract = False
        for element in concept.get("property", ()):
            named, value = element.get("code", ""), value_of(element)
            match uris.get(named) or named:
                case "parent" | "subsumedBy" if isinstance(value, str):
                    parents.append(value)
                case "child" if isinstance(value, str):
                    children.append(value)
                case "inactive":
                    inactive = inactive or value is True
                case "status":
                    inactive = inactive or value in INACTIVE
                case "notSelectable" | "abstract":
                    abstract = abstract or value is True
        yield Concept(
            code,
            concept.get("display", ""),
            concept.get("definition", ""),
            tuple(concept.get("designation", ())),
            tuple(concept.get("property", ())),
            tuple(dict.fromkeys(parents)),
            frozenset(),
            tuple(children),
            inactive,
            abstract,
        )
        yield from _walk(concept.get("concept", ()), (code,), uris)
