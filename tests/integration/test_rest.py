"""The REST core as a client sees it. https://hl7.org/fhir/R4/http.html"""

import json
from typing import Any

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"family": "Durand", "given": ["Éloïse"]}], **elements}


def create(client: httpx2.Client, resource: dict[str, Any]) -> httpx2.Response:
    answer = client.post(f"/{resource['resourceType']}", json=resource, headers=FHIR)
    assert answer.status_code == 201, answer.text
    return answer


def issue(answer: httpx2.Response) -> dict[str, Any]:
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    first: dict[str, Any] = body["issue"][0]
    return first


def test_create_answers_location_etag_and_the_resource(client: httpx2.Client) -> None:
    answer = create(client, patient(id="ignored", meta={"versionId": "7", "tag": [{"code": "kept"}]}))
    body = answer.json()
    assert body["id"] != "ignored"
    assert body["meta"]["versionId"] == "1"
    assert body["meta"]["tag"] == [{"code": "kept"}]
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["location"] == f"{client.base_url}Patient/{body['id']}/_history/1".replace(
        "//P", "/P"
    )
    assert answer.headers["last-modified"].endswith("GMT")


def test_a_body_comes_back_as_it_was_sent(client: httpx2.Client) -> None:
    body = (
        '{"resourceType":"Observation","status":"final","code":{"text":"é\\u00e9 \\"x\\""},'
        '"valueQuantity":{"value":1.10,"unit":"g"},"_effectiveDateTime":{"extension":[{"url":"http://x.test/e",'
        '"valueDecimal":0.010}]},"component":[{"code":{"text":"a"},"valueQuantity":{"value":100.00}},'
        '{"code":{"text":"b"},"valueQuantity":{"value":-3.0e2}}]}'
    )
    created = client.post("/Observation", content=body.encode(), headers=FHIR)
    assert created.status_code == 201, created.text
    text = client.get(f"/Observation/{created.json()['id']}").text
    for digits in ('"value":1.10', '"valueDecimal":0.010', '"value":100.00', '"value":-3.0E+2'):
        assert digits in text
    names = list(json.loads(text))
    assert names == [
        "resourceType",
        "id",
        "meta",
        "status",
        "code",
        "valueQuantity",
        "_effectiveDateTime",
        "component",
    ]


def test_update_makes_versions_and_only_when_something_changes(client: httpx2.Client) -> None:
    id = create(client, patient()).json()["id"]
    changed = client.put(f"/Patient/{id}", json=patient(id=id, active=True), headers=FHIR)
    assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"')
    again = client.put(f"/Patient/{id}", json=patient(id=id, active=True), headers=FHIR)
    assert (again.status_code, again.headers["etag"]) == (200, 'W/"2"')
    assert client.get(f"/Patient/{id}/_history/1").json()["meta"]["versionId"] == "1"
    assert "active" not in client.get(f"/Patient/{id}/_history/1").json()
    assert client.get(f"/Patient/{id}/_history/2").json()["active"] is True
    assert client.get(f"/Patient/{id}/_history/3").status_code == 404


def test_update_creates_what_is_not_there(client: httpx2.Client) -> None:
    answer = client.put("/Patient/chosen-by-client", json=patient(id="chosen-by-client"), headers=FHIR)
    assert (answer.status_code, answer.headers["etag"]) == (201, 'W/"1"')


@pytest.mark.parametrize(
    ("body", "status", "code", "expression"),
    [
        (patient(), 400, "invalid", "Patient.id"),
        (patient(id="other"), 400, "invalid", "Patient.id"),
        ({"resourceType": "Device", "id": "p"}, 400, "invalid", "resourceType"),
        (patient(id="p", gender="man"), 400, "code-invalid", "Patient.gender"),
        (patient(id="p", nickname="x"), 400, "structure", "Patient.nickname"),
        (patient(id="p", birthDate="1980-02-30"), 400, "value", "Patient.birthDate"),
        (patient(id="p", name={"family": "x"}), 400, "structure", "Patient.name"),
    ],
)
def test_update_refuses(
    client: httpx2.Client, body: dict[str, Any], status: int, code: str, expression: str
) -> None:
    answer = client.put("/Patient/p", json=body, headers=FHIR)
    found = issue(answer)
    assert (answer.status_code, found["code"], found["expression"]) == (status, code, [expression])


