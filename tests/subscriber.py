"""A subscriber for tests: an HTTP endpoint that remembers what it was sent, and a WebSocket client."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import wsproto.events
from wsproto import ConnectionType, WSConnection


@dataclass
class Taken:
    """A request that an endpoint was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def parameters(self) -> dict[str, Any]:
        """The SubscriptionStatus of a notification: name -> value."""
        status = self.json["entry"][0]["resource"]
        assert status["resourceType"] == "Parameters"
        return {p["name"]: next((v for k, v in p.items() if k != "name"), None) for p in status["parameter"]}


@dataclass
class Endpoint:
    """A subscriber's server; ``status`` is what it answers."""

    port: int
    status: int = 200
    taken: list[Taken] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def wait(self, count: int, path: str = "/") -> list[Taken]:
        """The requests whose path begins so, when there are that many."""
        found: list[Taken] = []
        deadline = time.monotonic() + 15
        while time.monotonic() < deadline:
            found = [t for t in self.taken if t.path.startswith(path)]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{len(found)} of {count} requests: {[(t.method, t.path) for t in self.taken]}")


@contextlib.contextmanager
def listening(port: int = 0) -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def _take(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            subscriber.taken.append(Taken(self.command, self.path, headers, body))
            self.send_response(subscriber.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = _take  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    subscriber = Endpoint(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield subscriber
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Socket:
    """A WebSocket client."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._state = WSConnection(ConnectionType.CLIENT)
        self._socket.sendall(self._state.send(wsproto.events.Request("127.0.0.1", "/websocket")))
        assert isinstance(self._event(), wsproto.events.AcceptConnection)

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, text: str) -> None:
        self._socket.sendall(self._state.send(wsproto.events.TextMessage(text)))

    def receive(self) -> str:
        event = self._event()
        assert isinstance(event, wsproto.events.TextMessage)
        return event.data

    def _event(self) -> wsproto.events.Event:
        while True:
            for event in self._state.events():
                return event
            self._state.receive_data(self._socket.recv(4096))
