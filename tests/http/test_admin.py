"""Sources, codes and the inbox over the wire, as an administrator changes them while the server runs."""

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from fhirserver.feeds.framing import frame
from fhirserver.settings import Settings
from tests.feeds.messages import OID, adt, message
from tests.live import Live, free_port, serve

_numbers = itertools.count(1)
HL7V2 = {"Content-Type": "application/hl7-v2"}
LOCAL = "urn:x-hl7v2:cs:LAB%2FADM:99LAB"


@pytest.fixture(scope="module")
def admin(make_settings: Callable[..., Settings]) -> Iterator[Live]:
    ports = {"http_port": free_port(), "mllp_port": free_port(), "mllp_ports": (str(free_port()),)}
    with serve(make_settings(admin_operations=True, **ports)) as live:
        yield live


@pytest.fixture
def http(admin: Live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=admin.origin, timeout=30) as client:
        yield client


def control() -> str:
    return f"ADM{next(_numbers)}"


def settled(http: httpx2.Client, location: str) -> Any:
    deadline = time.monotonic() + 10
    while (item := http.get(location).json())["status"] == "received" and time.monotonic() < deadline:
        time.sleep(0.02)
    return item


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/admin/sources"),
        ("GET", "/admin/sources/a"),
        ("PUT", "/admin/sources/a"),
        ("DELETE", "/admin/sources/a"),
        ("POST", "/admin/unmapped"),
    ],
)
def test_switched_off_by_default(live: Live, method: str, path: str) -> None:
    answer = httpx2.request(method, f"{live.origin}{path}", timeout=10)
    assert answer.status_code == 403
    assert "FHIRSERVER_ADMIN_OPERATIONS" in answer.json()["issue"][0]["diagnostics"]


def test_a_source_is_defined_while_the_server_runs(http: httpx2.Client) -> None:
    name = "gam-1"
    definition = {"match": {"application": "GAM1"}, "test_messages": "refuse"}
    put = http.put(f"/admin/sources/{name}", json=definition, headers={"If-None-Match": "*"})
    assert (put.status_code, put.headers["etag"], put.json()["definition"]) == (200, 'W/"1"', definition)
    refused = http.post("/feeds/hl7v2", content=adt(control(), f3="GAM1", f11="T"), headers=HL7V2)
    assert (refused.status_code, "|202^" in refused.text) == (400, True)
    assert http.get(refused.headers["location"]).json()["source"] == name
    changed = http.put(
        f"/admin/sources/{name}", json={"match": definition["match"]}, headers={"If-Match": 'W/"1"'}
    )
    assert changed.headers["etag"] == 'W/"2"'
    again = http.post("/feeds/hl7v2", content=adt(control(), f3="GAM1", f11="T"), headers=HL7V2)
    assert again.status_code == 200
    assert [one["name"] for one in http.get("/admin/sources").json()["sources"]].count(name) == 1
    versions = http.get(f"/admin/sources/{name}/history").json()["versions"]
    assert [one["version"] for one in versions] == [2, 1]
    assert http.delete(f"/admin/sources/{name}").status_code == 204
    assert http.get(f"/admin/sources/{name}").status_code == 404


@pytest.mark.parametrize(
    ("name", "body", "headers", "status", "expression"),
    [
        ("a", b'{"colour": 1}', {}, 400, "colour"),
        ("a", b'{"match": {"ports": ["x"]}}', {}, 400, "match.ports[0]"),
        ("a", b"[]", {}, 400, ""),
        ("a", b"{", {}, 400, ""),
        ("a", b'{"name": "b"}', {}, 400, "name"),
        ("a", b"{}", {"If-Match": 'W/"7"'}, 409, ""),
        ("a", b"{}", {"If-Match": "x"}, 400, ""),
        ("-", b"{}", {}, 400, ""),
    ],
)
def test_definitions_that_are_refused(
    http: httpx2.Client, name: str, body: bytes, headers: dict[str, str], status: int, expression: str
) -> None:
    answer = http.put(f"/admin/sources/{name}", content=body, headers=headers)
    assert answer.status_code == status
    issue = answer.json()["issue"][0]
    assert issue.get("expression", [""])[0] == expression


def test_codes_are_listed_and_mapped(http: httpx2.Client) -> None:
    raw = message(
        control(),
        "ORU^R01",
        f"PID|||{control()}^^^&{OID}&ISO^PI||MARTIN^Ada\rOBR|1||{control()}^LAB|58410-2^H^LN|||20260301\r"
        "OBX|1|NM|NA^Sodium^99LAB||140|mmol/L|||||F",
        f4="ADM",
    )
    location = http.post("/feeds/hl7v2", content=raw, headers=HL7V2).headers["location"]
    item = http.get(location).json()
    assert item["unmapped"][0]["code"] == "NA"
    (row,) = http.get("/admin/unmapped", params={"source": "LAB/ADM"}).json()["unmapped"]
    assert (row["system"], row["code"], row["count"], row["item"]) == (LOCAL, "NA", 1, item["id"])
    target = {"system": "http://loinc.org", "code": "2951-2", "display": "Sodium"}
    body = {"source": "LAB/ADM", "system": LOCAL, "code": "NA", "target": target}
    mapped = http.post("/admin/unmapped", json=body)
    assert (mapped.status_code, mapped.json()) == (200, {"replayed": [item["id"]]})
    became = settled(http, location)["resources"]
    observation = next(one for one in became if one.startswith("Observation/"))
    stored = http.get(f"/fhir/{observation.partition('/_history')[0]}").json()
    assert stored["code"]["coding"][0] == target
    assert http.get("/admin/unmapped", params={"source": "LAB/ADM"}).json() == {"unmapped": []}


