"""Which acknowledgement leaves when: HL7 v2.9 chapter 2.9, table 0008 and 0155."""

import pytest

from fhirserver.feeds import acknowledgement
from fhirserver.feeds.envelope import open_envelope
from fhirserver.settings import Settings, load
from fhirserver.storage.items import Outcome
from mappings.hl7v2 import header
from tests.feeds.messages import adt, message


def settings(mode: str = "received") -> Settings:
    return load({"hl7v2_ack": mode}, {})


def code(answer: bytes | None) -> str:
    if answer is None:
        return ""
    segments = answer.decode().split("\r")
    assert segments[0].startswith("MSH|")
    return segments[1].split("|")[1]


@pytest.mark.parametrize(
    ("mode", "msh", "stored", "processed", "failed"),
    [
        ("received", {}, "AA", "", ""),
        ("processed", {}, "", "AA", "AE"),
        ("received", {"f11": "X"}, "AR", "", ""),
        ("processed", {"f11": "X"}, "AR", "", ""),
        ("received", {"f15": "AL", "f16": "NE"}, "CA", "", ""),
        ("received", {"f15": "AL", "f16": "AL"}, "CA", "AA", "AE"),
        ("received", {"f15": "NE", "f16": "AL"}, "", "AA", "AE"),
        ("received", {"f15": "NE", "f16": "ER"}, "", "", "AE"),
        ("received", {"f15": "AL", "f16": "SU"}, "CA", "AA", ""),
        ("received", {"f15": "SU"}, "CA", "", ""),
        ("received", {"f15": "ER"}, "", "", ""),
        ("received", {"f15": "NE", "f16": "NE"}, "", "", ""),
        ("received", {"f15": "AL", "f12": "3.0"}, "CR", "", ""),
        ("received", {"f15": "ER", "f12": "3.0"}, "CR", "", ""),
        ("received", {"f15": "SU", "f12": "3.0"}, "", "", ""),
        ("received", {"f15": "NE", "f16": "AL", "f12": "3.0"}, "AR", "", ""),
        ("received", {"f9": "ACK"}, "", "", ""),
    ],
)
def test_modes(mode: str, msh: dict[str, str], stored: str, processed: str, failed: str) -> None:
    envelope = open_envelope("hl7v2", adt("1", **msh), "mllp")
    chosen = settings(mode)
    assert code(acknowledgement.when_stored(envelope, chosen)) == stored
    later = acknowledgement.answers_when_processed(envelope, chosen)
    for status, expected in (("processed", processed), ("failed", failed)):
        answer = acknowledgement.when_processed(envelope, Outcome(status), chosen) if later else None
        assert code(answer) == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("processed", "AA"),
        ("warnings", "AA"),
        ("held", "AA"),
        ("duplicate", "AA"),
        ("failed", "AE"),
        ("received", "AE"),
    ],
)
def test_status_decides_the_final_code(status: str, expected: str) -> None:
    envelope = open_envelope("hl7v2", adt("7"), "http")
    issue = {"severity": "error", "code": "required", "text": "No", "location": "PID-3"}
    answer = acknowledgement.final(envelope, Outcome(status, [issue]), settings())
    assert code(answer) == expected
    assert header(answer).receiving_application == "LAB"
    assert b"|7" in answer.split(b"\r")[1]
    severity = answer.split(b"\r")[2].split(b"|")[4]
    assert severity == (b"W" if expected == "AA" else b"E")


def test_bytes_without_a_header_are_refused() -> None:
    envelope = open_envelope("hl7v2", b"hello", "mllp")
    assert code(acknowledgement.when_stored(envelope, settings())) == "AR"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (adt("1"), "AR"),
        (adt("1", f15="AL"), "CR"),
        (adt("1", f15="NE", f16="AL"), "AR"),
        (message("1", "ACK"), ""),
    ],
)
def test_what_is_not_stored_is_to_be_sent_again(raw: bytes, expected: str) -> None:
    answer = acknowledgement.not_stored(open_envelope("hl7v2", raw, "mllp"), settings())
    assert code(answer) == expected
    assert answer is None or b"|207^" in answer
