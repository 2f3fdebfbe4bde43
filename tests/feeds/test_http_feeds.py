"""The entry points over HTTP, and the inbox to look at."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import httpx2
import pytest

from tests.feeds.messages import adt, cda, message
from tests.live import Live

_numbers = itertools.count(1)
HL7V2 = "application/hl7-v2"


@pytest.fixture
def http(live: Live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live.origin, timeout=30) as client:
        yield client


def fresh(prefix: str) -> str:
    """A control id or document number that no other test has used on the shared server."""
    return f"{prefix}{next(_numbers)}"


def post(http: httpx2.Client, path: str, body: bytes, content_type: str) -> Any:
    return http.post(path, content=body, headers={"Content-Type": content_type})


def code(answer: Any) -> str:
    return str(answer.text.split("\r")[1].split("|")[1])


@pytest.mark.parametrize(
    ("build", "status", "expected"),
    [
        (lambda c: adt(c, patient="H1"), 200, "AA"),
        (lambda c: message(c, "ZZZ^Z01"), 200, "AA"),
        (lambda c: message(c, "ORU^R01"), 422, "AE"),
        (lambda c: adt(c, patient="H1", f12="3.0"), 400, "AR"),
        (lambda c: b"hello " + c.encode(), 400, "AR"),
    ],
)
def test_hl7v2(http: httpx2.Client, build: Any, status: int, expected: str) -> None:
    answer = post(http, "/feeds/hl7v2", build(fresh("H")), f"{HL7V2}; charset=utf-8")
    assert (answer.status_code, code(answer)) == (status, expected)
    assert answer.headers["content-type"].startswith(HL7V2)
    assert http.get(answer.headers["location"]).json()["channel"] == "http"


def test_hl7v2_batch_is_answered_message_by_message(http: httpx2.Client) -> None:
    one, two = fresh("H"), fresh("H")
    body = b"FHS|^~\\&\rBHS|^~\\&\r" + adt(one, patient="H2") + message(two, "ORU^R01") + b"BTS|2\rFTS|1\r"
    answer = post(http, "/feeds/hl7v2", body, HL7V2)
    assert answer.status_code == 422
    assert [line.split("|")[1:3] for line in answer.text.split("\r") if line.startswith("MSA")] == [
        ["AA", one],
        ["AE", two],
    ]


def test_document_statuses(http: httpx2.Client) -> None:
    number = fresh("doc")
    body = cda(number, patient="H3")
    created = post(http, "/feeds/cda", body, "application/xml")
    assert created.status_code == 201
    assert created.json()["resourceType"] == "OperationOutcome"
    item = http.get(created.headers["location"]).json()
    assert any(reference.startswith("DocumentReference/") for reference in item["resources"])
    again = post(http, "/feeds/cda", body, "text/xml")
    assert again.status_code == 200
    assert http.get(again.headers["location"]).json()["first"] == item["id"]
    assert post(http, "/feeds/cda", cda(number, patient="H3", text="y"), "text/xml").status_code == 202
    failed = post(http, "/feeds/cda", body[:-30], "application/octet-stream")
    assert failed.status_code == 422
    assert "well-formed" in failed.json()["issue"][0]["diagnostics"]
    raw = http.get(f"{failed.headers['location']}/raw")
    assert raw.content == body[:-30]
    assert raw.headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize(
    ("path", "body", "content_type", "status"),
    [
        ("/feeds/cda", b"", "text/xml", 400),
        ("/feeds/cda", b" \n", "text/xml", 400),
        ("/feeds/cda", b"x", "application/json", 415),
        ("/feeds/xdm", b"x", "text/xml", 415),
        ("/feeds/xdm", b"PK\x03\x04 cut", "application/zip", 422),
        ("/feeds/hl7v2", b"x", "application/json", 415),
        ("/feeds/hl7v2", b"", HL7V2, 400),
    ],
)
def test_refusals(http: httpx2.Client, path: str, body: bytes, content_type: str, status: int) -> None:
    answer = post(http, path, body, content_type)
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_body_beyond_the_limit(live: Live) -> None:
    """It is refused as announced when the client asks before it sends."""
    connection = HTTPConnection("127.0.0.1", live.settings.http_port, timeout=10)
    connection.putrequest("POST", "/feeds/cda")
    connection.putheader("Content-Type", "text/xml")
    connection.putheader("Content-Length", str(live.settings.max_body + 1))
    connection.putheader("Expect", "100-continue")
    connection.endheaders()
    with contextlib.closing(connection):
        answer = connection.getresponse()
        assert answer.status == 413
        assert b"OperationOutcome" in answer.read()


def test_inbox_list(http: httpx2.Client) -> None:
    control = fresh("H")
    post(http, "/feeds/hl7v2", adt(control, patient="H4"), HL7V2)
    post(http, "/feeds/hl7v2", adt(control, patient="H4"), HL7V2)
    found = http.get("/admin/inbox", params={"control-id": control}).json()
    assert [item["status"] for item in found["items"]] == ["duplicate", "processed"]
    assert found["counts"]["processed"] > 0
    page = http.get("/admin/inbox", params={"limit": 1}).json()
    following = http.get(page["next"]).json()
    assert page["items"][0]["id"] != following["items"][0]["id"]
    assert page["items"][0]["received"] >= following["items"][0]["received"]
    duplicates = http.get("/admin/inbox", params={"status": "duplicate", "kind": "hl7v2"}).json()["items"]
    assert {item["status"] for item in duplicates} == {"duplicate"}


@pytest.mark.parametrize(
    "query", ["status=lost", "limit=0", "limit=x", "before=-1", "since=tomorrow", "colour=red"]
)
def test_unknown_filters_are_refused(http: httpx2.Client, query: str) -> None:
    assert http.get(f"/admin/inbox?{query}").status_code == 400


def test_held_is_replayed_or_cancelled(http: httpx2.Client) -> None:
    held = post(http, "/feeds/cda", cda(fresh("doc"), replaces=fresh("doc"), patient="H5"), "text/xml")
    assert held.status_code == 202
    location = held.headers["location"]
    assert http.post(f"{location}/replay").status_code == 202
    deadline = time.monotonic() + 10
    while http.get(location).json()["status"] == "received" and time.monotonic() < deadline:
        time.sleep(0.02)
    item = http.get(location).json()
    assert (item["status"], item["attempts"]) == ("held", 2)
    done = post(http, "/feeds/cda", cda(fresh("doc"), patient="H5"), "text/xml").headers["location"]
    for action in ("hold", "cancel"):
        assert http.post(f"{done}/{action}").status_code == 409
    other = post(http, "/feeds/hl7v2", message(fresh("H"), "ZZZ^Z01"), HL7V2).headers["location"]
    assert http.post(f"{other}/cancel").json()["status"] == "cancelled"
    assert http.post(f"{other}/cancel").status_code == 409
    assert http.post(f"{other}/replay").status_code == 202


@pytest.mark.parametrize("path", ["/admin/inbox/none", "/admin/inbox/none/raw"])
def test_unknown_item(http: httpx2.Client, path: str) -> None:
    assert http.get(path).status_code == 404
