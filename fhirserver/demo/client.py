"""A client of the server's doors: FHIR and feeds over HTTP, HL7v2 over MLLP."""

import http.client
import json
import socket
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
TIMEOUT = 60.0
"""Seconds for one answer."""


class DemoFailed(Exception):
    """The server did not answer as it should; the text says what was asked and what came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, its decimals with the digits they were sent with."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except ValueError as error:
            raise DemoFailed(f"The answer (status {self.status}) is not JSON: {error}") from None


class Client:
    """Speaks to one server; ``base_url`` is the FHIR base, such as ``http://127.0.0.1:8080/fhir``."""

    def __init__(self, base_url: str, mllp_port: int) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or not parts.hostname:
            raise DemoFailed(f"{base_url!r} is not an http URL")
        self.host, self.port, self.base = parts.hostname, parts.port or 80, parts.path.rstrip("/")
        self.mllp_port = mllp_port
        self._connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)

    def close(self) -> None:
        self._connection.close()

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> Answer:
        """Ask for a path of the server; header names are written with underscores.

        Raises:
            DemoFailed: there was no answer.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self._connection.request(method, path, body or None, sent)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise DemoFailed(f"{method} {path.partition('?')[0]}: no answer ({error})") from None
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content)

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises DemoFailed for any status but 200."""
        answer = self.request("GET", path, accept="application/json")
        if answer.status != 200:
            raise DemoFailed(f"GET {path.partition('?')[0]}: status {answer.status}, {_reason(answer)}")
        return answer.json()

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        """Raises DemoFailed unless the server took it, be it into the inbox as failed."""
        answer = self.request("POST", path, body, content_type=content_type, accept="application/json")
        if answer.status not in (200, 201, 202) and "/admin/inbox/" not in answer.headers.get("location", ""):
            raise DemoFailed(f"POST {path}: status {answer.status}, {_reason(answer)}")
        return answer

    def search(self, type: str, **parameters: str) -> list[dict[str, Any]]:
        """The resources of a FHIR search, all pages of it."""
        found = []
        path = f"{self.base}/{type}?{urlencode(parameters | {'_count': '100'})}"
        while path:
            bundle = self.get(path)
            found += [entry["resource"] for entry in bundle.get("entry", [])]
            following = [link["url"] for link in bundle.get("link", []) if link["relation"] == "next"]
            path = _path(following[0]) if following else ""
        return found

    def send(self, message: bytes) -> str:
        """Send an HL7v2 message over MLLP and give its acknowledgement.

        Raises:
            DemoFailed: no connection, or no acknowledgement before the time-out.
        """
        received = b""
        try:
            with socket.create_connection((self.host, self.mllp_port), timeout=TIMEOUT) as connection:
                connection.sendall(VT + message + FS + CR)
                while not received.endswith(FS + CR):
                    part = connection.recv(65536)
                    if not part:
                        raise DemoFailed("MLLP: the connection was closed without an acknowledgement")
                    received += part
        except OSError as error:
            raise DemoFailed(f"MLLP port {self.mllp_port}: {error}") from None
        return received.strip(VT + FS + CR).decode("utf-8", "replace")


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _reason(answer: Answer) -> str:
    """What an OperationOutcome says, else the start of the body."""
    try:
        issues = answer.json()["issue"]
        return "; ".join(i.get("diagnostics") or i.get("details", {}).get("text", "") for i in issues)
    except (DemoFailed, KeyError, TypeError, AttributeError):
        return answer.body[:300].decode("utf-8", "replace")
