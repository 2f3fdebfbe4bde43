"""The HTTP client: connections that are kept, and servers that misbehave."""

import contextlib
import re
import socket
import threading
from collections.abc import Iterator

import pytest

from conformance.client import Client, Unreachable

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def request(connection: socket.socket) -> bytes:
    """One request, whole; nothing when the client has closed the connection."""
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        announced = re.search(rb"Content-Length: (\d+)", head)
        if end and len(body) >= (int(announced[1]) if announced else 0):
            return received
        part = connection.recv(65536)
        if not part:
            return b""
        received += part


@contextlib.contextmanager
def answering(*scripts: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers the n-th connection with the n-th script, piece by piece, one for each request.

    Yields its URL and the requests as they come.
    """
    requests: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for script in scripts:
            connection, _ = listener.accept()
            with connection:
                for piece in script:
                    received = request(connection)
                    if not received:
                        break
                    requests.append(received)
                    connection.sendall(piece)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/fhir", requests
    listener.close()
    thread.join(5)


def test_a_connection_is_used_again() -> None:
    with answering([OK, OK, OK]) as (url, requests), Client(url) as client:
        assert [client.request("GET", "metadata").text for _ in range(3)] == ["ok"] * 3
    assert len(requests) == 3


def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    with answering([OK], [OK]) as (url, _), Client(url) as client:
        assert [client.request("GET", "metadata").status for _ in range(2)] == [200, 200]


def test_what_is_sent() -> None:
    with answering([OK]) as (url, requests), Client(url, {"X-Key": "value"}) as client:
        client.request("POST", "Patient", query={"a": "b c&d"}, body={"id": "é"}, headers={"Accept": ""})
    head, _, body = requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /fhir/Patient?a=b+c%26d HTTP/1.1\r\n")
    assert b"Content-Type: application/fhir+json" in head
    assert b"X-Key: value" in head
    assert b"Accept: " not in head
    assert body == b'{"id": "\\u00e9"}'


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"", "RemoteDisconnected"),
        (b"nonsense\r\n\r\n", "BadStatusLine"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "5 bytes before its Content-Length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "IncompleteRead"),
    ],
)
def test_answers_that_cannot_be_used(answer: bytes, reason: str) -> None:
    with answering([answer]) as (url, _), Client(url) as client, pytest.raises(Unreachable, match=reason):
        client.request("GET", "metadata")


def test_a_server_that_says_nothing_runs_into_the_time_limit() -> None:
    with (
        answering([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b""]) as (url, _),
        Client(url, timeout=0.2) as client,
        pytest.raises(Unreachable, match="timed out"),
    ):
        client.request("GET", "metadata")


def test_another_host_is_not_asked() -> None:
    with Client("http://127.0.0.1:1/fhir") as client, pytest.raises(Unreachable, match="another host"):
        client.request("GET", "http://elsewhere.test/fhir/Patient?page=2")


def test_a_link_of_the_server_is_followed_as_it_is() -> None:
    with answering([OK]) as (url, requests), Client(url) as client:
        client.request("GET", f"{url}?page=a%2Fb")
    assert requests[0].startswith(b"GET /fhir?page=a%2Fb HTTP/1.1\r\n")
