"""Batch and transaction Bundles over the wire. https://hl7.org/fhir/R4/http.html#transaction"""

import concurrent.futures
from typing import Any
from uuid import uuid4

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}
PATIENT = "urn:uuid:0d9f5f8e-2a0c-4b5d-9f0a-0c1f3a9b7c11"


def entry(method: str, url: str, resource: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    request = {"method": method, "url": url} | {k: v for k, v in more.items() if k.startswith("if")}
    made: dict[str, Any] = {"request": request}
    if resource is not None:
        made["resource"] = resource
    return made | {k: v for k, v in more.items() if not k.startswith("if")}


def post(client: httpx2.Client, *entries: dict[str, Any], type: str = "transaction") -> httpx2.Response:
    bundle = {"resourceType": "Bundle", "type": type, "entry": list(entries)}
    return client.post("/", json=bundle, headers=FHIR)


def patient(value: str = "", **elements: Any) -> dict[str, Any]:
    identifier = {"identifier": [{"system": "urn:t", "value": value}]} if value else {}
    return {"resourceType": "Patient", **identifier, **elements}


def allergy(reference: str) -> dict[str, Any]:
    coding = {"system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical", "code": "active"}
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": {"coding": [coding]},
        "code": {"text": "Arachide"},
        "patient": {"reference": reference},
    }


