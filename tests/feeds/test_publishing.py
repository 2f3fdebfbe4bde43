"""IHE MHD over the wire: Provide Document Bundle, Simplified Publish, Generate Metadata."""

import base64
import copy
import hashlib
import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from mappings.core.identity import has_valid_key
from tests.live import Live, free_port, serve

MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD."
PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
FHIR = {"Content-Type": "application/fhir+json"}
SET, DOCUMENT, FILE = (f"urn:uuid:00000000-0000-4000-8000-00000000000{n}" for n in range(1, 4))
INS = "urn:oid:1.2.250.1.213.1.4.10"
_numbers = itertools.count(1)


def code(system: str, value: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": value}]}


def oid() -> str:
    return f"urn:oid:2.25.{uuid.uuid4().int}"


def ins() -> str:
    """A number of its own with its right key."""
    body = f"2790299{next(_numbers):06}"
    return next(number for key in range(1, 98) if has_valid_key(number := f"{body}{key:02}"))


def cda(number: str, *, document: str = "", title: str = "Consultation", allergy: str = "") -> bytes:
    """A synthetic level 3 document; ``document`` is its id (an OID or UUID)."""
    entry = f"""<entry><act classCode="ACT" moodCode="EVN"><templateId root="1.2.250.1.213.1.1.3.40"/>
      <id root="{uuid.uuid4()}"/><statusCode code="active"/>
      <entryRelationship typeCode="SUBJ"><observation classCode="OBS" moodCode="EVN" negationInd="false">
      <templateId root="1.2.250.1.213.1.1.3.41"/><id root="{uuid.uuid4()}"/>
      <code code="609328004" codeSystem="2.16.840.1.113883.6.96"/><statusCode code="completed"/>
      <participant typeCode="CSM"><participantRole classCode="MANU"><playingEntity classCode="MMAT">
      <code code="{allergy}" codeSystem="2.16.840.1.113883.6.73"/><name>{allergy}</name>
      </playingEntity></participantRole></participant></observation></entryRelationship></act></entry>"""
    return f"""<ClinicalDocument xmlns="urn:hl7-org:v3">
      <templateId root="1.2.250.1.213.1.1.1.13"/><id root="{document or uuid.uuid4()}"/>
      <code code="11488-4" codeSystem="2.16.840.1.113883.6.1"/><title>{title}</title>
      <effectiveTime value="20260102101500+0100"/>
      <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/><languageCode code="fr-FR"/>
      <recordTarget><patientRole><id root="{INS.removeprefix("urn:oid:")}" extension="{number}"/>
      <patient><name><family qualifier="BR">DURAND</family><given>ELOISE</given></name>
      <administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/><birthTime value="19800229"/>
      </patient></patientRole></recordTarget>
      <author><time value="20260102"/><assignedAuthor><id root="1.2.250.1.71.4.2.1" extension="810000000001"/>
      <assignedPerson><name><family>MARTIN</family></name></assignedPerson></assignedAuthor></author>
      <component><structuredBody><component><section><templateId root="1.2.250.1.213.1.1.2.137"/>
      <title>Allergies</title><text>{allergy}</text>{entry if allergy else ""}</section></component>
      </structuredBody></component></ClinicalDocument>""".encode()


class Person:
    """A patient of the server, and what is published about them."""

    def __init__(self, client: httpx2.Client) -> None:
        self.ins = ins()
        patient = {
            "resourceType": "Patient",
            "identifier": [{"system": INS, "value": self.ins}],
            "name": [{"family": "DURAND", "given": ["ELOISE"]}],
        }
        made = client.post("/Patient", json=patient)
        self.reference = f"Patient/{made.json()['id']}"

    def submission(self, data: bytes = b"what the doctor wrote", **document: Any) -> dict[str, Any]:
        """A Bundle with minimal metadata; ``document`` are elements of the DocumentReference."""
        subject = {"reference": self.reference}
        submission_set = {
            "resourceType": "List",
            "extension": [
                {
                    "url": "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId",
                    "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3"},
                }
            ],
            "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": oid()}],
            "status": "current",
            "mode": "working",
            "code": code("https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "submissionset"),
            "subject": subject,
            "date": "2026-01-02T10:15:00+01:00",
            "entry": [{"item": {"reference": DOCUMENT}}],
        }
        attachment = {
            "contentType": "text/plain",
            "url": FILE,
            "size": len(data),
            "hash": base64.b64encode(hashlib.sha1(data).digest()).decode(),
        }
        reference = {
            "resourceType": "DocumentReference",
            "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": oid()},
            "status": "current",
            "type": code("http://loinc.org", "11488-4"),
            "subject": subject,
            "content": [{"attachment": attachment}],
            **document,
        }
        binary = {"contentType": "text/plain", "data": base64.b64encode(data).decode()}
        return {
            "resourceType": "Bundle",
            "meta": {"profile": [MHD + "Minimal.ProvideBundle"]},
            "type": "transaction",
            "entry": [
                created(SET, submission_set),
                created(DOCUMENT, reference),
                created(FILE, {"resourceType": "Binary", **binary}),
            ],
        }

    def simplified(self, data: bytes = b"a letter", **elements: Any) -> dict[str, Any]:
        attachment = {"contentType": "text/plain", "data": base64.b64encode(data).decode(), "title": "Lettre"}
        return {
            "resourceType": "DocumentReference",
            "meta": {"profile": [MHD + "SimplifiedPublish.DocumentReference"]},
            "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": oid()},
            "status": "current",
            "subject": {"reference": self.reference},
            "content": [{"attachment": attachment}],
            **elements,
        }


