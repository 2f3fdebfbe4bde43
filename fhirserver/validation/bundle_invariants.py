"""The invariants of Bundle, by key. https://hl7.org/fhir/R4/bundle.html#invs"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Content = Mapping[str, Any]

_WITH_REQUEST = frozenset(("batch", "transaction", "history"))
_WITH_RESPONSE = frozenset(("batch-response", "transaction-response", "history"))


def bdl_2(bundle: Content) -> Iterator[str]:
    if bundle.get("type") != "searchset":
        for index, entry in enumerate(bundle.get("entry", ())):
            if "search" in entry:
                yield f".entry[{index}].search"


def bdl_3(bundle: Content) -> Iterator[str]:
    wanted = bundle.get("type") in _WITH_REQUEST
    for index, entry in enumerate(bundle.get("entry", ())):
        if ("request" in entry) != wanted:
            yield f".entry[{index}].request"


def bdl_4(bundle: Content) -> Iterator[str]:
    wanted = bundle.get("type") in _WITH_RESPONSE
    for index, entry in enumerate(bundle.get("entry", ())):
        if ("response" in entry) != wanted:
            yield f".entry[{index}].response"


def bdl_7(bundle: Content) -> Iterator[str]:
    if bundle.get("type") == "history":
        return
    seen = set()
    for index, entry in enumerate(bundle.get("entry", ())):
        if "fullUrl" in entry:
            key = (entry["fullUrl"], entry.get("resource", {}).get("meta", {}).get("versionId"))
            if key in seen:
                yield f".entry[{index}].fullUrl"
            seen.add(key)


def _first_is(bundle: Content, type: str) -> bool:
    entries = bundle.get("entry", ())
    return bool(entries) and entries[0].get("resource", {}).get("resourceType") == type


def _is_identified(bundle: Content) -> bool:
    identifier = bundle.get("identifier", {})
    return "system" in identifier and "value" in identifier


# fmt: off
HOLDS: dict[str, Callable[[Content], bool]] = {
    "bdl-1": lambda bundle: "total" not in bundle or bundle.get("type") in ("searchset", "history"),
    "bdl-5": lambda entry: "resource" in entry or "request" in entry or "response" in entry,
    "bdl-8": lambda entry: "/_history/" not in entry.get("fullUrl", ""),
    "bdl-9": lambda bundle: bundle.get("type") != "document" or _is_identified(bundle),
    "bdl-10": lambda bundle: bundle.get("type") != "document" or "timestamp" in bundle,
    "bdl-11": lambda bundle: bundle.get("type") != "document" or _first_is(bundle, "Composition"),
    "bdl-12": lambda bundle: bundle.get("type") != "message" or _first_is(bundle, "MessageHeader"),
}
# fmt: on

PLACES: dict[str, Callable[[dict[str, Any]], Iterator[str]]] = {
    "bdl-2": bdl_2,
    "bdl-3": bdl_3,
    "bdl-4": bdl_4,
    "bdl-7": bdl_7,
}
