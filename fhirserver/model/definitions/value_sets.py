"""Value sets as lists of codes, expanded offline. https://hl7.org/fhir/R4/valueset.html#compositions"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec


class ValueSet(msgspec.Struct, frozen=True):
    """The codes of a value set by code system; ``open`` are systems whose codes the package does not list
    (MIME types, currencies, UCUM): any code of these belongs to the set.
    """

    url: str
    codes: dict[str, tuple[str, ...]]
    open: tuple[str, ...] = ()


_Codes = dict[str, dict[str, None]]
_HL7 = ("http://hl7.org/fhir/", "http://terminology.hl7.org/")


class _NotExpandable(Exception):
    """The value set, or one it includes, is not in the package or has a filter."""


class ValueSets:
    """Expands the value sets of a package; holds its code systems while this goes on."""

    def __init__(self) -> None:
        self._compose: dict[str, Mapping[str, Any]] = {}
        self._systems: dict[str, dict[str, tuple[str, ...]]] = {}

    def add(self, resource: Mapping[str, Any]) -> None:
        """Take note of a ValueSet or CodeSystem."""
        if resource["resourceType"] == "ValueSet" and "compose" in resource:
            self._compose[resource["url"]] = resource["compose"]
        elif resource["resourceType"] == "CodeSystem" and resource["content"] == "complete":
            self._systems[resource["url"]] = _parents(resource)

    def code_systems(self) -> dict[str, tuple[str, ...]]:
        """The codes of the complete code systems of HL7 by url."""
        return {url: tuple(codes) for url, codes in self._systems.items() if url.startswith(_HL7)}

    def expand(self, urls: Iterable[str]) -> dict[str, ValueSet]:
        """Those of the value sets that can be expanded with what the package holds."""
        result = {}
        for url in urls:
            try:
                codes, unlisted = self._expansion(url)
            except _NotExpandable:
                continue
            expanded = {system: tuple(listed) for system, listed in codes.items() if system not in unlisted}
            result[url] = ValueSet(url, expanded, tuple(sorted(unlisted)))
        return result

    def _expansion(self, url: str, above: tuple[str, ...] = ()) -> tuple[_Codes, set[str]]:
        compose = self._compose.get(url)
        if compose is None or url in above:
            raise _NotExpandable
        codes: _Codes = {}
        unlisted: set[str] = set()
        for include in compose["include"]:
            found, open = self._included(include, (*above, url))
            unlisted |= open
            for system, listed in found.items():
                codes.setdefault(system, {}).update(listed)
        for exclude in compose.get("exclude", ()):
            left_out, open = self._included(exclude, (*above, url))
            if open:
                raise _NotExpandable
            for system, listed in left_out.items():
                for code in listed:
                    codes.get(system, {}).pop(code, None)
        return codes, unlisted

    def _included(self, include: Mapping[str, Any], above: tuple[str, ...]) -> tuple[_Codes, set[str]]:
        """What one include or exclude names: the intersection of its system's part and its value sets."""
        parts = [self._expansion(nested.partition("|")[0], above) for nested in include.get("valueSet", ())]
        if "system" in include:
            parts.append(self._of_system(include))
        codes, unlisted = parts[0]
        for more, open in parts[1:]:
            if open or unlisted:
                raise _NotExpandable
            codes = {s: {c: None for c in listed if c in more.get(s, {})} for s, listed in codes.items()}
        return codes, unlisted

    def _of_system(self, include: Mapping[str, Any]) -> tuple[_Codes, set[str]]:
        system = include["system"]
        if "concept" in include:
            return {system: dict.fromkeys(c["code"] for c in include["concept"])}, set()
        known = self._systems.get(system)
        if known is None:
            if "filter" in include:
                raise _NotExpandable
            return {}, {system}
        listed = dict.fromkeys(known)
        for condition in include.get("filter", ()):
            test = _FILTERS.get((condition["property"], condition["op"]))
            if test is None:
                raise _NotExpandable
            listed = {code: None for code in listed if test(code, condition["value"], known)}
        return {system: listed}, set()


def _parents(code_system: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The codes with those directly above them: by nesting, and by the properties parent and subsumedBy."""
    found: dict[str, tuple[str, ...]] = {}

    def walk(concepts: Iterable[Mapping[str, Any]], above: tuple[str, ...]) -> None:
        for concept in concepts:
            stated = tuple(
                str(p["valueCode"])
                for p in concept.get("property", ())
                if p["code"] in ("parent", "subsumedBy") and "valueCode" in p
            )
            found[concept["code"]] = above + stated
            walk(concept.get("concept", ()), (concept["code"],))

    walk(code_system.get("concept", ()), ())
    return found


def _is_below(code: str, ancestor: str, parents: Mapping[str, tuple[str, ...]]) -> bool:
    todo, seen = list(parents.get(code, ())), set[str]()
    while todo:
        one = todo.pop()
        if one == ancestor:
            return True
        if one not in seen:
            seen.add(one)
            todo += parents.get(one, ())
    return False


_FILTERS: dict[tuple[str, str], Callable[[str, str, Mapping[str, tuple[str, ...]]], bool]] = {
    ("concept", "is-a"): lambda code, value, parents: code == value or _is_below(code, value, parents),
    ("concept", "descendent-of"): _is_below,
    ("concept", "is-not-a"): lambda code, value, parents: (
        code != value and not _is_below(code, value, parents)
    ),
    ("concept", "in"): lambda code, value, parents: code in value.split(","),
}
