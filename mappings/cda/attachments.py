"""Files attached to the sections of a structured document: observationMedia with content of its own.

CI-SIS entry FR-Document-attache (1.2.250.1.213.1.1.3.18): a copy of a report as PDF, a certificate.
"""

import binascii
from dataclasses import dataclass, field

import pybase64

from mappings.cda.document import ClinicalDocument
from mappings.cda.xml import Node, text_of


@dataclass(frozen=True, slots=True)
class Attached:
    """One file: its media type and what it is called, "" where nothing says so."""

    media_type: str
    title: str
    data: bytes = field(repr=False)


def attachments(document: ClinicalDocument) -> dict[str, Attached]:
    """The files by name: the ID that renderMultiMedia refers to, else one made of the place.

    What is no base64 is left out.
    """
    found: dict[str, Attached] = {}
    for position, node in enumerate(document.root.iter("observationMedia"), 1):
        value = node.find("value")
        if value is None or (value.get("representation") or "").upper() != "B64":
            continue
        data = _decoded(value)
        if data:
            name = node.get("ID") or f"file-{position}"
            media_type = (value.get("mediaType") or "application/octet-stream").strip().lower()
            found.setdefault(name, Attached(media_type, _title(node), data))
    return found


def _decoded(value: Node) -> bytes:
    encoded = "".join(text_of(value).split())
    try:
        return pybase64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _title(node: Node) -> str:
    """What the organizer around it says it is: its code, or the text of that."""
    component = node.getparent()
    organizer = None if component is None else component.getparent()
    code = None if organizer is None else organizer.find("code")
    if code is None:
        return ""
    return (code.get("displayName") or "").strip() or text_of(code.find("originalText"))
