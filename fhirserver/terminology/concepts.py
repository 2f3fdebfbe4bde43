"""One concept of a code system, whatever it was read from. https://hl7.org/fhir/R4/codesystem.html"""

from collections.abc import Iterable
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

    def named(self, language: str) -> str:
        """The display in a language (``fr``, ``fr-FR``), else the one it has."""
        return in_language(self.designations, language) or self.display


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
