"""Documents as people use them, over the wire: read, versions, withdrawal. docs/api/documents.md"""

import base64
import itertools
import time
from typing import Any

import httpx2
import pytest

from tests.feeds.messages import OID, cda

FHIR = {"Content-Type": "application/fhir+json"}
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
IS_ARCHIVED = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"
PDF = b"%PDF-1.4 synthetic"
_numbers = itertools.count()


def number() -> str:
    """A document number that no other test has."""
    return f"W{time.time_ns()}{next(_numbers)}"


def send(client: httpx2.Client, raw: bytes) -> None:
    url = str(client.base_url).rstrip("/").removesuffix("/fhir") + "/feeds/cda"
    answer = client.post(url, content=raw, headers={"Content-Type": "text/xml"})
    assert answer.status_code in (200, 201), answer.text


def document(client: httpx2.Client, id: str) -> dict[str, Any]:
    found = client.get("/DocumentReference", params={"identifier": f"urn:oid:{OID}.8|{id}"}).json()
    assert found["total"] == 1
    resource: dict[str, Any] = found["entry"][0]["resource"]
    return resource


def sent(client: httpx2.Client, raw: bytes, id: str) -> str:
    send(client, raw)
    return f"/DocumentReference/{document(client, id)['id']}"


def level_1(id: str) -> bytes:
    return (
        cda(id, patient="W1")
        .replace(b'mediaType="text/plain"', b'mediaType="application/pdf"')
        .replace(base64.b64encode(b"x"), base64.b64encode(PDF))
    )


@pytest.fixture(scope="module")
def structured() -> tuple[str, bytes]:
    id = number()
    return id, cda(id, patient="W1", lot="A", text="<paragraph>Une phrase</paragraph><script>no</script>")


@pytest.mark.parametrize(
    ("accept", "query", "media_type"),
    [
        ("*/*", "", "application/pdf"),
        ("application/pdf", "", "application/pdf"),
        (BROWSER, "", "application/pdf"),
        ("text/xml", "", "text/xml"),
        ("application/xml", "", "text/xml"),
        ("image/png, application/*;q=0.5", "", "application/pdf"),
        ("*/*", "?original=true", "text/xml"),
    ],
)
def test_an_embedded_pdf_is_served_as_what_it_is(
    client: httpx2.Client, accept: str, query: str, media_type: str
) -> None:
    id = number()
    raw = level_1(id)
    place = sent(client, raw, id)
    answer = client.get(f"{place}/$content{query}", headers={"Accept": accept})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].partition(";")[0] == media_type
    assert answer.content == (PDF if media_type == "application/pdf" else raw)
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_part_of_a_pdf(client: httpx2.Client) -> None:
    id = number()
    place = sent(client, level_1(id), id)
    answer = client.get(f"{place}/$content", headers={"Accept": "*/*", "Range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (206, b"%PDF")


@pytest.mark.parametrize("accept", ["*/*", "text/html", BROWSER])
def test_a_structured_document_is_served_as_a_page(
    client: httpx2.Client, structured: tuple[str, bytes], accept: str
) -> None:
    id, raw = structured
    place = sent(client, raw, id)
    answer = client.get(f"{place}/$content", headers={"Accept": accept})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "<p>Une phrase</p>" in answer.text
    assert "<script" not in answer.text
    original = client.get(f"{place}/$content", headers={"Accept": "text/xml"})
    assert original.content == raw


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("{place}/$content", "image/png", 406),
        ("{place}/$content", "text/html;q=0, application/json", 406),
        ("/DocumentReference/none/$content", "*/*", 404),
        ("{place}/$content?as=pdf", "*/*", 400),
    ],
)
def test_what_cannot_be_served(
    client: httpx2.Client, structured: tuple[str, bytes], path: str, accept: str, status: int
) -> None:
    id, raw = structured
    place = sent(client, raw, id)
    answer = client.get(path.format(place=place), headers={"Accept": accept})
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "accept", ["application/fhir+json", "application/fhir+xml;q=0.5, application/fhir+json"]
)
def test_content_as_a_resource(client: httpx2.Client, structured: tuple[str, bytes], accept: str) -> None:
    id, raw = structured
    place = sent(client, raw, id)
    body = client.get(f"{place}/$content", headers={"Accept": accept}).json()
    assert (body["resourceType"], body["contentType"]) == ("Binary", "text/html")
    assert b"Une phrase" in base64.b64decode(body["data"])


@pytest.mark.parametrize(
    ("attachment", "status", "content"),
    [
        ({"contentType": "text/plain", "data": base64.b64encode(b"inline").decode()}, 200, b"inline"),
        ({"contentType": "text/xml", "data": base64.b64encode(level_1("inline")).decode()}, 200, PDF),
        ({"contentType": "text/xml", "data": base64.b64encode(b"<a/>").decode()}, 200, b"<a/>"),
        ({"contentType": "application/pdf", "url": "https://elsewhere.example/doc"}, 422, None),
        ({"contentType": "application/pdf", "url": "Binary/none"}, 404, None),
    ],
)
def test_documents_that_came_as_fhir(
    client: httpx2.Client, attachment: dict[str, str], status: int, content: bytes | None
) -> None:
    resource = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": attachment}],
    }
    id = client.post("/DocumentReference", json=resource, headers=FHIR).json()["id"]
    answer = client.get(f"/DocumentReference/{id}/$content")
    assert answer.status_code == status
    assert content is None or answer.content == content


