"""What bytes are."""

import io
import zipfile

import pytest

from fhirserver.errors import BadRequest
from fhirserver.feeds.sniff import members, sniff
from tests.feeds.messages import adt, cda


def packed(**files: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return raw.getvalue()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (adt("1"), "hl7v2"),
        (b"\r\n\r\n" + adt("1"), "hl7v2"),
        (b"\x0b" + adt("1") + b"\x1c\r", "hl7v2"),
        (b"\xef\xbb\xbf" + adt("1"), "hl7v2"),
        (("\ufeff" + adt("1").decode()).encode("utf-16-le"), "hl7v2"),
        (adt("1").decode().encode("utf-16-be"), "hl7v2"),
        (b"FHS|^~\\&\rBHS|^~\\&\r" + adt("1"), "hl7v2"),
        (cda("1"), "cda"),
        (b"\xef\xbb\xbf" + cda("1"), "cda"),
        (b"  " + cda("1"), "cda"),
        (b"<!-- <Patient> --><h:ClinicalDocument xmlns:h='urn:hl7-org:v3'>", "cda"),
        (b'<?xml version="1.0"?><xsl:stylesheet xmlns:xsl="x">', "cda"),
        ("\ufeff<ClinicalDocument/>".encode("utf-16-le"), "cda"),
        (b'<Patient xmlns="http://hl7.org/fhir"/>', "xml"),
        (b"<html/>", ""),
        (b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"/>', "xds"),
        (b"--b\r\nContent-Type: application/xop+xml\r\n\r\n<x/>\r\n--b--", "xds"),
        (b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--", ""),
        (b'{"resourceType":"Patient"}', "json"),
        (b'\n {\n "resourceType" : "Bundle"}', "json"),
        (b'{"resourceType":"Patient"}\n', "json"),
        (b'{"resourceType":"Patient"}\n{"resourceType":"Patient"}\n', "ndjson"),
        (b'{"a":1}', ""),
        (b"%PDF-1.4", ""),
        (b"", ""),
        (packed(**{"IHE_XDM/SUBSET01/METADATA.XML": b"<x/>"}), "xdm"),
        (packed(a=b"x"), "zip"),
        (packed(a=b"x" * 1000)[:60], "xdm"),
    ],
)
def test_kinds(raw: bytes, kind: str) -> None:
    assert sniff(raw) == kind


def test_members() -> None:
    assert dict(members(packed(a=b"1", b=b"2"))) == {"a": b"1", "b": b"2"}


@pytest.mark.parametrize("raw", [b"PK\x03\x04", packed(a=b"0" * 50_000_000)])
def test_members_refuses(raw: bytes) -> None:
    with pytest.raises(BadRequest):
        list(members(raw))
