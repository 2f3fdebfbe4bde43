"""Another terminology server: asked for what is not known here, remembered, left alone when it is silent."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from fhirserver.errors import FHIRError, NotFound, TooCostly, Unavailable, Unprocessable
from fhirserver.outbound import Outbound
from fhirserver.settings import Settings
from fhirserver.terminology import Remote
from tests.terminology.conftest import BREEDS
from tests.terminology.running import Running, running
from tests.terminology.synthetic import ANIMALS, listed, value_set

if TYPE_CHECKING:
    from tests.live import Live

VS = "http://example.org/ValueSet/"


@pytest.fixture(scope="module")
def asking(make_settings: Callable[..., Settings], terms: "Live") -> Iterator[Running]:
    """A server that knows nothing but the other one."""
    with running(make_settings(terminology_server=terms.base_url)) as server:
        yield server


def told(body: dict[str, Any]) -> dict[str, Any]:
    return {
        p["name"]: next(v for k, v in p.items() if k.startswith("value"))
        for p in body["parameter"]
        if "part" not in p
    }


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("CodeSystem/$lookup", {"system": ANIMALS, "code": "dog"}, ("display", "Dog")),
        (
            "CodeSystem/$subsumes",
            {"system": ANIMALS, "codeA": "mammal", "codeB": "dog"},
            ("outcome", "subsumes"),
        ),
        ("CodeSystem/$validate-code", {"url": ANIMALS, "code": "dog"}, ("result", True)),
        ("CodeSystem/$validate-code", {"url": ANIMALS, "code": "yeti"}, ("result", False)),
        ("ValueSet/$validate-code", {"url": f"{VS}pets", "system": ANIMALS, "code": "cat"}, ("result", True)),
        ("ValueSet/$validate-code", {"url": f"{VS}pets", "coding": f"{ANIMALS}|cat"}, ("result", True)),
        (
            "ConceptMap/$translate",
            {"url": "http://example.org/ConceptMap/breeds", "system": ANIMALS, "code": "dog"},
            ("result", True),
        ),
    ],
)
def test_what_is_not_known_here(
    asking: Running, path: str, query: dict[str, str], expected: tuple[str, Any]
) -> None:
    status, body = asking.perform("GET", path, query)
    assert status == 200, body
    assert told(body)[expected[0]] == expected[1]


def test_expand(asking: Running) -> None:
    query = {"url": f"{VS}mixed", "count": "1", "activeOnly": "true"}
    status, body = asking.perform("GET", "ValueSet/$expand", query)
    assert status == 200, body
    assert [entry["code"] for entry in body["expansion"]["contains"]] == ["dog"]
    assert body["expansion"]["total"] == 2


def test_a_value_set_here_of_codes_there(asking: Running) -> None:
    set = value_set("x", {"system": ANIMALS})
    status, body = asking.perform("POST", "ValueSet/$expand", {}, set)
    assert status == 200, body
    assert len(body["expansion"]["contains"]) == 6


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("ValueSet/$expand", {"url": f"{VS}none"}, 404, "not-found"),
        ("CodeSystem/$lookup", {"system": ANIMALS, "code": "yeti"}, 404, "not-found"),
        ("ValueSet/$expand", {"url": f"{VS}unknown-system"}, 422, "processing"),
    ],
)
def test_its_refusals_are_ours(
    asking: Running, path: str, query: dict[str, str], status: int, code: str
) -> None:
    found, body = asking.perform("GET", path, query)
    assert (found, body["issue"][0]["code"]) == (status, code)
    assert body["issue"][0]["details"]["text"].startswith("The terminology server: ")


def test_verify_and_search(asking: Running) -> None:
    terminology = asking.parts.server.terminology
    assert terminology.validate(ANIMALS, "cat", f"{VS}pets") == "cannot tell"
    for code, expected in (("cat", "known"), ("bird", "unknown")):
        assert asking.runner.run(terminology.verify(ANIMALS, code, f"{VS}pets")) == expected
    assert asking.runner.run(terminology.verify(ANIMALS, "cat")) == "known"
    assert asking.runner.run(terminology.verify(ANIMALS, "cat", f"{VS}none")) == "cannot tell"
    assert asking.runner.run(terminology.codes(f"{VS}mixed")) == [(ANIMALS, "dog"), (BREEDS, "poodle")]
    with pytest.raises(LookupError):
        asking.runner.run(terminology.codes(f"{VS}none"))
    status, body = asking.perform("GET", "Observation", {"code:in": f"{VS}mixed"})
    assert (status, body["total"]) == (200, 0)


def test_nobody_there(make_settings: Callable[..., Settings]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/fhir"
        with running(make_settings(terminology_server=url)) as server:
            status, body = server.perform("GET", "ValueSet/$expand", {"url": f"{VS}mixed"})
            assert (status, body["issue"][0]["code"]) == (503, "transient")
            assert server.runner.run(server.parts.server.terminology.verify(ANIMALS, "dog")) == "cannot tell"
            set = value_set("x", listed("dog"))
            assert server.perform("POST", "ValueSet/$expand", {}, set)[0] == 200


class Other(ThreadingHTTPServer):
    """Answers what it is told to; counts the requests."""

    answer = (200, b"{}")
    asked = 0


class Handler(BaseHTTPRequestHandler):
    server: Other

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


@pytest.fixture
def other() -> Iterator[Other]:
    server = Other(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def outcome(code: str) -> bytes:
    return json.dumps(
        {"resourceType": "OperationOutcome", "issue": [{"code": code, "diagnostics": "no"}]}
    ).encode()


@pytest.mark.parametrize(
    ("answer", "error", "requests"),
    [
        ((200, b'{"resourceType": "Parameters"}'), None, 1),
        ((404, outcome("not-found")), NotFound, 1),
        ((422, outcome("too-costly")), TooCostly, 1),
        ((422, outcome("processing")), Unprocessable, 1),
        ((500, outcome("exception")), Unavailable, 1),
        ((200, b"<html>"), Unavailable, 1),
        ((200, b"[]"), Unavailable, 1),
        ((200, b"{" * 9_000_000), TooCostly, 1),
    ],
)
def test_answers_are_remembered(
    other: Other, answer: tuple[int, bytes], error: type[FHIRError] | None, requests: int
) -> None:
    other.answer = answer
    url = f"http://127.0.0.1:{other.server_port}"

    async def ask() -> list[type[BaseException] | None]:
        outbound = Outbound((url,))
        remote = Remote(url, outbound)
        found: list[type[BaseException] | None] = []
        for _ in range(3):
            try:
                await remote.ask("ValueSet/$expand", {"resourceType": "Parameters"})
                found.append(None)
            except FHIRError as refusal:
                found.append(type(refusal))
        await outbound.close()
        return found

    assert asyncio.run(ask()) == [error] * 3
    assert other.asked == requests
