import pytest

from fhirserver.model.reference import Reference, is_id, parse

OWN = "https://dossier.example/fhir"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Patient/1", Reference(type="Patient", id="1")),
        ("Patient/a.b-C/_history/3", Reference(type="Patient", id="a.b-C", version="3")),
        ("Patient/1#nom", Reference(type="Patient", id="1", fragment="nom")),
        (f"{OWN}/Patient/1", Reference(type="Patient", id="1")),
        (f"{OWN}/Patient/1/_history/2", Reference(type="Patient", id="1", version="2")),
        ("https://autre.example/r4/Patient/1", Reference("https://autre.example/r4", "Patient", "1")),
        (f"{OWN}/other/Patient/1", Reference(f"{OWN}/other", "Patient", "1")),
        (f"{OWN}2/Patient/1", Reference(f"{OWN}2", "Patient", "1")),
        (
            "https://a.example/Patient/1/Observation/2",
            Reference("https://a.example/Patient/1", "Observation", "2"),
        ),
        ("#p1", Reference(fragment="p1")),
        ("#", Reference()),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", None),
        ("urn:oid:1.2.3", None),
        ("http://hl7.org/fhir/ValueSet/x|4.0", None),
        ("patient/1", None),
        ("Patient", None),
        ("Patient/", None),
        ("Patient/1/", None),
        (f"Patient/{'a' * 65}", None),
        ("Patient/été", None),
        ("Patient/1/_history/", None),
        ("Patient?identifier=1", None),
    ],
)
def test_parse(text: str, expected: Reference | None) -> None:
    assert parse(text, OWN) == (expected or Reference(url=text))


@pytest.mark.parametrize(
    ("text", "address", "local", "contained"),
    [
        ("Patient/1/_history/2", "Patient/1", True, False),
        ("http://x.example/Patient/1/_history/2", "http://x.example/Patient/1", False, False),
        ("urn:uuid:1", "urn:uuid:1", False, False),
        ("#p", "", False, True),
    ],
)
def test_what_a_reference_names(text: str, address: str, local: bool, contained: bool) -> None:
    parsed = parse(text)
    assert (parsed.address, parsed.is_local, parsed.is_contained) == (address, local, contained)
    assert str(parsed) == text


def test_without_an_own_base_absolute_references_are_foreign() -> None:
    assert parse(f"{OWN}/Patient/1").base == OWN


def test_a_slash_at_the_end_of_the_own_base_does_not_matter() -> None:
    assert parse(f"{OWN}/Patient/1", f"{OWN}/").is_local


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("1", True),
        ("A-b.9", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("a/b", False),
        ("1\n", False),
    ],
)
def test_is_id(text: str, valid: bool) -> None:
    assert is_id(text) is valid
