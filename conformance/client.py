"""HTTP with the standard library: connections that are kept, answers that are bounded in time and size."""

import http.client
import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

JSON = "application/fhir+json"
XML = "application/fhir+xml"
FORM = "application/x-www-form-urlencoded"
MAX_BODY = 64 * 1024 * 1024
IDLE = 2.0
"""Seconds after which a kept connection is not used again: servers close silent ones after a few seconds."""

Resource = dict[str, Any]
Query = Mapping[str, str] | Sequence[tuple[str, str]]


class Unreachable(Exception):
    """No usable answer came: no connection, a time-out, not HTTP, too much."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered; header names are in lower case."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """The body as JSON, None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class Client:
    """Requests below one base URL; safe to share between threads.

    ``headers`` go with every request, and with none to another host. ``timeout`` is in seconds and covers a
    whole request.
    """

    def __init__(
        self, base_url: str, headers: Mapping[str, str] | None = None, timeout: float = 30.0
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self._headers = dict(headers or {})
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{base_url!r} is not an http or https URL")
        self._origin = (parts.scheme, parts.netloc)
        self._idle: list[tuple[float, http.client.HTTPConnection]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, connection in idle:
            connection.close()

    def request(
        self,
        method: str,
        path: str = "",
        *,
        query: Query = (),
        body: Resource | bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """Ask; ``path`` is below the base, or a URL that the server gave (a page, a Location).

        A dict is sent as a FHIR resource in JSON. Headers with an empty value are left out.

        Raises:
            Unreachable: no usable answer.
        """
        url = self._url(path, query)
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        content = content.encode() if isinstance(content, str) else content
        sent = {"Accept": JSON, **self._headers}
        if isinstance(body, dict):
            sent["Content-Type"] = JSON
        sent |= headers or {}
        sent = {name: value for name, value in sent.items() if value}
        deadline = time.monotonic() + min(self.timeout, timeout or self.timeout)
        status, received, answered = self._exchange(method, url, content, sent, deadline)
        return Answer(method, path or "/", status, received, answered)

    def _url(self, path: str, query: Query) -> str:
        """The request target: path and query, percent-encoded."""
        parts = urlsplit(path if "://" in path else f"{self.base_url}/{path.lstrip('/')}".rstrip("/"))
        if (parts.scheme, parts.netloc) != self._origin:
            raise Unreachable(f"{path} is on another host than {self.base_url}")
        text = "&".join(filter(None, (parts.query, urlencode(query))))
        return f"{parts.path or '/'}{f'?{text}' if text else ''}"

    def _exchange(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], deadline: float
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on a kept connection; on a new one when that turns out to be closed."""
        connection, kept = self._connection()
        try:
            try:
                response = _send(connection, method, url, body, headers, deadline)
            except (http.client.RemoteDisconnected, ConnectionError):
                if not kept:
                    raise
                connection.close()
                connection = self._connect()
                response = _send(connection, method, url, body, headers, deadline)
            received = _receive(connection, response, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        except BaseException:
            connection.close()
            raise
        if response.will_close:
            connection.close()
        else:
            with self._lock:
                self._idle.append((time.monotonic(), connection))
        return response.status, _headers(response), received

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        """A connection, and whether it has been used before."""
        with self._lock:
            while self._idle:
                since, connection = self._idle.pop()
                if time.monotonic() - since < IDLE:
                    return connection, True
                connection.close()
        return self._connect(), False

    def _connect(self) -> http.client.HTTPConnection:
        scheme, host = self._origin
        kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        return kind(host.rpartition("@")[2], timeout=self.timeout)


def absolute(base_url: str, url: str) -> str:
    """A Location or link as an absolute URL; relative ones are relative to the base."""
    return urljoin(f"{base_url}/", url)


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    deadline: float,
) -> http.client.HTTPResponse:
    connection.timeout = _remaining(deadline)
    if connection.sock is not None:
        connection.sock.settimeout(connection.timeout)
    connection.request(method, url, body=body, headers=dict(headers))
    return connection.getresponse()


def _receive(
    connection: http.client.HTTPConnection, response: http.client.HTTPResponse, deadline: float
) -> bytes:
    """The whole body; a server that trickles runs into the deadline, one that never ends into the limit."""
    parts, size = [], 0
    while part := response.read1(256 * 1024):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY:
            raise Unreachable(f"the answer is larger than {MAX_BODY} bytes")
        if connection.sock is not None:
            connection.sock.settimeout(_remaining(deadline))
    if response.length:
        raise Unreachable(f"the answer ended {response.length} bytes before its Content-Length")
    response.close()  # read1 does not notice the end, and only a closed response frees the connection
    return b"".join(parts)


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _remaining(deadline: float) -> float:
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TimeoutError("the time for this request is over")
    return remaining
