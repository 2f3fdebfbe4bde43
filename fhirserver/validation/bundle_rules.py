"""What the text of the specification says of Bundles beyond their invariants.

https://hl7.org/fhir/R4/bundle.html#bundle-unique
"""

from collections.abc import Iterator
from typing import Any

from fhirserver.model import reference
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Scope


class FullUrls:
    """A fullUrl that is the address of a resource does not disagree with the resource's type and id."""

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        entries = value["entry"]
        for index, entry in enumerate(entries if type(entries) is list else ()):
            resource = entry.get("resource") if type(entry) is dict else None
            if type(resource) is not dict or type(entry.get("fullUrl")) is not str or "id" not in resource:
                continue
            stated = reference.parse(entry["fullUrl"])
            found = (resource.get("resourceType"), resource["id"])
            if stated.id and (stated.type, stated.id) != found:
                place = (((node, ".entry"), index), ".fullUrl")
                values = {"stated": f"{stated.type}/{stated.id}", "found": shown(f"{found[0]}/{found[1]}")}
                scope.report.note("warning", place, "invalid", "full-url", **values)


class WholeDocument:
    """What a document's Composition refers to is in the document. https://hl7.org/fhir/R4/documents.html#content"""

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        if value.get("type") != "document" or not well_formed:
            return
        first = value["entry"][0]
        composition = first.get("resource", {})
        if composition.get("resourceType") != "Composition":
            return  # bdl-11 says so
        there = set()
        for entry in value["entry"]:
            resource = entry.get("resource", {})
            there |= {entry.get("fullUrl"), f"{resource.get('resourceType')}/{resource.get('id')}"}
        place = (((node, ".entry"), 0), ".resource")
        for step, literal in _referred(composition, place):
            base = str(first.get("fullUrl", "")).removesuffix(f"Composition/{composition.get('id')}")
            if literal[0] != "#" and not {literal, base + literal, _unversioned(literal)} & there:
                scope.report.add(
                    (step, ".reference"), "not-found", "not-in-document", reference=shown(literal)
                )


def _unversioned(literal: str) -> str:
    return literal.partition("/_history/")[0]


_REFERENCES = ("subject", "encounter", "author", "custodian")


def _referred(composition: dict[str, Any], place: Node) -> Iterator[tuple[Node, str]]:
    """The references that the specification names, each with its place."""
    for name in _REFERENCES:
        yield from _literals(composition.get(name), (place, f".{name}"))
    for name, inner in (("attester", "party"), ("event", "detail")):
        for index, one in enumerate(composition.get(name, ())):
            yield from _literals(one.get(inner), ((((place, f".{name}"), index)), f".{inner}"))
    yield from _sections(composition, place)


def _sections(parent: dict[str, Any], place: Node) -> Iterator[tuple[Node, str]]:
    for index, section in enumerate(parent.get("section", ())):
        here: Node = ((place, ".section"), index)
        for name in ("author", "focus", "entry"):
            yield from _literals(section.get(name), (here, f".{name}"))
        yield from _sections(section, here)


def _literals(value: Any, place: Node) -> Iterator[tuple[Node, str]]:
    if type(value) is list:
        for index, one in enumerate(value):
            yield from _literals(one, (place, index))
    elif type(value) is dict and type(value.get("reference")) is str:
        yield place, value["reference"]
