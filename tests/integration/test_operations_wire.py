"""Operations over the wire: how they are called, $validate, $meta. https://hl7.org/fhir/R4/operations.html"""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}
CORE = "http://hl7.org/fhir/StructureDefinition/"


def patient(client: httpx2.Client, **elements: Any) -> str:
    body = {"resourceType": "Patient", **elements}
    id: str = client.post("/Patient", json=body, headers=FHIR).json()["id"]
    return id


def parameters(**values: Any) -> dict[str, Any]:
    made = [{"name": k, "resource" if isinstance(v, dict) else "valueCode": v} for k, v in values.items()]
    return {"resourceType": "Parameters", "parameter": made}


def issues(answer: httpx2.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(issue["severity"], issue["code"]) for issue in answer.json()["issue"]]


OK = [("information", "informational")]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "/$nonsense", 404, "not-found"),
        ("GET", "/Patient/$nonsense", 404, "not-found"),
        ("GET", "/Patient/1/$nonsense", 404, "not-found"),
        ("GET", "/Patient/1/_history/1/$meta", 404, "not-found"),
        ("GET", "/Claim/$meta", 404, "not-supported"),
        ("GET", "/Patient/1/$meta-add", 405, "not-supported"),
        ("DELETE", "/Patient/1/$meta", 405, "not-supported"),
        ("GET", "/Patient/$meta?nonsense=1", 400, "not-supported"),
    ],
)
def test_calls_that_are_none(client: httpx2.Client, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code)


def test_an_unknown_operation_is_told_the_known_ones(client: httpx2.Client) -> None:
    text = client.get("/Observation/$nonsense").json()["issue"][0]["details"]["text"]
    assert "$meta, " in text
    assert "$validate" in text
    assert "$meta-add" not in text


def test_options_and_metadata_name_operations(client: httpx2.Client) -> None:
    assert client.options("/Patient/1/$meta-add").headers["allow"] == "OPTIONS, POST"
    assert client.options("/Patient/$meta").headers["allow"] == "GET, OPTIONS, POST"
    rest = client.get("/metadata").json()["rest"][0]
    resource = next(r for r in rest["resource"] if r["type"] == "Device")
    assert {
        "name": "validate",
        "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate",
    } in (resource["operation"])
    assert "meta" in {o["name"] for o in rest["operation"]}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"resourceType": "Patient", "gender": "female"}, OK),
        ({"resourceType": "Patient", "gender": "man"}, [("error", "code-invalid")]),
        ({"resourceType": "Patient", "nickname": "x"}, [("error", "structure")]),
        ({"resourceType": "Device"}, [("error", "invalid")]),
        (parameters(resource={"resourceType": "Patient"}), OK),
        (parameters(resource={"resourceType": "Patient", "gender": "man"}), [("error", "code-invalid")]),
        (parameters(resource={"resourceType": "Patient"}, mode="create"), OK),
        (parameters(resource={"resourceType": "Patient"}, mode="update"), [("error", "required")]),
        (parameters(resource={"resourceType": "Patient"}, profile=CORE + "Patient"), OK),
        (parameters(resource={"resourceType": "Patient"}, profile=CORE + "Device"), [("error", "invalid")]),
        (
            parameters(resource={"resourceType": "Patient"}, profile="http://x.test/p"),
            [("warning", "not-supported")],
        ),
        (
            {"resourceType": "Patient", "managingOrganization": {"reference": "Organization/none"}},
            [("warning", "not-found")],
        ),
    ],
)
def test_validate(client: httpx2.Client, body: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert issues(client.post("/Patient/$validate", json=body, headers=FHIR)) == expected


def test_validate_an_instance(client: httpx2.Client) -> None:
    id = patient(client)
    path = f"/Patient/{id}/$validate"
    assert issues(client.get(path)) == OK
    assert issues(client.get(path, params={"mode": "delete"})) == OK
    assert issues(client.get("/Patient/none/$validate?mode=delete")) == [("warning", "not-found")]
    other = parameters(resource={"resourceType": "Patient", "id": "other"}, mode="update")
    assert issues(client.post(path, json=other, headers=FHIR)) == [("error", "invalid")]
    same = parameters(resource={"resourceType": "Patient", "id": id}, mode="update")
    assert issues(client.post(path, json=same, headers=FHIR)) == OK
    assert client.get(f"/Patient/{id}").headers["etag"] == 'W/"1"', "nothing is stored"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/Patient/$validate", {"resourceType": "Parameters"}),
        ("/Patient/$validate", {"resourceType": "Parameters", "parameter": [{}]}),
        ("/Patient/$validate", {"resourceType": "Parameters", "parameter": [{"name": "resource"}]}),
        ("/Patient/$validate", parameters(resource={"resourceType": "Patient"}, mode="guess")),
        ("/Patient/$validate", parameters(mode="delete")),
        ("/Patient/none/$meta-add", {"resourceType": "Patient"}),
        ("/Patient/none/$meta-add", {"resourceType": "Parameters"}),
    ],
)
def test_what_cannot_be_done_is_no_outcome_of_it(
    client: httpx2.Client, path: str, body: dict[str, Any]
) -> None:
    answer = client.post(path, json=body, headers=FHIR)
    assert answer.status_code == 400, answer.text