@pytest.mark.parametrize(
    ("condition", "status"),
    [('W/"1"', 200), ('"1"', 200), ('W/"7", W/"1"', 200), ("*", 200), ('W/"2"', 412), ("1", 400)],
)
def test_if_match(client: httpx2.Client, condition: str, status: int) -> None:
    id = create(client, patient()).json()["id"]
    body = patient(id=id, active=True)
    assert (
        client.put(f"/Patient/{id}", json=body, headers=FHIR | {"If-Match": condition}).status_code == status
    )


def test_delete_is_a_version_and_a_put_revives(client: httpx2.Client) -> None:
    id = create(client, patient()).json()["id"]
    assert client.delete(f"/Patient/{id}").status_code == 204
    assert client.delete(f"/Patient/{id}").status_code == 204
    gone = client.get(f"/Patient/{id}")
    assert (gone.status_code, gone.headers["etag"], issue(gone)["code"]) == (410, 'W/"2"', "deleted")
    assert client.get(f"/Patient/{id}/_history/2").status_code == 410
    assert client.get("/Patient", params={"_id": id}).json()["total"] == 0
    revived = client.put(f"/Patient/{id}", json=patient(id=id), headers=FHIR)
    assert (revived.status_code, revived.headers["etag"]) == (201, 'W/"3"')
    history = client.get(f"/Patient/{id}/_history").json()
    assert [e["request"]["method"] for e in history["entry"]] == ["PUT", "DELETE", "POST"]
    assert [e["response"]["status"] for e in history["entry"]] == ["201", "204", "201"]
    assert [e["response"]["etag"] for e in history["entry"]] == ['W/"3"', 'W/"2"', 'W/"1"']
    assert "resource" not in history["entry"][1]
    assert history["total"] == 3