def created(url: str, resource: dict[str, Any]) -> dict[str, Any]:
    request = {"method": "POST", "url": resource["resourceType"]}
    return {"fullUrl": url, "resource": resource, "request": request}


def comprehensive(person: Person, **elements: Any) -> dict[str, Any]:
    """A submission with all that MHD's comprehensive metadata want."""
    bundle = person.submission(
        contained=[
            {"resourceType": "Patient", "id": "source", "identifier": [{"system": INS, "value": person.ins}]},
            {"resourceType": "Practitioner", "id": "author", "name": [{"family": "MARTIN"}]},
        ],
        author=[{"reference": "#author"}],
        category=[code("urn:oid:1.2.250.1.213.1.1.4.1", "10")],
        securityLabel=[code("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N")],
        context={
            "facilityType": code("urn:oid:1.2.250.1.71.4.2.4", "SA07"),
            "practiceSetting": code("urn:oid:1.2.250.1.213.1.1.4.9", "AMBULATOIRE"),
            "sourcePatientInfo": {"reference": "#source"},
        },
        **elements,
    )
    bundle["meta"]["profile"] = [MHD + "Comprehensive.ProvideBundle"]
    content = bundle["entry"][1]["resource"]["content"][0]
    content["attachment"] |= {"language": "fr-FR", "creation": "2026-01-02T10:15:00+01:00"}
    content["format"] = {"system": "urn:oid:1.3.6.1.4.1.19376.1.2.3", "code": "urn:ihe:iti:xds-sd:text:2008"}
    submission_set = bundle["entry"][0]["resource"]
    submission_set["contained"] = [{"resourceType": "Practitioner", "id": "author"}]
    submission_set["source"] = {"reference": "#author"}
    url = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType"
    kind = {"url": url, "valueCodeableConcept": code("urn:oid:1.2.250.1.213.2.2", "07")}
    submission_set["extension"].append(kind)
    return bundle


@pytest.fixture
def person(client: httpx2.Client) -> Person:
    return Person(client)


def stored(client: httpx2.Client, bundle: dict[str, Any]) -> dict[str, Any]:
    """The DocumentReference of a submission, as it is stored."""
    value = bundle["entry"][1]["resource"]["masterIdentifier"]["value"]
    return only(client, f"/DocumentReference?identifier={value}")


def only(client: httpx2.Client, url: str) -> dict[str, Any]:
    entries = client.get(url).json().get("entry", [])
    assert len(entries) == 1, url
    resource: dict[str, Any] = entries[0]["resource"]
    return resource


def issues(answer: httpx2.Response) -> list[tuple[str, str]]:
    return [(i["details"]["text"], (i.get("expression") or [""])[0]) for i in answer.json()["issue"]]


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


def test_a_submission_set_is_not_used_twice(client: httpx2.Client, person: Person) -> None:
    first, second = person.submission(), person.submission()
    client.post("", json=first)
    second["entry"][0]["resource"]["identifier"] = first["entry"][0]["resource"]["identifier"]
    answer = client.post("", json=second)
    assert answer.status_code == 422
    assert "XDSDuplicateUniqueIdInRegistry" in issues(answer)[0][0]


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


# --- simplified publish


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
    ],
)
def test_what_simplified_publish_is(
    client: httpx2.Client, person: Person, elements: dict[str, Any], publishes: bool
) -> None:
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


# --- generate metadata


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


# --- profiles


def test_the_capability_statement_names_actors_and_profiles(client: httpx2.Client) -> None:
    statement = client.get("/metadata").json()
    actor = "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified"
    assert actor in statement["instantiates"]
    [resource] = [r for r in statement["rest"][0]["resource"] if r["type"] == "DocumentReference"]
    assert MHD + "Comprehensive.DocumentReference" in resource["supportedProfile"]
    assert "urn:x-fhirserver:profile:fr-document" in resource["supportedProfile"]
    assert "generate-metadata" in [operation["name"] for operation in resource["operation"]]


