"""What XDS metadata say that FHIR has no element for, kept in extensions and told again as it was sent."""

from collections.abc import Collection
from typing import Final

from mappings.core.result import Element
from mappings.xds.metadata import Slots

SLOT: Final = "urn:x-fhirserver:xds:slot"
"""Extension of a DocumentReference or List: a slot's ``name`` and its ``value``\\ s."""

AS_SENT: Final = "urn:x-fhirserver:xds:as-sent"
"""Extension of a Reference to a person or organization (or of a List): the slots that named it. What they are
references to is shared, and says less or other things."""

ASSOCIATION: Final = "urn:x-fhirserver:xds:association"
"""Extension of relatesTo (valueCode): the type of the association, where FHIR has no code of its own."""

SCHEME: Final = "urn:x-fhirserver:xds:scheme:"
"""Begins the URI of a code system that XDS only has a name for; the name, percent-encoded, ends it."""


def slot_extensions(slots: Slots, names: Collection[str]) -> list[Element]:
    """The named slots, each as an extension."""
    return [
        {
            "url": SLOT,
            "extension": [
                {"url": "name", "valueString": name},
                *({"url": "value", "valueString": value} for value in values),
            ],
        }
        for name, values in slots.items()
        if name in names and values
    ]


def kept_slots(element: Element) -> Slots:
    """The slots that are kept with a resource."""
    slots: Slots = {}
    for extension in element.get("extension", ()):
        if extension.get("url") != SLOT:
            continue
        parts = extension.get("extension", ())
        name = next((part.get("valueString") for part in parts if part.get("url") == "name"), "")
        values = [
            part["valueString"] for part in parts if part.get("url") == "value" and "valueString" in part
        ]
        if name:
            slots.setdefault(name, []).extend(values)
    return slots


def as_sent(element: Element, slots: Slots) -> Element:
    """The element with the slots that named it."""
    return {**element, "extension": [*element.get("extension", ()), as_sent_extension(slots)]}


def as_sent_extension(slots: Slots) -> Element:
    parts = [{"url": name, "valueString": value} for name, values in slots.items() for value in values]
    return {"url": AS_SENT, "extension": parts}


def sent_slots(element: Element) -> list[Slots]:
    """The slots that named an element, one for each time it was named; [] when it came otherwise."""
    found = []
    for extension in element.get("extension", ()):
        if extension.get("url") == AS_SENT:
            slots: Slots = {}
            for part in extension.get("extension", ()):
                if isinstance(part.get("valueString"), str):
                    slots.setdefault(part.get("url", ""), []).append(part["valueString"])
            found.append(slots)
    return found


def plain(reference: Element) -> Element:
    """A Reference without what is kept in it, to be used elsewhere."""
    others = [e for e in reference.get("extension", ()) if e.get("url") != AS_SENT]
    rest = {name: value for name, value in reference.items() if name != "extension"}
    return {**rest, "extension": others} if others else rest