def ids(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", ())]


def test_versions_of_a_document_from_any_of_them(client: httpx2.Client) -> None:
    name, numbers = number(), [number() for _ in range(3)]
    for version, id in enumerate(numbers, 1):
        send(client, cda(id, set_id=name, version=version, patient="W2"))
    newest_first = [document(client, id)["id"] for id in reversed(numbers)]
    for id in newest_first:
        assert ids(client.get(f"/DocumentReference/{id}/$versions")) == newest_first
    by_identifier = {"identifier": f"urn:oid:{OID}.8|{numbers[0]}"}
    assert ids(client.get("/DocumentReference/$versions", params=by_identifier)) == newest_first
    found = client.get("/DocumentReference/$docref", params={"patient": _patient(client, numbers[0])})
    assert ids(found) == newest_first[:1]


def test_an_archived_document_is_not_listed(client: httpx2.Client) -> None:
    patient, older, newer = number(), number(), number()
    for id in (older, newer):
        send(client, cda(id, patient=patient))
    first, second = document(client, older), document(client, newer)
    listing = {"patient": _patient(client, older), "start": "2020-01-01"}
    assert set(ids(client.get("/DocumentReference/$docref", params=listing))) == {first["id"], second["id"]}
    second["extension"] = [{"url": IS_ARCHIVED, "valueBoolean": True}]
    client.put(f"/DocumentReference/{second['id']}", json=second, headers=FHIR)
    for query in (listing, {"patient": listing["patient"]}):
        assert ids(client.get("/DocumentReference/$docref", params=query)) == [first["id"]]


def _patient(client: httpx2.Client, id: str) -> str:
    reference: str = document(client, id)["subject"]["reference"]
    return reference.removeprefix("Patient/")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/DocumentReference/none/$versions", 404),
        ("/DocumentReference/$versions", 400),
        ("/DocumentReference/$versions?identifier=none", 404),
    ],
)
def test_versions_of_nothing(client: httpx2.Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


AUTHOR = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "810000000001"}
OTHER = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "810000000002"}


def withdraw(client: httpx2.Client, place: str, reason: str = "", **who: dict[str, str]) -> httpx2.Response:
    given: list[dict[str, Any]] = [{"name": name, "valueIdentifier": value} for name, value in who.items()]
    given += [{"name": "reason", "valueString": reason}] if reason else []
    body = {"resourceType": "Parameters", "parameter": given}
    return client.post(f"{place}/$withdraw", json=body, headers=FHIR)


def test_the_author_withdraws_a_document(client: httpx2.Client) -> None:
    id = number()
    place = sent(client, cda(id, patient=id, lot="A"), id)
    patient = _patient(client, id)
    answer = withdraw(client, place, "Mauvais patient", author=AUTHOR)
    assert (answer.status_code, answer.json()["status"]) == (200, "entered-in-error")
    (immunization,) = client.get("/Immunization", params={"patient": patient}).json()["entry"]
    assert immunization["resource"]["status"] == "entered-in-error"
    targets = client.get("/Provenance", params={"target": place.removeprefix("/")}).json()["entry"]
    (said,) = [e["resource"] for e in targets if "reason" in e["resource"]]
    assert said["reason"] == [{"text": "Mauvais patient"}]
    assert said["agent"] == [{"who": {"identifier": AUTHOR}}]
    assert len(said["target"]) == 2
    assert ids(client.get("/DocumentReference/$docref", params={"patient": patient})) == []
    again = withdraw(client, place, "Mauvais patient", author=AUTHOR)
    assert (again.status_code, again.json()["meta"]["versionId"]) == (200, "2")
    assert client.get(f"{place}/$content", headers={"Accept": "text/xml"}).status_code == 200


@pytest.mark.parametrize(
    ("reason", "who", "status"),
    [
        ("x", {"author": OTHER}, 403),
        ("x", {}, 403),
        ("x", {"organization": OTHER}, 403),
        ("", {"author": AUTHOR}, 400),
        ("x", {"author": {"system": "urn:x"}}, 400),
    ],
)
def test_nobody_else_withdraws_a_document(
    client: httpx2.Client, reason: str, who: dict[str, dict[str, str]], status: int
) -> None:
    id = number()
    place = sent(client, cda(id, patient="W3"), id)
    assert withdraw(client, place, reason, **who).status_code == status
    assert document(client, id)["status"] == "current"


def test_the_same_organization_withdraws_a_document(client: httpx2.Client) -> None:
    id = number()
    organization = {"system": "urn:oid:1.2.250.1.71.4.2.2", "value": "1750000099"}
    clinic = (
        b'<representedOrganization><id root="1.2.250.1.71.4.2.2" extension="1750000099"/><name>C</name>'
        b"</representedOrganization></assignedAuthor>"
    )
    place = sent(client, cda(id, patient="W3").replace(b"</assignedAuthor>", clinic), id)
    answer = withdraw(client, place, "x", author=OTHER, organization=organization)
    assert answer.json()["status"] == "entered-in-error"
