"""Every search parameter of R4 finds something: in resources that have every element there is."""

from decimal import Decimal
from typing import Any

import pytest

from fhirserver import search
from fhirserver.model.definitions import Definitions, Element, Type, ihe
from fhirserver.search.indexer import STORED
from fhirserver.search.query import Index

DEPTH = 5
VARIANTS = 12
"""So many resources of a type, each with another target of its references and another system of telecoms."""
SYSTEMS = ("phone", "email", "fax", "url", "sms")
RELATIONS = ("depends-on", "derived-from", "predecessor", "successor", "composed-of")
INSIDE = ("Composition", "MessageHeader")
PRIMITIVES: dict[str, Any] = {
    "boolean": True,
    "integer": 2,
    "positiveInt": 2,
    "unsignedInt": 2,
    "decimal": Decimal("1.5"),
    "date": "2024-02-29",
    "dateTime": "2024-02-29T12:00:00Z",
    "instant": "2024-02-29T12:00:00Z",
    "time": "12:00:00",
    "base64Binary": "AAAA",
}


def full(definitions: Definitions, structure: str, variant: int, depth: int = DEPTH) -> dict[str, Any]:
    """A resource or element with all of its elements, in every type of a choice."""
    if structure == "ContactPoint":
        return {"system": SYSTEMS[variant % len(SYSTEMS)], "value": "0102"}
    if structure == "RelatedArtifact":
        return {"type": RELATIONS[variant % len(RELATIONS)], "resource": "http://example.org/a"}
    made: dict[str, Any] = {}
    for element in definitions.structures[structure].elements:
        if element.name in ("extension", "modifierExtension", "contained"):
            continue
        for name, type in element.json_names():
            value = content(definitions, element, type, variant, depth)
            if value is not None:
                made[name] = [value] if element.max is None else value
    return made


def content(definitions: Definitions, element: Element, type: Type, variant: int, depth: int) -> Any:
    if type.code == "Reference":
        targets = type.targets or ("Patient",)
        return {"reference": f"{targets[variant % len(targets)]}/1", "identifier": {"value": "x"}}
    if type.code == "Resource":
        return {"resourceType": INSIDE[variant % len(INSIDE)], "id": "1"}
    if type.code in PRIMITIVES:
        return PRIMITIVES[type.code]
    if not definitions.structures.get(type.structure) or not definitions.structures[type.structure].elements:
        return "http://example.org/a" if type.code in ("uri", "url", "canonical", "oid", "uuid") else "abc"
    return full(definitions, type.structure, variant, depth - 1) if depth else None


def names(index: Index) -> set[str]:
    """The parameters that have a value."""
    written = [*index.keys, *index.sorted, *(name for name, _, _ in index.intervals)]
    return {entry.partition("|")[0] for entry in written if entry.partition("|")[2] or "|" not in entry}


@pytest.fixture(scope="module")
def found(indexer: search.Indexer, definitions: Definitions) -> dict[str, set[str]]:
    return {
        type: {
            name
            for variant in range(VARIANTS)
            for name in names(indexer.index({"resourceType": type, **full(definitions, type, variant)}))
        }
        for type in sorted(definitions.resource_types)
    }


IN_EXTENSIONS = {(p.base[0], p.code) for p in ihe.SEARCH_PARAMETERS if ".extension(" in p.expression}
"""tests/integration/test_mhd_wire.py asks for these."""


def test_every_parameter_finds_something(indexer: search.Indexer, found: dict[str, set[str]]) -> None:
    empty = {
        (type, code)
        for type, names in found.items()
        for code, parameter in indexer.compiled(type).compiled.items()
        if code not in STORED and not parameter.sources and code not in names
    }
    assert empty - IN_EXTENSIONS == set()
