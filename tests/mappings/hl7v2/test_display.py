"""Messages as people read them."""

from mappings.hl7v2.display import display


def test_segments_with_their_fields() -> None:
    raw = (
        b'MSH|^~\\&|LAB|H\\T\\P|||20260301||ADT^A08|1|P|2.5\rPID|||1^^^A~2||D\xc3\x9cRER^Ada||""\rOBX|1\rOBX|2||'
        + b"x" * 300
    )
    shown = display(raw)
    assert [one.name for one in shown] == ["MSH", "PID", "OBX", "OBX"]
    assert dict(shown[0].fields)["MSH-4"] == "H&P"
    assert dict(shown[0].fields)["MSH-9"] == "ADT^A08"
    assert dict(shown[1].fields) == {"PID-3": "1^^^A ~ 2", "PID-5": "DÜRER^Ada", "PID-7": '""'}
    assert dict(shown[3].fields)["OBX[2]-1"] == "2"
    assert dict(shown[3].fields)["OBX[2]-3"].endswith("x... (300 characters)")


def test_charset_of_the_source() -> None:
    (_, pid) = display("MSH|^~\\&|L\rPID|||||LEFÈVRE".encode("cp850"), "cp850")
    assert dict(pid.fields)["PID-5"] == "LEFÈVRE"


def test_what_cannot_be_read_is_shown_as_lines() -> None:
    assert [one.fields for one in display(b"hello\r\n\xff")] == [[("", "hello")], [("", "\ufffd")]]
