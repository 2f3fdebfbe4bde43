"""What was provided as MHD has it (ITI-65) is found, updated and retrieved by XDS."""

import base64
import hashlib
import uuid
from typing import Any, Final

import httpx2
import pytest

from tests.live import Live
from tests.xds import described as s
from tests.xds.messages import envelope, post
from tests.xds.published import availability, update
from tests.xds.registry import FHIR, Parameters, ask, codes, links, name_of, quoted, slot, titles

MHD: Final = "https://profiles.ihe.net/ITI/MHD/"
URI: Final = "urn:ietf:rfc:3986"
INS: Final = "188017799999934"
CONTENT: Final = b"Bonjour"
DOCUMENT: Final = uuid.UUID("7b1c9d1e-0d7b-4c2b-9b0e-5c1d2e3f4a5b")
RETRIEVE: Final = "urn:ihe:iti:2007:RetrieveDocumentSet"


def bundle() -> dict[str, Any]:
    """A Provide Document Bundle: contained author, labels by France's OID, references between its entries."""
    hash = base64.b64encode(hashlib.sha1(CONTENT, usedforsecurity=False).digest()).decode()
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": f"urn:oid:{s.INS_OID}", "value": INS}],
        "name": [{"family": "MHD-TEST"}],
    }
    document: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "contained": [
            {"resourceType": "Organization", "id": "o", "name": "Cabinet (test)"},
            {"resourceType": "Practitioner", "id": "p", "name": [{"family": "MHD-TEST", "given": ["Ali"]}]},
            {
                "resourceType": "PractitionerRole",
                "id": "r",
                "practitioner": {"reference": "#p"},
                "organization": {"reference": "#o"},
            },
        ],
        "masterIdentifier": {"system": URI, "value": f"urn:uuid:{DOCUMENT}"},
        "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34112-3"}]},
        "subject": {"reference": "urn:uuid:1"},
        "author": [{"reference": "#r"}],
        "securityLabel": [
            {"coding": [{"system": "urn:oid:1.2.250.1.213.1.1.4.13", "code": "INVISIBLE_PATIENT"}]}
        ],
        "content": [
            {
                "attachment": {
                    "contentType": "text/plain",
                    "url": "urn:uuid:3",
                    "size": len(CONTENT),
                    "hash": hash,
                    "title": "MHD",
                    "creation": "2026-03-01T10:00:00+01:00",
                }
            }
        ],
        "context": {"period": {"start": "2026-02-27"}},
    }
    submission: dict[str, Any] = {
        "resourceType": "List",
        "extension": [
            {
                "url": f"{MHD}StructureDefinition/ihe-designationType",
                "valueCodeableConcept": {"coding": [{"system": "urn:oid:1.2.250.1.213.2.2", "code": "07"}]},
            },
            {
                "url": f"{MHD}StructureDefinition/ihe-sourceId",
                "valueIdentifier": {"system": URI, "value": "urn:oid:1.2.3"},
            },
        ],
        "identifier": [{"use": "usual", "system": URI, "value": "urn:oid:1.2.250.1.999.98.1"}],
        "status": "current",
        "mode": "working",
        "title": "Envoi MHD",
        "code": {"coding": [{"system": f"{MHD}CodeSystem/MHDlistTypes", "code": "submissionset"}]},
        "subject": {"reference": "urn:uuid:1"},
        "date": "2026-03-01T10:00:00+01:00",
        "entry": [{"item": {"reference": "urn:uuid:2"}}],
    }
    binary: dict[str, Any] = {
        "resourceType": "Binary",
        "contentType": "text/plain",
        "data": base64.b64encode(CONTENT).decode(),
    }
    entries = [
        {
            "fullUrl": f"urn:uuid:{n}",
            "resource": each,
            "request": {"method": "POST", "url": each["resourceType"]},
        }
        for n, each in enumerate((patient, document, binary, submission), 1)
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


@pytest.fixture(scope="module")
def provided(live: Live) -> Live:
    answer = httpx2.post(live.base_url, json=bundle(), headers=FHIR)
    assert answer.status_code == 200, answer.text
    return live


def test_the_submission_set_and_its_document(provided: Live) -> None:
    sets: Parameters = {
        "$XDSSubmissionSetPatientId": quoted(s.cx(INS)),
        "$XDSSubmissionSetStatus": quoted(s.APPROVED),
        "$XDSSubmissionSetSourceId": quoted("1.2.3"),
        "$XDSSubmissionSetContentType": quoted("07^^1.2.250.1.213.2.2"),
    }
    [found] = ask(provided.origin, "FindSubmissionSets", sets).all("RegistryPackage")
    assert (name_of(found), slot(found, "submissionTime")) == ("Envoi MHD", ["20260301090000"])
    named: Parameters = {"$XDSSubmissionSetEntryUUID": quoted(found.get("id", ""))}
    inside = ask(provided.origin, "GetSubmissionSetAndContents", named)
    assert titles(inside) == ["MHD"]
    [document] = inside.all("ExtrinsicObject")
    assert links(inside) == {("HasMember", found.get("id"), document.get("id"))}
    [author] = [c for c in document.findall("{*}Classification") if not c.get("nodeRepresentation")]
    assert slot(author, "authorPerson") == ["^MHD-TEST^Ali^^^^^^^D"]
    assert slot(author, "authorInstitution") == ["Cabinet (test)"]
    assert codes(document, "label") == ["INVISIBLE_PATIENT"]


def test_it_is_found_updated_and_retrieved(provided: Live) -> None:
    labelled: Parameters = {
        "$XDSDocumentEntryPatientId": quoted(s.cx(INS)),
        "$XDSDocumentEntryStatus": quoted(s.APPROVED),
        "$XDSDocumentEntryConfidentialityCode": quoted("INVISIBLE_PATIENT^^1.2.250.1.213.1.1.4.13"),
    }
    [document] = ask(provided.origin, "FindDocuments", labelled).all("ExtrinsicObject")
    unique_id = f"2.25.{DOCUMENT.int}"
    assert unique_id in [e.get("value") for e in document.findall("{*}ExternalIdentifier")]
    archive = availability(document.get("id", ""), s.APPROVED, s.ARCHIVED)
    answer = update(provided, archive, ins=INS)
    assert answer.registry_status == "Success", answer.values("RegistryError", "codeContext")
    by_unique_id: Parameters = {"$XDSDocumentEntryUniqueId": quoted(unique_id)}
    found = ask(provided.origin, "GetDocuments", by_unique_id)
    assert found.values("ExtrinsicObject", "status") == [s.ARCHIVED]
    body = (
        '<RetrieveDocumentSetRequest xmlns="urn:ihe:iti:xds-b:2007"><DocumentRequest>'
        f"<RepositoryUniqueId>{provided.settings.xds_repository_id}</RepositoryUniqueId>"
        f"<DocumentUniqueId>{unique_id}</DocumentUniqueId></DocumentRequest></RetrieveDocumentSetRequest>"
    )
    assert list(post(f"{provided.origin}/xds/repository", envelope(RETRIEVE, body)).parts.values()) == [
        CONTENT
    ]
