"""Subscriptions over the wire: https://hl7.org/fhir/R4/subscription.html and the R5 backport."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from fhirserver.errors import Issue
from fhirserver.settings import Settings
from fhirserver.validation import Validator
from tests.live import Live, free_port, serve
from tests.subscriber import Endpoint, Socket, listening

FHIR = {"Content-Type": "application/fhir+json"}
BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
RETRY = 1.2


@pytest.fixture(scope="module")
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(
        http_port=free_port(), subscription_endpoints="http://127.0.0.1:*", subscription_retry=RETRY
    )


@pytest.fixture(scope="module")
def subscribing(settings: Settings) -> Iterator[Live]:
    """A server that may notify this machine."""
    with serve(settings) as live:
        yield live


@pytest.fixture
def api(subscribing: Live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=subscribing.base_url, timeout=30) as client:
        yield client


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with listening() as endpoint:
        yield endpoint


def subscription(criteria: str, url: str, **channel: Any) -> dict[str, Any]:
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "test",
        "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": url, **channel},
    }


def topic(url: str, content: str = "id-only", filter: str = "", **channel: Any) -> dict[str, Any]:
    extension = [{"url": f"{BACKPORT}backport-payload-content", "valueCode": content}]
    body = subscription("urn:fhirserver:topic:Patient", url, payload="application/fhir+json", **channel)
    body["channel"]["_payload"] = {"extension": extension}
    if filter:
        body["_criteria"] = {
            "extension": [{"url": f"{BACKPORT}backport-filter-criteria", "valueString": filter}]
        }
    return body


def subscribe(api: httpx2.Client, resource: dict[str, Any], status: str = "active") -> str:
    """The id of a subscription that has reached a status."""
    answer = api.post("/Subscription", json=resource, headers=FHIR)
    assert answer.status_code == 201, answer.text
    assert answer.json()["status"] == "requested"
    id: str = answer.json()["id"]
    reach(api, id, status)
    return id


def reach(api: httpx2.Client, id: str, status: str, error: bool = False) -> dict[str, Any]:
    deadline = time.monotonic() + 15
    body: dict[str, Any] = {}
    while time.monotonic() < deadline:
        body = api.get(f"/Subscription/{id}").json()
        if body["status"] == status and ("error" in body) == (error or status == "error"):
            return body
        time.sleep(0.03)
    raise AssertionError(f"{id} did not become {status}: {body}")


def put(api: httpx2.Client, id: str, **elements: Any) -> dict[str, Any]:
    body = {"resourceType": "Patient", "id": id, **elements}
    answer = api.put(f"/Patient/{id}", json=body, headers=FHIR)
    assert answer.status_code in (200, 201), answer.text
    stored: dict[str, Any] = answer.json()
    return stored


def new() -> str:
    return uuid.uuid4().hex


def test_an_empty_notification_is_a_post_without_a_body(api: httpx2.Client, endpoint: Endpoint) -> None:
    family = new()
    headers = ["Authorization: Bearer secret-token-abc-123", "X-Why: because"]
    subscribe(api, subscription(f"Patient?family={family}&_format=json", endpoint.url, header=headers))
    put(api, new(), name=[{"family": "Another"}])
    put(api, new(), name=[{"family": family}])
    [taken] = endpoint.wait(1)
    assert (taken.method, taken.path, taken.body) == ("POST", "/hook", b"")
    assert (taken.headers["authorization"], taken.headers["x-why"]) == (
        "Bearer secret-token-abc-123",
        "because",
    )
    time.sleep(0.3)
    assert len(endpoint.taken) == 1


def test_a_payload_is_put_below_the_endpoint_in_order(api: httpx2.Client, endpoint: Endpoint) -> None:
    id, mark = new(), new()
    criteria = f"Patient?identifier=urn:s|{mark}"
    subscribe(api, subscription(criteria, endpoint.url, payload="application/fhir+json"))
    versions = [
        put(api, id, identifier=[{"system": "urn:s", "value": mark}], multipleBirthInteger=n)
        for n in range(1, 13)
    ]
    put(api, id)  # no longer meets the criteria: https://hl7.org/fhir/R4/subscription.html#scope
    api.delete(f"/Patient/{id}")
    taken = endpoint.wait(12)
    assert [(t.method, t.path) for t in taken] == [("PUT", f"/hook/Patient/{id}")] * 12
    assert [t.json for t in taken] == versions
    assert taken[0].headers["content-type"].startswith("application/fhir+json")


def test_a_transaction_notifies_of_each_resource_once(api: httpx2.Client, endpoint: Endpoint) -> None:
    mark = new()
    subscribe(
        api,
        subscription(f"Patient?identifier=urn:s|{mark}", endpoint.url, payload="application/fhir+json"),
    )
    entry = [
        {
            "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": mark}]},
            "request": {"method": "POST", "url": "Patient"},
        }
    ] * 5
    bad = [*entry, {"request": {"method": "DELETE", "url": "Nothing/1"}}]
    bundle = {"resourceType": "Bundle", "type": "transaction"}
    assert api.post("", json={**bundle, "entry": bad}, headers=FHIR).status_code >= 400
    assert api.post("", json={**bundle, "entry": entry}, headers=FHIR).status_code == 200
    assert len({t.path for t in endpoint.wait(5)}) == 5
    time.sleep(0.3)
    assert len(endpoint.taken) == 5


def errors(validator: Validator, resource: Any) -> list[Issue]:
    """What is wrong; the guide's profiles are not here, which is only a warning."""
    return [issue for issue in validator.validate(resource) if issue.severity in ("error", "fatal")]


