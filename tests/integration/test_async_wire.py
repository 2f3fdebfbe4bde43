"""``Prefer: respond-async`` for searches and Bundles. https://hl7.org/fhir/R4/async.html"""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from fhirserver.storage.database import Database

FHIR = {"Content-Type": "application/fhir+json"}
LATER = {"Prefer": "respond-async"}


def begun(answer: httpx2.Response) -> str:
    assert answer.status_code == 202, answer.text
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.json()["resourceType"] == "OperationOutcome"
    return answer.headers["content-location"]


def ended(client: httpx2.Client, url: str) -> httpx2.Response:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        answer = client.get(url)
        if answer.status_code != 202:
            return answer
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["x-progress"]
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def entry(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["resourceType"], body["type"], len(body["entry"])) == ("Bundle", "batch-response", 1)
    one: dict[str, Any] = body["entry"][0]
    return one


def patient(value: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:later", "value": value}]}


def posts(kind: str, *values: str, **more: Any) -> dict[str, Any]:
    entries = [
        {"resource": patient(value), "request": {"method": "POST", "url": "Patient", **more}}
        for value in values
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def total(client: httpx2.Client, value: str) -> int:
    return int(client.get("/Patient", params={"identifier": value, "_total": "accurate"}).json()["total"])


@pytest.mark.parametrize(
    ("method", "url", "form"),
    [
        ("GET", "/Patient?identifier={mark}", None),
        ("POST", "/Patient/_search", {"identifier": "{mark}"}),
        ("GET", "/?_type=Patient,Practitioner&identifier={mark}", None),
    ],
)
def test_a_search(client: httpx2.Client, method: str, url: str, form: dict[str, str] | None) -> None:
    mark = uuid4().hex
    for _ in range(2):
        client.post("/Patient", json=patient(mark), headers=FHIR)
    data = {name: value.format(mark=mark) for name, value in form.items()} if form else None
    url = url.format(mark=mark)
    later = entry(ended(client, begun(client.request(method, url, data=data, headers=LATER))))
    assert later["response"]["status"] == "200 OK"
    assert later["resource"] == client.request(method, url, data=data).json()


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_bundle(client: httpx2.Client, kind: str) -> None:
    mark = uuid4().hex
    answer = client.post("/", json=posts(kind, mark, mark), headers=FHIR | LATER)
    later = entry(ended(client, begun(answer)))
    assert later["resource"]["type"] == f"{kind}-response"
    assert [e["response"]["status"] for e in later["resource"]["entry"]] == ["201 Created"] * 2
    assert total(client, mark) == 2


def test_a_bundle_in_xml_and_its_answer_in_xml(client: httpx2.Client) -> None:
    body = b'<Bundle xmlns="http://hl7.org/fhir"><type value="batch"/></Bundle>'
    headers = LATER | {"Content-Type": "application/fhir+xml"}
    url = begun(client.post("/", content=body, headers=headers))
    ended(client, url)
    answer = client.get(url, headers={"Accept": "application/fhir+xml"})
    assert '<type value="batch-response"/>' in answer.text


def test_a_refused_transaction_tells_why(client: httpx2.Client) -> None:
    bundle = posts("transaction", "x")
    bundle["entry"][0]["resource"]["gender"] = "man"
    later = entry(ended(client, begun(client.post("/", json=bundle, headers=FHIR | LATER))))
    assert later["response"]["status"].startswith("400")
    issue = later["response"]["outcome"]["issue"][0]
    assert issue["expression"] == ["Bundle.entry[0].resource.gender"]


@pytest.mark.parametrize(
    ("method", "url", "body", "status"),
    [
        ("GET", "/Patient?unknown=1", b"", 400),
        ("GET", "/Nonsense", b"", 404),
        ("GET", "/Patient/1/Organization", b"", 400),
        ("POST", "/", b"{", 400),
        ("POST", "/", b"", 400),
    ],
)
def test_what_can_never_succeed_is_refused_at_once(
    client: httpx2.Client, method: str, url: str, body: bytes, status: int
) -> None:
    answer = client.request(method, url, content=body, headers=FHIR | LATER)
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")


def test_elsewhere_the_preference_is_not_applied(client: httpx2.Client) -> None:
    made = client.post("/Patient", json=patient("now"), headers=FHIR | LATER)
    assert made.status_code == 201
    assert client.get(f"/Patient/{made.json()['id']}", headers=LATER).status_code == 200


def test_other_preferences_are_kept(client: httpx2.Client) -> None:
    headers = {"Prefer": "handling=lenient, respond-async"}
    later = entry(ended(client, begun(client.get("/Patient?unknown=1&_count=1", headers=headers))))
    modes = [e["search"]["mode"] for e in later["resource"]["entry"]]
    assert "outcome" in modes


def test_a_job_that_is_removed_is_gone(client: httpx2.Client) -> None:
    url = begun(client.get("/Patient?_count=1", headers=LATER))
    assert client.delete(url).status_code == 202
    assert client.get(url).status_code == 404
    assert client.delete(url).status_code == 404
    assert client.get(f"/_jobs/{uuid4()}").status_code == 404


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_job_that_is_taken_up_again_writes_nothing_twice(
    client: httpx2.Client, live: Any, kind: str
) -> None:
    """As when the process died after the writes and before the answer was stored."""
    mark = uuid4().hex
    url = begun(client.post("/", json=posts(kind, mark, mark), headers=FHIR | LATER))
    first = entry(ended(client, url))
    assert total(client, mark) == 2
    asyncio.run(forget_the_end(live.settings, url.rpartition("/")[2]))
    again = entry(ended(client, url))
    assert total(client, mark) == 2
    assert first["resource"]["type"] == f"{kind}-response"
    if kind == "transaction":
        assert "interrupted" in again["response"]["outcome"]["issue"][0]["details"]["text"]
    else:
        assert [e["response"]["status"] for e in again["resource"]["entry"]] == ["200 OK"] * 2


async def forget_the_end(settings: Any, id: str) -> None:
    database = Database(settings.mongodb_uri, settings.database, embedded=True)
    try:
        values = {"status": "running", "process": "dead", "until": datetime.fromtimestamp(0, UTC)}
        done = await database.collection("jobs").update_one({"_id": id}, {"$set": values})
        assert done.matched_count == 1
    finally:
        await database.close()
