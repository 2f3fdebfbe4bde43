"""References on write: relative, linked, checked. https://hl7.org/fhir/R4/references.html"""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from fhirserver.settings import Settings
from tests.live import free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}
TOLD = FHIR | {"Prefer": "return=OperationOutcome"}
OTHER = "http://other.test/fhir"


@pytest.fixture(scope="module")
def strict(make_settings: Callable[..., Settings]) -> Iterator[httpx2.Client]:
    """A client of a server that keeps references whole, on write and on delete."""
    options = {"reference_integrity": "enforce", "delete_referenced": "refuse"}
    with (
        serve(make_settings(http_port=free_port(), **options)) as live,
        httpx2.Client(base_url=live.base_url, timeout=30) as client,
    ):
        yield client


def observation(reference: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Poids"},
        "subject": {"reference": reference},
        **elements,
    }


def patient(client: httpx2.Client) -> str:
    id: str = client.post("/Patient", json={"resourceType": "Patient"}, headers=FHIR).json()["id"]
    return id


def entry(method: str, url: str, resource: Any = None, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url}, **more}
    return made | ({"resource": resource} if resource else {})


def transact(client: httpx2.Client, *entries: dict[str, Any], **headers: str) -> httpx2.Response:
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}
    return client.post("/", json=bundle, headers=FHIR | headers)