def test_a_topic_tells_of_create_update_and_delete(
    api: httpx2.Client, endpoint: Endpoint, validator: Validator
) -> None:
    id = new()
    body = topic(endpoint.url, "full-resource", "Patient?gender=female")
    sub = subscribe(api, body)
    put(api, new(), gender="male")
    put(api, id, gender="female")
    put(api, id, gender="female", active=True)
    api.delete(f"/Patient/{id}")
    handshake, created, updated, deleted = endpoint.wait(4)
    assert handshake.parameters["type"] == "handshake"
    assert len(handshake.json["entry"]) == 1
    for number, taken in enumerate((created, updated, deleted), 1):
        assert taken.json["type"] == "history"
        assert errors(validator, taken.json) == []
        parameters = taken.parameters
        assert parameters["subscription"]["reference"].endswith(f"/Subscription/{sub}")
        assert parameters["topic"] == "urn:fhirserver:topic:Patient"
        assert (parameters["status"], parameters["type"]) == ("active", "event-notification")
        event = {p["name"]: p for p in parameters["notification-event"]}
        assert event["event-number"]["valueString"] == str(number)
        assert event["focus"]["valueReference"]["reference"].endswith(f"/Patient/{id}")
    methods = [t.json["entry"][1]["request"]["method"] for t in (created, updated, deleted)]
    assert methods == ["POST", "PUT", "DELETE"]
    assert created.json["entry"][1]["resource"]["gender"] == "female"
    assert updated.json["entry"][1]["resource"]["active"] is True
    assert "resource" not in deleted.json["entry"][1]


@pytest.mark.parametrize(("content", "entries"), [("empty", 1), ("id-only", 2)])
def test_a_notification_carries_no_more_than_asked(
    api: httpx2.Client, endpoint: Endpoint, content: str, entries: int
) -> None:
    family = new()
    subscribe(api, topic(endpoint.url, content, f"Patient?family={family}"))
    put(api, new(), name=[{"family": family}])
    body = endpoint.wait(2)[1].json
    assert len(body["entry"]) == entries
    assert family not in json.dumps(body)


