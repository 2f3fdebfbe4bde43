"""What profiles demand with extensions, because ElementDefinition has no element for it in R4.

https://hl7.org/fhir/extensions/extension-registry.html, https://hl7.org/fhir/R5/elementdefinition.html
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from xml.parsers import expat

from fhirserver.validation.fhirpath import Node
from fhirserver.validation.profiles.placing import Item
from fhirserver.validation.rules import Scope

_CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition."
KINDS = {
    _CANONICAL + "minLength": "length",
    _R5 + "mustHaveValue": "value",
    _R5 + "valueAlternatives": "alternative",
    _CANONICAL + "narrative-source-control": "source",
    _CANONICAL + "narrative-language-control": "language",
}
ADDITIONAL = (
    _R5 + "binding.additional",
    "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
)
PART = _CANONICAL + "elementdefinition-profile-element"
"""Names the element of a profile that an element conforms to: a section of a document, from a library."""


class Demand(NamedTuple):
    kind: str
    argument: str


def demands_of(element: Mapping[str, Any]) -> tuple[Demand, ...]:
    """The demands that an ElementDefinition has."""
    found = []
    for extension in element.get("extension", ()):
        kind = KINDS.get(extension.get("url", ""))
        value = next((v for name, v in extension.items() if name.startswith("value")), None)
        if kind and value is not None and value is not False:
            found.append(Demand(kind, str(value)))
    return tuple(found)


def bindings_of(binding: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Strength and value set of the additional bindings that apply everywhere and demand something."""
    found = []
    for extension in binding.get("extension", ()):
        if extension.get("url") not in ADDITIONAL:
            continue
        parts = {
            part.get("url"): next((v for name, v in part.items() if name.startswith("value")), None)
            for part in extension.get("extension", ())
        }
        strength = {"required": "required", "maximum": "required", "extensible": "extensible"}.get(
            str(parts.get("purpose"))
        )
        if strength and isinstance(parts.get("valueSet"), str) and "usage" not in parts:
            found.append((strength, str(parts["valueSet"]).partition("|")[0]))
    return tuple(found)


def check(demands: tuple[Demand, ...], profile: str, item: Item, scope: Scope) -> None:
    """Report what of the demands an element does not meet."""
    alternatives = [demand.argument for demand in demands if demand.kind == "alternative"]
    if alternatives and item.node.value is None and not _has_extension(item.node, alternatives):
        values = {"profile": profile, "wanted": ", ".join(alternatives)}
        scope.report.add(item.place, "required", "profile-alternative", **values)
    for kind, argument in demands:
        value = item.node.value
        match kind:
            case "value" if value is None:
                scope.report.add(item.place, "required", "profile-value", profile=profile)
            case "length" if type(value) is str and len(value) < int(argument):
                scope.report.add(item.place, "value", "profile-short", profile=profile, least=argument)
            case "source" | "language" if type(value) is dict and type(value.get("div")) is str:
                place = (item.place, ".div")
                narrative = _Narrative(value["div"])
                if kind == "source" and narrative.unsourced:
                    scope.report.add(place, "structure", "narrative-source", profile=profile)
                elif kind == "language":
                    _check_languages(argument, narrative.languages, profile, place, scope)


def _has_extension(node: Node, urls: list[str]) -> bool:
    listed = node.twin.get("extension", ()) if node.twin else ()
    return any(type(e) is dict and e.get("url") in urls for e in listed)


def _check_languages(wanted: str, found: list[str], profile: str, place: Any, scope: Scope) -> None:
    """``_no``: no sections by language; ``_yes``: some; ``_resource``: one in the resource's; else this."""
    said = {"profile": profile, "found": ", ".join(found) or "-"}
    if wanted == "_resource":
        wanted = str(scope.resource.get("language", ""))
    if wanted == "_no":
        if found:
            scope.report.add(place, "structure", "narrative-no-language", **said)
    elif wanted == "_yes":
        if not found:
            scope.report.add(place, "structure", "narrative-language", wanted="*", **said)
    elif wanted and wanted not in found:
        scope.report.add(place, "structure", "narrative-language", wanted=wanted, **said)


class _Narrative:
    """Whether text stands outside of what names its source in its class, and the sections' languages."""

    def __init__(self, div: str) -> None:
        self.unsourced = False
        self.languages: list[str] = []
        self._open: list[bool] = []
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = lambda _: self._open.pop()
        parser.CharacterDataHandler = self._text
        with contextlib.suppress(expat.ExpatError):  # the base rules have told that it is not well-formed
            parser.Parse(div.encode("utf-8", "replace"), True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        sourced = any(self._open) or bool(_SOURCES & set(attributes.get("class", "").split()))
        if len(self._open) == 1 and name == "div":
            self.languages += list(_languages(attributes))
        self._open.append(sourced)

    def _text(self, text: str) -> None:
        self.unsourced = self.unsourced or not (text.isspace() or self._open[-1])


_SOURCES = {"boilerplate", "generated", "original"}


def _languages(attributes: dict[str, str]) -> Iterator[str]:
    language = attributes.get("lang") or attributes.get("xml:lang")
    if language:
        yield language
