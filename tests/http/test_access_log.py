"""The access log: one line a request, with its trace, without anything that a patient could be known by."""

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from fhirserver.logs import FLUSH_SECONDS
from fhirserver.settings import Settings
from tests.live import free_port, serve

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FIELDS = {"event", "interaction", "level", "method", "ms", "request_id", "status", "timestamp", "type"}
SECRET = "Zygomalas"
REQUESTS: tuple[tuple[str, str, dict[str, Any], tuple[str, str, int]], ...] = (
    ("GET", f"Patient?name={SECRET}", {}, ("Patient", "search-type", 200)),
    ("GET", f"Patient/{SECRET}", {}, ("Patient", "read", 404)),
    ("GET", f"Patient?nmae={SECRET}", {}, ("Patient", "search-type", 400)),
    ("GET", f"{SECRET}/1", {}, ("system", "", 404)),
    ("POST", "Patient/_search", {"data": {"name": SECRET}}, ("Patient", "search-type", 200)),
    (
        "POST",
        "Patient",
        {"json": {"resourceType": "Patient", "name": [{"family": SECRET}], "gender": SECRET}},
        ("Patient", "create", 400),
    ),
)


@pytest.fixture
def lines(make_settings: Callable[..., Settings], capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What the log says of REQUESTS, each with a trace context of its own."""
    with (
        serve(make_settings(http_port=free_port(), log_level="info")) as live,
        httpx2.Client(base_url=live.base_url) as client,
    ):
        for number, (method, path, body, _) in enumerate(REQUESTS):
            parent = f"00-{TRACE}-{PARENT}-01" if number else "00-not-one"
            headers = {"traceparent": parent, "X-Request-Id": f"r{number}"}
            client.request(method, path, headers=headers, **body)
        time.sleep(FLUSH_SECONDS * 2)
    text = capfd.readouterr().err
    assert SECRET not in text
    found = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    return [line for line in found if line.get("event") == "request"]


def test_every_request_has_a_line_with_its_trace_and_no_values(lines: list[dict[str, Any]]) -> None:
    told = [(line["type"], line["interaction"], line["status"]) for line in lines]
    assert told == [expected for *_, expected in REQUESTS]
    assert [line["request_id"] for line in lines] == [f"r{number}" for number in range(len(REQUESTS))]
    assert lines[0].keys() == FIELDS
    for line in lines[1:]:
        assert line.keys() == FIELDS | {"trace_id", "parent_id"}
        assert (line["trace_id"], line["parent_id"]) == (TRACE, PARENT)