def test_several_events_in_one_notification_and_a_heartbeat(api: httpx2.Client, endpoint: Endpoint) -> None:
    mark = new()
    extension = [
        {"url": f"{BACKPORT}backport-max-count", "valuePositiveInt": 10},
        {"url": f"{BACKPORT}backport-heartbeat-period", "valueUnsignedInt": 1},
    ]
    subscribe(api, topic(endpoint.url, filter=f"Patient?identifier={mark}", extension=extension))
    entry = [
        {
            "resource": {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": mark}]},
            "request": {"method": "POST", "url": "Patient"},
        }
    ] * 4
    api.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entry}, headers=FHIR)
    types = [t.parameters["type"] for t in endpoint.wait(3)]
    assert types == ["handshake", "event-notification", "heartbeat"]
    assert len(endpoint.taken[1].json["entry"]) == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"criteria": "Patient?nmae=x"}, "nmae"),
        ({"criteria": "Patient?birthdate=soon"}, "soon"),
        ({"criteria": "Nonsense?x=y"}, "Nonsense"),
        ({"criteria": "Observation?patient.name=x"}, "follow references"),
        ({"criteria": "Subscription?status=active"}, "Subscription"),
        ({"criteria": "urn:fhirserver:topic:Unknown"}, "urn:fhirserver:topic:Patient"),
        ({"channel": {"type": "email", "endpoint": "mailto:x@example.org"}}, "rest-hook"),
        ({"channel": {"type": "rest-hook"}}, "http(s)"),
        ({"channel": {"type": "rest-hook", "endpoint": "ftp://127.0.0.1/"}}, "http(s)"),
        ({"channel": {"type": "rest-hook", "endpoint": "http://10.0.0.1/"}}, "allowed"),
        ({"channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1@10.0.0.1/"}}, "user"),
        (
            {"channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1/", "payload": "text/plain"}},
            "text/plain",
        ),
        (
            {"channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1/", "header": ["Host: x"]}},
            "header",
        ),
        (
            {"channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1/", "header": ["no colon"]}},
            "Name: value",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(api: httpx2.Client, change: dict[str, Any], said: str) -> None:
    body = {**subscription("Patient", "http://127.0.0.1/"), **change}
    for answer in (
        api.post("/Subscription", json=body, headers=FHIR),
        api.put("/Subscription/refused", json={**body, "id": "refused"}, headers=FHIR),
    ):
        assert answer.status_code == 422, answer.text
        [issue] = answer.json()["issue"]
        assert said in issue["details"]["text"]
        assert issue["expression"][0].startswith("Subscription.")


def test_a_dead_endpoint_is_tried_again_and_blocks_nobody(api: httpx2.Client, endpoint: Endpoint) -> None:
    family = new()
    criteria = f"Patient?family={family}"
    port = free_port()
    dead = subscribe(api, subscription(criteria, f"http://127.0.0.1:{port}/late"))
    subscribe(api, subscription(criteria, endpoint.url))
    put(api, new(), name=[{"family": family}])
    put(api, new(), name=[{"family": family}])
    endpoint.wait(2)
    with listening(port) as late:
        assert len(late.wait(2)) == 2
    assert api.get(f"/Subscription/{dead}").json()["status"] == "active"


def test_after_the_time_to_retry_the_resource_says_error_and_can_be_asked_for_again(
    api: httpx2.Client, endpoint: Endpoint
) -> None:
    family = new()
    id = subscribe(api, subscription(f"Patient?family={family}", endpoint.url))
    endpoint.status = 500
    put(api, new(), name=[{"family": family}])
    body = reach(api, id, "error")
    assert "answered 500" in body["error"]
    put(api, new(), name=[{"family": family}])  # kept while the status is error
    endpoint.status, tried = 200, len(endpoint.taken)
    answer = api.put(f"/Subscription/{id}", json={**body, "status": "requested"}, headers=FHIR)
    assert (answer.json()["status"], "error" in answer.json()) == ("requested", False)
    reach(api, id, "active")
    endpoint.wait(tried + 2)


def test_status_and_events_can_be_asked_for(
    api: httpx2.Client, endpoint: Endpoint, validator: Validator
) -> None:
    family = new()
    id = subscribe(api, topic(endpoint.url, "full-resource", f"Patient?family={family}"))
    patients = [put(api, new(), name=[{"family": family}]) for _ in range(3)]
    endpoint.wait(4)
    for url in (f"/Subscription/{id}/$status", f"/Subscription/$status?id={id}&status=active"):
        answer = api.get(url).json()
        assert (answer["type"], answer["total"]) == ("searchset", 1)
        assert errors(validator, answer) == []
        status = {p["name"]: p for p in answer["entry"][0]["resource"]["parameter"]}
        assert status["type"]["valueCode"] == "query-status"
        assert status["events-since-subscription-start"]["valueString"] == "3"
    replayed = api.get(f"/Subscription/{id}/$events?eventsSinceNumber=2&eventsUntilNumber=3").json()
    assert (replayed["type"], len(replayed["entry"])) == ("history", 3)
    assert errors(validator, replayed) == []
    assert [e["resource"] for e in replayed["entry"][1:]] == patients[1:]
    less = api.get(f"/Subscription/{id}/$events?content=id-only").json()
    assert [len(less["entry"]), family in json.dumps(less)] == [4, False]
    assert api.get(f"/Subscription/{new()}/$status").status_code == 404
    assert api.get(f"/Subscription/{id}/$events?content=all").status_code == 400
    assert api.get(f"/Subscription/{id}/$events?since=1").status_code == 400
    assert api.get("/Patient/x/$events").status_code == 404


