"""What IHE MHD and PDSm require (profiles/mhd): for each profile a resource that conforms, and changes to it
that make it one that does not."""

import copy
from typing import Any

import pytest

from fhirserver.validation import Validator

Element = dict[str, Any]

PROFILE = "urn:x-fhirserver:profile:"
EXTENSION = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
LIST_TYPES = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
GONE = object()
"""The element is left out."""


def concept(code: str, system: str = "urn:oid:1.2.250.1.999.5") -> Element:
    return {"coding": [{"system": system, "code": code}]}


DOCUMENT: Element = {
    "resourceType": "DocumentReference",
    "contained": [
        {"resourceType": "Patient", "id": "source"},
        {"resourceType": "Practitioner", "id": "author", "name": [{"family": "MARTIN-TEST"}]},
    ],
    "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999.2.1"},
    "status": "current",
    "type": concept("11488-4"),
    "category": [concept("10")],
    "subject": {"reference": "Patient/1"},
    "date": "2026-01-02T10:15:00+01:00",
    "author": [{"reference": "#author"}],
    "custodian": {"reference": "Organization/1"},
    "securityLabel": [concept("N", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality")],
    "content": [
        {
            "attachment": {
                "contentType": "text/xml",
                "language": "fr-FR",
                "url": "Binary/1",
                "size": 5,
                "hash": "qvTGHdzF6KLavt4PO0gs2a6pQ00=",
                "title": "Compte rendu",
                "creation": "2026-01-02T10:15:00+01:00",
            },
            "format": {"system": "urn:oid:1.2.250.1.999.6", "code": "urn:ihe:iti:xds-sd:text:2008"},
        }
    ],
    "context": {
        "period": {"start": "2026-01-02"},
        "facilityType": concept("SA07"),
        "practiceSetting": concept("AMBULATOIRE"),
        "sourcePatientInfo": {"reference": "#source"},
    },
}
SUBMISSION: Element = {
    "resourceType": "List",
    "contained": [{"resourceType": "Practitioner", "id": "author", "name": [{"family": "MARTIN-TEST"}]}],
    "extension": [
        {"url": f"{EXTENSION}ihe-designationType", "valueCodeableConcept": concept("07")},
        {
            "url": f"{EXTENSION}ihe-sourceId",
            "valueIdentifier": {"system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.250.1.999"},
        },
    ],
    "status": "current",
    "mode": "working",
    "code": concept("submissionset", LIST_TYPES),
    "subject": {"reference": "Patient/1"},
    "date": "2026-01-02",
    "source": {"reference": "#author"},
    "entry": [{"item": {"reference": "DocumentReference/1"}}],
}
FOLDER: Element = {
    **{k: v for k, v in SUBMISSION.items() if k not in ("source", "contained")},
    "title": "Grossesse",
    "code": concept("folder", LIST_TYPES),
}
SIMPLIFIED: Element = {
    **DOCUMENT,
    "content": [{"attachment": {"contentType": "text/plain", "data": "aGVsbG8=", "title": "Lettre"}}],
}
CONFORMING = {
    "mhd-minimal-document": DOCUMENT,
    "mhd-comprehensive-document": DOCUMENT,
    "mhd-contained-document": DOCUMENT,
    "pdsm-document": DOCUMENT,
    "mhd-simplified-document": SIMPLIFIED,
    "pdsm-simplified-document": SIMPLIFIED,
    "mhd-minimal-submission": SUBMISSION,
    "mhd-comprehensive-submission": SUBMISSION,
    "mhd-contained-submission": SUBMISSION,
    "pdsm-submission": SUBMISSION,
    "mhd-folder": FOLDER,
    "mhd-comprehensive-folder": FOLDER,
}


def changed(resource: Element, path: str, value: Any) -> Element:
    """The resource with the element at ``path`` (``content.attachment.url``) set or left out."""
    made = copy.deepcopy(resource)
    place: Any = made
    *way, last = path.split(".")
    for name in way:
        place = place[name]
        place = place[0] if isinstance(place, list) else place
    if value is GONE:
        place.pop(last)
    else:
        place[last] = value
    return made


def errors(french: Validator, resource: Element, profile: str) -> list[str]:
    found = french.against(resource, PROFILE + profile, location=resource["resourceType"])
    return [issue.rule for issue in found if issue.severity == "error"]


@pytest.mark.parametrize("profile", CONFORMING)
def test_what_conforms(french: Validator, profile: str) -> None:
    resource = CONFORMING[profile]
    assert french.validate(resource, profiles=[PROFILE + profile]) == []


OUTSIDE = {"reference": "Practitioner/1"}
MINIMAL_DOCUMENT = [
    ("masterIdentifier", GONE),
    ("masterIdentifier", {"system": "urn:ietf:rfc:3986", "value": "1.2.3"}),
    ("status", "entered-in-error"),
    ("docStatus", "final"),
    ("category", [concept("10"), concept("11")]),
    ("subject", {"reference": "Group/1"}),
    ("content", DOCUMENT["content"] * 2),
    ("content.attachment.contentType", GONE),
    ("content.attachment.url", GONE),
    ("content.attachment.data", "aGVsbG8="),
]
COMPREHENSIVE_DOCUMENT = [
    *MINIMAL_DOCUMENT,
    *((name, GONE) for name in ("type", "category", "subject", "securityLabel", "context")),
    *((f"content.{name}", GONE) for name in ("attachment.language", "attachment.creation", "format")),
    *((f"context.{name}", GONE) for name in ("facilityType", "practiceSetting", "sourcePatientInfo")),
]
CONTAINED_DOCUMENT = [
    *COMPREHENSIVE_DOCUMENT,
    ("author", [OUTSIDE]),
    ("authenticator", OUTSIDE),
    ("context.sourcePatientInfo", {"reference": "Patient/1"}),
]
MINIMAL_SUBMISSION = [
    ("extension", SUBMISSION["extension"][:1]),
    ("status", "retired"),
    ("mode", "snapshot"),
    ("code", concept("folder", LIST_TYPES)),
    ("date", GONE),
    ("encounter", {"reference": "Encounter/1"}),
    ("note", [{"text": "a"}, {"text": "b"}]),
    ("entry.date", "2026-01-02"),
    ("orderedBy", concept("user")),
]
COMPREHENSIVE_SUBMISSION = [
    *MINIMAL_SUBMISSION,
    ("extension", SUBMISSION["extension"][1:]),
    ("subject", GONE),
]
FAILING = {
    "mhd-minimal-document": MINIMAL_DOCUMENT,
    "mhd-comprehensive-document": COMPREHENSIVE_DOCUMENT,
    "mhd-contained-document": CONTAINED_DOCUMENT,
    "pdsm-document": [
        *CONTAINED_DOCUMENT,
        *((name, GONE) for name in ("contained", "date", "author", "custodian")),
        *((f"content.attachment.{name}", GONE) for name in ("size", "hash", "title")),
        ("context.period", GONE),
        ("context.period", {"end": "2026-01-02"}),
    ],
    "mhd-simplified-document": [
        ("masterIdentifier", GONE),
        ("subject", GONE),
        ("status", "superseded"),
        ("identifier", [{"type": concept("entryUUID"), "value": "urn:uuid:1"}]),
        ("content.attachment.data", GONE),
        ("content.attachment.url", "Binary/1"),
        ("content.attachment.contentType", GONE),
    ],
    "pdsm-simplified-document": [("author", GONE), ("content.attachment.title", GONE)],
    "mhd-minimal-submission": MINIMAL_SUBMISSION,
    "mhd-comprehensive-submission": COMPREHENSIVE_SUBMISSION,
    "mhd-contained-submission": [*COMPREHENSIVE_SUBMISSION, ("source", OUTSIDE)],
    "pdsm-submission": [("source", GONE), ("contained", GONE)],
    "mhd-folder": [
        ("status", "retired"),
        ("code", concept("submissionset", LIST_TYPES)),
        ("source", OUTSIDE),
    ],
    "mhd-comprehensive-folder": [("title", GONE), ("subject", GONE), ("extension", GONE)],
}


@pytest.mark.parametrize(
    ("profile", "path", "value"),
    [(profile, path, value) for profile, changes in FAILING.items() for path, value in changes],
)
def test_what_does_not_conform(french: Validator, profile: str, path: str, value: Any) -> None:
    assert errors(french, changed(CONFORMING[profile], path, value), profile) != []


@pytest.mark.parametrize(
    ("profile", "path"),
    [
        ("mhd-minimal-document", "subject"),
        ("mhd-minimal-document", "context"),
        ("mhd-comprehensive-document", "author"),
        ("mhd-minimal-submission", "subject"),
        ("mhd-minimal-submission", "source"),
        ("mhd-comprehensive-submission", "source"),
        ("mhd-simplified-document", "author"),
        ("mhd-folder", "title"),
    ],
)
def test_what_may_be_missing(french: Validator, profile: str, path: str) -> None:
    assert errors(french, changed(CONFORMING[profile], path, GONE), profile) == []
