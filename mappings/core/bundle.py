"""The parts of a transaction Bundle. https://hl7.org/fhir/R4/http.html#transaction"""

import hashlib
import uuid
from typing import Any
from urllib.parse import quote

from mappings.core.result import Element

KEY_SYSTEM = "urn:x-fhirserver:key"
"""System of the identifiers this library derives where the input has none of its own."""


def prune(element: Any) -> Any:
    """Drop what is empty (None, "", [], {}) at every depth; None when nothing is left."""
    kind = element.__class__
    if kind is str:
        return element or None
    if kind is dict:
        kept = {}
        for name, part in element.items():
            if part.__class__ is not str:
                part = prune(part)
            if part is not None and part != "":
                kept[name] = part
        return kept or None
    if kind is list:
        return [p for part in element if (p := prune(part)) is not None] or None
    return None if element == "" else element


def derived_identifier(source: str, kind: str, *parts: str) -> Element:
    """Identify what the input does not: the same parts from the same source give the same identifier.

    The value is a hash, because such an identifier appears in search criteria and must not carry what it
    identifies (a patient's number, a diagnosis).
    """
    digest = hashlib.sha256("\x1f".join((source, kind, *parts)).encode()).hexdigest()[:40]
    return {"use": "secondary", "system": f"{KEY_SYSTEM}:{kind}", "value": digest}


def full_url(*parts: str) -> str:
    """Name an entry: deterministic, so that mapping the same input twice gives the same Bundle."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, '/'.join(parts))}"


def criteria(identifier: Element) -> str:
    """Search criteria that find the resource with this identifier: ``identifier=system|value``."""
    system, value = identifier.get("system", ""), identifier["value"]
    return f"identifier={quote(_escape(system), safe=':/.')}%7C{quote(_escape(value), safe='')}"


def put(url: str, resource: Element, identifier: Element) -> Element:
    """Entry: the input asserts this resource; create it, or merge it into the one so identified."""
    request = {"method": "PUT", "url": f"{resource['resourceType']}?{criteria(identifier)}"}
    return {"fullUrl": url, "resource": resource, "request": request}


def change(url: str, resource: Element, identifier: Element) -> Element:
    """Entry: the input changes this resource, which must be there; the elements it does not name stay.

    The resource is a part of one: it may lack elements that FHIR requires.
    """
    entry = put(url, resource, identifier)
    entry["request"]["ifMatch"] = "*"
    return entry


def mention(url: str, resource: Element, identifier: Element) -> Element:
    """Entry: the input only mentions this resource; create it when it is unknown, else leave it."""
    request = {
        "method": "POST",
        "url": resource["resourceType"],
        "ifNoneExist": criteria(identifier),
    }
    return {"fullUrl": url, "resource": resource, "request": request}


def post(url: str, resource: Element) -> Element:
    """Entry: always a new resource."""
    return {
        "fullUrl": url,
        "resource": resource,
        "request": {"method": "POST", "url": resource["resourceType"]},
    }


def transaction(entries: list[Element]) -> Element:
    """Bundle of type transaction; of entries with the same fullUrl the first is kept."""
    unique = {entry["fullUrl"]: entry for entry in reversed(entries)}
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(reversed(unique.values()))}


def _escape(value: str) -> str:
    r"""Escape a search value's separators: https://hl7.org/fhir/R4/search.html#escaping"""
    for character in ("\\", "|", ",", "$"):
        value = value.replace(character, f"\\{character}")
    return value
