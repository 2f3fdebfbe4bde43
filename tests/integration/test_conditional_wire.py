"""Conditional writes and their races. https://hl7.org/fhir/R4/http.html#cond-update"""

import concurrent.futures
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from fhirserver.settings import Settings
from tests.live import free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}


@pytest.fixture(scope="module")
def lavish(make_settings: Callable[..., Settings]) -> Iterator[httpx2.Client]:
    """A client of a server where one conditional delete deletes up to three resources."""
    options = {"conditional_delete": "multiple", "conditional_delete_limit": 3, "bundle_max": 5}
    with (
        serve(make_settings(http_port=free_port(), **options)) as live,
        httpx2.Client(base_url=live.base_url, timeout=30) as client,
    ):
        yield client


def patient(mark: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": [{"system": "urn:c", "value": mark}], **elements}


def create(client: httpx2.Client, mark: str) -> str:
    id: str = client.post("/Patient", json=patient(mark), headers=FHIR).json()["id"]
    return id


def total(client: httpx2.Client, mark: str) -> int:
    return int(client.get("/Patient", params={"identifier": mark, "_summary": "count"}).json()["total"])


@pytest.mark.parametrize(("count", "status", "left"), [(0, 204, 0), (1, 204, 0), (3, 204, 0), (4, 412, 4)])
def test_conditional_delete_of_several(lavish: httpx2.Client, count: int, status: int, left: int) -> None:
    mark = str(uuid4())
    for _ in range(count):
        create(lavish, mark)
    answer = lavish.delete("/Patient", params={"identifier": f"urn:c|{mark}"})
    assert answer.status_code == status, answer.text
    assert total(lavish, mark) == left


def test_conditional_delete_tells_how_many(lavish: httpx2.Client) -> None:
    mark = str(uuid4())
    for _ in range(2):
        create(lavish, mark)
    headers = {"Prefer": "return=OperationOutcome"}
    answer = lavish.delete("/Patient", params={"identifier": mark}, headers=headers)
    assert answer.json()["issue"][0]["details"]["text"] == "2 resources are deleted"
    statement = lavish.get("/metadata").json()
    assert {r["conditionalDelete"] for r in statement["rest"][0]["resource"]} == {"multiple"}


def test_conditional_delete_of_several_in_a_transaction(lavish: httpx2.Client) -> None:
    mark = str(uuid4())
    ids = [create(lavish, mark) for _ in range(3)]
    delete = {"request": {"method": "DELETE", "url": f"Patient?identifier=urn:c|{mark}"}}
    put = {
        "resource": patient(mark) | {"id": ids[0]},
        "request": {"method": "PUT", "url": f"Patient/{ids[0]}"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [delete, put]}
    assert lavish.post("/", json=bundle, headers=FHIR).status_code == 400, "one resource, two entries"
    assert total(lavish, mark) == 3
    bundle["entry"] = [delete]
    answer = lavish.post("/", json=bundle, headers=FHIR)
    assert answer.json()["entry"][0]["response"]["status"] == "204 No Content"
    assert total(lavish, mark) == 0


def test_a_bundle_has_a_limit(lavish: httpx2.Client) -> None:
    entry = {"request": {"method": "GET", "url": "metadata"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [entry] * 6}
    answer = lavish.post("/", json=bundle, headers=FHIR)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (413, "too-long")


def test_conditional_delete_of_one(client: httpx2.Client) -> None:
    mark = str(uuid4())
    ids = [create(client, mark), create(client, mark)]
    criteria = {"identifier": f"urn:c|{mark}"}
    assert client.delete("/Patient", params=criteria).status_code == 412
    client.delete(f"/Patient/{ids[0]}")
    assert client.delete("/Patient", params=criteria, headers={"If-Match": 'W/"2"'}).status_code == 412
    assert client.delete("/Patient", params=criteria, headers={"If-Match": 'W/"1"'}).status_code == 204
    assert client.get(f"/Patient/{ids[1]}").status_code == 410


@pytest.mark.parametrize("query", ["", "?identifier=", "?nonsense=1", "?_count=1", "?identifier:bad=1"])
def test_criteria_that_select_nothing_in_particular_are_refused(client: httpx2.Client, query: str) -> None:
    lenient = FHIR | {"Prefer": "handling=lenient"}
    body = patient("x")
    answers = [
        client.delete(f"/Patient{query}", headers=lenient),
        client.put(f"/Patient{query}", json=body, headers=lenient),
        client.patch(
            f"/Patient{query}",
            content="[]",
            headers=lenient | {"Content-Type": "application/json-patch+json"},
        ),
    ]
    if query:
        answers.append(client.post("/Patient", json=body, headers=lenient | {"If-None-Exist": query[1:]}))
    assert {answer.status_code for answer in answers} <= {400, 412}


@pytest.mark.parametrize(("condition", "status"), [('W/"1"', 204), ("*", 204), ('W/"3"', 412), ("x", 400)])
def test_if_match_on_delete(client: httpx2.Client, condition: str, status: int) -> None:
    id = create(client, str(uuid4()))
    assert client.delete(f"/Patient/{id}", headers={"If-Match": condition}).status_code == status


def test_if_none_match_star_creates_only(client: httpx2.Client) -> None:
    id = str(uuid4())
    headers = FHIR | {"If-None-Match": "*"}
    statuses = [
        client.put(f"/Patient/{id}", json=patient("n", id=id), headers=headers).status_code for _ in range(2)
    ]
    assert statuses == [201, 412]


@pytest.mark.parametrize(
    ("matching", "own_id", "status"),
    [(0, "", 201), (0, "new", 201), (1, "", 200), (1, "same", 200), (1, "other", 400), (2, "", 412)],
)
def test_conditional_update(client: httpx2.Client, matching: int, own_id: str, status: int) -> None:
    mark = str(uuid4())
    ids = [create(client, mark) for _ in range(matching)]
    id = {"": "", "new": str(uuid4()), "same": ids[0] if ids else "", "other": str(uuid4())}[own_id]
    body = patient(mark, active=True) | ({"id": id} if id else {})
    answer = client.put("/Patient", params={"identifier": f"urn:c|{mark}"}, json=body, headers=FHIR)
    assert answer.status_code == status, answer.text
    if status < 300:
        assert answer.json()["id"] == (id or (ids[0] if ids else answer.json()["id"]))


@pytest.mark.parametrize("method", ["POST", "PUT", "bundle"])
def test_sixteen_clients_with_the_same_criteria_make_one(client: httpx2.Client, method: str) -> None:
    mark = str(uuid4())
    criteria = f"identifier=urn:c|{mark}"

    def write(n: int) -> int:
        body = patient(mark)
        if method == "POST":
            answer = client.post("/Patient", json=body, headers=FHIR | {"If-None-Exist": criteria})
        elif method == "PUT":
            answer = client.put(f"/Patient?{criteria}", json=body, headers=FHIR)
        else:
            request = {"method": "POST", "url": "Patient", "ifNoneExist": criteria}
            bundle = {"resourceType": "Bundle", "type": "transaction"}
            answer = client.post(
                "/", json=bundle | {"entry": [{"resource": body, "request": request}]}, headers=FHIR
            )
            return int(answer.json()["entry"][0]["response"]["status"][:3])
        return answer.status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = sorted(pool.map(write, range(16)))
    assert statuses == [200] * 15 + [201]
    assert total(client, mark) == 1


def test_an_identifier_of_many_is_several_matches(client: httpx2.Client) -> None:
    """Lookups by identifier share a round trip; one that is that of many must not hide the others."""
    many, one = str(uuid4()), str(uuid4())
    for _ in range(12):
        create(client, many)
    create(client, one)
    entries = [
        {
            "resource": patient(mark),
            "request": {"method": "POST", "url": "Patient", "ifNoneExist": f"identifier=urn:c|{mark}"},
        }
        for mark in (one, many)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("/", json=bundle, headers=FHIR)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (412, ["Bundle.entry[1]"])
    bundle["entry"] = entries[:1]
    found = client.post("/", json=bundle, headers=FHIR).json()
    assert found["entry"][0]["response"]["status"] == "200 OK"
