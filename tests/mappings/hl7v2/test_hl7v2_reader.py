import re
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.core.result import Unreadable
from mappings.core.source import Source
from mappings.hl7v2 import header, read

SOURCE = Source()
MSH = "MSH|^~\\&|GAM|CHU|DPI|CHU|20240318101500||ADT^A01|7|P|2.5"


def message(*segments: str, charset: str = "", end: str = "\r") -> str:
    msh = f"{MSH}||||||{charset}" if charset else MSH
    return end.join((msh, *segments)) + end


def issues(raw: bytes, source: Source = SOURCE) -> list[str]:
    return [issue.text for issue in read(raw, source).issues]


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("8859/1", "cp1252"),
        ("8859/15", "iso8859_15"),
        ("8859/2", "iso8859_2"),
        ("UNICODE UTF-8", "utf-8"),
        ("unicode utf-8", "utf-8"),
        ("UNICODE", "utf-8"),
        ("GB 18030-2000", "gb18030"),
        ("~8859/1", "cp1252"),
        ("", "utf-8"),
    ],
)
def test_declared_charset(charset: str, codec: str) -> None:
    raw = message("PID|1||1||MÜLLER", charset=charset).encode(codec)
    result = read(raw, SOURCE)
    assert str(result.segments[1][5]) == "MÜLLER"
    assert result.issues == []


def test_iso_2022_switches_inside_the_message() -> None:
    raw = message("PID|1||1||山田^太郎", charset="~ISO IR87").encode("iso2022_jp")
    assert str(read(raw, SOURCE).segments[1][5][1]) == "山田"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (message("PID|1||1||LÉA", charset="ASCII").encode(), "Not ascii as expected: read as utf-8"),
        (message("PID|1||1||LÉA").encode("cp1252"), "Not utf-8 as expected: read as cp1252"),
        (message("PID|1||1||LÉA\x81").encode("latin-1"), "Not utf-8 as expected: read as latin-1"),
        (message("PID|1||1||LÉA", charset="KLINGON").encode(), "Unknown character set 'KLINGON'"),
        (message("PID|1||1||LÉA").encode("utf-16"), "Read as utf-16-le"),
        (message("PID|1||1||LÉA").encode("utf-16-be"), "Read as utf-16-be"),
        (message("PID|1||1||L\0ÉA").encode(), "Control characters were removed"),
    ],
)
def test_a_charset_not_as_declared_is_an_issue(raw: bytes, said: str) -> None:
    result = read(raw, SOURCE)
    assert [issue.text for issue in result.issues] == [said]
    assert str(result.segments[1][5]).startswith("LÉA")
    assert "\ufffd" not in str(result.segments[1][5])


def test_the_source_says_what_undeclared_bytes_are() -> None:
    raw = message("PID|1||1||CŒUR").encode("iso8859_15")
    assert str(read(raw, Source(charset="iso-8859-15")).segments[1][5]) == "CŒUR"
    assert issues(raw, Source(charset="no-such-codec"))[0] == "The source's charset setting is unknown"


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n", "\n\n"])
def test_line_endings(end: str) -> None:
    assert [s.name for s in read(message("EVN|A01", "PID|1", end=end).encode(), SOURCE).segments] == [
        "MSH",
        "EVN",
        "PID",
    ]


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\x1d"])
def test_only_cr_and_lf_end_a_segment(character: str) -> None:
    raw = message(f"PID|1||1||A{character}B", "PV1|1").encode()
    assert [s.name for s in read(raw, SOURCE).segments] == ["MSH", "PID", "PV1"]


@pytest.mark.parametrize("before", ["\x0b", "\r\n\n", "\ufeff", "\ufeff\x0b", " \t\r"])
def test_framing_is_no_part_of_the_message(before: str) -> None:
    raw = f"{before}{message('PID|1')}\x1c\r".encode()
    assert len(read(raw, SOURCE).segments) == 2
    assert header(raw).control_id == "7"


@pytest.mark.parametrize(
    ("msh", "pid", "family", "given"),
    [
        ("MSH|^~\\&|", "PID|1||1||A^B", "A", "B"),
        ("MSH#*!?@#", "PID#1##1##A*B", "A", "B"),
        ("MSH|^˜\\&|", "PID|1||1||A^B˜C^D", "A", "B"),
        ("MSH|^|", "PID|1||1||A^B", "A", "B"),
        ("MSH||", "PID|1||1||A^B", "A", "B"),
        ("MSH|^~\\&#|", "PID|1||1||A^B", "A", "B"),
        ("MSH|^~\\\\&|", "PID|1||1||A^B", "A", "B"),
        ("MSH§^~\\&§", "PID§1§§1§§A^B", "A", "B"),
    ],
)
def test_delimiters_are_those_of_the_message(msh: str, pid: str, family: str, given: str) -> None:
    name = read(f"{msh}\r{pid}\r".encode(), SOURCE).segments[1][5]
    assert (str(name[1]), str(name[2])) == (family, given)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\F\b\S\c\R\d\T\e\E\f", "a|b^c~d&e\\f"),
        (r"\XC3A9\t\XC3\\XA9\ ", "été"),
        (r"\X0A\x", "\nx"),
        (r"\XZZ\ \X1\ ", r"\XZZ\ \X1" + "\\"),
        (r"un\.br\deux", "un\ndeux"),
        (r"un\.sp2\deux", "un\n\ndeux"),
        (r"\H\gras\N\ ", "gras"),
        (r"\.sk3\x", "   x"),
        (r"\.in+4\x\C2842\y\M242842\z", "xyz"),
        (r"C:\dossier", r"C:\dossier"),
        (r"\Zlocal\ ", "\\Zlocal\\"),
        ("  a ", "a"),
        ('""', ""),
        (r" \.sp3\ ", ""),
    ],
)
def test_escapes(raw: str, text: str) -> None:
    value = read(message(f"NTE|1||{raw}").encode(), SOURCE).segments[1][3]
    assert value.text == text


