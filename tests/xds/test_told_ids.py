"""Submissions that build on what is registered, by the ids that stored queries have told."""

import base64
from typing import Any

import httpx2
import pytest

from tests.live import Live
from tests.xds import described as s
from tests.xds.registry import INS, OTHER, ask, links, put, quoted, send, titles

ROOT = "1.2.250.1.999.70"
FOLDER = "urn:uuid:0f000000-0000-4000-8000-0000000000f1"


@pytest.fixture(scope="module")
def live(writable: Live) -> Live:
    first = [s.entry("Document01", f"{ROOT}.1", INS, b"1"), s.folder(FOLDER, f"{ROOT}.2", INS)]
    send(writable.origin, submission(1, *first, s.association("HasMember", FOLDER, "Document01")))
    return writable


def submission(number: int, *objects: str, ins: str = INS) -> bytes:
    """One document, whose bytes are the number, and what else is said of it."""
    own = s.submission_set(f"{ROOT}.10{number}", ins)
    described = s.metadata(*objects, own, s.association("HasMember", "SubmissionSet01", "Document01"))
    return s.xdm(described, {"DOC00001.TXT": str(number).encode()})


def post(live: Live, zipped: bytes) -> tuple[int, str]:
    headers = {"Content-Type": "application/zip"}
    answer = httpx2.post(f"{live.origin}/feeds/xdm", content=zipped, headers=headers, timeout=30)
    return answer.status_code, answer.text


@pytest.mark.parametrize("id", ["an-app", "a0eb7f0c-7a3c-4c5e-9d3f-2f7d5c1f9a01"])
def test_a_document_of_an_app_is_replaced(live: Live, id: str) -> None:
    number = len(id)
    subject = httpx2.get(f"{live.base_url}/Patient?identifier={INS}").json()["entry"][0]["resource"]["id"]
    attachment: dict[str, Any] = {"contentType": "text/plain", "data": base64.b64encode(b"x").decode()}
    document = {
        "resourceType": "DocumentReference",
        "id": id,
        "status": "current",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:{ROOT}.9.{number}"},
        "subject": {"reference": f"Patient/{subject}"},
        "content": [{"attachment": {**attachment, "title": "ancien"}}],
    }
    with httpx2.Client(base_url=live.base_url, timeout=30) as client:
        put(client, document)
    by_unique_id = {"$XDSDocumentEntryUniqueId": quoted(f"{ROOT}.9.{number}")}
    [told] = ask(live.origin, "GetDocuments", by_unique_id, "ObjectRef").values("ObjectRef", "id")
    entry = s.entry("Document01", f"{ROOT}.8.{number}", INS, str(number).encode())
    send(live.origin, submission(number, entry, s.association("RPLC", "Document01", told)))
    [node] = ask(live.origin, "GetDocuments", by_unique_id).all("ExtrinsicObject")
    assert node.get("status") == s.DEPRECATED
    assert ("RPLC", told) in {
        (t, other) for t, _, other in links(ask(live.origin, "GetAssociations", {"$uuid": quoted(told)}))
    }


def test_a_document_is_added_to_a_folder_that_is_there(live: Live) -> None:
    entry = s.entry("Document01", f"{ROOT}.3", INS, b"3", title="ajouté")
    send(live.origin, submission(3, entry, s.association("HasMember", FOLDER, "Document01")))
    found = ask(live.origin, "GetFolderAndContents", {"$XDSFolderEntryUUID": quoted(FOLDER)})
    assert sorted(titles(found)) == ["Compte rendu", "ajouté"]
    assert found.values("RegistryPackage", "status") == [s.APPROVED]


@pytest.mark.parametrize(
    ("folder", "ins", "why"),
    [
        (FOLDER, OTHER, "another patient's"),
        ("urn:uuid:0f000000-0000-4000-8000-0000000000f9", INS, "is not here"),
    ],
)
def test_a_folder_that_cannot_be_added_to(live: Live, folder: str, ins: str, why: str) -> None:
    number = 4 if ins == OTHER else 5
    entry = s.entry("Document01", f"{ROOT}.{number}", ins, str(number).encode())
    zipped = submission(number, entry, s.association("HasMember", folder, "Document01"), ins=ins)
    status, text = post(live, zipped)
    assert (status, why in text) == (202, True), (status, text)
    assert (
        titles(ask(live.origin, "GetDocuments", {"$XDSDocumentEntryUniqueId": quoted(f"{ROOT}.{number}")}))
        == []
    )
