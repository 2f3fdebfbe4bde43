"""Clients that ask for HTTP/2 without TLS, as Java's does, are answered in HTTP/1.1."""

import json
import socket
import time

import pytest

from tests.live import Live

ASKS = (
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\n"
)
START = b"POST /fhir/Patient/$validate HTTP/1.1\r\nHost: test\r\nContent-Type: application/fhir+json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n"
PATIENT = b'{"resourceType":"Patient","active":true}'


def _answers(live: Live, *pieces: bytes, count: int = 1) -> list[tuple[int, bytes]]:
    """Send pieces one after the other; the statuses and bodies of so many answers."""
    found = []
    with socket.create_connection(("127.0.0.1", live.settings.http_port), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)
        stream = connection.makefile("rb")
        for _ in range(count):
            head = b"".join(iter(stream.readline, b"\r\n"))
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            found.append((int(head.split(b" ")[1]), stream.read(length)))
    return found


def _chunked(body: bytes) -> bytes:
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@pytest.mark.parametrize(
    "pieces",
    [
        (START + ASKS + LENGTH % len(PATIENT) + PATIENT,),
        (START + ASKS + LENGTH % len(PATIENT), PATIENT),
        (START + ASKS + _chunked(PATIENT),),
        (START, ASKS, LENGTH % len(PATIENT), PATIENT[:10], PATIENT[10:]),
        (START + ASKS.replace(b"Upgrade: h2c", b"upgrade:h2c ") + LENGTH % len(PATIENT) + PATIENT,),
        (START + LENGTH % len(PATIENT) + PATIENT,),
    ],
)
def test_the_body_arrives(live: Live, pieces: tuple[bytes, ...]) -> None:
    ((status, body),) = _answers(live, *pieces)
    assert status == 200
    assert json.loads(body)["issue"][0]["severity"] == "information"


def test_two_requests_on_one_connection(live: Live) -> None:
    one = START + ASKS + LENGTH % len(PATIENT) + PATIENT
    assert [status for status, _ in _answers(live, one, one, count=2)] == [200, 200]


def test_what_a_body_says_is_left_alone(live: Live) -> None:
    text = b'{"resourceType":"Patient","id":"\r\nUpgrade: h2c\r\n"}'
    head = b"POST /feeds/cda HTTP/1.1\r\nHost: test\r\nContent-Type: text/xml\r\n"
    content = b"<x>\r\nUpgrade: h2c\r\n\r\n</x>" + text
    ((_, body),) = _answers(live, head + LENGTH % len(content), content)
    assert b"OperationOutcome" in body
    with socket.create_connection(("127.0.0.1", live.settings.http_port), timeout=10) as connection:
        connection.sendall(
            b"GET /admin/inbox?kind=cda&limit=1 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        answer = b""
        while part := connection.recv(65536):
            answer += part
    assert f'"size":{len(content)}'.encode() in answer.replace(b" ", b"")
