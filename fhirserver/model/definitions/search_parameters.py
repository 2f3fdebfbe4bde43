"""The search parameters of FHIR. https://hl7.org/fhir/R4/searchparameter-registry.html"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

_FIRST_TYPE = re.compile(r"\(*\s*([A-Z][A-Za-z]*)\b")
_ANCESTORS = ("Resource", "DomainResource")


class Component(msgspec.Struct, frozen=True):
    """One part of a composite parameter: the url of its own parameter, and its place in the composite."""

    definition: str
    expression: str


class SearchParameter(msgspec.Struct, frozen=True):
    """A search parameter; a few are shared by several types (``base``) and have one expression for all.

    ``type`` is number, date, string, token, reference, composite, quantity, uri or special; ``expression`` is
    empty for those that are not about elements (_text, _content, _query, _filter).
    """

    code: str
    type: str
    url: str
    base: tuple[str, ...]
    expression: str = ""
    target: tuple[str, ...] = ()
    components: tuple[Component, ...] = ()

    def expression_for(self, type: str) -> str:
        """The alternatives of the expression that are about resources of this type."""
        return " | ".join(part for part in alternatives(self.expression) if _is_about(part, type))


def alternatives(expression: str) -> list[str]:
    """The operands of the outermost ``|`` of an expression."""
    parts, depth, start, quoted = [], 0, 0, False
    for position, character in enumerate(expression):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "|" and depth == 0:
            parts.append(expression[start:position])
            start = position + 1
    parts.append(expression[start:])
    return [part.strip() for part in parts if part.strip()]


def search_parameters_of(resource: Mapping[str, Any]) -> Iterator[SearchParameter]:
    """The parameter of a SearchParameter; none where it is an extension's or an example (experimental)."""
    if resource.get("experimental") is False and "base" in resource:
        yield read(resource)


def read(resource: Mapping[str, Any]) -> SearchParameter:
    """The parameter of a valid SearchParameter resource."""
    return SearchParameter(
        code=resource["code"],
        type=resource["type"],
        url=resource["url"],
        base=tuple(resource["base"]),
        expression=resource.get("expression", ""),
        target=tuple(resource.get("target", ())),
        components=tuple(Component(c["definition"], c["expression"]) for c in resource.get("component", ())),
    )


def _is_about(alternative: str, type: str) -> bool:
    """An alternative that names no type at its start, such as ``name``, is about every base."""
    found = _FIRST_TYPE.match(alternative)
    return found is None or found[1] == type or found[1] in _ANCESTORS
