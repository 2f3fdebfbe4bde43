"""IHE MHD over the wire: submissions that are not right are refused, and nothing of them is stored."""

import base64
import copy
import hashlib
import uuid
from typing import Any

import httpx2
import pytest

from tests.feeds.submissions import (
    DOCUMENT,
    INS,
    Person,
    cda,
    ins,
    issues,
    oid,
)


def _wrong_hash(bundle: dict[str, Any]) -> None:
    wrong = base64.b64encode(hashlib.sha1(b"another").digest()).decode()
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["hash"] = wrong


def _wrong_size(bundle: dict[str, Any]) -> None:
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["size"] = 1


def _no_file(bundle: dict[str, Any]) -> None:
    bundle["entry"].pop()


def _two_sets(bundle: dict[str, Any]) -> None:
    another = copy.deepcopy(bundle["entry"][0])
    bundle["entry"].append({**another, "fullUrl": f"urn:uuid:{uuid.uuid4()}"})


def _no_such_patient(bundle: dict[str, Any]) -> None:
    for entry in bundle["entry"][:2]:
        entry["resource"]["subject"] = {"reference": "Patient/nobody-is-here"}


def _unknown_number(bundle: dict[str, Any]) -> None:
    for entry in bundle["entry"][:2]:
        entry["resource"]["subject"] = {"reference": f"Patient?identifier={INS}|000000000000000"}


def _another_source_patient(bundle: dict[str, Any]) -> None:
    document = bundle["entry"][1]["resource"]
    patient = {"resourceType": "Patient", "id": "p", "identifier": [{"system": INS, "value": ins()}]}
    document |= {"contained": [patient], "context": {"sourcePatientInfo": {"reference": "#p"}}}


def _unknown_target(bundle: dict[str, Any]) -> None:
    target = {"identifier": {"system": "urn:ietf:rfc:3986", "value": oid()}}
    bundle["entry"][1]["resource"]["relatesTo"] = [{"code": "replaces", "target": target}]


def _relates_to(url: str) -> Any:
    def spoil(bundle: dict[str, Any]) -> None:
        bundle["entry"][1]["resource"]["relatesTo"] = [{"code": "replaces", "target": {"reference": url}}]

    return spoil


def _one_full_url(bundle: dict[str, Any]) -> None:
    bundle["entry"][0]["fullUrl"] = DOCUMENT


def _another_url(bundle: dict[str, Any]) -> None:
    bundle["entry"][1]["request"]["url"] = "Patient"


def _meta_is_text(bundle: dict[str, Any]) -> None:
    bundle["entry"][1]["resource"]["meta"] = "x"


FILE_OF = "Bundle.entry[1].resource.content[0].attachment"


@pytest.mark.parametrize(
    ("spoil", "status", "text", "place"),
    [
        (_wrong_hash, 422, "XDSRepositoryMetadataError", f"{FILE_OF}.hash"),
        (_wrong_size, 422, "XDSRepositoryMetadataError", f"{FILE_OF}.size"),
        (_no_file, 422, "XDSMissingDocument", f"{FILE_OF}.url"),
        (_two_sets, 422, "XDSRegistryMetadataError", "Bundle.entry[3].resource"),
        (_no_such_patient, 422, "XDSUnknownPatientId", "Bundle.entry[0].resource.subject"),
        (_unknown_number, 422, "XDSUnknownPatientId", "Bundle.entry[0].resource.subject"),
        (
            _another_source_patient,
            422,
            "XDSPatientIdDoesNotMatch",
            "Bundle.entry[1].resource.context.sourcePatientInfo",
        ),
        (_unknown_target, 422, "not here", "relatesTo"),
        (_relates_to(DOCUMENT), 422, "not another", "Bundle.entry[1].resource.relatesTo[0].target"),
        (
            _relates_to(f"urn:uuid:{uuid.uuid4()}"),
            422,
            "not another",
            "Bundle.entry[1].resource.relatesTo[0].target",
        ),
        (
            _relates_to("DocumentReference/none"),
            404,
            "not here",
            "Bundle.entry[1].resource.relatesTo[0].target",
        ),
        (_one_full_url, 422, "has this fullUrl", "Bundle.entry[1].fullUrl"),
        (_another_url, 400, "its url says Patient", "Bundle.entry[1].request.url"),
        (_meta_is_text, 400, "Meta", "Bundle.entry[1].resource.meta"),
    ],
)
def test_a_submission_that_is_not_right_stores_nothing(
    client: httpx2.Client, person: Person, spoil: Any, status: int, text: str, place: str
) -> None:
    bundle = person.submission()
    spoil(bundle)
    answer = client.post("", json=bundle)
    assert answer.status_code == status
    assert [(text in told, at) for told, at in issues(answer)] == [(True, place)]
    assert client.get(f"/DocumentReference?patient={person.reference}").json()["total"] == 0
    assert client.get(f"/List?patient={person.reference}").json()["total"] == 0


