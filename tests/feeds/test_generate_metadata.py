"""IHE MHD over the wire: Generate Metadata (ITI-106)."""

import base64
import uuid
from typing import Any

import httpx2
import pytest

from tests.feeds.submissions import (
    INS,
    Person,
    cda,
    code,
    oid,
    only,
)


def _operation(document: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": "document", "resource": document}]}


def test_metadata_of_a_cda_are_generated(client: httpx2.Client, person: Person) -> None:
    raw = cda(person.ins, title="Bilan", allergy="N02BA01")
    binary = {"resourceType": "Binary", "contentType": "text/xml", "data": base64.b64encode(raw).decode()}
    answer = client.post("/DocumentReference/$generate-metadata", json=_operation(binary))
    assert answer.status_code == 200
    [parameter] = answer.json()["parameter"]
    assert parameter["name"] == "DocumentReference"
    reference = parameter["valueReference"]["reference"]
    document = client.get("/" + reference).json()
    assert document["content"][0]["attachment"]["title"] == "Bilan"
    assert document["category"][0]["coding"][0]["code"] == "10"
    assert document["subject"]["reference"] == person.reference
    assert only(client, f"/List?item={reference}")["code"]["coding"][0]["code"] == "submissionset"
    assert client.get(f"/AllergyIntolerance?patient={person.reference}").json()["total"] == 1
    again = client.post("/DocumentReference/$generate-metadata", json=binary)
    assert again.json()["parameter"][0]["valueReference"]["reference"] == reference


def _fhir_document(person: Person) -> dict[str, Any]:
    patient, doctor = f"urn:uuid:{uuid.uuid4()}", f"urn:uuid:{uuid.uuid4()}"
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "language": "fr-FR",
        "type": code("http://loinc.org", "60591-5"),
        "confidentiality": "R",
        "subject": {"reference": patient},
        "date": "2026-01-02T10:15:00+01:00",
        "author": [{"reference": doctor}],
        "attester": [{"mode": "legal", "party": {"reference": doctor}}],
        "event": [{"period": {"start": "2026-01-02"}}],
        "title": "Synthèse",
    }
    number = {"system": INS, "value": person.ins}
    resources = [
        composition,
        {"resourceType": "Patient", "identifier": [number]},
        {"resourceType": "Practitioner", "name": [{"family": "MARTIN"}]},
    ]
    urls = [f"urn:uuid:{uuid.uuid4()}", patient, doctor]
    return {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": oid()},
        "timestamp": "2026-01-02T10:16:00+01:00",
        "entry": [{"fullUrl": u, "resource": r} for u, r in zip(urls, resources, strict=True)],
    }


@pytest.mark.parametrize("wrapped", [False, True])
def test_metadata_of_a_fhir_document_are_generated(
    client: httpx2.Client, person: Person, wrapped: bool
) -> None:
    document = sent = _fhir_document(person)
    if wrapped:
        raw = httpx2.Request("POST", "http://x", json=document).content
        data = base64.b64encode(raw).decode()
        sent = {"resourceType": "Binary", "contentType": "application/fhir+json", "data": data}
    answer = client.post("/DocumentReference/$generate-metadata", json=sent)
    assert answer.status_code == 200, answer.text
    made = client.get("/" + answer.json()["parameter"][0]["valueReference"]["reference"]).json()
    assert made["masterIdentifier"] == document["identifier"]
    assert made["subject"]["reference"] == person.reference
    assert made["securityLabel"][0]["coding"][0]["code"] == "R"
    assert made["authenticator"] == made["author"][0] == {"reference": "#practitioner-1"}
    assert made["context"]["period"] == {"start": "2026-01-02"}
    attachment = made["content"][0]["attachment"]
    assert (attachment["contentType"], attachment["language"]) == ("application/fhir+json", "fr-FR")
    file = client.get("/" + attachment["url"], headers={"Accept": "application/fhir+json"}).json()
    inside = base64.b64decode(file["data"]) if file["resourceType"] == "Binary" else b""
    assert b"Composition" in inside or file["type"] == "document"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ({"resourceType": "Binary", "contentType": "text/xml", "data": "PGE+PC9hPg=="}, 422),
        ({"resourceType": "Binary", "contentType": "text/plain", "data": "aGVsbG8="}, 422),
        ({"resourceType": "Binary", "contentType": "application/fhir+json", "data": "aGVsbG8="}, 400),
        ({"resourceType": "Bundle", "type": "collection"}, 422),
        (
            {
                "resourceType": "Binary",
                "contentType": "application/fhir+json",
                "data": base64.b64encode(
                    b'{"resourceType": "Bundle", "type": "document", "entry": "x"}'
                ).decode(),
            },
            400,
        ),
        (
            {
                "resourceType": "Binary",
                "contentType": "application/fhir+xml",
                "data": base64.b64encode(b'<Patient xmlns="http://hl7.org/fhir"/>').decode(),
            },
            400,
        ),
        ({"resourceType": "Patient"}, 400),
    ],
)
def test_what_is_no_document_has_no_metadata(
    client: httpx2.Client, document: dict[str, Any], status: int
) -> None:
    answer = client.post("/DocumentReference/$generate-metadata", json=_operation(document))
    assert (answer.status_code, answer.json()["resourceType"]) == (status, "OperationOutcome")