def located(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return ["/".join(e["response"]["location"].split("/")[:2]) for e in answer.json()["entry"]]


def test_absolute_references_to_this_server_are_stored_relative(client: httpx2.Client) -> None:
    id = patient(client)
    base = str(client.base_url).rstrip("/")
    made = client.post("/Observation", json=observation(f"{base}/Patient/{id}"), headers=FHIR)
    assert made.json()["subject"] == {"reference": f"Patient/{id}"}
    same = client.put(
        f"/Observation/{made.json()['id']}",
        json=observation(f"{base}/Patient/{id}", id=made.json()["id"]),
        headers=FHIR,
    )
    assert same.headers["etag"] == 'W/"1"', "nothing has changed"
    other = client.post("/Observation", json=observation(f"{OTHER}/Patient/{id}"), headers=FHIR)
    assert other.json()["subject"] == {"reference": f"{OTHER}/Patient/{id}"}


@pytest.mark.parametrize(
    ("full_url", "reference", "referring_url"),
    [
        ("urn:oid:1.2.3", "urn:oid:1.2.3", ""),
        (f"{OTHER}/Patient/1", f"{OTHER}/Patient/1", ""),
        # Relative to the base of the entry that refers.
        (f"{OTHER}/Patient/1", "Patient/1", f"{OTHER}/Observation/7"),
        ("Patient/1", "Patient/1", ""),
        ("urn:uuid:a", "urn:uuid:a#part", ""),
        ("urn:uuid:a", "urn:uuid:a/_history/7", ""),
        (f"{OTHER}/Patient/1", "Patient/1/_history/3", f"{OTHER}/Observation/7"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_full_urls(
    client: httpx2.Client, full_url: str, reference: str, referring_url: str, method: str
) -> None:
    id = str(uuid4())
    body = {"resourceType": "Patient", "active": True} | ({"id": id} if method == "PUT" else {})
    referring = entry("POST", "Observation", observation(reference))
    if referring_url:
        referring["fullUrl"] = referring_url
    url = f"Patient/{id}" if method == "PUT" else "Patient"
    target, made = located(transact(client, entry(method, url, body, fullUrl=full_url), referring))
    suffix = "#part" if "#" in reference else "/_history/1" if "_history" in reference else ""
    assert client.get(f"/{made}").json()["subject"]["reference"] == target + suffix


def test_a_versioned_reference_to_what_is_updated_names_the_new_version(client: httpx2.Client) -> None:
    id = patient(client)
    body = {"resourceType": "Patient", "id": id, "active": True}
    entries = (
        entry("PUT", f"Patient/{id}", body, fullUrl="urn:uuid:p"),
        entry("POST", "Observation", observation("urn:uuid:p/_history/1")),
    )
    for _ in range(2):  # the second time, the update changes nothing
        _, made = located(transact(client, *entries))
        assert client.get(f"/{made}").json()["subject"]["reference"] == f"Patient/{id}/_history/2"


def test_reads_in_a_transaction_have_their_own_answers(client: httpx2.Client) -> None:
    id = patient(client)
    stamp = client.get(f"/Patient/{id}").json()["meta"]["lastUpdated"]
    fresh = entry("GET", f"Patient/{id}")
    fresh["request"]["ifModifiedSince"] = stamp
    unchanged = entry("GET", f"Patient/{id}")
    unchanged["request"]["ifNoneMatch"] = 'W/"1"'
    answer = transact(
        client,
        entry("POST", "Patient", {"resourceType": "Patient"}),
        entry("GET", "Patient/none"),
        fresh,
        unchanged,
    )
    statuses = [e["response"]["status"][:3] for e in answer.json()["entry"]]
    assert statuses == ["201", "404", "304", "304"]
    assert answer.json()["entry"][1]["response"]["outcome"]["issue"][0]["code"] == "not-found"


@pytest.mark.parametrize(
    ("reference", "refused"),
    [
        ("Patient/none-such", True),
        ("Patient/none-such/_history/1", True),
        ("Claim/1", True),
        (f"{OTHER}/Patient/none-such", False),
        ("urn:uuid:0d9f5f8e-2a0c-4b5d-9f0a-0c1f3a9b7c11", False),
    ],
)
def test_references_to_nothing(
    client: httpx2.Client, strict: httpx2.Client, reference: str, refused: bool
) -> None:
    body = observation("Patient/x", focus=[{"reference": reference}])
    del body["subject"]
    single = client.post("/Observation", json=body, headers=FHIR)
    assert single.status_code == 201, "outside of transactions it is told, not refused"
    outcome = client.post("/Observation", json=body, headers=TOLD).json()
    assert [i["severity"] for i in outcome["issue"]] == ["information"] + ["warning"] * refused
    in_transaction = transact(client, entry("POST", "Observation", body))
    assert in_transaction.status_code == (422 if refused else 200), in_transaction.text
    enforced = strict.post("/Observation", json=body, headers=FHIR)
    assert enforced.status_code == (422 if refused else 201)
    if refused:
        issue = in_transaction.json()["issue"][0]
        assert (issue["code"], issue["expression"]) == (
            "not-found",
            ["Bundle.entry[0].resource.focus[0].reference"],
        )


def test_a_transaction_may_keep_a_reference_to_nothing_that_is_there_already(client: httpx2.Client) -> None:
    body = observation("Patient/x", focus=[{"reference": "Patient/none-such"}])
    del body["subject"]
    stored = client.post("/Observation", json=body, headers=FHIR).json()
    url = f"Observation/{stored['id']}"
    kept = {**stored, "note": [{"text": "x"}]}
    assert transact(client, entry("PUT", url, kept)).status_code == 200
    more = {**kept, "focus": [*kept["focus"], {"reference": "Patient/another"}]}
    answer = transact(client, entry("PUT", url, more))
    assert answer.status_code == 422
    assert [i["expression"] for i in answer.json()["issue"]] == [
        ["Bundle.entry[0].resource.focus[1].reference"]
    ]


def test_an_update_of_what_refers_to_what_the_same_transaction_deletes(client: httpx2.Client) -> None:
    id = patient(client)
    stored = client.post("/Observation", json=observation(f"Patient/{id}"), headers=FHIR).json()
    changed = entry("PUT", f"Observation/{stored['id']}", {**stored, "note": [{"text": "x"}]})
    assert transact(client, entry("DELETE", f"Patient/{id}"), changed).status_code == 422


def test_a_reference_to_what_the_same_transaction_deletes(client: httpx2.Client) -> None:
    id = patient(client)
    answer = transact(
        client, entry("DELETE", f"Patient/{id}"), entry("POST", "Observation", observation(f"Patient/{id}"))
    )
    assert answer.status_code == 422
    assert client.get(f"/Patient/{id}").status_code == 200


def test_logical_references_are_kept(client: httpx2.Client) -> None:
    body = observation("Patient/x")
    body["subject"] = {"identifier": {"system": "urn:x", "value": "1"}, "display": "x"}
    _made = located(transact(client, entry("POST", "Observation", body)))[0]
    assert client.get(f"/{_made}").json()["subject"] == body["subject"]


def test_what_others_refer_to_is_not_deleted(strict: httpx2.Client) -> None:
    id = patient(strict)
    made = strict.post("/Observation", json=observation(f"Patient/{id}"), headers=FHIR).json()["id"]
    refused = strict.delete(f"/Patient/{id}")
    assert (refused.status_code, refused.json()["issue"][0]["code"]) == (409, "conflict")
    assert f"Observation/{made}" in refused.json()["issue"][0]["details"]["text"]
    together = transact(strict, entry("DELETE", f"Patient/{id}"), entry("DELETE", f"Observation/{made}"))
    assert together.status_code == 200, together.text
    assert strict.get(f"/Patient/{id}").status_code == 410


def test_deleting_what_others_refer_to_is_allowed_by_default(client: httpx2.Client) -> None:
    id = patient(client)
    client.post("/Observation", json=observation(f"Patient/{id}"), headers=FHIR)
    assert client.delete(f"/Patient/{id}").status_code == 204


def test_a_batch_of_a_thousand_entries(client: httpx2.Client) -> None:
    id = patient(client)
    entries = [entry("POST", "Observation", observation(f"Patient/{id}")) for _ in range(1000)]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = client.post("/", json=bundle, headers=FHIR | {"Prefer": "return=minimal"}, timeout=60)
    statuses = [e["response"]["status"] for e in answer.json()["entry"]]
    assert statuses == ["201 Created"] * 1000
