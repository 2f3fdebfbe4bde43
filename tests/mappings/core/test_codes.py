import pytest

from mappings.core.codes import system_of_name, system_of_oid


@pytest.mark.parametrize(
    ("oid", "uri"),
    [
        ("2.16.840.1.113883.6.1", "http://loinc.org"),
        ("2.16.840.1.113883.6.96", "http://snomed.info/sct"),
        ("2.16.840.1.113883.5.25", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"),
        ("2.16.840.1.113883.12.1", "http://terminology.hl7.org/CodeSystem/v2-0001"),
        ("1.2.3.4", "urn:oid:1.2.3.4"),
    ],
)
def test_system_of_oid(oid: str, uri: str) -> None:
    assert system_of_oid(oid) == uri


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("LN", "http://loinc.org"),
        ("ln", "http://loinc.org"),
        ("HL70203", "http://terminology.hl7.org/CodeSystem/v2-0203"),
        ("0203", "http://terminology.hl7.org/CodeSystem/v2-0203"),
        ("2.16.840.1.113883.6.73", "http://www.whocc.no/atc"),
        ("http://example.org/codes", "http://example.org/codes"),
        ("L", None),
        ("99LAB", None),
        ("urn: not a uri", None),
    ],
)
def test_system_of_name(name: str, uri: str | None) -> None:
    assert system_of_name(name) == uri
