"""A source's own codes as the codes of others: its code map over a mapped Bundle.

The translated coding comes first, the code as sent stays after it. What no map knows is kept and told.
"""

from collections.abc import Iterator
from typing import Any, Final

from mappings.core.result import Element, Issue, Mapped, Unmapped
from mappings.core.source import Source

LOCAL: Final = "urn:x-hl7v2:cs:"
"""Systems of codes that only their sender knows."""
ALTERNATE_CODES: Final = "http://hl7.org/fhir/StructureDefinition/alternate-codes"
"""Beside an element of type code: the code that was sent and has no mapping."""


def translate(mapped: Mapped, source: Source) -> None:
    """Translate the codings of all entries in place, and note each code that stays without a mapping.

    A concept is mapped when one of its codings is of a system that others know. What the mapping itself noted
    (codes that have no place in the result) stays.
    """
    unmapped = {(one.system, one.code): one for one in mapped.unmapped}
    for entry in mapped.bundle.get("entry", ()):
        for found in _translated(entry["resource"], source, entry["resource"]["resourceType"]):
            unmapped.setdefault((found.system, found.code), found)
    mapped.unmapped = list(unmapped.values())
    mapped.issues += [
        Issue(
            "information",
            "code-invalid",
            f"Code {one.code[:40]!r} of {one.system[:80]} has no mapping",
            one.location,
        )
        for one in mapped.unmapped
        if one.system.startswith(LOCAL) and not one.told
    ]


def _translated(element: Element, source: Source, path: str) -> Iterator[Unmapped]:
    codings = element.get("coding")
    if isinstance(codings, list):
        yield from _concept(element, codings, source, path)
        return
    for name, value in element.items():
        if isinstance(value, str):
            continue
        if name[0] == "_" and isinstance(value, (dict, list)):
            yield from _alternates(value, f"{path}.{name[1:]}")
            continue
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, dict):
                yield from _translated(item, source, f"{path}.{name}")


def _concept(concept: Element, codings: list[Element], source: Source, path: str) -> Iterator[Unmapped]:
    if source.codes:
        for coding in codings:
            target = source.codes.get((coding.get("system", ""), coding.get("code", "")))
            if target is not None and target.system:
                made = {"system": target.system, "code": target.code, "display": target.display}
                translated = {name: value for name, value in made.items() if value}
                concept["coding"] = [translated, *(c for c in codings if c != translated)]
                return
    if codings and all(coding.get("system", LOCAL).startswith(LOCAL) for coding in codings):
        first = codings[0]
        if code := first.get("code"):
            yield Unmapped(first.get("system", ""), code, first.get("display", ""), path)


def _alternates(beside: Any, path: str) -> Iterator[Unmapped]:
    """The codes in the extensions of a code that could not be mapped."""
    for one in beside if isinstance(beside, list) else [beside]:
        for extension in (one or {}).get("extension", ()):
            if extension.get("url") == ALTERNATE_CODES:
                for coding in extension.get("valueCodeableConcept", {}).get("coding", ()):
                    yield Unmapped(coding.get("system", ""), coding.get("code", ""), "", path, told=True)
