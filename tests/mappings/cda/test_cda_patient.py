"""Which identifier finds a patient, and which documents wait for a person."""

from pathlib import Path

import pytest

from mappings import cda
from mappings.cda.context import Context
from mappings.cda.patient import disagreeing_traits, patient_identifier
from mappings.core.result import Element, Held
from mappings.core.source import Source

NOTE = (Path(__file__).parents[2] / "cases" / "cda" / "vaccination-note" / "document.xml").read_bytes()
REAL, NIA, TEST, BILLING, LOCAL = (
    "1.2.250.1.213.1.4.8",
    "1.2.250.1.213.1.4.9",
    "1.2.250.1.213.1.4.10",
    "1.2.250.1.213.1.4.13",
    "1.2.250.1.999.35.1",
)
VALID, WRONG = "285077505601284", "285077505601200"


@pytest.mark.parametrize(
    ("identifiers", "chosen", "warned"),
    [
        ([(TEST, VALID), (LOCAL, "7")], VALID, False),
        ([(LOCAL, "7"), (REAL, VALID)], VALID, False),
        ([(LOCAL, "7"), (NIA, VALID)], VALID, False),
        ([(REAL, WRONG), (LOCAL, "7")], "7", True),
        ([(TEST, WRONG), (LOCAL, "7")], "7", True),
        ([(TEST, WRONG)], WRONG, True),
        ([(BILLING, VALID), (LOCAL, "7")], "7", False),
        ([(REAL, WRONG), (TEST, VALID)], VALID, True),
    ],
)
def test_patient_identifier(identifiers: list[tuple[str, str]], chosen: str, warned: bool) -> None:
    context = Context(Source())
    given = [{"system": f"urn:oid:{oid}", "value": value} for oid, value in identifiers]
    assert patient_identifier(given, "here", context)["value"] == chosen
    assert [issue.severity for issue in context.issues] == (["warning"] if warned else [])


@pytest.mark.parametrize("identifiers", [[], [(REAL, WRONG)], [(BILLING, VALID)]])
def test_nothing_finds_the_patient(identifiers: list[tuple[str, str]]) -> None:
    given = [{"system": f"urn:oid:{oid}", "value": value} for oid, value in identifiers]
    with pytest.raises(Held, match="No identifier finds the patient"):
        patient_identifier(given, "here", Context(Source()))


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"</recordTarget>", b"</recordTarget><recordTarget><patientRole/></recordTarget>", "2 patients"),
        (b"1.2.250.1.213.1.4.10", b"1.2.250.1.213.1.4.13", "No identifier"),
    ],
)
def test_held(old: bytes, new: bytes, why: str) -> None:
    raw = NOTE.replace(b'<id root="1.2.250.1.999.35.1" extension="IPP-0042"/>', b"").replace(old, new)
    with pytest.raises(Held, match=why) as held:
        cda.to_bundle(raw, Source())
    assert VALID not in str(held.value)


@pytest.mark.parametrize(
    ("patient", "expected"),
    [
        ({"gender": "female", "birthDate": "1985-07-14"}, []),
        ({"gender": "male", "birthDate": "1985"}, ["gender"]),
        ({"gender": "unknown", "birthDate": "1996-01-24"}, ["birthDate"]),
        ({}, []),
    ],
)
def test_disagreeing_traits(patient: Element, expected: list[str]) -> None:
    identifier = {"system": f"urn:oid:{TEST}", "value": VALID}
    assert disagreeing_traits({**patient, "identifier": [identifier]}) == expected


def test_disagreeing_traits_are_a_warning() -> None:
    mapped = cda.to_bundle(NOTE.replace(b'value="19850714"', b'value="19960124"'), Source())
    assert "birthDate disagrees with the digits of the INS" in [issue.text for issue in mapped.issues]


def test_later_version_that_names_no_parent_is_a_warning() -> None:
    mapped = cda.to_bundle(NOTE.replace(b'versionNumber value="1"', b'versionNumber value="2"'), Source())
    assert [issue.code for issue in mapped.issues] == ["incomplete"]


def test_two_ins_of_one_kind_are_two_persons() -> None:
    numbers = ("280026938800165", "162018885045327")
    identifiers = [{"system": "urn:oid:1.2.250.1.213.1.4.10", "value": number} for number in numbers]
    with pytest.raises(Held, match="two persons"):
        patient_identifier(identifiers, "recordTarget", Context(Source()))
    assert patient_identifier(identifiers[:1] * 2, "recordTarget", Context(Source())) == identifiers[0]
