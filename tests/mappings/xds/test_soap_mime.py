"""Multipart messages taken apart: whatever the parts hold, and however senders write them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from mappings.xds.soap import mime
from mappings.xds.soap.faults import Fault

TYPE = 'multipart/related; boundary="b"; type="application/xop+xml"; start="<r>"'
INCLUDE = '<d xmlns:i="http://www.w3.org/2004/08/xop/include"><i:Include href="{}"/></d>'


@given(st.lists(st.binary(max_size=200) | st.sampled_from([b"--b", b"\r\n--b\r\n", b"\n--", b"\r\n"])))
def test_what_is_written_is_read(contents: list[bytes]) -> None:
    parts = [(f"p{n}@x", "application/octet-stream", content) for n, content in enumerate(contents)]
    raw, content_type = mime.write(b"<e/>", parts, "urn:a")
    found = mime.read(raw, content_type)
    assert (found.envelope, found.action, found.is_mtom) == (b"<e/>", "urn:a", True)
    assert [found.parts[id] for id, _, _ in parts] == contents
    assert mime.read(raw).parts == found.parts


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_fault(raw: bytes) -> None:
    for body in (raw, b"--b\r\n" + raw, b"--b\r\nContent-ID: <r>\r\n\r\n" + raw + b"\r\n--b--"):
        with contextlib.suppress(Fault):
            assert mime.read(body, TYPE).is_mtom


PART = b"Content-ID: <r>\r\n\r\n<e/>"
OTHER = b"Content-ID: <p>\r\nContent-Transfer-Encoding: %s\r\n\r\n%s"


@pytest.mark.parametrize(
    ("raw", "content"),
    [
        (b"--b\r\n" + PART + b"\r\n--b\r\nContent-ID: <p>\r\n\r\nx\r\n--b--\r\n", b"x"),
        (b"--b\n" + PART.replace(b"\r", b"") + b"\n--b\nContent-ID: <p>\n\nx\n--b--", b"x"),
        (b"preamble\r\n--b\r\n" + PART + b"\r\n--b\r\nContent-ID: <p>\r\n\r\nx\r\n--b--\r\nepilogue", b"x"),
        (b"--b  \r\n" + PART + b"\r\n--b\t\r\nContent-ID: <p>\r\n\r\nx\r\n--b--", b"x"),
        (b"--b\r\n" + PART + b"\r\n--b\r\ncontent-id:\r\n <p>\r\n\r\n\r\n--b--", b""),
        (b"--b\r\n" + PART + b"\r\n--b\r\nContent-ID: <p>\r\n\r\n--bb\r\n--b--", b"--bb"),
        (b"--b\r\n" + PART + b"\r\n--b\r\nContent-ID: <p>\r\n\r\na--b\r\n\r\n--b--", b"a--b\r\n"),
        (b"--b\r\n" + PART + b"\r\n--b\r\n" + OTHER % (b"base64", b"eA\r\n==") + b"\r\n--b--", b"x"),
        (b"--b\r\n" + PART + b"\r\n--b\r\n" + OTHER % (b"QUOTED-PRINTABLE", b"=78") + b"\r\n--b--", b"x"),
    ],
)
def test_how_senders_write(raw: bytes, content: bytes) -> None:
    found = mime.read(raw, TYPE)
    assert (found.envelope, found.parts) == (b"<e/>", {"p": content})


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related",
        'multipart/related; boundary=""',
        f'multipart/related; boundary="{"b" * 71}"',
        'multipart/related; boundary="other"',
    ],
)
def test_boundaries_that_are_none(content_type: str) -> None:
    with pytest.raises(Fault):
        mime.read(b"--b\r\n" + PART + b"\r\n--b--", content_type)


@pytest.mark.parametrize(
    ("href", "content"),
    [
        ("cid:a%40b", b"1"),
        ("CID:a@b", b"1"),
        ("cid:c%2Fd", b"2"),
        ("cid:e", None),
        ("http://x/", None),
        ("", None),
    ],
)
def test_what_is_included(href: str, content: bytes | None) -> None:
    message = mime.Message(b"", {"a@b": b"1", "c/d": b"2"})
    assert message.content(etree.fromstring(INCLUDE.format(href))) == content


@pytest.mark.parametrize(("text", "content"), [("eA==", b"x"), (" e\nA = =\t", b"x"), ("", b"")])
def test_in_line(text: str, content: bytes) -> None:
    assert mime.Message(b"").content(etree.fromstring(f"<d>{text}</d>")) == content


@pytest.mark.parametrize("text", ["%%%", "eA", "é", "eA==eA=="])
def test_no_base64(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        mime.Message(b"").content(etree.fromstring(f"<d>{text}</d>"))


@pytest.mark.parametrize("content_type", ["application/json", "multipart/mixed; boundary=b", "text/html"])
def test_other_media_types(content_type: str) -> None:
    with pytest.raises(mime.UnknownMediaType):
        mime.read(b"{}", content_type)
