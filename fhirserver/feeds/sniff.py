"""What bytes are, told by the bytes: names and media types of files are not to be relied on."""

import codecs
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import Literal

from fhirserver.errors import BadRequest
from mappings.hl7v2.charset import wide_codec

Kind = Literal["hl7v2", "cda", "xdm", "xds", "mail", "zip", "json", "ndjson", "xml", "ebrim", ""]
"""``json`` and ``xml`` are FHIR resources, ``ebrim`` the metadata of an XDM submission by itself, ``zip`` an
archive of other files, "" nothing known here. ``xds`` is a SOAP message."""

START = 64 * 1024
"""So many bytes tell."""
MEMBERS = 5000
MEMBER_BYTES = 64 * 1024 * 1024
RATIO = 200

_BLANK = b"\x0b\x1c\r\n\t \x00"
_HL7V2 = re.compile(rb"(?:MSH|FHS|BHS)[^A-Za-z0-9\s]")
_ROOT = re.compile(rb"<(?![?!])(?:[\w.-]+:)?([\w.-]+)([^>]*)>", re.DOTALL)
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_MAIL = re.compile(
    rb"(?:Return-Path|Received|Delivered-To|Message-ID|From|Date|Subject|MIME-Version|X-[\w-]+|DKIM-Signature):[^\n]",
    re.IGNORECASE,
)
_MULTIPART = re.compile(rb"--[^\r\n]{1,70}\r?\nContent-", re.IGNORECASE)
_SOAP = b"http://www.w3.org/2003/05/soap-envelope"
_RESOURCE = re.compile(rb'"resourceType"\s*:')


def sniff(start: bytes, *, whole: bool = True) -> Kind:
    """Say what starts like this; ``whole`` says that it is all there is, which a zip needs."""
    if wide_codec(start) is not None and _HL7V2.match(start[:64].translate(None, b"\x00\xff\xfe")):
        return "hl7v2"
    text = _narrow(start).lstrip(_BLANK)
    if _HL7V2.match(text):
        return "hl7v2"
    if text.startswith(b"PK\x03\x04"):
        return _archive(start) if whole else "zip"
    if text.startswith(b"<"):
        return _markup(text)
    if text.startswith(b"{") and _RESOURCE.search(text):
        return "ndjson" if _is_lines(text) else "json"
    if _MULTIPART.match(text) and b"application/xop+xml" in text[:START]:
        return "xds"
    if _MAIL.match(text) and b"\nfrom:" in b"\n" + text.lower():
        return "mail"
    return ""


def members(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """The files in a plain zip, with their names.

    Raises:
        BadRequest: damaged, encrypted, or it expands beyond reason.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            if len(infos) > MEMBERS:
                raise BadRequest(f"The zip has {len(infos)} files; at most {MEMBERS} are read")
            for info in infos:
                if info.file_size > MEMBER_BYTES or info.file_size > 65536 + RATIO * info.compress_size:
                    raise BadRequest("The zip expands beyond reason")
                yield info.filename, archive.read(info)
    # zipfile raises NotImplementedError for a compression or version that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, RuntimeError) as error:
        raise BadRequest(f"The zip cannot be read: {type(error).__name__}") from None


def _archive(raw: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [name.upper() for name in archive.namelist()]
    except (zipfile.BadZipFile, NotImplementedError, OSError):  # as in members()
        return "xdm"  # cut off: its mapping says so, and the inbox keeps it
    return "xdm" if any(name.endswith("METADATA.XML") for name in names) else "zip"


def _markup(text: bytes) -> Kind:
    root = _ROOT.search(_COMMENT.sub(b"", text))
    if root is None:
        return ""
    name, attributes = root[1], root[2]
    if name in (b"ClinicalDocument", b"stylesheet", b"transform"):
        return "cda"
    if name == b"Envelope" and _SOAP in attributes:
        return "xds"
    if name == b"SubmitObjectsRequest":
        return "ebrim"
    return "xml" if b"http://hl7.org/fhir" in attributes else ""


def _is_lines(text: bytes) -> bool:
    """Whether the first line is a whole object and another one begins after it."""
    first, _, rest = text.partition(b"\n")
    return first.rstrip().endswith(b"}") and bool(_RESOURCE.search(first)) and rest.lstrip()[:1] == b"{"


def _narrow(start: bytes) -> bytes:
    """UTF-16 as UTF-8, a byte order mark removed."""
    for mark, codec in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if start.startswith(mark):
            return start[2 : 2 + len(start[2:]) // 2 * 2].decode(codec, "replace").encode()
    return start.removeprefix(codecs.BOM_UTF8)
