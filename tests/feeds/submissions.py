"""Synthetic documents and submissions of IHE MHD, for tests of publishing."""

import base64
import hashlib
import itertools
import uuid
from typing import Any

import httpx2

from mappings.core.identity import has_valid_key

MHD = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD."
PDSM = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/"
FHIR = {"Content-Type": "application/fhir+json"}
SET, DOCUMENT, FILE, FOLDER = (f"urn:uuid:00000000-0000-4000-8000-00000000000{n}" for n in range(1, 5))
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

    def folder(self) -> dict[str, Any]:
        """The entry of a folder with the document of a submission."""
        folder = {
            "resourceType": "List",
            "identifier": [{"use": "usual", "system": "urn:ietf:rfc:3986", "value": oid()}],
            "status": "current",
            "mode": "working",
            "code": code("https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "folder"),
            "title": "Suivi",
            "subject": {"reference": self.reference},
            "entry": [{"item": {"reference": DOCUMENT}}],
        }
        return created(FOLDER, folder)

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