def test_references_between_entries_are_rewritten(client: httpx2.Client) -> None:
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": PATIENT},
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{PATIENT}">x</a></div>',
        },
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": PATIENT}],
        "content": [{"attachment": {"url": "urn:uuid:b1"}}],
    }
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8="}
    answer = post(
        client,
        entry("POST", "DocumentReference", document, fullUrl="urn:uuid:d1"),
        entry("POST", "Binary", binary, fullUrl="urn:uuid:b1"),
        entry("POST", "Patient", patient(), fullUrl=PATIENT),
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["type"] == "transaction-response"
    locations = [e["response"]["location"] for e in body["entry"]]
    assert [e["response"]["status"] for e in body["entry"]] == ["201 Created"] * 3
    assert [location.split("/")[0] for location in locations] == ["DocumentReference", "Binary", "Patient"]
    stored = client.get("/" + locations[0].partition("/_history")[0]).json()
    reference = locations[2].partition("/_history")[0]
    assert stored["subject"]["reference"] == reference
    assert f'href="{reference}"' in stored["text"]["div"]
    assert stored["content"][0]["attachment"]["url"] == locations[1].partition("/_history")[0]
    assert stored["identifier"][0]["value"] == PATIENT, "an identifier's value is a string, not a link"


def test_a_failing_entry_undoes_all_and_is_named(client: httpx2.Client) -> None:
    mark = str(uuid4())
    answer = post(
        client,
        entry("POST", "Patient", patient(mark), fullUrl=PATIENT),
        entry("POST", "Patient", patient(gender="man")),
    )
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.gender"]
    assert client.get("/Patient", params={"identifier": mark}).json()["total"] == 0


@pytest.mark.parametrize(
    ("entries", "status", "expression"),
    [
        ([{"resource": patient()}], 400, "Bundle.entry[0].request"),
        ([entry("POST", "Patient")], 400, "Bundle.entry[0].resource"),
        ([entry("BREW", "Patient", patient())], 400, "Bundle.entry[0].request.method"),
        ([entry("POST", "Claim", {"resourceType": "Claim"})], 404, "Bundle.entry[0]"),
        ([entry("DELETE", "Patient/a"), entry("PUT", "Patient/a", patient(id="a"))], 400, "Bundle.entry[1]"),
        ([entry("PUT", "Patient/a", patient(id="b"))], 400, "Bundle.entry[0].resource.id"),
        ([entry("PUT", "Patient/zz", patient(id="zz"), ifMatch='W/"4"')], 412, "Bundle.entry[0]"),
        (
            [entry("POST", "AllergyIntolerance", allergy("Patient?identifier=urn:t|nobody"))],
            412,
            "Bundle.entry[0].resource.patient.reference",
        ),
        ([entry("PUT", "Patient?", patient())], 412, "Bundle.entry[0]"),
        (
            [entry("POST", "Patient", patient(), fullUrl=PATIENT)] * 2,
            400,
            "Bundle.entry[1].fullUrl",
        ),
    ],
)
def test_a_transaction_refuses(
    client: httpx2.Client, entries: list[dict[str, Any]], status: int, expression: str
) -> None:
    answer = post(client, *entries)
    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["expression"] == [expression]


def test_conditional_references_and_creates(client: httpx2.Client) -> None:
    mark = str(uuid4())
    once = f"identifier=urn:t|{mark}"
    entries = (
        entry("POST", "Patient", patient(mark), ifNoneExist=once, fullUrl="urn:uuid:p1"),
        entry("POST", "Patient", patient(mark), ifNoneExist=once, fullUrl="urn:uuid:p2"),
        entry("POST", "AllergyIntolerance", allergy("urn:uuid:p2")),
    )
    first, second = post(client, *entries).json(), post(client, *entries).json()
    ids = [e["response"]["location"].split("/")[1] for e in (*first["entry"][:2], *second["entry"][:2])]
    assert len(set(ids)) == 1
    assert [e["response"]["status"] for e in second["entry"]] == ["200 OK", "200 OK", "201 Created"]
    found = client.get("/AllergyIntolerance", params={"patient": ids[0]}).json()
    assert found["total"] == 2
    linked = post(client, entry("POST", "AllergyIntolerance", allergy(f"Patient?identifier=urn:t|{mark}")))
    assert linked.status_code == 200, linked.text
    assert client.get("/AllergyIntolerance", params={"patient": ids[0]}).json()["total"] == 3


def test_order_is_delete_post_put_get_and_answers_follow_the_request(client: httpx2.Client) -> None:
    mark, gone, kept = str(uuid4()), str(uuid4()), str(uuid4())
    for id in (gone, kept):
        client.put(f"/Patient/{id}", json=patient(id=id), headers=FHIR)
    answer = post(
        client,
        entry("GET", f"Patient?identifier=urn:t|{mark}"),
        entry("PUT", f"Patient/{kept}", patient(id=kept, active=True)),
        entry("POST", "Patient", patient(mark)),
        entry("DELETE", f"Patient/{gone}"),
        entry("GET", f"Patient/{kept}"),
    )
    assert answer.status_code == 200, answer.text
    found, updated, created, deleted, read = answer.json()["entry"]
    assert found["resource"]["total"] == 1
    assert updated["response"]["etag"] == 'W/"2"'
    assert created["response"]["status"] == "201 Created"
    assert deleted["response"]["status"] == "204 No Content"
    assert read["resource"]["active"] is True


def test_batch_entries_are_independent(client: httpx2.Client) -> None:
    answer = post(
        client,
        entry("POST", "Patient", patient()),
        entry("POST", "Patient", patient(gender="man")),
        entry("GET", "Patient/none-such"),
        type="batch",
    )
    assert answer.status_code == 200
    body = answer.json()
    assert body["type"] == "batch-response"
    assert [e["response"]["status"][:3] for e in body["entry"]] == ["201", "400", "404"]
    assert body["entry"][2]["response"]["outcome"]["resourceType"] == "OperationOutcome"


def test_concurrent_conditional_creates_make_one_resource(client: httpx2.Client) -> None:
    mark = str(uuid4())

    def create(_: int) -> int:
        headers = FHIR | {"If-None-Exist": f"identifier=urn:t|{mark}"}
        return client.post("/Patient", json=patient(mark), headers=headers).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = sorted(pool.map(create, range(16)))
    assert statuses == [200] * 15 + [201]
    assert client.get("/Patient", params={"identifier": mark}).json()["total"] == 1


def test_concurrent_updates_lose_none(client: httpx2.Client) -> None:
    id = str(uuid4())
    client.put(f"/Patient/{id}", json=patient(id=id), headers=FHIR)

    def update(n: int) -> int:
        body = patient(id=id, multipleBirthInteger=n)
        return client.put(f"/Patient/{id}", json=body, headers=FHIR).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(update, range(1, 9)))
    assert statuses == [200] * 8
    history = client.get(f"/Patient/{id}/_history").json()
    assert history["total"] == 9
    assert sorted(e["resource"].get("multipleBirthInteger", 0) for e in history["entry"]) == list(range(9))


def test_one_of_concurrent_writers_wins_if_match(client: httpx2.Client) -> None:
    id = str(uuid4())
    client.put(f"/Patient/{id}", json=patient(id=id), headers=FHIR)

    def update(n: int) -> int:
        body = patient(id=id, multipleBirthInteger=n)
        return client.put(f"/Patient/{id}", json=body, headers=FHIR | {"If-Match": 'W/"1"'}).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(update, range(1, 9)))
    assert statuses == [200] + [412] * 7
