"""Header, batch and acknowledgement: what a feed needs before and after mapping."""

from datetime import UTC, datetime

import pytest

from mappings.core.result import Issue, Unreadable
from mappings.core.source import Source
from mappings.hl7v2 import acknowledge, header, mode, read, split, wants_accept, wants_application

MSH = b"MSH|^~\\&|GAM^1.2.3^ISO|CHU|DPI|H|20240318||ADT^A01^ADT_A01|C-1|P^T|2.5^FRA|||||FRA|UNICODE UTF-8"
OLD = b"MSH|^~\\&|GAM|CHU|DPI|H|20240318||ADT^A01|C-1|P|2.3"
NOW = datetime(2024, 3, 18, 10, 15, tzinfo=UTC)


def ack(raw: bytes | None, code: str, *issues: Issue) -> list[str]:
    answer = acknowledge(header(raw) if raw else None, code, issues, control_id="A-9", now=NOW)
    return answer.decode().removesuffix("\r").split("\r")


def test_header() -> None:
    found = header(MSH + b"\rPID|1\r")
    assert (found.event, found.control_id, found.processing_id, found.version) == (
        "ADT^A01",
        "C-1",
        "P",
        "2.5",
    )
    assert (found.sending_application, found.sending_facility) == ("GAM^1.2.3^ISO", "CHU")
    assert (found.receiving_application, found.receiving_facility) == ("DPI", "H")
    assert (found.time, found.charset, found[99]) == ("20240318", "UNICODE UTF-8", "")


@pytest.mark.parametrize("raw", [b"", b"PID|1", b"MSH", b"\xff\xfe\x00"])
def test_no_header(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        header(raw)


def test_header_without_a_component_separator() -> None:
    assert header(b"MSH||A|B|C|D|20240318||ADT^A01|7|P|2.5").event == "ADT^A01"


@pytest.mark.parametrize(
    ("kind", "event"),
    [
        (b"ADT^A01", "ADT^A01"),
        (b"ADT", "ADT"),
        (b"ORU^^ORU_R01", "ORU^R01"),
        (b"ADT^^ADT_A05", "ADT"),  # of many events
    ],
)
def test_event(kind: bytes, event: str) -> None:
    raw = OLD.replace(b"ADT^A01", kind)
    assert header(raw).event == event
    assert read(raw, Source()).event == event


def test_header_of_utf_16() -> None:
    assert header(MSH.decode().encode("utf-16")).control_id == "C-1"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("||", ("original", False, False, True, True)),
        ("|AL|NE", ("enhanced", True, True, False, False)),
        ("|NE|AL", ("enhanced", False, False, True, True)),
        ("|ER|SU", ("enhanced", False, True, True, False)),
        ("|AL|", ("enhanced", True, True, False, False)),
    ],
)
def test_mode(fields: str, expected: tuple[str, bool, bool, bool, bool]) -> None:
    found = header(OLD + b"||" + fields.encode())
    assert (
        mode(found),
        wants_accept(found, success=True),
        wants_accept(found, success=False),
        wants_application(found, success=True),
        wants_application(found, success=False),
    ) == expected


def test_accepted() -> None:
    assert ack(MSH, "AA") == [
        "MSH|^~\\&|DPI|H|GAM^1.2.3^ISO|CHU|20240318101500+0000||ACK^A01^ACK|A-9|P^T|2.5^FRA"
        "||||||UNICODE UTF-8",
        "MSA|AA|C-1",
    ]


@pytest.mark.parametrize(
    ("issue", "fields"),
    [
        (
            Issue("error", "required", "No | identifier", "PID-3"),
            r"PID^1^3|101^Required field missing^HL70357|E||||No \F\ identifier",
        ),
        (Issue("error", "value", "x", "OBX[2]-5.5"), "OBX^2^5^1^5|102^Data type error^HL70357|E||||x"),
        (Issue("warning", "code-invalid", "x", ""), "|103^Table value not found^HL70357|W||||x"),
        (
            Issue("error", "not-supported", "x", "MSH-9"),
            "MSH^1^9|200^Unsupported message type^HL70357|E||||x",
        ),
        (
            Issue("error", "not-supported", "x", "MSH-9.2"),
            "MSH^1^9^1^2|201^Unsupported event code^HL70357|E||||x",
        ),
        (
            Issue("information", "exception", "a\nb", "MSH"),
            r"MSH^1|207^Application internal error^HL70357|I||||a\.br\b",
        ),
        (
            Issue("error", "conflict", "904 INS differs", "PID-3"),
            "PID^1^3|205^Duplicate key identifier^HL70357|E|904|||904 INS differs",
        ),
    ],
)
def test_errors(issue: Issue, fields: str) -> None:
    assert ack(MSH, "AE", issue)[2:] == [f"ERR||{fields}"]


