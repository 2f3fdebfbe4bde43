"""A part of a resource: ``_summary`` and ``_elements``. https://hl7.org/fhir/R4/search.html#summary

What is left out makes a resource another one, so the tag SUBSETTED says it and such a body is never stored.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.model.definitions import Definitions, Element
from fhirserver.model.json import Resource

SUMMARIES = ("true", "text", "data", "count", "false")
SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "Resource encoded in summary mode",
}
_ALWAYS = ("resourceType", "id", "meta", "modifierExtension")
"""Kept in every part; a modifier extension may turn the meaning of what is kept around."""


@dataclass(frozen=True, slots=True)
class Subset:
    """What is asked for: a value of ``_summary`` (true, text or data), or names of elements."""

    summary: str = ""
    elements: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.elements) or self.summary in ("true", "text", "data")

    def has(self, name: str) -> bool:
        """Whether an optional element that is in no summary, such as Binary.data, belongs to it."""
        return name in self.elements if self.elements else self.summary not in ("true", "text")

    def of(self, resource: Resource, definitions: Definitions) -> Resource:
        """A copy with what belongs to the part, marked as such.

        Mandatory elements are kept, so that the part is a valid resource.
        """
        if self.elements:
            wanted = set(self.elements)
            kept = _top(
                resource, lambda e, name: e.min > 0 or e.name in wanted or name in wanted, definitions
            )
        elif self.summary == "text":
            kept = _top(resource, lambda e, name: e.min > 0 or name == "text", definitions)
        elif self.summary == "data":
            kept = {name: value for name, value in resource.items() if name != "text"}
        else:
            kept = _summary(resource, resource["resourceType"], definitions)
        return mark(kept)


def parse(summary: str, elements: str, types: Iterable[str], definitions: Definitions) -> Subset:
    """The values of ``_summary`` and ``_elements``, for resources of these types.

    Raises:
        BadRequest: not a kind of summary, or none of the types has such an element.
    """
    if summary not in ("", *SUMMARIES):
        raise BadRequest(f"_summary={summary[:40]!r} is not one of {', '.join(SUMMARIES)}")
    names = []
    types = tuple(types)
    for stated in filter(None, (part.strip() for part in elements.split(","))):
        # A client may write the type as well: Patient.name.
        head, dot, rest = stated.partition(".")
        name = rest if dot and head in types else stated
        if not any(_has(type, name, definitions) for type in types):
            known = sorted({e.name for type in types for e in definitions.structures[type].elements})
            shown = f" It has {', '.join(known)}" if len(types) == 1 else ""
            raise BadRequest(f"{' or '.join(types)[:80]} has no element {stated[:64]!r}.{shown}")
        names.append(name)
    return Subset(summary, tuple(names))


def mark(kept: Resource) -> Resource:
    """A part with the tag that says that it is one."""
    meta = kept.get("meta", {})
    if not is_subsetted(kept):
        meta = {**meta, "tag": [*meta.get("tag", ()), SUBSETTED]}
    first = {name: kept[name] for name in ("resourceType", "id") if name in kept} | {"meta": meta}
    return first | {name: value for name, value in kept.items() if name not in first}


def is_subsetted(resource: Mapping[str, Any]) -> bool:
    """Whether it says of itself that it is only a part."""
    tags = resource.get("meta", {}).get("tag", ())
    return any(
        tag.get("code") == SUBSETTED["code"] and tag.get("system", SUBSETTED["system"]) == SUBSETTED["system"]
        for tag in tags
    )


def _has(type: str, name: str, definitions: Definitions) -> bool:
    elements = definitions.elements(type)
    return name in elements or any(element.name == name for element, _ in elements.values())


def _top(resource: Resource, keeps: Callable[[Element, str], bool], definitions: Definitions) -> Resource:
    """The elements of the resource itself that are kept, each whole."""
    elements = definitions.elements(resource["resourceType"])
    kept = {}
    for key, value in resource.items():
        name = key.removeprefix("_")
        if name in _ALWAYS or (name in elements and keeps(elements[name][0], name)):
            kept[key] = value
    return kept


def _summary(content: Mapping[str, Any], structure: str, definitions: Definitions) -> dict[str, Any]:
    """The elements marked as summary, and of these again those that are (an Attachment loses its data)."""
    elements = definitions.elements(structure)
    kept: dict[str, Any] = {}
    for key, value in content.items():
        found = elements.get(key.removeprefix("_"))
        if key in _ALWAYS:
            kept[key] = value
        elif found is not None and _in_summary(found[0]):
            inner = found[1].structure
            if key.startswith("_") or not inner:
                kept[key] = value
            elif isinstance(value, list):
                parts = (_summary(part, inner, definitions) for part in value)
                kept[key] = [part for part in parts if part]
            else:
                kept[key] = _summary(value, inner, definitions)
    return {key: value for key, value in kept.items() if value not in ([], {})}


def _in_summary(element: Element) -> bool:
    return element.summary or element.min > 0
