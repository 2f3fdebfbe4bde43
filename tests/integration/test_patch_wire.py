"""PATCH over the wire. https://hl7.org/fhir/R4/http.html#patch"""

import base64
import concurrent.futures
import json
from typing import Any
from uuid import uuid4

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}
JSON_PATCH = {"Content-Type": "application/json-patch+json"}
XML_PATCH = {"Content-Type": "application/xml-patch+xml"}
ACTIVATE = [{"op": "add", "path": "/active", "value": True}]
ACTIVATE_XML = (
    '<diff xmlns:f="http://hl7.org/fhir"><add sel="f:Patient/f:gender" pos="before">'
    '<f:active value="true"/></add></diff>'
)


def fhirpath(type: str, path: str, **parts: dict[str, Any]) -> dict[str, Any]:
    made = [{"name": "type", "valueCode": type}, {"name": "path", "valueString": path}]
    made += [{"name": name, **value} for name, value in parts.items()]
    return {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": made}]}


ACTIVATE_FHIRPATH = fhirpath("add", "Patient", name={"valueString": "active"}, value={"valueBoolean": True})
ACTIVATE_FHIRPATH_XML = """<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>
<part><name value="type"/><valueCode value="add"/></part>
<part><name value="path"/><valueString value="Patient"/></part>
<part><name value="name"/><valueString value="active"/></part>
<part><name value="value"/><valueBoolean value="true"/></part></parameter></Parameters>"""


def patient(client: httpx2.Client, **elements: Any) -> str:
    body = {"resourceType": "Patient", "gender": "female", **elements}
    id: str = client.post("/Patient", json=body, headers=FHIR).json()["id"]
    return id


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json-patch+json", json.dumps(ACTIVATE)),
        ("application/json-patch+json; charset=utf-8", json.dumps(ACTIVATE)),
        ("application/fhir+json", json.dumps(ACTIVATE_FHIRPATH)),
        ("application/fhir+xml", ACTIVATE_FHIRPATH_XML),
        ("application/xml-patch+xml", ACTIVATE_XML),
    ],
)
def test_each_format_makes_the_next_version(client: httpx2.Client, content_type: str, body: str) -> None:
    id = patient(client)
    answer = client.patch(f"/Patient/{id}", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"'), answer.text
    assert answer.json()["active"] is True
    assert client.get(f"/Patient/{id}").json()["meta"]["versionId"] == "2"
    entry = client.get(f"/Patient/{id}/_history").json()["entry"][0]
    assert entry["request"] == {"method": "PATCH", "url": f"Patient/{id}"}


@pytest.mark.parametrize(
    ("patch", "status", "code"),
    [
        ([{"op": "replace", "path": "/gender", "value": "man"}], 422, "code-invalid"),
        ([{"op": "remove", "path": "/id"}], 422, "processing"),
        ([{"op": "replace", "path": "/id", "value": "other"}], 422, "processing"),
        ([{"op": "replace", "path": "/meta/versionId", "value": "9"}], 422, "processing"),
        ([{"op": "remove", "path": "/meta"}], 422, "processing"),
        ([{"op": "replace", "path": "/resourceType", "value": "Person"}], 422, "processing"),
        ([{"op": "test", "path": "/gender", "value": "male"}], 422, "processing"),
        ([{"op": "remove", "path": "/nobody"}], 422, "processing"),
        ([{"op": "grow", "path": "/gender"}], 400, "structure"),
        ({"op": "remove"}, 400, "structure"),
        ([], 200, ""),
    ],
)
def test_what_is_refused_changes_nothing(client: httpx2.Client, patch: Any, status: int, code: str) -> None:
    id = patient(client)
    answer = client.patch(f"/Patient/{id}", content=json.dumps(patch), headers=JSON_PATCH)
    assert answer.status_code == status, answer.text
    if code:
        assert answer.json()["issue"][0]["code"] == code
    assert client.get(f"/Patient/{id}").headers["etag"] == 'W/"1"'


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", "[]", 400),
        ("application/merge-patch+json", "{}", 415),
        ("", "[]", 415),
        ("application/json-patch+json", "[", 400),
        ("application/fhir+json", '{"resourceType":"Patient"}', 400),
        ("application/fhir+json", '{"resourceType":"Parameters","parameter":[{"name":3}]}', 400),
        ("application/xml-patch+xml", "<diff", 400),
    ],
)
def test_bodies_that_are_no_patch(client: httpx2.Client, content_type: str, body: str, status: int) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = client.patch(f"/Patient/{patient(client)}", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(("condition", "status"), [('W/"1"', 200), ('W/"2"', 412), ("1", 400), ("*", 200)])
def test_if_match(client: httpx2.Client, condition: str, status: int) -> None:
    headers = JSON_PATCH | {"If-Match": condition}
    answer = client.patch(f"/Patient/{patient(client)}", content=json.dumps(ACTIVATE), headers=headers)
    assert answer.status_code == status


def test_absent_and_deleted(client: httpx2.Client) -> None:
    id = patient(client)
    client.delete(f"/Patient/{id}")
    for path, status in ((f"/Patient/{id}", 410), ("/Patient/none-such", 404)):
        assert client.patch(path, content=json.dumps(ACTIVATE), headers=JSON_PATCH).status_code == status


@pytest.mark.parametrize(
    ("narrative", "operations", "status", "kept"),
    [
        ("generated", ACTIVATE, 200, False),
        ("extensions", ACTIVATE, 200, False),
        ("empty", ACTIVATE, 200, True),
        ("additional", ACTIVATE, 422, True),
        ("additional", [*ACTIVATE, {"op": "remove", "path": "/text"}], 200, False),
        (
            "generated",
            [*ACTIVATE, {"op": "replace", "path": "/text/status", "value": "additional"}],
            200,
            True,
        ),
        ("generated", [{"op": "add", "path": "/meta/tag", "value": [{"code": "x"}]}], 200, True),
    ],
)
def test_no_narrative_tells_what_is_no_longer_true(
    client: httpx2.Client, narrative: str, operations: list[Any], status: int, kept: bool
) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">inactive</div>'
    id = patient(client, text={"status": narrative, "div": div})
    answer = client.patch(f"/Patient/{id}", content=json.dumps(operations), headers=JSON_PATCH)
    assert answer.status_code == status, answer.text
    assert ("text" in client.get(f"/Patient/{id}").json()) == kept


def test_a_binary_is_replaced_not_patched(client: httpx2.Client) -> None:
    answer = client.post("/Binary", content=b"x", headers={"Content-Type": "text/plain"})
    id = answer.headers["location"].split("/")[-3]
    assert client.patch(f"/Binary/{id}", content="[]", headers=JSON_PATCH).status_code == 405


def test_conditional_patch(client: httpx2.Client) -> None:
    mark = str(uuid4())
    criteria = {"identifier": f"urn:p|{mark}"}

    def patch(**more: str) -> httpx2.Response:
        return client.patch(
            "/Patient", params=criteria | more, content=json.dumps(ACTIVATE), headers=JSON_PATCH
        )

    assert patch().status_code == 404
    id = patient(client, identifier=[{"system": "urn:p", "value": mark}])
    answer = patch()
    assert (answer.status_code, answer.json()["id"], answer.json()["active"]) == (200, id, True)
    assert patch(nonsense="1").status_code == 400, "strict, always"
    patient(client, identifier=[{"system": "urn:p", "value": mark}])
    assert patch().status_code == 412


@pytest.mark.parametrize("type", ["transaction", "batch"])
def test_entries_of_bundles(client: httpx2.Client, type: str) -> None:
    mark = str(uuid4())
    ids = [patient(client) for _ in range(3)]
    marked = patient(client, identifier=[{"system": "urn:p", "value": mark}])
    binaries = [
        {
            "resourceType": "Binary",
            "contentType": content_type,
            "data": base64.b64encode(body.encode()).decode(),
        }
        for content_type, body in (
            ("application/json-patch+json", json.dumps(ACTIVATE)),
            ("application/xml-patch+xml", ACTIVATE_XML),
        )
    ]
    asked = [
        (f"Patient/{ids[0]}", ACTIVATE_FHIRPATH),
        (f"Patient/{ids[1]}", binaries[0]),
        (f"Patient/{ids[2]}", binaries[1]),
        (f"Patient?identifier=urn:p|{mark}", ACTIVATE_FHIRPATH),
    ]
    entries = [{"resource": resource, "request": {"method": "PATCH", "url": url}} for url, resource in asked]
    answer = client.post("/", json={"resourceType": "Bundle", "type": type, "entry": entries}, headers=FHIR)
    assert answer.status_code == 200, answer.text
    assert [e["response"]["etag"] for e in answer.json()["entry"]] == ['W/"2"'] * 4
    assert all(client.get(f"/Patient/{id}").json()["active"] for id in (*ids, marked))


def test_a_reference_in_a_patch_is_linked_to_an_entry(client: httpx2.Client) -> None:
    id = patient(client)
    link = fhirpath(
        "add",
        "Patient",
        name={"valueString": "generalPractitioner"},
        value={"valueReference": {"reference": "urn:uuid:gp"}},
    )
    doctor = {"resourceType": "Practitioner", "name": [{"family": "Petit"}]}
    entries = [
        {"resource": link, "request": {"method": "PATCH", "url": f"Patient/{id}"}},
        {"fullUrl": "urn:uuid:gp", "resource": doctor, "request": {"method": "POST", "url": "Practitioner"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("/", json=bundle, headers=FHIR).json()
    reference = answer["entry"][1]["response"]["location"].partition("/_history")[0]
    assert client.get(f"/Patient/{id}").json()["generalPractitioner"] == [{"reference": reference}]


def test_a_failing_patch_undoes_the_transaction(client: httpx2.Client) -> None:
    id, mark = patient(client), str(uuid4())
    bad = fhirpath("replace", "Patient.photo", value={"valueAttachment": {"title": "x"}})
    other = {"resourceType": "Patient", "identifier": [{"system": "urn:p", "value": mark}]}
    entries = [
        {"resource": other, "request": {"method": "POST", "url": "Patient"}},
        {"resource": bad, "request": {"method": "PATCH", "url": f"Patient/{id}"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    answer = client.post("/", json=bundle, headers=FHIR)
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"] == ["Bundle.entry[1].resource.parameter[0]"]
    assert client.get("/Patient", params={"identifier": mark}).json()["total"] == 0


def test_sixteen_patches_at_once_lose_none(client: httpx2.Client) -> None:
    id = patient(client)

    def add(n: int) -> int:
        body = [{"op": "add", "path": "/name/-", "value": {"text": str(n)}}]
        return client.patch(f"/Patient/{id}", content=json.dumps(body), headers=JSON_PATCH).status_code

    first = [{"op": "add", "path": "/name", "value": [{"text": "0"}]}]
    client.patch(f"/Patient/{id}", content=json.dumps(first), headers=JSON_PATCH)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert list(pool.map(add, range(1, 17))) == [200] * 16
    names = client.get(f"/Patient/{id}").json()["name"]
    assert sorted(int(name["text"]) for name in names) == list(range(17))
