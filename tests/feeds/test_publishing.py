"""IHE MHD over the wire: what is provided (ITI-65) is stored as from every other channel."""

import uuid

import httpx2
import pytest

from tests.feeds.submissions import (
    DOCUMENT,
    FILE,
    INS,
    MHD,
    SET,
    Person,
    cda,
    created,
    issues,
    oid,
    only,
    stored,
)
from tests.live import Live


def test_a_submission_is_stored_and_answered_in_order(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission()
    answer = client.post("", json=bundle)
    assert answer.status_code == 200
    responses = [entry["response"] for entry in answer.json()["entry"]]
    assert [r["status"] for r in responses] == ["201 Created"] * 3
    assert [r["location"].partition("/")[0] for r in responses] == ["List", "DocumentReference", "Binary"]
    document = stored(client, bundle)
    assert document["meta"]["profile"] == [MHD + "Minimal.DocumentReference"]
    file = client.get(f"/{document['content'][0]['attachment']['url']}", headers={"Accept": "text/plain"})
    assert file.content == b"what the doctor wrote"
    arrival = only(client, f"/Provenance?target=DocumentReference/{document['id']}")
    assert {entity["role"] for entity in arrival["entity"]} == {"source", "derivation"}


def test_a_folder_comes_with_its_documents(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission()
    bundle["entry"].append(person.folder())
    answer = client.post("", json=bundle)
    assert answer.status_code == 200
    folder = only(client, f"/List?patient={person.reference}&code=folder")
    assert folder["entry"] == [{"item": {"reference": f"DocumentReference/{stored(client, bundle)['id']}"}}]
    assert answer.json()["entry"][3]["response"]["location"].startswith(f"List/{folder['id']}/")


def test_the_same_submission_again_changes_nothing(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission()
    first = [e["response"]["location"] for e in client.post("", json=bundle).json()["entry"]]
    again = client.post("", json=bundle).json()["entry"]
    assert [e["response"]["location"] for e in again] == first
    assert {e["response"]["status"] for e in again} == {"200 OK"}


def test_one_document_by_two_channels_is_one(live: Live, client: httpx2.Client, person: Person) -> None:
    raw = cda(person.ins, document=str(uuid.uuid4()), allergy="N02BA01")
    feed = httpx2.post(f"{live.origin}/feeds/cda", content=raw, headers={"Content-Type": "application/xml"})
    assert feed.status_code == 201
    url = f"/DocumentReference?patient={person.reference}"
    before = only(client, url)
    bundle = person.submission(raw, masterIdentifier=before["masterIdentifier"])
    bundle["entry"][2]["resource"]["contentType"] = "text/xml"
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["contentType"] = "text/xml"
    assert client.post("", json=bundle).status_code == 200
    assert only(client, url)["id"] == before["id"]
    assert len(client.get(f"/Provenance?target=DocumentReference/{before['id']}").json()["entry"]) == 2
    assert len(client.get(f"/AllergyIntolerance?patient={person.reference}").json()["entry"]) == 1


def test_what_a_published_cda_says_becomes_resources(client: httpx2.Client, person: Person) -> None:
    number = uuid.uuid4()
    master = {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{number}"}
    document = person.simplified(
        cda(person.ins, document=str(number), allergy="N02BA01"), masterIdentifier=master
    )
    document["content"][0]["attachment"]["contentType"] = "text/xml"
    assert client.post("/DocumentReference", json=document).status_code == 201
    allergy = only(client, f"/AllergyIntolerance?patient={person.reference}")
    assert allergy["code"]["coding"][0]["code"] == "N02BA01"


SUPERSEDES = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "DocumentReference.status"},
                {"name": "value", "valueCode": "superseded"},
            ],
        }
    ],
}
"""What MHD has a replacing Bundle do to what it replaces."""


@pytest.mark.parametrize("named", ["reference", "criteria", "identifier"])
@pytest.mark.parametrize("patched", ["", "id", "criteria"])
def test_a_replacement_supersedes_in_the_same_commit(
    client: httpx2.Client, person: Person, named: str, patched: str
) -> None:
    first = person.submission()
    client.post("", json=first)
    old = stored(client, first)
    master = old["masterIdentifier"]
    target = {
        "reference": {"reference": f"DocumentReference/{old['id']}"},
        "criteria": {"reference": f"DocumentReference?identifier={master['value']}"},
        "identifier": {"identifier": master},
    }[named]
    bundle = person.submission(relatesTo=[{"code": "replaces", "target": target}])
    criteria = f"DocumentReference?identifier={master['value']}"
    url = {"": "", "id": f"DocumentReference/{old['id']}", "criteria": criteria}[patched]
    if url:
        bundle["entry"].append({"resource": SUPERSEDES, "request": {"method": "PATCH", "url": url}})
    answer = client.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["entry"]) == len(bundle["entry"])
    assert stored(client, first)["status"] == "superseded"
    new = stored(client, bundle)
    assert new["relatesTo"][0]["target"]["reference"] == f"DocumentReference/{old['id']}"
    versions = client.get(f"/DocumentReference/{new['id']}/$versions").json()["entry"]
    assert [entry["resource"]["status"] for entry in versions] == ["current", "superseded"]


