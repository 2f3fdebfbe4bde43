"""Zips that must not be opened."""

import io
import struct
import time
import zipfile

import pytest

from mappings.core.result import Unreadable
from mappings.xds.archive import Limits, open_archive

LIMITS = Limits(members=5, member_bytes=3_000_000, total_bytes=5_000_000, ratio=100, ratio_from=100_000)


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for path, data in members:
            archive.writestr(path, data)
    return buffer.getvalue()


def link() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("METADATA.XML")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    return buffer.getvalue()


def flagged(bit: int) -> bytes:
    """A zip whose members are flagged, in the local header and in the directory."""
    raw = bytearray(packed(("A.XML", b"<a/>"), method=zipfile.ZIP_STORED))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = raw.index(signature) + offset
        raw[at : at + 2] = struct.pack("<H", bit)
    return bytes(raw)


def lying(size: int) -> bytes:
    """A zip whose directory says that a member of 200,000 bytes has another size."""
    raw = bytearray(packed(("A.XML", b"\0" * 200_000)))
    at = raw.index(b"PK\x01\x02") + 24
    raw[at : at + 4] = struct.pack("<I", size)
    return bytes(raw)


def damaged() -> bytes:
    raw = bytearray(packed(("A.XML", bytes(range(256)) * 50)))
    raw[60:80] = b"\xff" * 20
    return bytes(raw)


def test_paths_are_found_in_any_case() -> None:
    archive = open_archive(packed(("Ihe_Xdm\\Subset01\\Metadata.xml", b"<a/>"), ("B/Doc.Pdf", b"x")), LIMITS)
    assert archive.find("IHE_XDM/SUBSET01/METADATA.XML") is not None
    assert archive.files[archive.find("./b//DOC.PDF") or ""] == b"x"
    assert archive.find("DOC.PDF") is None


def test_short_names() -> None:
    archive = open_archive(packed(("A/COMPTERE.PDF", b"x")), LIMITS)
    assert archive.find_short("a/compterendu.pdf") == "A/COMPTERE.PDF"
    assert archive.find_short("a/comptetotal.pdf") is None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "cannot be read"),
        (b"<html/>", "cannot be read"),
        (packed(("A.XML", b"<a/>"))[:-30], "cannot be read"),
        (damaged(), "cannot be read"),
        (lying(100), "cannot be read"),
        (packed(("../A.XML", b"")), "leads out of it"),
        (packed(("IHE_XDM/../../A.XML", b"")), "leads out of it"),
        (packed(("..\\A.XML", b"")), "leads out of it"),
        (packed(("/etc/passwd", b"")), "leads out of it"),
        (packed(("C:/A.XML", b"")), "leads out of it"),
        (packed(("a/doc.xml", b"1"), ("A/DOC.XML", b"2")), "there twice"),
        (packed(("a/doc.xml", b"1"), ("a/./doc.xml", b"2")), "there twice"),
        (packed(("IHE_XDM.ZIP", b"PK")), "archive inside"),
        (packed(*((f"{n}.XML", b"") for n in range(6))), "6 files"),
        (packed(("A.BIN", b"\0" * 200_000)), "expands 100 times"),
        (packed(("A.BIN", b"\0" * 3_000_001), method=zipfile.ZIP_STORED), "more than 3000000 bytes"),
        (
            packed(*((f"{n}.BIN", b"\0" * 2_600_000) for n in range(2)), method=zipfile.ZIP_STORED),
            "more than 5000000 bytes",
        ),
        (packed(("A.XML", b"<a/>"), method=zipfile.ZIP_LZMA), "packed in a way"),
        (flagged(0x1), "is encrypted"),
        (link(), "is a link"),
    ],
)
def test_refused(raw: bytes, why: str) -> None:
    start = time.monotonic()
    with pytest.raises(Unreadable, match=why):
        open_archive(raw, LIMITS)
    assert time.monotonic() - start < 1
