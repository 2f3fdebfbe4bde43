"""HL7v2 data types in XDS metadata to FHIR's, as tables of values."""

import pytest

from mappings.cda.context import Context
from mappings.core.result import Element
from mappings.core.source import Source
from mappings.xds import datatypes

INS, OTHER = "285077505601284", "223037505603429"
PROFESSIONALS = "&1.2.250.1.71.4.2.1&ISO"
PATIENT: Element = {
    "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.10", "value": INS}],
    "reference": "urn:uuid:patient",
}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{INS}^^^&1.2.250.1.213.1.4.10&ISO^NH", ("urn:oid:1.2.250.1.213.1.4.10", INS)),
        ("IPP 7^^^&1.2.3&ISO^PI", ("urn:oid:1.2.3", "IPP 7")),
        ("A\\T\\B^^^&1.2.3&ISO", ("urn:oid:1.2.3", "A&B")),
        ("7^^^HOPITAL", None),
        ("^^^&1.2.3&ISO", None),
        ("7", None),
        ("", None),
    ],
)
def test_cx_to_identifier(value: str, expected: tuple[str, str] | None) -> None:
    identifier = datatypes.cx_to_identifier(value)
    assert (identifier and (identifier["system"], identifier["value"])) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.2.3", ("urn:ietf:rfc:3986", "urn:oid:1.2.3")),
        ("urn:oid:1.2.3", ("urn:ietf:rfc:3986", "urn:oid:1.2.3")),
        ("1.2.3^CR-7", ("urn:oid:1.2.3", "CR-7")),
        (
            "urn:uuid:3D188B5D-0446-468B-A750-09246812625D",
            ("urn:ietf:rfc:3986", "urn:uuid:3d188b5d-0446-468b-a750-09246812625d"),
        ),
        ("CR-7", None),
    ],
)
def test_unique_id_to_identifier(value: str, expected: tuple[str, str] | None) -> None:
    identifier = datatypes.unique_id_to_identifier(value)
    assert (identifier and (identifier["system"], identifier["value"])) == expected


@pytest.mark.parametrize(
    ("value", "zone", "expected"),
    [
        ("20240312091500", "UTC", "2024-03-12T09:15:00+00:00"),
        ("20240312091500", "Europe/Paris", "2024-03-12T09:15:00+01:00"),
        ("20240312091500+0200", "Europe/Paris", "2024-03-12T09:15:00+02:00"),
        ("202403120915", "UTC", "2024-03-12T09:15:00+00:00"),
        ("202403", "UTC", "2024-03"),
        ("", "UTC", None),
        ("bientôt", "UTC", None),
    ],
)
def test_dtm_to_datetime(value: str, zone: str, expected: str | None) -> None:
    context = Context(Source(xds_timezone=zone))
    assert datatypes.dtm_to_datetime(value, "here", context) == expected
    assert len(context.issues) == (value == "bientôt")


@pytest.mark.parametrize(
    ("value", "kind", "display"),
    [
        (f"801234567890^DURANT^Romuald^^^^^^{PROFESSIONALS}^D^^^IDNPS", "Practitioner", "Romuald DURANT"),
        ("^DURANT^Romuald", "Practitioner", "Romuald DURANT"),
        ("578435954900010/1^Logiciel^^^^^^^&1.2.3&ISO^U^^^RI", "Device", "Logiciel"),
    ],
)
def test_xcn_to_reference(value: str, kind: str, display: str) -> None:
    context = Context(Source())
    reference = datatypes.xcn_to_reference(value, None, None, PATIENT, context)
    assert reference is not None
    (entry,) = context.mentioned
    assert (entry["resource"]["resourceType"], reference["display"]) == (kind, display)
    assert entry["fullUrl"] == reference["reference"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (INS, {"reference": "urn:uuid:patient"}),
        (
            OTHER,
            {"type": "Patient", "identifier": {"system": "urn:oid:1.2.250.1.213.1.4.10", "value": OTHER}},
        ),
    ],
)
def test_patient_is_no_practitioner(number: str, expected: Element) -> None:
    context = Context(Source())
    value = f"{number}^LEROUX-TEST^CAMILLE^^^^^^&1.2.250.1.213.1.4.10&ISO^D^^^NH"
    reference = datatypes.xcn_to_reference(value, None, None, PATIENT, context)
    assert reference is not None
    if "identifier" in reference:
        reference["identifier"] = {key: reference["identifier"][key] for key in ("system", "value")}
    assert reference == expected
    assert context.mentioned == []


@pytest.mark.parametrize("value", ["", "^", "^^^^^^^^&1.2.3&ISO^D"])
def test_xcn_without_anybody(value: str) -> None:
    assert datatypes.xcn_to_reference(value, None, None, PATIENT, Context(Source())) is None


@pytest.mark.parametrize(
    ("value", "identifier", "name"),
    [
        (
            "Groupe^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1750100125",
            ("urn:oid:1.2.250.1.71.4.2.2", "1750100125"),
            "Groupe",
        ),
        ("Groupe^^^^^^^^^1.2.3.4", ("urn:ietf:rfc:3986", "urn:oid:1.2.3.4"), "Groupe"),
        ("Groupe", None, "Groupe"),
    ],
)
def test_xon_to_reference(value: str, identifier: tuple[str, str] | None, name: str) -> None:
    context = Context(Source())
    assert datatypes.xon_to_reference(value, context) is not None
    (organization,) = [entry["resource"] for entry in context.mentioned]
    found = organization["identifier"][0]
    if identifier is None:
        assert found["system"].startswith("urn:x-fhirserver:key:")
    else:
        assert (found["system"], found["value"]) == identifier
    assert organization["name"] == name


@pytest.mark.parametrize(
    ("slots", "kinds"),
    [
        (
            {
                "authorPerson": [f"801^DURANT^R^^^^^^{PROFESSIONALS}^D"],
                "authorInstitution": ["Groupe^^^^^&1.2.3&ISO^^^^9"],
                "authorSpecialty": ["G15_10/SM54^Médecine générale^1.2.250.1.213.1.1.4.5"],
            },
            ["Organization", "Practitioner", "PractitionerRole"],
        ),
        ({"authorPerson": [f"801^DURANT^R^^^^^^{PROFESSIONALS}^D"]}, ["Practitioner"]),
        ({"authorInstitution": ["Groupe^^^^^&1.2.3&ISO^^^^9"]}, ["Organization"]),
        ({}, []),
    ],
)
def test_author_to_reference(slots: dict[str, list[str]], kinds: list[str]) -> None:
    context = Context(Source())
    reference = datatypes.author_to_reference(slots, PATIENT, context)
    assert [entry["resource"]["resourceType"] for entry in context.mentioned] == kinds
    if kinds:
        assert reference is not None
        assert reference["reference"] == context.mentioned[-1]["fullUrl"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            "G15_10/SM54^Médecin^1.2.250.1.213.1.1.4.5",
            {
                "coding": [
                    {
                        "system": "urn:oid:1.2.250.1.213.1.1.4.5",
                        "code": "G15_10/SM54",
                        "display": "Médecin",
                    }
                ]
            },
        ),
        ("Médecin traitant", {"text": "Médecin traitant"}),
        ("", None),
    ],
)
def test_ce_to_concept(value: str, expected: Element | None) -> None:
    assert datatypes.ce_to_concept(value) == expected
