"""Messages against their version's definition."""

import time

import pytest

from mappings.core.result import Unreadable
from mappings.hl7v2.structure import check_structure

MSH = "MSH|^~\\&|LAB|H|||20260301080000+0100||{event}|1|P|{version}"
EVN, PV1 = "EVN||20260301080000", "PV1||I"
PID = "PID|||P1^^^A&1.2&ISO^PI||MARTIN^Ada^^^^^L"
ORU = ("OBR|1||L1|58410-2^H^LN", 'OBX|1|NM|1^x^LN||5|||||""|F')


def issues(event: str, *segments: str, version: str = "2.5") -> list[tuple[str, str]]:
    raw = "\r".join((MSH.format(event=event, version=version), *segments)).encode()
    return [(issue.code, issue.location) for issue in check_structure(raw)]


@pytest.mark.parametrize(
    ("event", "segments", "expected"),
    [
        ("ADT^A08^ADT_A01", (EVN, PID, PV1), []),
        ("ADT^A08", (EVN, PID, PV1), []),
        ("ADT^A31", (EVN, PID, PV1), []),
        ("ADT^A08^ADT_A01", (EVN, PID, "ZBE|1", PV1, "ZFA|1"), []),
        ("ADT^A08^ADT_A01", (EVN, PID, "NK1|1", "NK1|2", PV1, "OBX|1||A||||||||F"), []),
        ("ADT^A08^ADT_A01", (PID, PV1), [("structure", "EVN")]),
        ("ADT^A08^ADT_A01", (EVN, PV1), [("structure", "PID")]),
        ("ADT^A08^ADT_A01", (EVN, PID, PV1, PID), [("structure", "PID[2]")]),
        ("ADT^A08^ADT_A01", (EVN, PV1, PID), [("structure", "PID"), ("structure", "PID")]),
        ("ADT^A08^ADT_A01", (EVN, PID, "PV1||"), [("required", "PV1-2")]),
        ("ADT^A08^ADT_A01", ("EVN||yesterday", PID, PV1), [("value", "EVN-2")]),
        ("ADT^A08^ADT_A01", (EVN, PID + "||||||||||||||||||||two", PV1), [("value", "PID-25")]),
        ("ADT^A08^ADT_A01", (EVN, PID + "||1980~1981", PV1), [("structure", "PID-7")]),
        ("ADT^A08^ADT_A01", (EVN, PID + "|||||||||||||||||||X", PV1), [("code-invalid", "PID-24")]),
        ("ADT^A08^ADT_A01", (EVN, PID + "|||purple", PV1), []),  # a table that is each site's own
        ("ORU^R01^ORU_R01", (PID, *ORU), []),
        ("ORU^R01^ORU_R01", (PID, "OBX|1|NM|1||5||||||F"), [("structure", "OBX"), ("structure", "OBR")]),
        ("ORU^R01^ORU_R01", (PID, *ORU, PID.replace("P1", "P2"), *ORU), []),
        ("SIU^S13", ("SCH|1|2||||A^B||||||||||X||||Y", "RGS|1"), []),
        ("MDM^T02^MDM_T02", (EVN, PID, PV1, "TXA|1|CN||||||||||X|||||AU", "OBX|1|TX|A||t||||||F"), []),
        ("ADT^Z99", (EVN, PID), [("not-supported", "MSH-9")]),
    ],
)
def test_structure(event: str, segments: tuple[str, ...], expected: list[tuple[str, str]]) -> None:
    assert sorted(issues(event, *segments)) == sorted(expected)


@pytest.mark.parametrize(("version", "known"), [("2.3", True), ("2.5.1", True), ("2.9", False), ("", True)])
def test_versions(version: str, known: bool) -> None:
    found = issues("ADT^A08", EVN, PID, PV1, version=version)
    assert (("not-supported", "MSH-12") in found) is not known


def test_no_message() -> None:
    with pytest.raises(Unreadable):
        check_structure(b"hello")


def test_large_report_is_checked_in_no_time() -> None:
    results = [f"OBX|{n}|NM|{n}^x^LN||{n}|||||Q|F" for n in range(2000)]
    began = time.perf_counter()
    assert len(issues("ORU^R01^ORU_R01", PID, ORU[0], *results)) == 50
    assert time.perf_counter() - began < 2