def test_metadata_tells_topics_and_the_websocket(subscribing: Live, api: httpx2.Client) -> None:
    [rest] = api.get("/metadata").json()["rest"]
    [socket_url] = [e["valueUri"] for e in rest["extension"]]
    assert socket_url == f"ws://127.0.0.1:{subscribing.settings.http_port}/websocket"
    [found] = [r for r in rest["resource"] if r["type"] == "Subscription"]
    topics = [e["valueCanonical"] for e in found["extension"]]
    assert "urn:fhirserver:topic:Immunization" in topics
    assert len(topics) == 5


def test_off_and_deleted_subscriptions_are_silent(api: httpx2.Client, endpoint: Endpoint) -> None:
    family = new()
    criteria = f"Patient?family={family}"
    off = subscribe(api, subscription(criteria, f"{endpoint.url}/off"))
    gone = subscribe(api, subscription(criteria, f"{endpoint.url}/gone"))
    ended = subscribe(
        api, {**subscription(criteria, f"{endpoint.url}/end"), "end": "2020-01-01T00:00:00Z"}, "off"
    )
    subscribe(api, subscription(criteria, f"{endpoint.url}/on"))
    body = api.get(f"/Subscription/{off}").json()
    assert (
        api.put(f"/Subscription/{off}", json={**body, "status": "off"}, headers=FHIR).json()["status"]
        == "off"
    )
    api.delete(f"/Subscription/{gone}")
    time.sleep(1.2)
    put(api, new(), name=[{"family": family}])
    endpoint.wait(1, "/hook/on")
    assert {t.path for t in endpoint.taken} == {"/hook/on"}
    assert api.get(f"/Subscription/{ended}").json()["status"] == "off"


def test_what_is_not_delivered_is_delivered_after_a_restart(
    make_settings: Callable[..., Settings], endpoint: Endpoint
) -> None:
    settings = make_settings(http_port=free_port(), subscription_endpoints="http://127.0.0.1:*")
    endpoint.status = 503
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as api:
        subscribe(api, subscription("Patient", endpoint.url, payload="application/fhir+json"))
        ids = [put(api, new())["id"] for _ in range(3)]
        endpoint.wait(1)
    endpoint.taken.clear()
    endpoint.status = 200
    with serve(settings.model_copy(update={"http_port": free_port()})):
        taken = endpoint.wait(3)
    assert [t.json["id"] for t in taken] == ids


def test_every_process_matches_as_soon_as_a_subscription_is_active(
    subscribing: Live, api: httpx2.Client, endpoint: Endpoint
) -> None:
    family = new()
    second = subscribing.settings.model_copy(update={"http_port": free_port()})
    with serve(second) as other, httpx2.Client(base_url=other.base_url, timeout=30) as writer:
        subscribe(api, subscription(f"Patient?family={family}", endpoint.url))
        put(writer, new(), name=[{"family": family}])
        endpoint.wait(1)


def test_a_websocket_is_pinged_for_each_event(subscribing: Live, api: httpx2.Client) -> None:
    family = new()
    body = subscription(f"Patient?family={family}", "")
    body["channel"] = {"type": "websocket"}
    id = subscribe(api, body)
    other = subscribe(api, subscription("Patient?family=nobody", "http://127.0.0.1/"))
    with Socket(subscribing.settings.http_port) as client:
        client.send(f"bind {other}")
        assert client.receive().startswith("error: ")
        client.send("hello")
        assert client.receive().startswith("error: bind ID")
        client.send(f"bind {id}")
        assert client.receive() == f"bound {id}"
        put(api, new(), name=[{"family": "Another"}])
        for _ in range(2):
            put(api, new(), name=[{"family": family}])
        assert [client.receive(), client.receive()] == [f"ping {id}"] * 2
