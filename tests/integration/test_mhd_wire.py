"""IHE MHD and PDSm over the wire: documents provided, found, retrieved, and their metadata patched."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import httpx2
import pytest

if TYPE_CHECKING:
    from tests.live import Live

FHIR = {"Content-Type": "application/fhir+json"}
PATCH = {"Content-Type": "application/json-patch+json"}
ARCHIVED = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"
MHD = "https://profiles.ihe.net/ITI/MHD/"
N = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}]}
MASKED = {"coding": [{"system": "urn:oid:1.2.250.1.213.1.1.4.13", "code": "MASQUE_PS"}]}


def submission(patient: str, content: bytes, **elements: Any) -> dict[str, Any]:
    """A comprehensive Provide Document Bundle with one document (ITI-65)."""
    set_url, document_url, binary_url = (f"urn:uuid:{uuid4()}" for _ in range(3))
    attachment = {
        "contentType": "text/plain",
        "url": binary_url,
        "size": len(content),
        "hash": base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode(),
        "title": "Compte rendu",
        "creation": "2026-03-01T10:00:00+01:00",
    }
    document = {
        "resourceType": "DocumentReference",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"},
        "status": "current",
        "securityLabel": [N],
        "subject": {"reference": patient},
        "date": "2026-03-01T10:00:00+01:00",
        "content": [{"attachment": attachment}],
        "context": {"period": {"start": "2026-02-27", "end": "2026-02-28"}},
        **elements,
    }
    submission_set = {
        "resourceType": "List",
        "extension": [
            {
                "url": f"{MHD}StructureDefinition/ihe-designationType",
                "valueCodeableConcept": {"coding": [{"system": "urn:oid:1.2.250.1.213.2.2", "code": "07"}]},
            },
            {
                "url": f"{MHD}StructureDefinition/ihe-sourceId",
                "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"},
            },
        ],
        "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"}],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": f"{MHD}CodeSystem/MHDlistTypes", "code": "submissionset"}]},
        "subject": {"reference": patient},
        "date": "2026-03-01T10:00:00+01:00",
        "entry": [{"item": {"reference": document_url}}],
    }
    data = base64.b64encode(content).decode()
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": data}
    resources = ((set_url, submission_set), (document_url, document), (binary_url, binary))
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"fullUrl": url, "resource": each, "request": {"method": "POST", "url": each["resourceType"]}}
            for url, each in resources
        ],
    }


@pytest.fixture(scope="module")
def api(live: "Live") -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=live.base_url, timeout=30) as client:
        yield client


@pytest.fixture
def patient(api: httpx2.Client) -> str:
    made = api.post("/Patient", json={"resourceType": "Patient"}, headers=FHIR).json()
    return f"Patient/{made['id']}"


def provide(api: httpx2.Client, bundle: dict[str, Any]) -> list[str]:
    """The references of what was stored, in the order of the entries."""
    answer = api.post("", json=bundle, headers=FHIR)
    assert answer.status_code == 200, answer.text
    locations = [entry["response"]["location"] for entry in answer.json()["entry"]]
    return ["/".join(location.split("/")[:2]) for location in locations]


def found(api: httpx2.Client, query: str) -> list[str]:
    bundle = api.get(f"/{query}").raise_for_status().json()
    return [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle.get("entry", ())]


def test_a_document_is_provided_found_and_retrieved(api: httpx2.Client, patient: str) -> None:
    submitted, document, binary = provide(api, submission(patient, b"Bonjour"))
    query = f"List?patient={patient}&code={MHD}CodeSystem/MHDlistTypes|submissionset&status=current"
    assert found(api, query) == [submitted]
    assert found(api, f"{query}&designationType=07&sourceId=urn:ietf:rfc:3986|urn:oid:1.2.3") == [submitted]
    assert found(api, f"DocumentReference?patient={patient}&status=current") == [document]
    assert api.get(f"/{submitted}").json()["entry"][0]["item"]["reference"] == document
    url = api.get(f"/{document}").json()["content"][0]["attachment"]["url"]
    assert url == binary
    assert api.get(f"/{url}", headers={"Accept": "text/plain"}).content == b"Bonjour"


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        ("period-start=2026-02-27", True),
        ("period-start=lt2026-02-27", False),
        ("period-end=ge2026-02-28", True),
        ("period=ge2026-02-27&period=le2026-02-28", True),
        ("creation=2026-03-01", True),
        ("creation=gt2026-03-01", False),
        ("isArchived=false", True),
        ("isArchived=true", False),
        ("security-label=N", True),
        ("date=ge2026-03-01", True),
    ],
)
def test_parameters_of_the_guides(api: httpx2.Client, patient: str, query: str, matches: bool) -> None:
    _, document, _ = provide(api, submission(patient, b"x"))
    expected = [document] if matches else []
    assert found(api, f"DocumentReference?patient={patient}&status=current&{query}") == expected
    posted = api.post("/DocumentReference/_search", content=f"patient={patient}&{query}", headers=FORM).json()
    assert len(posted.get("entry", ())) == len(expected)


PERSON = {"resourceType": "Practitioner", "id": "p", "name": [{"family": "AUTEUR-TEST", "given": ["Jeanne"]}]}
OTHER = {"resourceType": "Practitioner", "id": "q", "name": [{"family": "SIGNATAIRE-TEST", "given": ["Luc"]}]}
ROLE = {"resourceType": "PractitionerRole", "id": "r", "practitioner": {"reference": "#p"}}


@pytest.mark.parametrize("author", ["contained", "contained role", "stored", "stored role"])
def test_documents_are_found_by_the_name_of_their_author(
    api: httpx2.Client, patient: str, author: str
) -> None:
    contained: list[Any] = [OTHER, PERSON, *([ROLE] if author == "contained role" else [])]
    reference = {"contained": "#p", "contained role": "#r"}.get(author, "")
    if not reference:
        contained = [OTHER]
        body = {k: v for k, v in PERSON.items() if k != "id"}
        reference = f"Practitioner/{api.post('/Practitioner', json=body).json()['id']}"
    if author == "stored role":
        role = {"resourceType": "PractitionerRole", "practitioner": {"reference": reference}}
        reference = f"PractitionerRole/{api.post('/PractitionerRole', json=role).json()['id']}"
    elements = {"author": [{"reference": reference}], "authenticator": {"reference": "#q"}}
    _, document, _ = provide(api, submission(patient, b"x", contained=contained, **elements))
    for query, matches in (
        ("author.given=Jeanne", True),
        ("author.family=auteur", True),
        ("author.family:exact=AUTEUR-TEST&author.given=Jeanne", True),
        ("author.given=Luc", False),
        ("author.family=SIGNATAIRE-TEST", False),
    ):
        expected = [document] if matches else []
        assert found(api, f"DocumentReference?patient={patient}&{query}") == expected, query


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_a_replacement_in_the_bundle_supersedes(api: httpx2.Client, patient: str) -> None:
    _, old, _ = provide(api, submission(patient, b"v1"))
    replaces = [{"code": "replaces", "target": {"reference": old}}]
    bundle = submission(patient, b"v2", relatesTo=replaces)
    superseding = {"resourceType": "Parameters", "parameter": [STATUS]}
    request = {"method": "PATCH", "url": old}
    bundle["entry"].append({"resource": superseding, "request": request})
    _, new, *_ = provide(api, bundle)
    assert found(api, f"DocumentReference?patient={patient}&status=current") == [new]
    assert api.get(f"/{old}").json()["status"] == "superseded"


STATUS = {
    "name": "operation",
    "part": [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "DocumentReference.status"},
        {"name": "value", "valueCode": "superseded"},
    ],
}
ARCHIVE = {"op": "add", "path": "/extension", "value": [{"url": ARCHIVED, "valueBoolean": True}]}


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ({"op": "replace", "path": "/status", "value": "superseded"}, 200),
        ({"op": "add", "path": "/securityLabel/-", "value": MASKED}, 200),
        (ARCHIVE, 200),
        ({"op": "replace", "path": "/date", "value": "2026-04-01T10:00:00Z"}, 405),
        ({"op": "remove", "path": "/context"}, 405),
        ({"op": "replace", "path": "/content/0/attachment/title", "value": "x"}, 405),
        ({"op": "add", "path": "/extension", "value": [{"url": "urn:x", "valueBoolean": True}]}, 405),
    ],
)
def test_only_metadata_of_its_visibility_are_patched(
    api: httpx2.Client, patient: str, operation: dict[str, Any], status: int
) -> None:
    _, document, _ = provide(api, submission(patient, b"x"))
    answer = api.patch(f"/{document}", content=json.dumps([operation]), headers=PATCH)
    assert answer.status_code == status, answer.text
    if status == 405:
        issue = answer.json()["issue"][0]
        assert issue["expression"][0].startswith("DocumentReference.")
        assert "PATCH" in answer.headers["allow"]


INVISIBLE = {"coding": [{"system": "urn:oid:1.2.250.1.213.1.1.4.13", "code": "INVISIBLE_PATIENT"}]}
R = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]}


@pytest.mark.parametrize(
    ("operations", "labels"),
    [
        ([{"op": "replace", "path": "/securityLabel/0", "value": INVISIBLE}], [N, INVISIBLE, MASKED]),
        ([{"op": "replace", "path": "/securityLabel/0", "value": R}], [R, MASKED]),
        ([{"op": "replace", "path": "/securityLabel", "value": [INVISIBLE]}], [N, INVISIBLE]),
        ([{"op": "remove", "path": "/securityLabel/0"}], [N, MASKED]),
        ([{"op": "remove", "path": "/securityLabel"}], [N]),
        ([{"op": "remove", "path": "/securityLabel/1"}], [N]),
    ],
)
def test_the_level_of_confidentiality_is_never_lost(
    api: httpx2.Client, patient: str, operations: list[dict[str, Any]], labels: list[Any]
) -> None:
    _, document, _ = provide(api, submission(patient, b"x", securityLabel=[N, MASKED]))
    body = api.patch(f"/{document}", content=json.dumps(operations), headers=PATCH).json()
    assert body["securityLabel"] == labels


def test_a_label_comes_and_goes_without_touching_others(api: httpx2.Client, patient: str) -> None:
    _, document, _ = provide(api, submission(patient, b"x"))
    steps = [
        ({"op": "add", "path": "/securityLabel/-", "value": MASKED}, [N, MASKED]),
        (ARCHIVE, [N, MASKED]),
        ({"op": "remove", "path": "/securityLabel/1"}, [N]),
    ]
    for operation, labels in steps:
        body = api.patch(f"/{document}", content=json.dumps([operation]), headers=PATCH).json()
        assert body["securityLabel"] == labels
    assert body["extension"] == ARCHIVE["value"]
    assert found(api, f"DocumentReference?patient={patient}&isArchived=true") == [document]
    assert found(api, f"DocumentReference?patient={patient}&isArchived=false") == []
