"""SOAP over the wire: what is no message of ours is a fault, and never anything else."""

import random

import httpx2
import pytest

from tests.live import Live
from tests.xds.messages import BOUNDARY, PROVIDE, Answer, envelope, multipart, post
from tests.xds.submissions import Submission

SOAP11 = b'<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><x/></e:Body></e:Envelope>'
XXE = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
DEEP = "<x>" * 5000 + "</x>" * 5000
UNKNOWN_HEADER = '<q:Session xmlns:q="urn:q" s:mustUnderstand="true">1</q:Session>'
ELSEWHERE = "<a:FaultTo><a:Address>http://example.org/me</a:Address></a:FaultTo>"
MTOM = 'multipart/related; boundary="{}"; type="application/xop+xml"; start="<root@client>"'


def _declared(declaration: bytes) -> bytes:
    return envelope("urn:x", "<x/>").replace(b"?>", b"?>" + declaration, 1)


@pytest.mark.parametrize(
    ("body", "status", "codes"),
    [
        (b"", 500, ["Sender"]),
        (b"not XML", 500, ["Sender"]),
        (b"<html/>", 500, ["Sender"]),
        (_declared(XXE), 500, ["Sender"]),
        (_declared(LAUGHS), 500, ["Sender"]),
        (envelope("urn:x", DEEP), 500, ["Sender"]),
        (envelope("urn:x", ""), 500, ["Sender"]),
        (envelope("urn:x", "<x/><y/>"), 500, ["Sender"]),
        (envelope("urn:x", "<x/>"), 500, ["Sender", "ActionNotSupported"]),
        (envelope("", "<x/>"), 500, ["Sender", "MessageAddressingHeaderRequired"]),
        (envelope(PROVIDE, "<x/>", UNKNOWN_HEADER), 500, ["MustUnderstand"]),
        (
            envelope(PROVIDE, "<x/>", ELSEWHERE),
            500,
            ["Sender", "InvalidAddressingHeader", "OnlyAnonymousAddressSupported"],
        ),
        (
            envelope(PROVIDE, "<x/>", "<a:MessageID>2</a:MessageID>"),
            500,
            ["Sender", "InvalidAddressingHeader", "InvalidCardinality"],
        ),
        (envelope(PROVIDE, "<x/>")[:-30], 500, ["Sender"]),
    ],
)
def test_what_is_no_message_is_a_fault(live: Live, body: bytes, status: int, codes: list[str]) -> None:
    answer = post(f"{live.origin}/xds/repository", body)
    assert (answer.status, answer.fault) == (status, codes)
    assert answer.text("Text")


def test_a_fault_says_which_message_it_answers(live: Live) -> None:
    answer = post(f"{live.origin}/xds", envelope("urn:x", "<x/>", message_id="urn:uuid:42"))
    assert answer.text("RelatesTo") == "urn:uuid:42"
    assert answer.text("Action") == "http://www.w3.org/2005/08/addressing/fault"


def test_headers_not_understood_are_named(live: Live) -> None:
    answer = post(f"{live.origin}/xds", envelope(PROVIDE, "<x/>", UNKNOWN_HEADER))
    assert answer.values("NotUnderstood", "qname") == ["h:Session"]


def test_soap_1_1_is_told_of_1_2(live: Live) -> None:
    answer = post(f"{live.origin}/xds", SOAP11, "text/xml")
    assert answer.status == 500
    assert answer.text("faultcode") == "soap11:VersionMismatch"
    assert answer.values("SupportedEnvelope", "qname") == ["soap:Envelope"]


def test_actions_that_differ_are_refused(live: Live) -> None:
    content_type = 'application/soap+xml; action="urn:other"'
    answer = post(f"{live.origin}/xds", envelope("urn:x", "<x/>"), content_type)
    assert answer.fault == ["Sender", "InvalidAddressingHeader", "ActionMismatch"]


def _broken() -> dict[str, tuple[bytes, str]]:
    body, content_type = multipart(envelope("urn:x", "<x/>"), {"d@c": b"bytes"})
    twice, _ = multipart(envelope("urn:x", "<x/>"), {"d@c": b"bytes"})
    part = twice.split(f"--{BOUNDARY}".encode())[2]
    return {
        "no boundary": (body, "multipart/related; type=text/xml"),
        "another boundary": (body, MTOM.format("other")),
        "truncated": (body[:-20], content_type),
        "start names nothing": (body, content_type.replace("root@client", "gone")),
        "two parts of one id": (
            body.replace(
                f"--{BOUNDARY}--".encode(), f"--{BOUNDARY}".encode() + part + f"--{BOUNDARY}--".encode()
            ),
            content_type,
        ),
        "headers without end": (
            f"--{BOUNDARY}\r\nContent-ID: <root@client>\r\n--{BOUNDARY}--\r\n".encode(),
            content_type,
        ),
        "encoded in an unknown way": (body.replace(b"Encoding: binary", b"Encoding: x-uu"), content_type),
    }


@pytest.mark.parametrize("name", _broken())
def test_broken_multipart_is_a_fault(live: Live, name: str) -> None:
    answer = post(f"{live.origin}/xds", *_broken()[name])
    assert (answer.status, answer.fault) == (500, ["Sender"])


@pytest.mark.parametrize("first", [True, False])
def test_multipart_is_read_in_any_order(live: Live, first: bool) -> None:
    body, content_type = multipart(envelope("urn:x", "<x/>"), {"d@c": b"bytes"}, first=first)
    assert post(f"{live.origin}/xds", body, content_type).fault == ["Sender", "ActionNotSupported"]


@pytest.mark.parametrize(
    ("method", "content_type", "status"),
    [("POST", "application/json", 415), ("POST", "", 500), ("PUT", "application/soap+xml", 405)],
)
def test_what_is_no_soap_over_http(live: Live, method: str, content_type: str, status: int) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = httpx2.request(method, f"{live.origin}/xds", content=b"{}", headers=headers)
    assert response.status_code == status


@pytest.mark.parametrize("seed", range(30))
def test_a_message_with_faults_is_never_a_surprise(live: Live, seed: int) -> None:
    """Bytes are changed, left out and doubled: a fault or an answer, and never an unforeseen error."""
    chance = random.Random(seed)
    raw, content_type = Submission().mtom()
    body = bytearray(raw)
    for _ in range(chance.randint(1, 6)):
        place, size = chance.randrange(len(body)), chance.randint(1, 40)
        match chance.randrange(3):
            case 0:
                body[place] = chance.randrange(256)
            case 1:
                del body[place : place + size]
            case _:
                body[place:place] = body[place : place + size]
    answer = post(f"{live.origin}/xds", bytes(body), content_type)
    assert answer.status in (200, 500)
    assert "Unforeseen" not in answer.text("Text")
    assert all("Unforeseen" not in context for context in answer.values("RegistryError", "codeContext"))


def test_too_large_a_body_is_a_fault(live: Live) -> None:
    size = live.settings.max_body + 1
    answer: Answer = post(f"{live.origin}/xds", b" " * size)
    assert (answer.status, answer.fault) == (413, ["Sender"])
