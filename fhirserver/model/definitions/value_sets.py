"""Value sets as lists of codes, expanded offline. https://hl7.org/fhir/R4/valueset.html#compositions"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec


class ValueSet(msgspec.Struct, frozen=True):
    """The codes of a value set by code system; ``open`` are systems whose codes the package does not list
    (MIME types, currencies, UCUM): any code of these belongs to the set.
    """

    url: str
    codes: dict[str, tuple[str, ...]]
    open: tuple[str, ...] = ()


class _NotExpandable(Exception):
    """The value set, or one it includes, is not in the package or has a filter."""


class ValueSets:
    """Expands the value sets of a package; holds its code systems while this goes on."""

    def __init__(self) -> None:
        self._compose: dict[str, Mapping[str, Any]] = {}
        self._systems: dict[str, tuple[str, ...]] = {}

    def add(self, resource: Mapping[str, Any]) -> None:
        """Take note of a ValueSet or CodeSystem."""
        if resource["resourceType"] == "ValueSet" and "compose" in resource:
            self._compose[resource["url"]] = resource["compose"]
        elif resource["resourceType"] == "CodeSystem" and resource["content"] == "complete":
            self._systems[resource["url"]] = tuple(_codes(resource.get("concept", ())))

    def expand(self, urls: Iterable[str]) -> dict[str, ValueSet]:
        """Those of the value sets that can be expanded with what the package holds."""
        result = {}
        for url in urls:
            codes: dict[str, dict[str, None]] = {}
            unlisted: set[str] = set()
            try:
                self._include(url, codes, unlisted)
            except _NotExpandable:
                continue
            expanded = {system: tuple(listed) for system, listed in codes.items() if system not in unlisted}
            result[url] = ValueSet(url, expanded, tuple(sorted(unlisted)))
        return result

    def _include(self, url: str, codes: dict[str, dict[str, None]], unlisted: set[str]) -> None:
        compose = self._compose.get(url)
        if compose is None or "exclude" in compose:
            raise _NotExpandable
        for include in compose["include"]:
            if "filter" in include or ("valueSet" in include and "system" in include):
                raise _NotExpandable
            for nested in include.get("valueSet", ()):
                self._include(nested.partition("|")[0], codes, unlisted)
            if "concept" in include:
                codes.setdefault(include["system"], {}).update({c["code"]: None for c in include["concept"]})
            elif "system" in include:
                listed = self._systems.get(include["system"])
                if listed is None:
                    unlisted.add(include["system"])
                else:
                    codes.setdefault(include["system"], {}).update(dict.fromkeys(listed))


def _codes(concepts: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", ()))