def test_what_is_not_current_is_not_replaced_again(client: httpx2.Client, person: Person) -> None:
    first = person.submission()
    client.post("", json=first)
    target = {"reference": f"DocumentReference/{stored(client, first)['id']}"}
    relation = [{"code": "replaces", "target": target}]
    assert client.post("", json=person.submission(relatesTo=relation)).status_code == 200
    answer = client.post("", json=person.submission(relatesTo=relation))
    assert answer.status_code == 422
    assert "not the current one any more" in issues(answer)[0][0]


@pytest.mark.parametrize("subject", ["criteria", "identifier", "contained"])
def test_a_patient_is_found_by_what_names_them(client: httpx2.Client, person: Person, subject: str) -> None:
    bundle = person.submission()
    number = {"system": INS, "value": person.ins}
    for entry in bundle["entry"][:2]:
        resource = entry["resource"]
        if subject == "contained":
            resource["contained"] = [{"resourceType": "Patient", "id": "p", "identifier": [number]}]
        resource["subject"] = {
            "criteria": {"reference": f"Patient?identifier={INS}|{person.ins}"},
            "identifier": {"identifier": number},
            "contained": {"reference": "#p"},
        }[subject]
    answer = client.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    document = stored(client, bundle)
    assert document["subject"]["reference"] == person.reference
    if subject == "contained":
        assert document["context"]["sourcePatientInfo"] == {"reference": "#p"}


def test_a_patient_of_the_bundle_is_matched(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission()
    url = f"urn:uuid:{uuid.uuid4()}"
    patient = {"resourceType": "Patient", "identifier": [{"system": INS, "value": person.ins}]}
    for entry in bundle["entry"][:2]:
        entry["resource"]["subject"] = {"reference": url}
    bundle["entry"].append(created(url, patient))
    answer = client.post("", json=bundle).json()["entry"]
    assert answer[3]["response"]["status"] == "200 OK"
    assert stored(client, bundle)["subject"]["reference"] == person.reference


def test_a_submission_comes_in_xml(client: httpx2.Client, person: Person) -> None:
    number = oid()
    body = f"""<Bundle xmlns="http://hl7.org/fhir"><type value="transaction"/>
      <entry><fullUrl value="{SET}"/><resource><List><status value="current"/><mode value="working"/>
      <code><coding><system value="https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"/>
      <code value="submissionset"/></coding></code><subject><reference value="{person.reference}"/></subject>
      <date value="2026-01-02"/><entry><item><reference value="{DOCUMENT}"/></item></entry></List></resource>
      <request><method value="POST"/><url value="List"/></request></entry>
      <entry><fullUrl value="{DOCUMENT}"/><resource><DocumentReference><masterIdentifier>
      <system value="urn:ietf:rfc:3986"/><value value="{number}"/></masterIdentifier><status value="current"/>
      <subject><reference value="{person.reference}"/></subject><content><attachment>
      <contentType value="text/plain"/><url value="{FILE}"/></attachment></content></DocumentReference>
      </resource>
      <request><method value="POST"/><url value="DocumentReference"/></request></entry>
      <entry><fullUrl value="{FILE}"/><resource><Binary><contentType value="text/plain"/>
      <data value="aGVsbG8="/></Binary></resource>
      <request><method value="POST"/><url value="Binary"/></request></entry></Bundle>"""
    headers = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    answer = client.post("", content=body.encode(), headers=headers)
    assert answer.status_code == 200
    assert b"transaction-response" in answer.content
    attachment = only(client, f"/DocumentReference?identifier={number}")["content"][0]["attachment"]
    assert (attachment["size"], attachment["hash"]) == (5, "qvTGHdzF6KLavt4PO0gs2a6pQ00=")


def test_other_entries_of_the_bundle_are_done_too(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission()
    note = {"resourceType": "Communication", "status": "completed", "about": [{"reference": DOCUMENT}]}
    bundle["entry"].append(created(f"urn:uuid:{uuid.uuid4()}", note))
    bundle["entry"].append({"request": {"method": "GET", "url": person.reference}})
    answer = client.post("", json=bundle).json()["entry"]
    assert [e["response"]["status"][:3] for e in answer] == ["201", "201", "201", "201", "200"]
    sent = client.get("/" + answer[3]["response"]["location"]).json()
    assert sent["about"] == [{"reference": f"DocumentReference/{stored(client, bundle)['id']}"}]
