"""The links inside a resource: found, made relative, and rewritten to what their targets are stored as.

https://hl7.org/fhir/R4/http.html#trules: references, elements of type uri, url, oid and uuid, and links in
the narrative; not canonicals. A Bundle inside a Bundle (a document) is a world of its own and left as it is.
"""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from fhirserver.model import reference
from fhirserver.model.definitions import Definitions
from fhirserver.model.json import Resource

CONDITIONAL = re.compile(r"^[A-Z][A-Za-z]+\?.")
VERSIONED = re.compile(r"(?P<address>.+)/_history/[A-Za-z0-9\-.]{1,64}")
NARRATIVE_LINK = re.compile(r"""((?:href|src)\s*=\s*["'])([^"'#]+)""")
LINK_TYPES = frozenset(("uri", "url", "oid", "uuid"))
_REFERENCE = frozenset(("reference",))
_NARRATIVE = frozenset(("div",))


@lru_cache(maxsize=4)
def link_names(definitions: Definitions) -> frozenset[str]:
    """The JSON names of the elements that may be links; not ``system``, which names a code system."""
    return frozenset(
        name
        for structure in definitions.structures.values()
        if structure.kind != "primitive-type"
        for element in structure.elements
        for name, type in element.json_names()
        if type.code in LINK_TYPES and name != "system"
    ) | {"reference"}


def references(resource: Resource) -> Iterator[tuple[str, str]]:
    """Every ``Reference.reference`` and its place as FHIRPath."""

    def walk(value: Any, path: str) -> Iterator[tuple[str, str]]:
        if isinstance(value, dict):
            literal = value.get("reference")
            if isinstance(literal, str):
                yield literal, f"{path}.reference"
            for name, part in value.items():
                if isinstance(part, dict | list):
                    yield from walk(part, f"{path}.{name}")
        else:
            for i, part in enumerate(value):
                if isinstance(part, dict | list):
                    yield from walk(part, f"{path}[{i}]")

    return walk(_own(resource), resource.get("resourceType", ""))


def literals(resource: Resource) -> dict[str, None]:
    """Every different ``Reference.reference``: quick, because every write asks; ``references`` has places."""
    found: dict[str, None] = {}
    _collect(_own(resource), found)
    return found


def _collect(element: dict[str, Any], found: dict[str, None]) -> None:
    for name, value in element.items():
        kind = value.__class__
        if kind is str:
            if name == "reference":
                found[value] = None
        elif kind is dict:
            _collect(value, found)
        elif kind is list:
            for item in value:
                if item.__class__ is dict:
                    _collect(item, found)


def conditional(resource: Resource) -> dict[str, str]:
    """The conditional references (``Patient?identifier=...``) and where each stands, as FHIRPath."""
    found: dict[str, str] = {}
    if not any(map(CONDITIONAL.match, literals(resource))):
        return found
    for literal, path in references(resource):
        if CONDITIONAL.match(literal):
            found.setdefault(literal, path)
    return found


def relative(resource: Resource, bases: frozenset[str]) -> Resource:
    """The resource with absolute references to one of these bases made relative."""

    def strip(name: str, text: str) -> str:
        if not text.startswith("http"):
            return text
        for base in bases:
            rest = text.removeprefix(f"{base}/")
            if rest != text and (CONDITIONAL.match(rest) or reference.parse(rest).is_local):
                return rest
        return text

    return _changed(resource, strip, _REFERENCE) if _has_absolute(_own(resource)) else resource


def _has_absolute(element: dict[str, Any]) -> bool:
    """Whether there is anything to strip: quick, as ``literals`` is."""
    for name, value in element.items():
        kind = value.__class__
        if kind is str:
            if name == "reference" and value.startswith("http"):
                return True
        elif kind is dict:
            if _has_absolute(value):
                return True
        elif kind is list:
            for item in value:
                if item.__class__ is dict and _has_absolute(item):
                    return True
    return False


def rewrite(resource: Resource, target: Callable[[str], str | None], names: frozenset[str]) -> Resource:
    """The resource with every link that has a target pointing there; fragments are kept.

    ``target`` is given a url without its fragment; ``names`` are those of ``link_names``.
    """

    def link(text: str) -> str:
        url, mark, fragment = text.partition("#")
        found = target(url) if url else None
        return found + mark + fragment if found else text

    def change(name: str, text: str) -> str:
        if name in names:
            return link(text)
        return NARRATIVE_LINK.sub(lambda m: m[1] + link(m[2]), text)

    return _changed(resource, change, names | _NARRATIVE)


def _own(resource: Resource) -> Resource:
    if resource.get("resourceType") == "Bundle":
        return {name: value for name, value in resource.items() if name != "entry"}
    return resource


def _changed(resource: Resource, change: Callable[[str, str], str], names: frozenset[str]) -> Resource:
    """A copy with the strings of these names changed; what did not change in it is the resource's own."""

    def walk(element: dict[str, Any]) -> dict[str, Any]:
        made = element
        for name, value in element.items():
            kind = value.__class__
            if kind is str:
                new: Any = change(name, value) if name in names else value
            elif kind is dict:
                new = walk(value)
            elif kind is list:
                new = walk_list(value, name)
            else:
                continue
            if new is not value:
                if made is element:
                    made = dict(element)
                made[name] = new
        return made

    def walk_list(items: list[Any], name: str) -> list[Any]:
        made = items
        for position, value in enumerate(items):
            kind = value.__class__
            if kind is dict:
                new: Any = walk(value)
            elif kind is str and name in names:
                new = change(name, value)
            else:
                continue
            if new is not value:
                if made is items:
                    made = list(items)
                made[position] = new
        return made

    own = _own(resource)
    changed = walk(own)
    return resource if changed is own else {**resource, **changed}
