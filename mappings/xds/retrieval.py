"""Retrieve Document Set (ITI-43): its request and its answer.

https://profiles.ihe.net/ITI/TF/Volume2/ITI-43.html
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from lxml import etree

from mappings.cda.xml import Node
from mappings.core.result import Issue, Unreadable
from mappings.xds.ebrs import RS, XDSB, RegistryError, registry_response
from mappings.xds.soap.mime import XOP, XOP_INCLUDE

RETRIEVE: Final = "urn:ihe:iti:2007:RetrieveDocumentSet"
_REQUEST: Final = f"{{{XDSB}}}RetrieveDocumentSetRequest"
_MEDIA_TYPE: Final = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)
OCTETS: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A document that is asked for: its uniqueId as XDS writes it, and the repository that should have it."""

    unique_id: str
    repository: str
    community: str = ""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A document that is handed out; ``part`` is the content id of its bytes."""

    wanted: Wanted
    media_type: str
    part: str
    content: bytes = field(repr=False)


def read_request(body: Node) -> list[Wanted]:
    """The documents that are asked for, each once.

    Raises:
        Unreadable: it is no such request, or names no document or repository.
    """
    if body.tag != _REQUEST:
        raise _unreadable(f"The body is no RetrieveDocumentSetRequest but {str(body.tag)[:200]}")
    wanted = [
        Wanted(
            _text(node, "DocumentUniqueId"),
            _text(node, "RepositoryUniqueId"),
            _text(node, "HomeCommunityId"),
        )
        for node in body.findall(f"{{{XDSB}}}DocumentRequest")
    ]
    if not wanted:
        raise _unreadable("There is no DocumentRequest")
    if any(not each.unique_id or not each.repository for each in wanted):
        raise _unreadable("A DocumentRequest has no DocumentUniqueId or no RepositoryUniqueId")
    return list(dict.fromkeys(wanted))


def response(retrieved: Sequence[Retrieved], errors: Sequence[RegistryError]) -> Node:
    """RetrieveDocumentSetResponse; the bytes are included from parts of the message."""
    node = etree.Element(f"{{{XDSB}}}RetrieveDocumentSetResponse", nsmap={"xdsb": XDSB, "rs": RS})
    node.append(registry_response(errors, partly=bool(retrieved)))
    for each in retrieved:
        told = etree.SubElement(node, f"{{{XDSB}}}DocumentResponse")
        texts = {
            "HomeCommunityId": each.wanted.community,
            "RepositoryUniqueId": each.wanted.repository,
            "DocumentUniqueId": each.wanted.unique_id,
            "mimeType": each.media_type,
        }
        for name, text in texts.items():
            if text:
                etree.SubElement(told, f"{{{XDSB}}}{name}").text = text
        document = etree.SubElement(told, f"{{{XDSB}}}Document")
        etree.SubElement(document, XOP_INCLUDE, {"href": f"cid:{each.part}"}, nsmap={"xop": XOP})
    return node


def media_type(stated: str) -> str:
    """The media type without parameters, of bytes where it is none."""
    name = stated.partition(";")[0].strip()
    return name if _MEDIA_TYPE.fullmatch(name) else OCTETS


def _text(node: Node, name: str) -> str:
    return (node.findtext(f"{{{XDSB}}}{name}") or "").strip()


def _unreadable(text: str) -> Unreadable:
    return Unreadable(text, Issue("error", "structure", text, fault="XDSRepositoryError"))
