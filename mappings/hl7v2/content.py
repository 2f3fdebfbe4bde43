"""ED[Attachment], RP[Attachment] and text: what a document holds, as bytes with a content type.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-ed-to-attachment.html
"""

import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

import pybase64

from mappings import cda
from mappings.core.bundle import post, prune
from mappings.core.result import Element, Held, Issue, Unreadable
from mappings.hl7v2.context import Context
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.tables import MIME, MIME_OF_TYPE

PLAIN_TEXT: Final = "text/plain; charset=utf-8"

_MAGIC: Final = (
    (b"%PDF", "application/pdf"),
    (b"{\\rtf", "application/rtf"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
)
_MIME_TYPE: Final = re.compile(r"[a-z]+/[a-z0-9][a-z0-9.+-]*(?:;.*)?")
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:\S+")


@dataclass(frozen=True, slots=True)
class Content:
    """One rendition of a document: its bytes, or where they are (``url``); ``document`` when it is a CDA."""

    content_type: str
    data: bytes = b""
    url: str = ""
    title: str = ""
    document: cda.ClinicalDocument | None = None


def obx_to_contents(obx: Segment, context: Context) -> list[Content]:
    """The contents of OBX-5, by the type OBX-2 gives: ED, RP, or text.

    Raises:
        Held: the content cannot be decoded, or says it is a CDA and is none.
    """
    title = obx[3][2].text
    match str(obx[2]).upper():
        case "ED":
            return [ed_to_content(ed, title, context) for ed in obx.all(5)]
        case "RP":
            return [content for rp in obx.all(5) if (content := rp_to_content(rp, title, context))]
        case _:
            text = "\n".join(field.text for field in obx.repetitions(5))
            return [Content(PLAIN_TEXT, text.encode(), title=title)] if text.strip() else []


def ed_to_content(ed: Field, title: str, context: Context) -> Content:
    data = decoded(ed, context)
    kind, subtype = str(ed[2]), str(ed[3])
    declared = mime_of(kind, subtype)
    content_type = sniff(data, declared)
    document = None
    if content_type == "text/xml" and b"ClinicalDocument" in data:
        try:
            document = cda.read(data)
        except Unreadable as error:
            raise _held(f"The CDA document cannot be read: {error}", ed[5]) from None
        content_type = document.media_type
    elif "CDA" in subtype.upper():
        raise _held("Said to be a CDA document and is none", ed[5])
    elif declared == "text/xml" and content_type != declared:
        context.warn("Said to be XML and is not: kept as what it is", ed[5])
    return Content(content_type, data, title=title, document=document)


def rp_to_content(rp: Field, title: str, context: Context) -> Content | None:
    url = rp[1].text
    if not _URL.fullmatch(url):
        context.warn("The pointer is no URL: left out", rp[1])
        return None
    return Content(mime_of(str(rp[3]), str(rp[4])), url=url, title=title)


def sniff(data: bytes, declared: str) -> str:
    """The content type the first bytes show, else the declared one if the bytes can be that."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, content_type in _MAGIC:
        if start.startswith(magic):
            return content_type
    if start.startswith((b"<?xml", b"<ClinicalDocument")) or (declared == "text/xml" and start[:1] == b"<"):
        return "text/xml"
    if declared in {"", "text/xml", PLAIN_TEXT}:
        return PLAIN_TEXT if _is_utf8(data) else ("text/plain" if declared else "application/octet-stream")
    return declared


def add_binary(content: Content, document_url: str, creation: str | None, context: Context) -> Element:
    """Give the Attachment of a content; its bytes become a Binary entry, guarded as the document is."""
    if content.url:
        return _attachment(content, content.url, creation)
    digest = hashlib.sha1(content.data, usedforsecurity=False).digest()  # what Attachment.hash is defined as
    url = context.url("Binary", document_url, digest.hex())
    binary = {
        "resourceType": "Binary",
        "contentType": content.content_type,
        "securityContext": {"reference": document_url},
        "data": pybase64.b64encode_as_string(content.data),
    }
    context.entries.append(post(url, binary))
    size_and_hash = {"size": len(content.data), "hash": pybase64.b64encode(digest).decode()}
    return _attachment(content, url, creation) | size_and_hash


def _attachment(content: Content, url: str, creation: str | None) -> Element:
    document = content.document
    attachment: Element = prune(
        {
            "contentType": content.content_type,
            "language": document.language if document else None,
            "url": url,
            "title": (document.title if document else "") or content.title,
            "creation": creation,
        }
    )
    return attachment


def decoded(ed: Field, context: Context) -> bytes:
    """The bytes of an ED.

    Raises:
        Held: there are none, or they are not in the encoding that is given.
    """
    encoding, text = str(ed[4]).upper(), ed[5].text
    if not text:
        raise _held("The document is empty", ed[5])
    if encoding == "A":
        return text.encode()
    compact = "".join(text.split())
    try:
        if encoding == "HEX":
            return bytes.fromhex(compact)
        data = pybase64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        if encoding:
            raise _held(f"Not {'hexadecimal' if encoding == 'HEX' else 'base64'}", ed[5]) from None
        context.warn("No encoding is given and it is not base64: kept as text", ed[4])
        return text.encode()
    if len(compact) % 4:
        context.issue("information", "value", "The base64 is not padded", ed[5].location)
    return data


def mime_of(kind: str, subtype: str = "") -> str:
    """The MIME type of a type (tables 0191, TXA-3) and subtype (0291) of data; empty when they tell none."""
    if (mime := MIME.get(subtype.upper())) is not None:
        return mime
    joined = f"{kind}/{subtype}".lower()
    if _MIME_TYPE.fullmatch(joined) and kind.lower() in {"application", "image", "audio", "video", "text"}:
        return joined
    if _MIME_TYPE.fullmatch(kind.lower()):
        return kind.lower()
    return MIME.get(kind.upper()) or MIME_OF_TYPE.get(kind.upper(), "")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _held(text: str, field: Field) -> Held:
    return Held(text, Issue("error", "value", text, field.location))