def test_a_formatting_command_may_not_fill_the_memory() -> None:
    raw = message(r"NTE|1||a\.sp20000000\b\.sp99999999999999999999\c").encode()
    assert len(read(raw, SOURCE).segments[1][3].text) < 200


def test_absent_empty_and_null() -> None:
    pid = read(message('PID|1||1||""^X||""').encode(), SOURCE).segments[1]
    assert pid.is_null(7)
    assert not pid.is_null(8)
    assert not pid.is_null(99)
    assert (str(pid[5][1]), str(pid[5][2]), str(pid[7]), str(pid[99][3][2])) == ("", "X", "", "")
    assert pid[5][1].is_null
    assert pid[5]
    assert not pid[7]


def test_repetitions_components_and_subcomponents() -> None:
    pid = read(message("PID|1||A^^^H&1.2&ISO~~B|").encode(), SOURCE).segments[1]
    assert [str(cx) for cx in pid.all(3)] == ["A", "B"]
    assert len(pid.repetitions(3)) == 3
    assert [str(pid[3][4][n]) for n in (1, 2, 3, 4)] == ["H", "1.2", "ISO", ""]
    assert str(pid[3]) == "A"


def test_a_broken_line_continues_the_segment() -> None:
    raw = message("OBX|1|ED|x||^^^Base64^AAAA", "MSABBBB", "+CC=", "OBX|2").encode()
    result = read(raw, SOURCE)
    assert [s.name for s in result.segments] == ["MSH", "OBX", "OBX"]
    assert result.segments[1][5][5].text == "AAAA\nMSABBBB\n+CC="
    assert [(i.text, i.location) for i in result.issues] == [
        ("2 broken lines joined to their segments", "OBX")
    ]


def test_an_addendum_continues_the_segment() -> None:
    raw = message("OBX|1|TX|x||first ", "ADD|second", "ADD| third||||||F", "PV1|1").encode()
    result = read(raw, SOURCE)
    assert [s.name for s in result.segments] == ["MSH", "OBX", "PV1"]
    assert (result.segments[1][5].text, str(result.segments[1][11])) == ("first second third", "F")
    assert [i.text for i in result.issues] == ["2 ADD segments joined to the segments that they continue"]


CASES = sorted((Path(__file__).parents[2] / "cases" / "hl7v2").glob("*/message.hl7"))


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_the_segments_of_the_cases_are_all_there(end: bytes) -> None:
    for path in CASES:
        raw = path.read_bytes()
        lines = [line for line in re.split(rb"[\r\n]+", raw) if line]
        segments = read(end.join(lines), SOURCE).segments
        found = b"".join(segment.raw.replace("\n", "").encode(segments[0].codec) for segment in segments)
        assert found == b"".join(lines).removeprefix(b"\xef\xbb\xbf"), path.parent.name


def test_unread_names_what_was_sent_and_not_looked_at() -> None:
    result = read(message("PID|1||9^^^H||A||||^^", "ZZZ|x", "OBX|1", "OBX|1").encode(), SOURCE)
    pid = result.segments[1]
    assert str(pid[3]) == "9"
    assert pid[20].raw == ""
    pid.mark_read(1)
    assert result.unread()[-4:] == ["MSH-12", "PID-5", "ZZZ-1", "OBX-1"]


def test_locations() -> None:
    result = read(message("OBX|1", "OBX|2||a^b&c").encode(), SOURCE)
    field = result.segments[2][3]
    assert (field.location, field[2].location, field[2][2].location) == (
        "OBX[2]-3",
        "OBX[2]-3.2",
        "OBX[2]-3.2",
    )
    assert result.segments[1][5][9].location == "OBX-5.9"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x0b\x1c\r",
        b"MSH",
        b"PID|1\r",
        b"garbage\rMSH|^~\\&|A\r",
        b"BHS|^~\\&|A\rMSH|^~\\&|A\r",
        b"MSH|^^^^|A\r",
        b"MSHA^~\\&A\r",
        b"MSH|ab|A\r",
        message("PID|1", MSH).encode(),
        b"\xff\xfeM",
        b"\x00" * 64,
    ],
)
def test_refused(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read(raw, SOURCE)


def test_only_msh_is_a_message() -> None:
    assert [s.name for s in read(b"MSH|^~\\&", SOURCE).segments] == ["MSH"]


@given(st.binary(max_size=300), st.sampled_from([b"", b"MSH|^~\\&|", MSH.encode() + b"\r"]))
def test_read_raises_nothing_but_unreadable(tail: bytes, start: bytes) -> None:
    try:
        result = read(start + tail, SOURCE)
    except Unreadable:
        return
    for segment in result.segments:
        for number in range(30):
            for field in segment.repetitions(number):
                text = f"{field}{field.text}{field[2]}{field[2][2]}"
                assert not any(ord(c) < 32 and c not in "\t\r\n" for c in text)
    assert result.unread() == []


NAME = st.text(string.ascii_uppercase, min_size=3, max_size=3).filter(
    lambda n: n not in {"MSH", "FHS", "BHS"}
)
CONTENT = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=40).map(lambda t: f"x{t}x")


@given(st.lists(st.tuples(NAME, CONTENT), max_size=20), st.sampled_from(["\r", "\n", "\r\n"]))
def test_as_many_segments_out_as_in(segments: list[tuple[str, str]], end: str) -> None:
    lines = [f"{name}|{content}" for name, content in segments]
    result = read(message(*lines, end=end).encode(), SOURCE)
    assert [segment.raw for segment in result.segments] == [MSH, *lines]
