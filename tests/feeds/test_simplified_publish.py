"""IHE MHD over the wire: Simplified Publish (ITI-105)."""

import base64
import hashlib
from typing import Any

import httpx2
import pytest

from tests.feeds.submissions import (
    MHD,
    Person,
    code,
    issues,
    only,
)

KNOWN = {"system": "urn:oid:1.2.250.1.999.105", "value": "known"}


def test_simplified_publish_makes_a_file_and_a_submission_set(client: httpx2.Client, person: Person) -> None:
    document = person.simplified()
    answer = client.post("/DocumentReference", json=document)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["location"].endswith(f"DocumentReference/{made['id']}/_history/1")
    attachment = made["content"][0]["attachment"]
    assert "data" not in attachment
    assert (attachment["size"], attachment["hash"]) == (
        8,
        base64.b64encode(hashlib.sha1(b"a letter").digest()).decode(),
    )
    assert made["meta"]["profile"] == [MHD + "Minimal.DocumentReference"]
    file = client.get("/" + attachment["url"], headers={"Accept": "text/plain"})
    assert file.content == b"a letter"
    submission_set = only(client, f"/List?item=DocumentReference/{made['id']}&code=submissionset")
    assert submission_set["meta"]["profile"] == [MHD + "Minimal.SubmissionSet"]
    assert submission_set["subject"] == {"reference": person.reference}
    again = client.post("/DocumentReference", json=document)
    assert (again.status_code, again.json()["id"]) == (200, made["id"])


def test_simplified_publish_replaces(client: httpx2.Client, person: Person) -> None:
    old = client.post("/DocumentReference", json=person.simplified()).json()
    relation = {"code": "replaces", "target": {"reference": f"DocumentReference/{old['id']}"}}
    new = person.simplified(b"a better letter", relatesTo=[relation])
    assert client.post("/DocumentReference", json=new).status_code == 201
    assert client.get(f"/DocumentReference/{old['id']}").json()["status"] == "superseded"


@pytest.mark.parametrize(
    ("elements", "publishes"),
    [
        ({"meta": {}}, True),
        ({"meta": {}, "masterIdentifier": None}, False),
        ({"meta": {}, "subject": None}, False),
        ({"meta": {}, "status": "superseded"}, False),
        # Plain FHIR: about somebody who is not here, or about no patient.
        ({"meta": {}, "subject": {"reference": "Patient/nobody-is-here"}}, False),
        ({"meta": {}, "subject": {"reference": "https://example.org/fhir/Patient/1"}}, False),
        ({"meta": {}, "subject": {"reference": "Device/1"}}, False),
        ({"meta": {}, "subject": {"identifier": {"system": "urn:oid:1.2.3", "value": "nobody"}}}, False),
        ({"meta": {}, "subject": {"identifier": KNOWN}}, True),
    ],
)
def test_what_simplified_publish_is(
    client: httpx2.Client, person: Person, elements: dict[str, Any], publishes: bool
) -> None:
    client.put("/Patient/known", json={"resourceType": "Patient", "id": "known", "identifier": [KNOWN]})
    document = {k: v for k, v in person.simplified(**elements).items() if v}
    made = client.post("/DocumentReference", json=document).json()
    assert ("url" in made["content"][0]["attachment"]) is publishes


@pytest.mark.parametrize(
    ("elements", "status", "place"),
    [
        ({"subject": {"reference": "Patient/nobody-is-here"}}, 422, "DocumentReference.subject"),
        ({"status": "unheard-of"}, 400, "DocumentReference.status"),
        ({"type": code("http://loinc.org", "1") | {"text": 3}}, 400, "DocumentReference.type.text"),
    ],
)
def test_simplified_publish_says_what_is_wrong(
    client: httpx2.Client, person: Person, elements: dict[str, Any], status: int, place: str
) -> None:
    answer = client.post("/DocumentReference", json=person.simplified(**elements))
    assert (answer.status_code, issues(answer)[0][1]) == (status, place)