def _without(*names: str) -> Any:
    def spoil(bundle: dict[str, Any]) -> None:
        element = bundle["entry"][1]["resource"]
        for name in names[:-1]:
            element = element[name]
        del element[names[-1]]

    return spoil


def _reference_outside(bundle: dict[str, Any]) -> None:
    document = bundle["entry"][1]["resource"]
    document["author"] = [{"reference": "https://example.org/fhir/Practitioner/1"}]
    document["contained"] = document["contained"][:1]


COMPREHENSIVE = [
    ("nothing", lambda _: None, ""),
    ("no type", _without("type"), "type"),
    ("no category", _without("category"), "category"),
    ("no label", _without("securityLabel"), "securityLabel"),
    ("no facility", _without("context", "facilityType"), "context.facilityType"),
    ("no practice setting", _without("context", "practiceSetting"), "context.practiceSetting"),
    ("an author outside", _reference_outside, ""),
]


@pytest.mark.parametrize(("what", "spoil", "place"), COMPREHENSIVE, ids=[c[0] for c in COMPREHENSIVE])
def test_a_claim_is_stored_where_it_holds(
    client: httpx2.Client, person: Person, what: str, spoil: Any, place: str
) -> None:
    bundle = comprehensive(person)
    spoil(bundle)
    if what == "no practice setting":
        bundle["entry"][1]["resource"]["meta"] = {
            "profile": [MHD + "Comprehensive.DocumentReference", "urn:x:y"]
        }
    answer = client.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    claimed = stored(client, bundle).get("meta", {}).get("profile", [])
    response = answer.json()["entry"][1]["response"]
    if what == "nothing":
        assert claimed == [MHD + "Comprehensive.DocumentReference"]
        assert "outcome" not in response
    else:
        assert MHD + "Comprehensive.DocumentReference" not in claimed
        told = response["outcome"]["issue"]
        assert {issue["severity"] for issue in told} == {"warning"}
        expected = f"Bundle.entry[1].resource{'.' if place else ''}{place}"
        assert told[0]["expression"] == [expected]
    if what == "no practice setting":
        assert claimed == ["urn:x:y"]


@pytest.fixture(scope="module")
def strict(make_settings: Any) -> Iterator[httpx2.Client]:
    """A client of a server that refuses what is not as it claims."""
    settings = make_settings(http_port=free_port(), mhd_profiles="refuse")
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as client:
        yield client


@pytest.mark.parametrize(("what", "spoil", "place"), COMPREHENSIVE, ids=[c[0] for c in COMPREHENSIVE])
def test_a_claim_that_does_not_hold_is_refused_where_the_setting_says_so(
    strict: httpx2.Client, what: str, spoil: Any, place: str
) -> None:
    bundle = comprehensive(Person(strict))
    spoil(bundle)
    answer = strict.post("", json=bundle)
    assert answer.status_code == (200 if what == "nothing" else 422)


def test_a_withdrawn_document_claims_nothing(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission(author=[{"identifier": {"system": "urn:x", "value": "me"}}])
    client.post("", json=bundle)
    document = stored(client, bundle)
    assert document["meta"]["profile"]
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "reason", "valueString": "test"},
            {"name": "author", "valueIdentifier": {"system": "urn:x", "value": "me"}},
        ],
    }
    answer = client.post(f"/DocumentReference/{document['id']}/$withdraw", json=asked)
    assert answer.status_code == 200, answer.text
    assert "profile" not in answer.json()["meta"]


def test_a_change_lets_a_claim_go(strict: httpx2.Client) -> None:
    bundle = comprehensive(Person(strict))
    strict.post("", json=bundle)
    document = stored(strict, bundle)
    del document["context"]["facilityType"]
    answer = strict.put(f"/DocumentReference/{document['id']}", json=document)
    assert answer.status_code == 200, answer.text
    assert "profile" not in answer.json()["meta"]


def test_conditions_of_the_client_hold_nothing_up(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission()
    master = bundle["entry"][1]["resource"]["masterIdentifier"]
    bundle["entry"][1]["request"]["ifNoneExist"] = f"identifier={master['value']}"
    statuses = [
        [e["response"]["status"][:3] for e in client.post("", json=bundle).json()["entry"]] for _ in range(2)
    ]
    assert statuses == [["201"] * 3, ["200"] * 3]


def test_documents_by_themselves_are_held_to_their_claims_too(
    client: httpx2.Client, strict: httpx2.Client, person: Person
) -> None:
    document = person.simplified(meta={"profile": [PDSM + "pdsm-comprehensive-document-reference"]})
    document["status"] = "superseded"  # it is not published
    made = client.post("/DocumentReference", json=document)
    assert made.status_code == 201
    assert "profile" not in made.json()["meta"]
    document["subject"] = {"reference": Person(strict).reference}
    assert strict.post("/DocumentReference", json=document).status_code == 422
