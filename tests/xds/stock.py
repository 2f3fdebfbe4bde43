"""What the registry of the tests has: two submissions of one patient, one of another, and what apps made."""

import base64
from typing import Final

import httpx2

from tests.live import Live
from tests.xds import described as s
from tests.xds.registry import INS, OTHER, put, quoted, send

A, B, C, D = (f"urn:uuid:0b000000-0000-4000-8000-00000000000{n}" for n in "abcd")
FOLDER = "urn:uuid:0b000000-0000-4000-8000-0000000000f1"
SETS = [f"urn:uuid:0b000000-0000-4000-8000-0000000000e{n}" for n in (1, 2)]
ROOT = "1.2.250.1.999.50"
WHO = quoted(s.cx(INS))
OTHER_AUTHOR = {
    "authorPerson": ["899900000001^O'NEILL-TEST^Maëlle^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS", "^Second^X"],
    "authorInstitution": ["CHU test^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1350000107", "Service^^^^^^^^^1.2.3"],
    "authorRole": ["Interne", "Remplaçante"],
    "authorTelecommunication": ["^^Internet^maelle@example.org"],
}
EVENTS = [("ABCD001", "1.2.250.1.213.2.5", "Acte un"), ("ABCD002", "1.2.250.1.213.2.5", "Acte deux")]
REFERENCES = [
    "PRESC-1^^^&1.2.250.1.999.35.4&ISO^urn:ihe:iti:xds:2013:order",
    "VENUE-7^^^&1.2.250.1.999.35.3&ISO^urn:ihe:iti:xds:2015:encounterId",
]
INFO = ["PID-3|IPP-0042^^^&1.2.250.1.999.35.1&ISO^PI", "PID-5|LEROUX-TEST^CAMILLE^^^^^L", "PID-7|19850714"]
SYNTHESIS = {
    "class": [("11", "1.2.250.1.213.1.1.4.1", "Synthèse")],
    "label": [("N", "2.16.840.1.113883.5.25", "Normal"), s.MASKED],
    "event": EVENTS,
}


def first_submission() -> bytes:
    described = s.metadata(
        s.entry(A, f"{ROOT}.1", INS, b"A", title="A"),
        s.entry(
            B,
            f"{ROOT}.2^B",
            INS,
            b"BB",
            uri="B.TXT",
            title="B",
            comments="Relu & signé",
            status=s.ARCHIVED,
            author=OTHER_AUTHOR,
            codes=SYNTHESIS,
            more={
                "creationTime": ["20240401"],
                "serviceStartTime": ["20240329"],
                "serviceStopTime": ["20240330"],
                "sourcePatientInfo": INFO,
                "urn:ihe:iti:xds:2013:referenceIdList": REFERENCES,
                "urn:example:site": ["batiment 3", "étage 2"],
                "legalAuthenticator": [f"{INS}^LEROUX-TEST^CAMILLE^^^^^^&{s.INS_OID}&ISO^D^^^NH"],
            },
        ),
        s.submission_set(f"{ROOT}.101", INS, id=SETS[0], author=OTHER_AUTHOR),
        s.folder(FOLDER, f"{ROOT}.201", INS),
        *(s.association("HasMember", SETS[0], target) for target in (A, B, FOLDER)),
        *(s.association("HasMember", FOLDER, target) for target in (A, B)),
    )
    return s.xdm(described, {"DOC00001.TXT": b"A", "B.TXT": b"BB"})


def second_submission() -> bytes:
    """C replaces A, D transforms B and replaces nothing that is said; A is a member by reference."""
    described = s.metadata(
        s.entry(C, f"{ROOT}.3", INS, b"CCC", title="C", more={"creationTime": ["20240501120000+0200"]}),
        s.entry(D, f"{ROOT}.4", INS, b"DDDD", uri="D.TXT", title="D", status=s.DELETED),
        s.submission_set(
            f"{ROOT}.102",
            INS,
            id=SETS[1],
            time="20240502080000",
            source="1.2.250.1.999.35.10.2",
            content=("03", "1.2.250.1.213.2.2", "Hospitalisation"),
            title="Envoi 2",
            more={"intendedRecipient": [f"{s.INSTITUTION}|{s.PERSON}", f"|{s.PERSON}"]},
        ),
        s.association("RPLC", C, A),
        s.association("urn:ihe:iti:2010:AssociationType:IsSnapshotOf", C, B),
        *(s.association("HasMember", SETS[1], target) for target in (C, D)),
        s.association("HasMember", SETS[1], B, {"SubmissionSetStatus": ["Reference"]}),
    )
    return s.xdm(described, {"DOC00001.TXT": b"CCC", "D.TXT": b"DDDD"})


def other_patient() -> bytes:
    described = s.metadata(
        s.entry("Document01", f"{ROOT}.9", OTHER, b"X", title="X"),
        s.submission_set(f"{ROOT}.109", OTHER),
        s.association("HasMember", "SubmissionSet01", "Document01"),
    )
    return s.xdm(described, {"DOC00001.TXT": b"X"})


ANY: Final = (s.APPROVED, s.DEPRECATED, s.ARCHIVED)
CISIS: Final = "1.2.250.1.213.1.1.4.1"


def stock(live: Live) -> None:
    """Bring all of it in."""
    with httpx2.Client(base_url=live.base_url, timeout=30) as client:
        for zipped in (first_submission(), second_submission(), other_patient()):
            send(live.origin, zipped)
        found = client.get("/Patient", params={"identifier": f"urn:oid:{s.INS_OID}|{INS}"}).json()
        patient = {"reference": f"Patient/{found['entry'][0]['resource']['id']}"}
        put(
            client,
            {
                "resourceType": "DocumentReference",
                "id": "app-1",
                "contained": [
                    {
                        "resourceType": "Practitioner",
                        "id": "w",
                        "identifier": [{"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "899955554444"}],
                        "name": [{"family": "APPLI-TEST", "given": ["Zoé"]}],
                    }
                ],
                "status": "current",
                "subject": patient,
                "date": "2024-06-01T10:00:00Z",
                "author": [{"reference": "#w"}],
                "content": [
                    {
                        "attachment": {
                            "contentType": "text/plain",
                            "data": base64.b64encode(b"E").decode(),
                            "title": "E",
                        }
                    }
                ],
            },
        )
        put(client, {"resourceType": "Patient", "id": "anonymous", "name": [{"family": "X"}]})
        put(
            client,
            {
                "resourceType": "DocumentReference",
                "id": "an-id-that-is-longer-than-twenty",
                "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{ROOT}.77"},
                "status": "current",
                "subject": {"reference": "Patient/anonymous"},
                "content": [{"attachment": {"url": "https://elsewhere.example.org/1", "title": "F"}}],
            },
        )
