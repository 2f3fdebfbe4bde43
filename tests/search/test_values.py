import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.errors import BadRequest
from fhirserver.search.values import escape, prefixed, shown, split, unescape


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("a,b", ["a", "b"]),
        ("a,,b,", ["a", "", "b", ""]),
        (r"a\,b,c", [r"a\,b", "c"]),
        (r"a\\,b", [r"a\\", "b"]),
        (r"a\\\,b", [r"a\\\,b"]),
        (r"a\|b,c", [r"a\|b", "c"]),
        ("", [""]),
        (r"\,", [r"\,"]),
    ],
)
def test_split(text: str, parts: list[str]) -> None:
    assert split(text, ",") == parts


@pytest.mark.parametrize(
    ("text", "literal"),
    [(r"a\,b", "a,b"), (r"a\$b", "a$b"), (r"a\|b", "a|b"), (r"xx\\xx", r"xx\xx"), (r"\\\,", r"\,")],
)
def test_unescape(text: str, literal: str) -> None:
    assert unescape(text) == literal


@pytest.mark.parametrize("text", [r"xx\xx", "a\\", r"\ "])
def test_a_backslash_that_escapes_nothing_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="must be followed"):
        unescape(text)


@given(st.text())
def test_an_escaped_text_is_one_part_and_means_itself(text: str) -> None:
    assert unescape(escape(text)) == text
    assert split(escape(text), "|") == [escape(text)]
    assert split(escape(text), "$") == [escape(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013", ("eq", "2013")),
        ("eq2013", ("eq", "2013")),
        ("sa2013-01-14T10:00:00Z", ("sa", "2013-01-14T10:00:00Z")),
        ("le-5e3", ("le", "-5e3")),
        ("", ("eq", "")),
    ],
)
def test_prefixed(text: str, expected: tuple[str, str]) -> None:
    assert prefixed(text) == expected


@pytest.mark.parametrize("text", ["xx2013", "GT2013", "g2013", "gte2013", "today"])
def test_unknown_prefixes_are_refused_with_those_that_are_known(text: str) -> None:
    with pytest.raises(BadRequest, match="eq, ne, gt, lt, ge, le, sa, eb, ap"):
        prefixed(text)


def test_long_values_are_shown_cut_short() -> None:
    assert len(shown("x" * 10_000)) < 70
