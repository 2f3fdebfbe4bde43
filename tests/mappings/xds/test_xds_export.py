"""FHIR -> XDS -> FHIR: what a document's metadata say survives, attribute by attribute."""

import base64
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mappings import xds
from mappings.core.result import Issue
from mappings.core.source import Source
from mappings.xds import export
from mappings.xds.export import datatypes

CASES = Path(__file__).parents[2] / "cases" / "xds"
SOURCE = Source(name="test")
TIME = "2026-11-22T10:00:00Z"
SOURCE_ID = "1.2.250.1.999.1"
Bundle = dict[str, Any]


def imported(name: str) -> Bundle:
    """The Bundle of a case."""
    buffer = io.BytesIO()
    case = CASES / name
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(case.rglob("*")):
            if path.is_file() and path.name not in ("bundle.json", "issues.txt"):
                archive.writestr(path.relative_to(case).as_posix(), path.read_bytes())
    return xds.to_bundle(xds.read_xdm(buffer.getvalue()), SOURCE).bundle


def resources(bundle: Bundle) -> dict[str, dict[str, Any]]:
    return {entry["fullUrl"]: entry["resource"] for entry in bundle["entry"]}


def documents(bundle: Bundle) -> Iterator[export.Document]:
    """The documents of a Bundle with their bytes; the fullUrl stands for the reference."""
    known = resources(bundle)
    for resource in known.values():
        if resource["resourceType"] == "DocumentReference":
            binary = known[resource["content"][0]["attachment"]["url"]]
            yield export.Document(resource, base64.b64decode(binary["data"]))


def exported(bundle: Bundle, issues: list[Issue]) -> bytes:
    known = resources(bundle)
    made = list(documents(bundle))
    return export.xdm(made, source_id=SOURCE_ID, time=TIME, resolve=known.get, issues=issues)


@pytest.mark.parametrize(
    ("name", "untold"),
    [("two-documents", ["DocumentReference.relatesTo"]), ("undeclared-prefix", [])],
)
def test_nothing_is_lost_on_the_way_and_back(name: str, untold: list[str]) -> None:
    """What a CDA document alone says that it replaces has no entryUUID here, and is told."""
    before = imported(name)
    issues: list[Issue] = []
    submission = xds.read_xdm(exported(before, issues))
    after = xds.to_bundle(submission, SOURCE).bundle
    first = {d.reference["masterIdentifier"]["value"]: d.reference for d in documents(before)}
    second = {d.reference["masterIdentifier"]["value"]: d.reference for d in documents(after)}
    assert second.keys() == first.keys()
    for id, reference in first.items():
        if "identifier" not in reference:  # a document that came without an entryUUID has been given one
            assert len(second[id].pop("identifier")) == 1
        assert second[id] == reference, id
    assert [issue.location for issue in issues] == untold


def test_the_same_documents_give_the_same_bytes() -> None:
    bundle = imported("two-documents")
    assert exported(bundle, []) == exported(bundle, [])


def test_the_files_of_the_zip() -> None:
    with zipfile.ZipFile(io.BytesIO(exported(imported("two-documents"), []))) as archive:
        names = archive.namelist()
        assert names == [
            "INDEX.HTM",
            "README.TXT",
            "IHE_XDM/SUBSET01/METADATA.XML",
            "IHE_XDM/SUBSET01/DOC00001.XML",
            "IHE_XDM/SUBSET01/DOC00002.PDF",
        ]
        assert b"Note de vaccination" in archive.read("INDEX.HTM")


def test_what_has_no_metadata_of_its_own_gets_what_xds_needs() -> None:
    """A DocumentReference made by an app: no identifiers, references to what is not known."""
    reference = {
        "resourceType": "DocumentReference",
        "id": "d1",
        "status": "current",
        "subject": {"reference": "Patient/p"},
        "author": [{"display": "Dr <Test>"}],
        "relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/gone"}}],
        "content": [{"attachment": {"contentType": "text/plain", "title": "Note & co"}}],
    }
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "280026938800165"}],
        "name": [{"family": "Durand", "given": ["Éloïse"]}],
        "birthDate": "1980-02-29",
        "gender": "female",
    }
    issues: list[Issue] = []
    made = export.xdm(
        [export.Document(reference, b"x")],
        source_id=SOURCE_ID,
        time=TIME,
        resolve={"Patient/p": patient}.get,
        issues=issues,
    )
    [document] = documents(xds.to_bundle(xds.read_xdm(made), SOURCE).bundle)
    found = document.reference
    assert found["masterIdentifier"]["value"].startswith("urn:oid:2.25.")
    assert found["content"][0]["attachment"]["title"] == "Note & co"
    assert [issue.location for issue in issues] == ["DocumentReference.relatesTo"]
    assert found["contained"][0]["name"] == [{"family": "Durand", "given": ["Éloïse"]}]


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ({"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"}, "1.2.3"),
        ({"system": "urn:oid:1.2.3", "value": "4"}, "1.2.3^4"),
        (
            {"system": "urn:ietf:rfc:3986", "value": "urn:uuid:00000000-0000-0000-0000-0000000000ff"},
            "2.25.255",
        ),
        ({"system": "http://test", "value": "4"}, ""),
        ({}, ""),
    ],
)
def test_unique_ids(identifier: dict[str, str], expected: str) -> None:
    assert datatypes.unique_id(identifier) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("2024", "2024"),
        ("2024-03-12", "20240312"),
        ("2024-03-12T10:15:00+01:00", "20240312091500"),
        ("2024-03-12T10:15:00Z", "20240312101500"),
        ("2016-12-31T23:59:60Z", "20161231235959"),
        ("2017-01-01T00:59:60.123456789+01:00", "20161231235959"),
        ("0001-01-01T00:00:00+14:00", "00010101000000"),
        ("9999-12-31T23:59:59-12:00", "99991231235959"),
    ],
)
def test_times(text: str, expected: str) -> None:
    assert datatypes.dtm(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ({"family": "D^UPONT", "given": ["A", "B", "C"], "use": "official"}, "D\\S\\UPONT^A^B C^^^^L"),
        ({"family": "X", "prefix": ["Dr"]}, "X^^^^Dr"),
    ],
)
def test_names(name: dict[str, Any], expected: str) -> None:
    assert datatypes.xpn(name) == expected


@pytest.mark.parametrize(
    ("practitioner", "expected"),
    [
        ({"name": [{"family": "X"}]}, "^X^^^^^^^^D"),
        ({"identifier": [{"system": "urn:oid:1.2.3", "value": "7"}]}, "7^^^^^^^^&1.2.3&ISO^D"),
        ({"name": [{"text": "X"}]}, "^X^^^^^^^^D"),
        ({}, ""),
    ],
)
def test_persons(practitioner: dict[str, Any], expected: str) -> None:
    assert datatypes.xcn(practitioner) == expected


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ({"system": "urn:oid:1.2.3", "value": "7"}, "7^^^&1.2.3&ISO"),
        (
            {
                "type": {"coding": [{"code": "urn:ihe:iti:xds:2016:studyInstanceUID"}]},
                "system": "urn:ietf:rfc:3986",
                "value": "urn:oid:1.2.3",
            },
            "1.2.3^^^^urn:ihe:iti:xds:2016:studyInstanceUID",
        ),
    ],
)
def test_reference_ids(identifier: dict[str, Any], expected: str) -> None:
    assert datatypes.reference_id(identifier) == expected
