"""Documents: their content, versions and withdrawal. Operations of servers of documents, as docs/api says."""

import base64
import uuid

from conformance import expect
from conformance.areas.operations import parameters
from conformance.checks import check
from conformance.client import Resource
from conformance.target import Target

AREA = "documents"
CONTENT = b"%PDF-1.4 conformance"
AUTHOR = {"system": "urn:conformance", "value": "author"}
NEEDS = ("DocumentReference/create", "DocumentReference/read")


def document(target: Target, **elements: object) -> Resource:
    """A document with a small PDF, by an author who is known by an identifier."""
    attachment = {"contentType": "application/pdf", "data": base64.b64encode(CONTENT).decode()}
    who = {"type": "Practitioner", "identifier": AUTHOR}
    content = [{"attachment": attachment}]
    return target.create("DocumentReference", content=content, author=[who], **elements)


@check(
    AREA, "$content gives the document itself", "documentreference.html", "DocumentReference/$content", *NEEDS
)
def content(target: Target) -> None:
    path = f"DocumentReference/{document(target)['id']}/$content"
    for accept in ("*/*", "application/pdf"):
        answer = target.get(path, headers={"Accept": accept})
        expect.status(answer, 200)
        expect.equal("Content-Type", answer.media_type, "application/pdf")
        expect.require(answer.body == CONTENT, f"{len(answer.body)} bytes instead of {len(CONTENT)}")
    expect.refused(target.get(path, headers={"Accept": "image/png"}), 406)


@check(
    AREA,
    "$xdm packs the documents of a patient",
    "https://profiles.ihe.net/ITI/TF/Volume2/ITI-32.html",
    "DocumentReference/$xdm",
    *NEEDS,
)
def xdm(target: Target) -> None:
    patient = {"reference": f"Patient/{target.create('Patient')['id']}"}
    made = document(target, subject=patient)
    for path in (f"DocumentReference/{made['id']}/$xdm", f"DocumentReference/$xdm?document={made['id']}"):
        answer = target.get(path)
        expect.status(answer, 200)
        expect.equal("Content-Type", answer.media_type, "application/zip")
        expect.require(answer.body.startswith(b"PK"), "the body is no zip")
    expect.outcome(target.get("DocumentReference/$xdm"), 400)


@check(
    AREA,
    "$versions lists a document and those it replaces, the current one first",
    "documentreference.html",
    "DocumentReference/$versions",
    *NEEDS,
)
def versions(target: Target) -> None:
    old = document(target, status="superseded")
    replaced = {"code": "replaces", "target": {"reference": f"DocumentReference/{old['id']}"}}
    new = document(target, relatesTo=[replaced])
    for each in (old, new):
        body = expect.bundle(target.get(f"DocumentReference/{each['id']}/$versions"), "searchset")
        expect.equal("versions", [found["id"] for found in expect.resources(body)], [new["id"], old["id"]])
    expect.refused(target.get("DocumentReference/$versions"), 400)


@check(
    AREA,
    "$withdraw is for the author, who gives a reason",
    "documentreference.html",
    "DocumentReference/$withdraw",
    *NEEDS,
)
def withdraw(target: Target) -> None:
    path = f"DocumentReference/{document(target)['id']}"
    other = {"system": "urn:conformance", "value": "somebody else"}
    for asked, status in (
        (parameters(author_valueIdentifier=AUTHOR), 400),
        (parameters(reason_valueString="conformance", author_valueIdentifier=other), 403),
    ):
        expect.outcome(target.send("POST", f"{path}/$withdraw", asked), status)
    asked = parameters(reason_valueString="conformance", author_valueIdentifier=AUTHOR)
    expect.resource(target.send("POST", f"{path}/$withdraw", asked), "DocumentReference")
    found = expect.resource(target.get(path), "DocumentReference")
    expect.equal("status", found.get("status"), "entered-in-error")


@check(
    AREA,
    "$generate-metadata makes the DocumentReference of a FHIR document",
    "https://profiles.ihe.net/ITI/MHD/ITI-106.html",
    "DocumentReference/$generate-metadata",
    "DocumentReference/read",
)
def generate_metadata(target: Target) -> None:
    number = {"system": "urn:conformance", "value": target.mark}
    subject = f"urn:uuid:{uuid.uuid4()}"
    composition: Resource = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "conformance"},
        "subject": {"reference": subject},
        "date": "2026-01-02",
        "author": [{"display": "conformance"}],
        "title": "conformance",
    }
    patient = {"resourceType": "Patient", "identifier": [number]}
    made = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid.uuid4()}"},
        "timestamp": "2026-01-02T00:00:00Z",
        "entry": [
            {"fullUrl": f"urn:uuid:{uuid.uuid4()}", "resource": composition},
            {"fullUrl": subject, "resource": patient},
        ],
    }
    path = "DocumentReference/$generate-metadata"
    body = expect.resource(target.send("POST", path, parameters(document=made)), "Parameters")
    references = [p.get("valueReference", {}).get("reference", "") for p in body.get("parameter", ())]
    expect.require(len(references) == 1 and references[0], f"not one reference: {references}")
    found = expect.resource(target.get(references[0]), "DocumentReference")
    expect.equal("masterIdentifier", found.get("masterIdentifier"), made["identifier"])
    expect.refused(target.send("POST", path, parameters()), 400)
