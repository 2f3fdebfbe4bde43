"""Pre-mappings: message -> message."""

import pytest

from mappings.core.result import Unreadable
from mappings.core.source import Source
from mappings.hl7v2 import read
from mappings.hl7v2.premapping import PREMAPPINGS, premap, with_field, with_segments
from mappings.hl7v2.reader import Message

MSH = "MSH|^~\\&|LAB|H|||20260301||ADT^A08|1|P|2.2"


def message(*segments: str) -> Message:
    return read("\r".join((MSH, *segments)).encode(), Source())


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("pid-2-as-pid-3", "PID|1|77^^^A~78|||DOE", "PID|1||77^^^A~78||DOE"),
        ("pid-2-as-pid-3", "PID|1|||79|DOE", "PID|1||79||DOE"),
        ("pid-2-as-pid-3", "PID|1|77|78||DOE", "PID|1|77|78||DOE"),
        ("pid-2-as-pid-3", "PID|1||||DOE", "PID|1||||DOE"),
        ("null-is-absent", 'PID|1||5||DOE||""|F|""', "PID|1||5||DOE|||F|"),
        ("null-is-absent", 'PID|1||5||""^ADA', 'PID|1||5||""^ADA'),
        ("obx-11-final", "OBX|1|NM|A||5", "OBX|1|NM|A||5||||||F"),
        ("obx-11-final", "OBX|1|NM|A||5||||||P", "OBX|1|NM|A||5||||||P"),
    ],
)
def test_premappings(name: str, before: str, after: str) -> None:
    result = premap(message("EVN|A08", before, "ZZZ|1"), Source(premappings=(name,)))
    assert [segment.raw for segment in result.segments] == [MSH, "EVN|A08", after, "ZZZ|1"]


def test_every_premapping_is_tried() -> None:
    assert set(PREMAPPINGS) == {"pid-2-as-pid-3", "null-is-absent", "obx-11-final"}


def test_unknown_one_is_said() -> None:
    with pytest.raises(Unreadable, match="no pre-mapping theirs"):
        premap(message(), Source(premappings=("theirs",)))


def test_one_that_fails_says_which_and_quotes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(message: Message) -> Message:
        raise ValueError(message.segments[0].raw)

    monkeypatch.setitem(PREMAPPINGS, "broken", broken)
    from mappings.hl7v2 import premapping

    premapping.premappings.cache_clear()
    try:
        with pytest.raises(Unreadable, match=r"broken failed \(ValueError\)$"):
            premap(message(), Source(premappings=("broken",)))
    finally:
        monkeypatch.undo()
        premapping.premappings.cache_clear()


def test_fields_and_segments() -> None:
    sent = message("OBX|1", "OBX|2")
    assert with_field(sent.msh, 3, "HIS").raw.startswith("MSH|^~\\&|HIS|H")
    assert str(with_field(sent.segments[1], 5, "a\\S\\b")[5]) == "a^b"
    fewer = with_segments(sent, [sent.msh, sent.segments[2]])
    assert [(segment.raw, segment.number) for segment in fewer.segments[1:]] == [("OBX|2", 1)]
