"""One concept of a code system, whatever it was read from. https://hl7.org/fhir/R4/codesystem.html"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fhirserver.search.text import fold


@dataclass(frozen=True, slots=True)
class Concept:
    """``designations`` and ``properties`` are the elements of CodeSystem.concept as FHIR writes them;
    ``ancestors`` are all concepts above, the ``parents`` included. ``abstract``: not to be chosen by a user.
    """

    code: str
    display: str = ""
    definition: str = ""
    designations: tuple[dict[str, Any], ...] = ()
    properties: tuple[dict[str, Any], ...] = ()
    parents: tuple[str, ...] = ()
    ancestors: frozenset[str] = frozenset()
    children: tuple[str, ...] = ()
    inactive: bool = False
    abstract: bool = False

    @property
    def texts(self) -> Iterable[str]:
        """All that people may call it."""
        yield self.display
        for designation in self.designations:
            yield designation.get("value", "")

    def values(self, property: str) -> list[str]:
        """The values of a property as texts (of a Coding: its code); code, display and definition are
        properties of every concept."""
        match property:
            case "code" | "concept":
                return [self.code]
            case "display":
                return [self.display] if self.display else []
            case "definition":
                return [self.definition] if self.definition else []
            case "parent":
                return list(self.parents)
            case "child":
                return list(self.children)
            case "designation":
                return [d.get("value", "") for d in self.designations]
            case "inactive":
                return ["true" if self.inactive else "false"]
        return [plain(value_of(p)) for p in self.properties if p.get("code") == property]

    def elements(self, property: str) -> Iterator[dict[str, Any]]:
        """The values of a property as elements: ``{"valueCode": "a"}``; also of its definition."""
        if property == "definition":
            if self.definition:
                yield {"valueString": self.definition}
            return
        for element in self.properties:
            if element.get("code") == property:
                yield {name: value for name, value in element.items() if name.startswith("value")}

    def codings(self, property: str) -> Iterator[tuple[str, str]]:
        """System and code of the values of a property that are Codings."""
        for element in self.properties:
            value = value_of(element) if element.get("code") == property else None
            if isinstance(value, dict):
                yield str(value.get("system", "")), str(value.get("code", ""))

    def names_in(self, language: str, own: str) -> list[str]:
        """What it may be called in the languages of a header (``fr, en;q=0.5``; "": in all); ``own`` is that
        of its display. Where it has no name in these, its display."""
        wanted = [part.split(";")[0].strip().lower().partition("-")[0] for part in language.split(",")]
        if not language or "*" in wanted:
            return [name for name in self.texts if name]
        found = [
            str(d.get("value", ""))
            for d in self.designations
            if str(d.get("language", "")).lower().partition("-")[0] in (*wanted, "")
        ]
        if not found or not own or own.lower().partition("-")[0] in wanted:
            found.insert(0, self.display)
        return [name for name in found if name]

    def named(self, language: str) -> str:
        """The display in a language (``fr``, ``fr-FR``), else the one it has."""
        return in_language(self.designations, language) or self.display


def speaks(concept: Concept, language: str, own: str) -> bool:
    """Whether a concept has a name in a language; ``own`` is that of its display."""
    wanted = language.lower().partition("-")[0]
    spoken = (own, *(str(d.get("language", "")) for d in concept.designations))
    return any(one.lower().partition("-")[0] == wanted for one in spoken)


def in_language(designations: Iterable[dict[str, Any]], language: str) -> str:
    """The first designation in a language, the exact one before others of it; "" where there is none."""
    if not language:
        return ""
    wanted = language.split(",")[0].split(";")[0].strip().lower()
    primary = wanted.partition("-")[0]
    found = ""
    for designation in designations:
        spoken = str(designation.get("language", "")).lower()
        if spoken == wanted:
            return str(designation.get("value", ""))
        if not found and spoken.partition("-")[0] == primary:
            found = str(designation.get("value", ""))
    return found


def value_of(element: dict[str, Any]) -> Any:
    """The ``value[x]`` of a property."""
    return next((value for name, value in element.items() if name.startswith("value")), None)


def plain(value: Any) -> str:
    """A property's value as a text to compare: of a Coding its code."""
    if isinstance(value, dict):
        return str(value.get("code", ""))
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def words(text: str) -> list[str]:
    """``"Diabète de type 2"`` -> ``["diabete", "de", "type", "2"]``."""
    return fold(text).split()


def is_called(concept: Concept, text: str) -> bool:
    """Whether each word of the text begins a word of one of its names, or the text begins its code."""
    wanted = words(text)
    if not wanted or concept.code.casefold().startswith(text.strip().casefold()):
        return True
    return any(
        all(any(w.startswith(asked) for w in words(name)) for asked in wanted) for name in concept.texts
    )