@pytest.mark.parametrize(
    ("method", "path", "content_type", "body", "status", "code"),
    [
        ("GET", "/Patient/none-such", "", b"", 404, "not-found"),
        ("GET", "/Patient/a_b", "", b"", 400, "invalid"),
        ("GET", "/Patient/none-such/_history", "", b"", 404, "not-found"),
        ("DELETE", "/Patient/none-such", "", b"", 204, ""),
        ("GET", "/Claim/1", "", b"", 404, "not-supported"),
        ("GET", "/Nonsense", "", b"", 404, "not-supported"),
        ("GET", "/Patient/1/a/b/c/d", "", b"", 404, "not-found"),
        ("PUT", "/metadata", "application/fhir+json", b"{}", 405, "not-supported"),
        ("DELETE", "/", "", b"", 405, "not-supported"),
        ("POST", "/Patient", "", b"{}", 415, "not-supported"),
        ("POST", "/Patient", "text/plain", b"{}", 415, "not-supported"),
        ("POST", "/Patient", "application/fhir+json", b"", 400, "structure"),
        ("POST", "/Patient", "application/fhir+json", b"{", 400, "structure"),
        ("POST", "/Patient", "application/fhir+json", b"[]", 400, "structure"),
        ("POST", "/Patient", "application/fhir+json", b"null", 400, "structure"),
        (
            "POST",
            "/Patient",
            "application/fhir+json",
            b'{"resourceType":"Patient","a":1,"a":2}',
            400,
            "structure",
        ),
        (
            "POST",
            "/Patient",
            "application/fhir+json",
            b'{"resourceType":"Patient","id":"\xff"}',
            400,
            "structure",
        ),
        ("POST", "/Patient", "application/fhir+json", b"[" * 100_000, 400, "structure"),
        (
            "POST",
            "/Patient",
            "application/fhir+json",
            b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
            400,
            "structure",
        ),
        (
            "POST",
            "/Patient",
            "application/fhir+xml",
            b"<Patient xmlns='http://hl7.org/fhir'><na",
            400,
            "structure",
        ),
        ("POST", "/", "application/fhir+json", b'{"resourceType":"Patient"}', 400, "invalid"),
        ("GET", "/Patient?unknown=1", "", b"", 400, "not-supported"),
        ("GET", "/Patient?_page=forged", "", b"", 400, "invalid"),
        (
            "POST",
            "/Patient?identifier=x",
            "application/fhir+json",
            b'{"resourceType":"Patient"}',
            400,
            "not-supported",
        ),
        ("PUT", "/Patient/p?identifier=x", "application/fhir+json", b"{}", 400, "not-supported"),
        ("DELETE", "/Patient/p?identifier=x", "", b"", 400, "not-supported"),
    ],
)
def test_bad_requests_answer_outcomes(
    client: httpx2.Client, method: str, path: str, content_type: str, body: bytes, status: int, code: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = client.request(method, path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert issue(answer)["code"] == code
        assert answer.headers["content-type"].startswith("application/fhir+json")


def test_a_type_that_is_off_names_those_that_are_on(client: httpx2.Client) -> None:
    assert "Patient, Practitioner" in issue(client.get("/Claim/1"))["details"]["text"]


def test_405_names_what_is_allowed(client: httpx2.Client) -> None:
    assert client.put("/metadata", content=b"").headers["allow"] == "GET, HEAD, OPTIONS"


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(client: httpx2.Client) -> None:
    answer = client.post(
        "/Binary", content=b"x" * (65 * 1024 * 1024), headers={"Content-Type": "application/pdf"}
    )
    assert (answer.status_code, issue(answer)["code"]) == (413, "too-long")


def test_head_has_the_headers_of_get(client: httpx2.Client) -> None:
    id = create(client, patient()).json()["id"]
    got, head = client.get(f"/Patient/{id}"), client.head(f"/Patient/{id}")
    assert head.content == b""
    for name in ("etag", "content-length", "content-type", "last-modified"):
        assert head.headers[name] == got.headers[name]


@pytest.mark.parametrize("preference", ["minimal", "representation", "OperationOutcome"])
def test_prefer_return(client: httpx2.Client, preference: str) -> None:
    answer = client.post("/Patient", json=patient(), headers=FHIR | {"Prefer": f"return={preference}"})
    assert answer.headers["preference-applied"] == f"return={preference}"
    expected = {"minimal": "", "representation": "Patient", "OperationOutcome": "OperationOutcome"}[
        preference
    ]
    assert (answer.json()["resourceType"] if answer.content else "") == expected


def test_conditional_create(client: httpx2.Client) -> None:
    body = patient(identifier=[{"system": "urn:x", "value": "cc-1"}])
    headers = FHIR | {"If-None-Exist": "identifier=urn:x|cc-1"}
    first = client.post("/Patient", json=body, headers=headers)
    second = client.post("/Patient", json=body, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["location"] == second.headers["location"]
    create(client, body)
    assert client.post("/Patient", json=body, headers=headers).status_code == 412
    assert (
        client.post("/Patient", json=body, headers=FHIR | {"If-None-Exist": "identifier="}).status_code == 412
    )


def test_conditional_update(client: httpx2.Client) -> None:
    body = patient(identifier=[{"system": "urn:x", "value": "cu-1"}])
    first = client.put("/Patient", params={"identifier": "urn:x|cu-1"}, json=body, headers=FHIR)
    second = client.put(
        "/Patient", params={"identifier": "urn:x|cu-1"}, json={**body, "active": True}, headers=FHIR
    )
    assert (first.status_code, second.status_code, second.headers["etag"]) == (201, 200, 'W/"2"')
    assert client.put("/Patient", json=body, headers=FHIR).status_code == 412


def test_binary_is_served_as_its_content(client: httpx2.Client) -> None:
    for content in (b"%PDF-1.4 small", bytes(range(256)) * 1000):
        answer = client.post("/Binary", content=content, headers={"Content-Type": "application/pdf"})
        id = answer.headers["location"].split("/")[-3]
        raw = client.get(f"/Binary/{id}", headers={"Accept": "*/*"})
        assert (raw.content, raw.headers["content-type"]) == (content, "application/pdf")
        resource = client.get(f"/Binary/{id}", headers={"Accept": "application/fhir+json"}).json()
        assert (resource["resourceType"], resource["contentType"]) == ("Binary", "application/pdf")


def test_capabilities_are_those_of_the_server(client: httpx2.Client) -> None:
    statement = client.get("/metadata").json()
    assert (statement["resourceType"], statement["fhirVersion"]) == ("CapabilityStatement", "4.0.1")
    types = {r["type"]: r for r in statement["rest"][0]["resource"]}
    assert {"Patient", "DocumentReference", "Communication", "AllergyIntolerance", "Immunization"} <= set(
        types
    )
    assert {"identifier", "family", "birthdate", "general-practitioner", "_id", "_lastUpdated"} <= {
        p["name"] for p in types["Patient"]["searchParam"]
    }


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "/health"), ("GET", "/feeds/cda"), ("DELETE", "/admin/inbox")]
)
def test_405_outside_of_fhir_is_an_outcome_too(client: httpx2.Client, method: str, path: str) -> None:
    answer = client.request(method, str(client.base_url).replace("/fhir/", path))
    assert (answer.status_code, issue(answer)["code"]) == (405, "not-supported")
    assert answer.headers["allow"]