def meta(answer: httpx2.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    meta: dict[str, Any] = answer.json()["parameter"][0]["valueMeta"]
    return meta


def test_meta_is_added_and_deleted_with_a_version_each(client: httpx2.Client) -> None:
    id, mark = patient(client, meta={"tag": [{"system": "urn:t", "code": "a"}]}), str(uuid4())
    labels = {
        "tag": [{"system": "urn:t", "code": "a"}, {"system": "urn:t", "code": mark}],
        "security": [{"code": "R"}],
        "profile": [f"http://x.test/{mark}"],
    }
    body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": labels}]}
    added = client.post(f"/Patient/{id}/$meta-add", json=body, headers=FHIR)
    assert {k: meta(added)[k] for k in labels} == labels
    assert (meta(added)["versionId"], added.headers["etag"]) == ("2", 'W/"2"')
    again = client.post(f"/Patient/{id}/$meta-add", json=body, headers=FHIR)
    assert again.headers["etag"] == 'W/"2"', "nothing was new"
    assert meta(client.get(f"/Patient/{id}/$meta"))["tag"] == labels["tag"]
    used = meta(client.get("/Patient/$meta"))
    assert {"system": "urn:t", "code": mark} in used["tag"]
    assert f"http://x.test/{mark}" in used["profile"]
    assert {"code": "R"} in meta(client.get("/$meta"))["security"]
    deleted = client.post(f"/Patient/{id}/$meta-delete", json=body, headers=FHIR)
    assert set(meta(deleted)) == {"versionId", "lastUpdated"}
    assert client.get(f"/Patient/{id}").headers["etag"] == 'W/"3"'
    wrong = client.post(f"/Patient/{id}/$meta-add", json=body, headers=FHIR | {"If-Match": 'W/"1"'})
    assert wrong.status_code == 412
    client.delete(f"/Patient/{id}")
    assert client.get(f"/Patient/{id}/$meta").status_code == 410
    assert client.post("/Patient/none/$meta-add", json=body, headers=FHIR).status_code == 404


def test_meta_that_is_not_valid_is_refused(client: httpx2.Client) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "meta", "valueMeta": {"tag": [{"colour": "red"}]}}],
    }
    answer = client.post(f"/Patient/{patient(client)}/$meta-add", json=body, headers=FHIR)
    assert answer.status_code == 422


def test_operations_in_bundles(client: httpx2.Client) -> None:
    id = patient(client)
    validate = {
        "resource": {"resourceType": "Patient"},
        "request": {"method": "POST", "url": "Patient/$validate"},
    }
    read = {"request": {"method": "GET", "url": f"Patient/{id}/$meta"}}
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [validate, read]}
    entries = client.post("/", json=bundle, headers=FHIR).json()["entry"]
    assert [e["response"]["status"] for e in entries] == ["200 OK", "200 OK"]
    bundle["type"] = "transaction"
    answer = client.post("/", json=bundle, headers=FHIR)
    assert (answer.status_code, answer.json()["issue"][0]["expression"]) == (400, ["Bundle.entry[0]"])