@pytest.mark.parametrize(
    ("body", "expression"),
    [
        ({"source": "a", "code": "b"}, "target"),
        ({"source": "a", "code": "b", "target": {}}, "target.code"),
        ({"source": "a", "target": {"code": "x"}}, "code"),
        ({"source": 1, "code": "b", "target": {"code": "x"}}, "source"),
    ],
)
def test_codes_that_are_refused(http: httpx2.Client, body: dict[str, Any], expression: str) -> None:
    answer = http.post("/admin/unmapped", json=body)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, [expression])


@pytest.mark.parametrize("query", ["colour=red", "source=a&x=1"])
def test_unknown_filters_of_codes(http: httpx2.Client, query: str) -> None:
    assert http.get(f"/admin/unmapped?{query}").status_code == 400


def test_message_is_readable(http: httpx2.Client) -> None:
    sent = adt(control(), patient=control(), family="LEFÈVRE")
    location = http.post("/feeds/hl7v2", content=sent, headers=HL7V2).headers["location"]
    segments = http.get(f"{location}/message").json()["segments"]
    assert [one["segment"] for one in segments] == ["MSH", "EVN", "PID"]
    assert segments[2]["fields"]["PID-5"] == "LEFÈVRE^Ada^^^^^L"
    item = http.get(location).json()
    assert item["origin"] == "http 127.0.0.1"
    assert item["resources"]


def test_items_of_a_patient_and_stats(http: httpx2.Client) -> None:
    patient = control()
    location = http.post("/feeds/hl7v2", content=adt(control(), patient=patient), headers=HL7V2).headers[
        "location"
    ]
    item = http.get(location).json()
    id = next(one for one in item["resources"] if one.startswith("Patient/")).split("/")[1]
    for named in (patient, f"{patient}|{OID}", f"Patient/{id}"):
        found = http.get("/admin/inbox", params={"patient": named}).json()["items"]
        assert [one["id"] for one in found] == [item["id"]]
    assert http.get("/admin/inbox", params={"patient": "Patient/none"}).status_code == 404
    stats = http.get("/admin/inbox/stats").json()
    assert stats["sources"]["LAB/HOSP"]["processed"] >= 1
    assert stats["lag_seconds"] >= 0


def test_replay_of_all_that_is_held(http: httpx2.Client) -> None:
    source = f"REPLAY{control()}"
    held = [
        http.post("/feeds/hl7v2", content=message(control(), "ZZZ^Z01", f3=source), headers=HL7V2)
        for _ in range(3)
    ]
    filters = {"status": "held", "source": f"{source}/HOSP"}
    answer = http.post("/admin/inbox/replay", params=filters)
    assert answer.status_code == 202
    assert answer.json()["replayed"] == [one.headers["location"].rpartition("/")[2] for one in held]
    assert settled(http, held[0].headers["location"])["attempts"] == 2
    assert http.post("/admin/inbox/replay", params={"source": source}).status_code == 400
    item = held[1].headers["location"]
    settled(http, item)
    assert http.post(f"{item}/cancel").json()["status"] == "cancelled"
    assert http.post(f"{item}/hold").status_code == 409


@pytest.mark.parametrize(
    ("msh", "codes", "status"),
    [
        ({}, ["AA"], 200),
        ({"f15": "AL", "f16": "NE"}, ["CA"], 200),
        ({"f15": "AL", "f16": "AL"}, ["CA", "AA"], 200),
        ({"f15": "NE", "f16": "AL"}, ["AA"], 200),
        ({"f15": "NE", "f16": "NE"}, [], 202),
        ({"f15": "AL", "f12": "3.0"}, ["CR"], 400),
    ],
)
def test_enhanced_mode_over_http(
    http: httpx2.Client, msh: dict[str, str], codes: list[str], status: int
) -> None:
    answer = http.post("/feeds/hl7v2", content=adt(control(), patient=control(), **msh), headers=HL7V2)
    found = [line.split("|")[1] for line in answer.text.split("\r") if line.startswith("MSA")]
    assert (found, answer.status_code) == (codes, status)


def test_health_names_every_port(admin: Live, http: httpx2.Client) -> None:
    first, others = admin.settings.mllp_port, admin.settings.mllp_ports
    told = http.get("/health/ready").json()["mllp"]
    assert told["port"] == first
    assert told["ports"] == [{"port": first, "tls": False}, *({"port": int(o), "tls": False} for o in others)]


def test_repeated_message_gets_the_same_answer(admin: Live, http: httpx2.Client) -> None:
    sent = adt(control(), patient=control(), f15="AL")
    answers = [http.post("/feeds/hl7v2", content=sent, headers=HL7V2).text for _ in range(2)]
    same = [[line for line in answer.split("\r") if line.startswith(("MSA", "ERR"))] for answer in answers]
    assert same[0] == same[1]
    assert [answer.split("|")[9] for answer in answers] == [answers[0].split("|")[9]] * 2
    with socket.create_connection(("127.0.0.1", admin.settings.mllp_port), 10) as connection:
        connection.sendall(frame(sent))
        assert b"MSA|CA" in connection.recv(4096)
