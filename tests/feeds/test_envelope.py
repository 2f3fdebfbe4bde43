"""What is seen of an input before it is mapped."""

import io
import zipfile

import pytest

from fhirserver.feeds.envelope import open_envelope
from mappings.hl7v2 import condition
from tests.feeds.messages import OID, adt, cda, message

PID = "PID|||P1^^^&1.2.3&ISO^PI"


@pytest.mark.parametrize(
    ("raw", "refusal", "condition_code", "location"),
    [
        (adt("1"), "", "", ""),
        (adt("1", f12=""), "", "", ""),
        (adt("1", f11="T"), "", "", ""),
        (message("1", "ZZZ^Z01"), "", "", ""),
        (message("1", "ORU^R01"), "AE", "101", "PID"),
        (message("1", "adt!", PID), "AR", "200", "MSH-9"),
        (message("1", "", PID), "AR", "200", "MSH-9"),
        (message("1", "ADT", PID), "AR", "201", "MSH-9.2"),
        (message("", "ADT^A08", PID), "AR", "101", "MSH-10"),
        (message("1", "ADT^A08", PID, f11="Q"), "AR", "202", "MSH-11"),
        (message("1", "ADT^A08", PID, f12="3.0"), "AR", "203", "MSH-12"),
        (b"PID|1", "AR", "100", "MSH"),
        (b"MSHABC", "AR", "100", "MSH"),
    ],
)
def test_refusals(raw: bytes, refusal: str, condition_code: str, location: str) -> None:
    envelope = open_envelope("hl7v2", raw, "mllp")
    assert envelope.refusal == refusal
    found = [(condition(issue), issue.location) for issue in envelope.issues]
    assert found == ([(condition_code, location)] if condition_code else [])


@pytest.mark.parametrize(
    ("segments", "keys"),
    [
        (PID, ("P1|1.2.3",)),
        ("PID|||P1^^^HOSP~P2^^^&1.2&ISO", ("P1|HOSP", "P2|1.2")),
        ("PID|||P1", ("P1|",)),
        ("PID|||", ()),
        ("PID|||P1^^^A\rMRG|P0^^^A", ("P1|A", "P0|A")),
        ("PID|||P1^^^A\rPID|||P1^^^A", ("P1|A",)),
        ("OBX|1|ST|||PIDgin||", ()),
    ],
)
def test_patients_of_a_message(segments: str, keys: tuple[str, ...]) -> None:
    assert open_envelope("hl7v2", message("1", "ZZZ^Z01", segments), "mllp").patients == keys


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_patients_of_a_wide_message(codec: str) -> None:
    raw = ("\ufeff" + adt("1").decode()).encode(codec)
    assert open_envelope("hl7v2", raw, "mllp").patients == (f"P1|{OID}",)


def test_delimiters_are_those_of_the_message() -> None:
    raw = adt("1").replace(b"|", b"#").replace(b"^~\\&#", b"*~\\!#").replace(b"^", b"*").replace(b"&", b"!")
    assert open_envelope("hl7v2", raw, "mllp").patients == (f"P1|{OID}",)


def test_patients_of_a_document() -> None:
    assert open_envelope("cda", cda("1"), "http").patients == (f"P1|{OID}",)


def test_patients_of_a_submission() -> None:
    packed = io.BytesIO()
    metadata = '<x value="P1^^^&amp;1.2.3&amp;ISO^NH"/><x>P2^^^&amp;1.2.3&amp;ISO</x><x value="A^B^^^^"/>'
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("IHE_XDM/SUBSET01/METADATA.XML", metadata)
    assert open_envelope("xdm", packed.getvalue(), "http").patients == ("P1|1.2.3", "P2|1.2.3")


@pytest.mark.parametrize("kind", ["cda", "xdm", "fhir"])
@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04", b"<patientRole>", b"\xff\xfe\x00"])
def test_nothing_is_raised(kind: str, raw: bytes) -> None:
    assert open_envelope(kind, raw, "file").source == "file"
