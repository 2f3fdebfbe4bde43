"""Concept maps: from a code to codes of another system. https://hl7.org/fhir/R4/conceptmap.html"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhirserver.model.json import Resource

REVERSED = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}
"""An equivalence seen from the other end; the others are the same from both.
https://hl7.org/fhir/R4/valueset-concept-map-equivalence.html"""
NONE = ("unmatched", "disjoint")
"""The equivalences that say that there is no translation."""


@dataclass(frozen=True, slots=True)
class Row:
    """One mapping. ``depends`` and ``products`` are the elements dependsOn and product."""

    source: str
    code: str
    target: str
    to: str
    display: str = ""
    equivalence: str = "equivalent"
    comment: str = ""
    depends: tuple[dict[str, Any], ...] = ()
    products: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Unmapped:
    """What becomes of the other codes of a source system: provided, fixed or other-map."""

    source: str
    target: str
    mode: str
    code: str = ""
    display: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class ConceptMap:
    """``sources`` and ``targets`` are the value sets it leads from and to, where it names them."""

    url: str
    version: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    rows: Mapping[tuple[str, str], tuple[Row, ...]] = field(repr=False)
    back: Mapping[tuple[str, str], tuple[Row, ...]] = field(repr=False)
    unmapped: tuple[Unmapped, ...] = ()

    @property
    def size(self) -> int:
        return sum(map(len, self.rows.values()))

    @property
    def called(self) -> str:
        return f"{self.url}|{self.version}" if self.version else self.url


@dataclass(frozen=True, slots=True)
class Match:
    """A translation. ``source`` is the canonical of the map that has it."""

    system: str
    code: str
    display: str
    equivalence: str
    source: str
    comment: str = ""
    products: tuple[dict[str, Any], ...] = ()


def concept_map(resource: Resource) -> ConceptMap:
    """Compile a ConceptMap resource."""
    rows: dict[tuple[str, str], list[Row]] = {}
    back: dict[tuple[str, str], list[Row]] = {}
    unmapped = []
    for group in resource.get("group", ()):
        for row in _rows(group):
            rows.setdefault((row.source, row.code), []).append(row)
            if row.to:
                back.setdefault((row.target, row.to), []).append(row)
        if other := group.get("unmapped"):
            unmapped.append(
                Unmapped(
                    group.get("source", ""),
                    group.get("target", ""),
                    other.get("mode", ""),
                    other.get("code", ""),
                    other.get("display", ""),
                    other.get("url", ""),
                )
            )
    return ConceptMap(
        resource.get("url", ""),
        resource.get("version", ""),
        tuple(resource[name] for name in ("sourceUri", "sourceCanonical") if name in resource),
        tuple(resource[name] for name in ("targetUri", "targetCanonical") if name in resource),
        {key: tuple(found) for key, found in rows.items()},
        {key: tuple(found) for key, found in back.items()},
        tuple(unmapped),
    )


def _rows(group: Mapping[str, Any]) -> Iterator[Row]:
    source, target = group.get("source", ""), group.get("target", "")
    for element in group.get("element", ()):
        code = element.get("code", "")
        if not element.get("target"):
            yield Row(source, code, target, "", "", "unmatched")
        for to in element.get("target", ()):
            yield Row(
                source,
                code,
                target,
                to.get("code", ""),
                to.get("display", ""),
                to.get("equivalence", "equivalent"),
                to.get("comment", ""),
                tuple(to.get("dependsOn", ())),
                tuple(to.get("product", ())),
            )


def translate(
    map: ConceptMap,
    system: str,
    code: str,
    target: str = "",
    dependencies: Iterable[tuple[str, str]] = (),
) -> list[Match]:
    """The translations of a code into ``target`` (none: into any system); ``dependencies`` are elements
    with their values, which a row that depends on others must all be given."""
    given = set(dependencies)
    found = [row for row in map.rows.get((system, code), ()) if _applies(row, given)]
    if not system:
        found = [r for key, rows in map.rows.items() if key[1] == code for r in rows if _applies(r, given)]
    matches = [
        Match(row.target, row.to, row.display, row.equivalence, map.called, row.comment, row.products)
        for row in found
        if not target or row.target == target
    ]
    return matches or [
        match
        for other in map.unmapped
        if other.source in (system, "") and (not target or other.target == target) and not found
        for match in _otherwise(other, code, map)
    ]


def reverse(map: ConceptMap, system: str, code: str, target: str = "") -> list[Match]:
    """What translates into a code, from systems that are ``target`` (none: from any)."""
    return [
        Match(row.source, row.code, "", REVERSED.get(row.equivalence, row.equivalence), map.called)
        for row in map.back.get((system, code), ())
        if not target or row.source == target
    ]


def _applies(row: Row, given: set[tuple[str, str]]) -> bool:
    return all((d.get("property", ""), d.get("value", "")) in given for d in row.depends)


def _otherwise(other: Unmapped, code: str, map: ConceptMap) -> Iterator[Match]:
    match other.mode:
        case "provided":
            yield Match(other.target, code, "", "equal", map.called)
        case "fixed" if other.code:
            yield Match(other.target, other.code, other.display, "relatedto", map.called)


def elsewhere(map: ConceptMap, system: str) -> list[str]:
    """The maps that this one names for what it does not map itself."""
    return [u.url for u in map.unmapped if u.mode == "other-map" and u.url and u.source in (system, "")]
