import json
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fhirserver.demo.client import Client, DemoFailed

ANSWERS: dict[str, tuple[int, Any]] = {
    "/fhir/Patient?name=a&_count=100": (
        200,
        {
            "entry": [{"resource": {"id": "1"}}],
            "link": [{"relation": "next", "url": "http://elsewhere:1/fhir/Patient?page=2"}],
        },
    ),
    "/fhir/Patient?page=2": (200, {"entry": [{"resource": {"id": "2"}}], "link": []}),
    "/fhir/Observation/1": (200, {"value": Decimal("9.80")}),
    "/fhir/refused": (422, {"issue": [{"diagnostics": "It is too costly"}]}),
    "/fhir/broken": (500, None),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status, answer = ANSWERS[self.path]
        body = b"<no json>" if answer is None else json.dumps(answer, default=float).encode()
        if self.path.endswith("Observation/1"):
            body = b'{"value": 9.80}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 (the name http.server calls)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def client() -> Iterator[Client]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = Client(f"http://127.0.0.1:{server.server_address[1]}/fhir", mllp_port=1)
    yield client
    client.close()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_search_gives_all_pages(client: Client) -> None:
    assert [resource["id"] for resource in client.search("Patient", name="a")] == ["1", "2"]


def test_decimals_keep_their_digits(client: Client) -> None:
    assert str(client.get("/fhir/Observation/1")["value"]) == "9.80"


@pytest.mark.parametrize(
    ("path", "said"),
    [("/fhir/refused", "status 422, It is too costly"), ("/fhir/broken", "status 500, <no json>")],
)
def test_a_refusal_says_why(client: Client, path: str, said: str) -> None:
    with pytest.raises(DemoFailed, match=said):
        client.get(path)
    with pytest.raises(DemoFailed, match=said):
        client.post(path, b"{}", "application/fhir+json")


def test_no_server_is_said() -> None:
    client = Client("http://127.0.0.1:1/fhir", mllp_port=1)
    with pytest.raises(DemoFailed, match="no answer"):
        client.get("/fhir/metadata")
    with pytest.raises(DemoFailed, match="MLLP port 1"):
        client.send(b"MSH")


@pytest.mark.parametrize("url", ["https://example.org/fhir", "127.0.0.1:8080", ""])
def test_only_http_urls(url: str) -> None:
    with pytest.raises(DemoFailed, match="is not an http URL"):
        Client(url, 1)


@pytest.mark.parametrize(
    ("parts", "acknowledgement"),
    [
        ([b"\x0bMSH|^~\\&\rMSA|AA|1\r\x1c\r"], "MSH|^~\\&\rMSA|AA|1"),
        ([b"\x0bMSH|^~\\&\rMSA", b"|AA|1\r\x1c", b"\r"], "MSH|^~\\&\rMSA|AA|1"),
        ([b""], None),
    ],
)
def test_mllp(parts: list[bytes], acknowledgement: str | None) -> None:
    received = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            received.append(connection.recv(100))
            for part in parts:
                connection.sendall(part)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        client = Client("http://127.0.0.1:1/fhir", listener.getsockname()[1])
        if acknowledgement is None:
            with pytest.raises(DemoFailed, match="closed without an acknowledgement"):
                client.send(b"MSH|x\r")
        else:
            assert client.send(b"MSH|x\r") == acknowledgement
        thread.join()
    assert received == [b"\x0bMSH|x\r\x1c\r"]
