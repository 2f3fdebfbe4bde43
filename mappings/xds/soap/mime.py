"""The parts of an MTOM message, read and written.

https://www.w3.org/TR/xop10/, RFC 2387, IHE ITI TF-2 V.3.6
"""

import base64
import binascii
import quopri
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import Message as Header
from typing import Final
from urllib.parse import unquote

from mappings.cda.xml import Node
from mappings.xds.soap.faults import Fault

XOP: Final = "http://www.w3.org/2004/08/xop/include"
XOP_INCLUDE: Final = f"{{{XOP}}}Include"
SOAP_XML: Final = "application/soap+xml"
XOP_XML: Final = "application/xop+xml"
XML_TYPES: Final = (SOAP_XML, "application/xml", "text/xml")
MULTIPART: Final = "multipart/related"
PARTS: Final = 2000
HEADER_BYTES: Final = 16 * 1024
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
_REST_OF_LINE: Final = re.compile(rb"(--)?[ \t]*(?:\r?\n|\Z)")
_FIRST_LINE: Final = re.compile(rb"--([^\r\n]{1,70})[ \t]*\r?\n")


class UnknownMediaType(Exception):
    """The Content-Type is none of a SOAP message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A SOAP message apart: the envelope's bytes, the other parts by content id (without angle brackets).

    ``action`` is what the Content-Type says; ``is_mtom`` whether it came as several parts.
    """

    envelope: bytes = field(repr=False)
    parts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    action: str = ""
    is_mtom: bool = False

    def content(self, node: Node) -> bytes | None:
        """The bytes of an element of type base64Binary: included from a part, or in line.

        None when what it includes is not there.

        Raises:
            ValueError: it is not base64.
        """
        included = node.find(XOP_INCLUDE)
        if included is not None:
            href = (included.get("href") or "").strip()
            if not href.lower().startswith("cid:"):
                return None
            return self.parts.get(unquote(href[4:]), self.parts.get(href[4:]))
        return decode(node.text or "")


