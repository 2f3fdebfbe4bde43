"""What the text of the specification says of Bundles beyond their invariants.

https://hl7.org/fhir/R4/bundle.html#bundle-unique
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fhirserver.errors import Severity
from fhirserver.model import reference
from fhirserver.validation.report import Node, shown
from fhirserver.validation.rules import Scope
from fhirserver.validation.systems import is_absolute

_REQUESTS = ("batch", "transaction")
_ANSWERS = ("batch-response", "transaction-response")


class FullUrls:
    """A fullUrl is there, is absolute, and does not disagree with its resource's type and id where it is the
    address of a resource.

    Only the last is told, as a warning, where no advice is wanted: official examples are against all three.
    """

    silent = False

    def __init__(self, resource_types: frozenset[str]) -> None:
        self._types = resource_types

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        entries, type_ = value["entry"], value.get("type")
        severity: Severity = "error" if scope.report.advice else "warning"
        for index, entry in enumerate(entries if type(entries) is list else ()):
            resource = entry.get("resource") if type(entry) is dict else None
            if type(resource) is not dict:
                continue
            url, place = entry.get("fullUrl"), (((node, ".entry"), index), ".fullUrl")
            if url is None and type_ not in _REQUESTS and type_ not in _ANSWERS:
                if resource.get("resourceType") != "OperationOutcome" and "_fullUrl" not in entry:
                    scope.report.strict(place, "required", "full-url-missing")
            elif type(url) is str and not is_absolute(url):
                scope.report.strict(place, "invalid", "full-url-relative", value=shown(url))
            elif type(url) is str:
                stated, found = reference.parse(url), (resource.get("resourceType"), resource.get("id"))
                unnamed = found[1] is None and (type_ in _REQUESTS or not scope.report.advice)
                if stated.type in self._types and (stated.type, stated.id) != found and not unnamed:
                    values = {"stated": f"{stated.type}/{stated.id}", "found": shown(_named(*found))}
                    scope.report.note(severity, place, "invalid", "full-url", **values)


def _named(type_: Any, id: Any) -> str:
    return f"{type_}/{id}" if id is not None else f"{type_} without an id"


class Links:
    """A page has one address, and one page each before and after it. RFC 5988"""

    silent = True

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        seen = set()
        for index, link in enumerate(value["link"] if well_formed else ()):
            relation = link["relation"]
            if relation in seen and relation in _ONCE:
                place = (((node, ".link"), index), ".relation")
                scope.report.strict(place, "duplicate", "link-duplicate", relation=shown(relation))
            seen.add(relation)


_ONCE = frozenset(("self", "first", "previous", "prev", "next", "last"))


class SearchResults:
    """What is found has an id and the type that was searched for. https://hl7.org/fhir/R4/http.html#search"""

    silent = True

    def __init__(self, resource_types: frozenset[str]) -> None:
        self._types = resource_types

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        if value.get("type") != "searchset" or not well_formed:
            return
        searched = self._searched(value)
        for index, entry in enumerate(value["entry"]):
            resource, mode = entry.get("resource"), entry.get("search", {}).get("mode")
            if resource is None:
                continue
            type_, place = resource["resourceType"], (((node, ".entry"), index), ".resource")
            if mode == "outcome" or (mode is None and type_ == "OperationOutcome"):
                if type_ != "OperationOutcome":
                    scope.report.strict(place, "value", "not-an-outcome", found=type_)
                continue
            if "id" not in resource:
                scope.report.strict((place, ".id"), "required", "found-without-id")
            if mode == "match" and searched and type_ not in searched:
                wanted = ", ".join(sorted(searched))
                scope.report.strict(place, "value", "not-searched", found=type_, wanted=wanted)

    def _searched(self, bundle: dict[str, Any]) -> set[str]:
        """The types that the Bundle's own address asks for: [base]/Patient?..., or _type; {} for any."""
        own = next((link["url"] for link in bundle.get("link", ()) if link["relation"] == "self"), "")
        try:
            parts = urlsplit(own)
        except ValueError:
            return set()  # no address of a search
        last = parts.path.rpartition("/")[2]
        if last in self._types:
            return {last}
        listed = [types for name, types in parse_qsl(parts.query) if name == "_type"]
        return {one for types in listed for one in types.split(",")} & self._types


class WholeDocument:
    """What a document's Composition refers to is in the document, once, by the rules for relative references.

    https://hl7.org/fhir/R4/documents.html#content, https://hl7.org/fhir/R4/bundle.html#references
    """

    silent = False

    def check(self, value: dict[str, Any], node: Node, scope: Scope, well_formed: bool) -> None:
        if value.get("type") != "document" or not well_formed:
            return
        first = value["entry"][0]
        composition = first.get("resource", {})
        if composition.get("resourceType") != "Composition":
            return  # bdl-11 says so
        versions: dict[str, list[str | None]] = {}
        names = set()
        for entry in value["entry"]:
            resource = entry.get("resource", {})
            names.add(f"{resource.get('resourceType')}/{resource.get('id')}")
            version = resource.get("meta", {}).get("versionId")
            versions.setdefault(entry.get("fullUrl", ""), []).append(version)
        own = reference.parse(first.get("fullUrl", ""))
        base = f"{own.base}/" if own.base else ""
        for step, literal in _referred(composition, (((node, ".entry"), 0), ".resource")):
            if literal[0] == "#":
                continue
            address, _, version = literal.partition("/_history/")
            there = versions.get(address) or versions.get(base + address) or []
            place, said = (step, ".reference"), {"reference": shown(literal)}
            if version and there and not {version, None} & set(there):
                scope.report.strict(place, "not-found", "not-in-document", **said)
            elif len(there) > 1 and not version:
                scope.report.strict(place, "multiple-matches", "twice-in-document", **said)
            elif not there and {literal, address} & names:
                scope.report.strict(place, "not-found", "relative-in-document", **said)
            elif not there:
                scope.report.add(place, "not-found", "not-in-document", **said)


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
