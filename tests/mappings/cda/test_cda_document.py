"""What is read of a CDA document before it is mapped, and what is refused."""

import base64
import time
from pathlib import Path

import pytest

from mappings import cda
from mappings.core.result import MappingError, Unreadable

CASES = Path(__file__).parents[2] / "cases" / "cda"
HEADER = (
    '<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3"/>'
    "<component><structuredBody/></component></ClinicalDocument>"
)
LAUGHS = (
    '<!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]>"
)
FILE = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'


def document(name: str) -> cda.ClinicalDocument:
    return cda.read((CASES / name / "document.xml").read_bytes())


def level_1(text: str) -> bytes:
    body = f"<component><nonXMLBody>{text}</nonXMLBody></component>"
    return HEADER.replace("<component><structuredBody/></component>", body).encode()


def test_identity_of_a_version() -> None:
    second = document("replacement")
    assert second.unique_identifier == {
        "system": "urn:ietf:rfc:3986",
        "value": "urn:oid:1.2.250.1.999.35.2.2.2",
    }
    assert second.set_id == {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.35.2.2"}
    assert second.version_number == 2
    assert second.replaces == [document("vaccination-note").unique_identifier]
    assert [parent["value"] for parent in second.appends] == ["urn:uuid:90e1c8ec-0000-4000-8000-0000000000aa"]
    assert second.transforms == []


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ('root="1.2.3"', {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}),
        ('root="1.2.3" extension="10002-1"', {"system": "urn:oid:1.2.3", "value": "10002-1"}),
        (
            'root="B5F076E6-BB1B-44F7-B60B-283E9C957B43"',
            {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:b5f076e6-bb1b-44f7-b60b-283e9c957b43"},
        ),
    ],
)
def test_unique_identifier(attributes: str, expected: dict[str, str]) -> None:
    read = cda.read(HEADER.replace('root="1.2.3"', attributes).encode())
    assert read.unique_identifier == expected


def test_header() -> None:
    read = document("vaccination-note")
    assert read.code == {
        "coding": [{"system": "http://loinc.org", "code": "87273-9", "display": "Note de vaccination"}]
    }
    assert (read.title, read.language, read.level) == ("Note de vaccination", "fr-FR", 3)
    assert read.effective_time == "20240312101500+0100"
    assert read.confidentiality is not None
    assert read.confidentiality["coding"][0]["code"] == "N"
    assert [i["value"] for i in read.patient_identifiers] == ["285077505601284", "IPP-0042"]
    assert read.content is None


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("byte-order-mark", "text/xml"), ("self-displaying", "application/xslt+xml")],
)
def test_unusual_files(name: str, media_type: str) -> None:
    read = document(name)
    assert read.media_type == media_type
    assert read.title


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('<text mediaType="application/pdf" representation="B64">JVBE\n Rg==</text>', b"%PDF"),
        ('<text mediaType="application/pdf" representation="B64">JVBERg</text>', b"%PDF"),
        ("<text>Bonjour à tous</text>", "Bonjour à tous".encode()),
        ('<text mediaType="application/pdf"><reference value="cr.pdf"/></text>', None),
    ],
)
def test_embedded_file(text: str, expected: bytes | None) -> None:
    read = cda.read(level_1(text))
    assert read.level == 1
    assert (read.content.data if read.content else None) == expected


@pytest.mark.parametrize(
    "text",
    [
        '<text representation="B64">*not base64*</text>',
        '<text representation="B64"> </text>',
        '<text representation="B64" compression="GZ">JVBERg==</text>',
    ],
)
def test_embedded_file_refused(text: str) -> None:
    with pytest.raises(Unreadable, match="embedded file"):
        _ = cda.read(level_1(text)).content


def test_an_embedded_document_may_be_large() -> None:
    content = b"%PDF-1.4" + bytes(12_000_000)
    data = base64.b64encode(content).decode()
    document = cda.read(level_1(f'<text mediaType="application/pdf" representation="B64">{data}</text>'))
    assert document.content is not None
    assert document.content.data == content


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not well-formed XML"),
        (b"Document medical", "not well-formed XML"),
        (HEADER[:-10].encode(), "not well-formed XML"),
        (b"<html/>", "<html>, not a CDA"),
        (b'<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform"/>', "not a CDA"),
        ((LAUGHS + HEADER.replace("<component>", "&i;<component>")).encode(), "document type declaration"),
        ((LAUGHS + HEADER.replace('"1.2.3"', '"&i;"')).encode(), "document type declaration"),
        ((FILE + HEADER.replace("<component>", "<title>&x;</title><component>")).encode(), "document type"),
        (("<!DOCTYPE d>" + HEADER).encode("utf-16"), "document type"),
        (HEADER.replace("<structuredBody/>", "<a>" * 120 + "</a>" * 120).encode(), "nested deeper than 100"),
        (b"<a>" * 100_000, "nested deeper than 100"),
        (b"<a>" * 200 + b"x" * 10_100_000 + b"</a>" * 200, "nested deeper than 100"),
        (b"<a>" + b"x" * 10_100_000, "not well-formed XML"),
        (b"<!DOCTYPE a>" + b"<a>" + b"x" * 10_100_000 + b"</a>", "document type declaration"),
        (HEADER.replace('root="1.2.3"', 'root="2638"').encode(), "ClinicalDocument/id"),
        (HEADER.replace('<id root="1.2.3"/>', "").encode(), "ClinicalDocument/id"),
        (HEADER.replace("<structuredBody/>", "").encode(), "neither a nonXMLBody nor"),
        (HEADER.replace("<id ", "<hl7:id ").encode(), "not well-formed XML"),
    ],
)
def test_refused(raw: bytes, why: str) -> None:
    start = time.monotonic()
    with pytest.raises(Unreadable, match=why):
        cda.read(raw)
    assert time.monotonic() - start < 1


def test_white_space_before_the_declaration() -> None:
    raw = b'\n\t<?xml version="1.0" encoding="UTF-8"?>' + HEADER.encode()
    assert cda.read(raw).unique_identifier["value"] == "urn:oid:1.2.3"


def test_limit() -> None:
    raw = HEADER.encode()
    assert cda.read(raw, limit=len(raw)).level == 3
    with pytest.raises(MappingError, match=f"at most {len(raw) - 1}"):
        cda.read(raw, limit=len(raw) - 1)


def test_no_content_of_a_refused_document_is_told() -> None:
    with pytest.raises(Unreadable) as refused:
        cda.read(HEADER.replace("<component>", "<title>DUPONT Marie</titel><component>").encode())
    assert "DUPONT" not in str(refused.value)