def decode(text: str) -> bytes:
    """Base64 with white space anywhere. Raises ValueError."""
    try:
        return base64.b64decode("".join(text.split()).encode("ascii"), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def read(raw: bytes, content_type: str = "") -> Message:
    """Take a message apart, as its Content-Type says or, without one, as it begins.

    Raises:
        UnknownMediaType.
        Fault: the multipart message is broken.
    """
    header = _header(content_type or _guess(raw))
    kind = header.get_content_type()
    if kind in XML_TYPES:
        return Message(raw, action=_parameter(header, "action"))
    if kind != MULTIPART:
        raise UnknownMediaType(f"{kind} is no SOAP message; {SOAP_XML} and {MULTIPART} are")
    boundary = _parameter(header, "boundary")
    if not _BOUNDARY.fullmatch(boundary):
        raise Fault("Sender", "The multipart message's Content-Type has no valid boundary")
    parts = [_part(part) for part in _split(raw, boundary.encode("ascii"))]
    root = _root(parts, _parameter(header, "start").strip("<>"))
    described = _header(_parameter(header, "start-info"))
    action = next((a for h in (header, root.header, described) if (a := _parameter(h, "action"))), "")
    others: dict[str, bytes] = {}
    for part in parts:
        if part is not root and part.id:
            if part.id in others:
                raise Fault("Sender", "Two parts of the multipart message have one Content-ID")
            others[part.id] = part.content
    return Message(root.content, others, action, is_mtom=True)


def write(envelope: bytes, parts: Sequence[tuple[str, str, bytes]], action: str) -> tuple[bytes, str]:
    """An MTOM message and its Content-Type; ``parts`` are (content id, media type, bytes)."""
    boundary = f"uuid-{uuid.uuid4()}"
    start = f"root-{uuid.uuid4()}@fhirserver"
    pieces = []
    inner = f'{XOP_XML}; charset=UTF-8; type="{SOAP_XML}"'
    for id, media_type, content in ((start, inner, envelope), *parts):
        pieces.append(
            f"--{boundary}\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: binary\r\n"
            f"Content-ID: <{id}>\r\n\r\n".encode("ascii")
        )
        pieces += [content, b"\r\n"]
    pieces.append(f"--{boundary}--\r\n".encode("ascii"))
    content_type = (
        f'{MULTIPART}; type="{XOP_XML}"; boundary="{boundary}"; start="<{start}>"; '
        f'start-info="{SOAP_XML}"; action="{action}"'
    )
    return b"".join(pieces), content_type


@dataclass(frozen=True, slots=True)
class _Part:
    id: str
    header: Header
    content: bytes


def _guess(raw: bytes) -> str:
    found = _FIRST_LINE.match(raw.lstrip())
    if found is None:
        return SOAP_XML
    boundary = found[1].decode("ascii", "replace").rstrip()
    return f'{MULTIPART}; boundary="{boundary}"'


def _header(content_type: str) -> Header:
    header = Header()
    header["Content-Type"] = "".join(c for c in content_type if c.isprintable()) or "text/plain"
    return header


def _parameter(header: Header, name: str) -> str:
    value = header.get_param(name, "")
    return value.strip() if isinstance(value, str) else ""


def _split(raw: bytes, boundary: bytes) -> list[bytes]:
    """The parts between boundaries. Raises Fault: the last boundary is missing, or there are too many."""
    parts: list[bytes] = []
    start = -1
    for begin, end, last in _delimiters(raw, b"--" + boundary):
        if start >= 0:
            parts.append(raw[start:begin])
        if last and parts:
            return parts
        if len(parts) > PARTS:
            raise Fault("Sender", f"The multipart message has more than {PARTS} parts")
        start = end
    if start < 0:
        raise Fault("Sender", "The boundary of the Content-Type is nowhere in the message")
    raise Fault("Sender", "The multipart message ends before its last boundary")


def _delimiters(raw: bytes, mark: bytes) -> Iterator[tuple[int, int, bool]]:
    """Where the lines that are boundaries begin and end, with their line ends; whether each is the last."""
    position = 0
    while (found := raw.find(mark, position)) >= 0:
        position = found + len(mark)
        if found and raw[found - 1 : found] != b"\n":
            continue
        if (line := _REST_OF_LINE.match(raw, position)) is None:
            continue  # it goes on: another boundary begins with this one
        begin = found - (2 if raw[max(found - 2, 0) : found] == b"\r\n" else 1) if found else 0
        yield begin, line.end(), bool(line[1])


def _part(raw: bytes) -> _Part:
    """Raises Fault: its headers do not end, or it is encoded in an unknown way."""
    found = re.search(rb"\A\r?\n|\r?\n\r?\n", raw[:HEADER_BYTES])
    if found is None:
        raise Fault("Sender", "A part of the multipart message has no end of its headers")
    lines = re.sub(r"\r?\n[ \t]+", " ", raw[: found.start()].decode("latin-1"))
    fields = {}
    for line in re.split(r"\r?\n", lines):
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    content = raw[found.end() :]
    match fields.get("content-transfer-encoding", "binary").lower():
        case "binary" | "8bit" | "7bit":
            pass
        case "base64":
            try:
                content = decode(content.decode("ascii"))
            except ValueError:
                raise Fault("Sender", "A part of the multipart message is not base64") from None
        case "quoted-printable":
            content = quopri.decodestring(content)
        case other:
            raise Fault("Sender", f"Content-Transfer-Encoding {other[:40]} is not read here")
    id = fields.get("content-id", "").strip().strip("<>")
    return _Part(id, _header(fields.get("content-type", "")), content)


def _root(parts: list[_Part], start: str) -> _Part:
    """The part with the envelope: that named by ``start``, else the first. Raises Fault."""
    if not start:
        return parts[0]
    found = next((part for part in parts if part.id == start), None)
    if found is None:
        raise Fault("Sender", "No part of the multipart message has the Content-ID that start names")
    return found