def test_a_submission_about_two_patients_is_refused(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission()
    bundle["entry"][0]["resource"]["subject"] = {"reference": Person(client).reference}
    answer = client.post("", json=bundle)
    assert (answer.status_code, issues(answer)[0][0].partition(":")[0]) == (422, "XDSPatientIdDoesNotMatch")


def test_a_cda_about_another_patient_is_refused(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission(cda(ins()))
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["contentType"] = "text/xml"
    answer = client.post("", json=bundle)
    assert (answer.status_code, issues(answer)[0][0].partition(":")[0]) == (422, "XDSPatientIdDoesNotMatch")


ENTITIES = b"""<!DOCTYPE ClinicalDocument [<!ENTITY a SYSTEM "file:///etc/passwd"><!ENTITY b "&a;&a;">]>
<ClinicalDocument xmlns="urn:hl7-org:v3"><title>&b;</title></ClinicalDocument>"""


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"<ClinicalDocument", "not well-formed"),
        (ENTITIES, "document type declaration"),
        (b"<a>" * 200 + b"</a>" * 200, "nested deeper"),
    ],
)
@pytest.mark.parametrize("channel", ["bundle", "simplified", "metadata"])
def test_xml_that_is_none_is_refused(
    client: httpx2.Client, person: Person, channel: str, content: bytes, text: str
) -> None:
    if channel == "bundle":
        bundle = person.submission(content)
        bundle["entry"][1]["resource"]["content"][0]["attachment"]["contentType"] = "text/xml"
        answer = client.post("", json=bundle)
    elif channel == "simplified":
        document = person.simplified(content)
        document["content"][0]["attachment"]["contentType"] = "text/xml"
        answer = client.post("/DocumentReference", json=document)
    else:
        data = base64.b64encode(content).decode()
        binary = {"resourceType": "Binary", "contentType": "text/xml", "data": data}
        answer = client.post("/DocumentReference/$generate-metadata", json=binary)
    assert answer.status_code == 422
    assert text in issues(answer)[0][0]
    assert client.get(f"/DocumentReference?patient={person.reference}").json()["total"] == 0


def test_other_xml_is_kept_as_a_file(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission(b"<report>all is well</report>")
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["contentType"] = "text/xml"
    answer = client.post("", json=bundle)
    assert answer.status_code == 200
    told = answer.json()["entry"][1]["response"]["outcome"]["issue"]
    assert "it cannot be read as CDA" in told[0]["diagnostics"]


def test_a_unique_id_with_other_content_is_refused(client: httpx2.Client, person: Person) -> None:
    first = person.submission()
    client.post("", json=first)
    master = first["entry"][1]["resource"]["masterIdentifier"]
    answer = client.post("", json=person.submission(b"something else", masterIdentifier=master))
    assert answer.status_code == 422
    assert "same uniqueId and other content" in issues(answer)[0][0]


def test_a_document_of_another_patient_is_refused(client: httpx2.Client, person: Person) -> None:
    first, other = person.submission(), Person(client)
    client.post("", json=first)
    master = first["entry"][1]["resource"]["masterIdentifier"]
    answer = client.post("", json=other.submission(masterIdentifier=master))
    assert (answer.status_code, issues(answer)[0][0].partition(":")[0]) == (422, "XDSPatientIdDoesNotMatch")
    assert person.reference not in answer.text
    assert client.get(f"/List?patient={other.reference}").json()["total"] == 0


def test_a_member_of_another_patient_is_refused(client: httpx2.Client, person: Person) -> None:
    client.post("", json=person.submission())
    theirs = client.get(f"/DocumentReference?patient={person.reference}").json()["entry"][0]["resource"]
    other = Person(client)
    bundle = other.submission()
    bundle["entry"][0]["resource"]["entry"].append(
        {"item": {"reference": f"DocumentReference/{theirs['id']}"}}
    )
    answer = client.post("", json=bundle)
    assert answer.status_code == 422
    [(text, place)] = issues(answer)
    assert (text.partition(":")[0], place) == (
        "XDSPatientIdDoesNotMatch",
        "Bundle.entry[0].resource.entry[1].item",
    )


def test_a_submission_set_is_not_used_twice(client: httpx2.Client, person: Person) -> None:
    first, second = person.submission(), person.submission()
    client.post("", json=first)
    second["entry"][0]["resource"]["identifier"] = first["entry"][0]["resource"]["identifier"]
    answer = client.post("", json=second)
    assert answer.status_code == 422
    assert "XDSDuplicateUniqueIdInRegistry" in issues(answer)[0][0]


def test_a_stored_folder_takes_no_new_document_by_coming_again(client: httpx2.Client, person: Person) -> None:
    first, second = person.submission(), person.submission()
    folder = person.folder()
    first["entry"].append(folder)
    second["entry"].append(folder)
    assert client.post("", json=first).status_code == 200
    answer = client.post("", json=second)
    assert answer.status_code == 422
    assert "the folder is stored already" in issues(answer)[0][0]
    assert client.post("", json=first).status_code == 200