def test_errors_before_version_2_5() -> None:
    issue = Issue("error", "required", "No identifier", "PID-3.1")
    assert ack(OLD, "AE", issue)[0].split("|")[8] == "ACK^A01"
    assert ack(OLD, "AE", issue)[1:] == [
        "MSA|AE|C-1|No identifier",
        "ERR|PID^1^3^101&Required field missing&HL70357",
    ]


def test_an_answer_to_what_cannot_be_read() -> None:
    lines = ack(None, "AR", Issue("error", "structure", "No MSH segment", "MSH"))
    assert lines[0] == "MSH|^~\\&|||||20240318101500+0000||ACK|A-9|P|2.5||||||UNICODE UTF-8"
    assert lines[1] == "MSA|AR"


def test_an_answer_is_written_as_the_message_was() -> None:
    raw = "MSH#*!?@#GÉM#CHU#####ADT*A01#C!1#P#2.5######8859/15".encode("iso8859_15")
    answer = acknowledge(
        header(raw), "AE", [Issue("error", "value", "a*b #", "PID-3")], control_id="9", now=NOW
    )
    lines = answer.decode("iso8859_15").split("\r")
    assert lines[0].startswith("MSH#*!?@###GÉM#CHU#")
    assert lines[1] == "MSA#AE#C!1"
    assert lines[2].endswith("#E####a?S?b ?F?")


def test_an_answer_can_be_read() -> None:
    issue = Issue("error", "value", "Ne va pas: \\ | ^ ~ &\nfin", "PID-3")
    answer = read(acknowledge(header(MSH), "AE", [issue], control_id="9", now=NOW), Source())
    assert answer.event == "ACK^A01"
    assert answer.segments[2][8].text == issue.text


M1, M2 = MSH + b"\rPID|1", OLD + b"\rPID|2"
PART_1 = M1 + b"\rDSC|P-7|F"
PART_2 = MSH.replace(b"|P^T|2.5^FRA|||", b"|P^T|2.5^FRA||P-7|") + b"\rADD|of it\rPV1|1"
BROKEN = M1 + b"\rOBX|1|ED|x||A^B^C^Base64^AA\rMSHA+/\rBB=="


@pytest.mark.parametrize(
    ("raw", "messages", "issues"),
    [
        (M1, [M1], []),
        (b"\x0b" + M1 + b"\r\x1c\r", [M1], []),
        (b"\x0b" + M1 + b"\x1c\r\x0b" + M2 + b"\x1c\r", [M1, M2], []),
        (M1 + b"\r" + M2 + b"\r", [M1, M2], []),
        (M1 + b"\n\n" + M2, [M1, M2], []),
        (b"FHS|^~\\&\rBHS|^~\\&\r" + M1 + b"\r" + M2 + b"\rBTS|2\rFTS|1\r", [M1, M2], []),
        (b"BHS|^~\\&\r" + M1 + b"\rBTS\r", [M1], []),
        (b"BHS|^~\\&\r" + M1 + b"\rBTS|3\r", [M1], ["BTS-1 declares 3 messages, there are 1"]),
        (b"FHS|^~\\&\r" + M1 + b"\rFTS|1\r", [M1], ["FTS-1 declares 1 batches, there are 0"]),
        (b"BHS|^~\\&\r" + M1, [M1], ["The batch has no trailer: it may be cut off"]),
        (b"junk\r" + M1, [M1], ["5 bytes before the first segment"]),
        (BROKEN, [BROKEN], []),
        (b"", [], ["Empty input"]),
        (b"\x0b\x1c\r", [], ["Empty input"]),
        (b"hello MSH|", [], ["No MSH segment"]),
        (b"BHS|^~\\&\rBTS|0\r", [], ["No MSH segment"]),
        (b"\xff\xfeM", [], ["Not utf-16-le as its first bytes say"]),
        (b"\xef\xbb\xbf" + M1, [M1], []),
        # Fragments: what DSC-1 points to is the message whose MSH-14 says the same.
        (PART_1 + b"\r" + PART_2, [M1 + b"\rADD|of it\rPV1|1"], []),
        (PART_1 + b"\r" + M2, [PART_1, M2], []),
        (PART_1.replace(b"|F", b"|I") + b"\r" + PART_2, [PART_1.replace(b"|F", b"|I"), PART_2], []),
    ],
)
def test_split(raw: bytes, messages: list[bytes], issues: list[str]) -> None:
    batch = split(raw)
    assert batch.messages == messages
    assert [issue.text for issue in batch.issues] == issues


def test_split_of_utf_16() -> None:
    batch = split((M1 + b"\r" + M2).decode().encode("utf-16"))
    assert [header(message).event for message in batch.messages] == ["ADT^A01", "ADT^A01"]
    assert [len(read(message, Source()).segments) for message in batch.messages] == [2, 2]
