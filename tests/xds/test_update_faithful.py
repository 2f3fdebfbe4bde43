"""What an update of metadata does not say stays as it is, whoever made the document."""

import threading
from typing import Any

import httpx2
import pytest
from lxml import etree

from tests.live import Live
from tests.xds import described as s
from tests.xds.messages import Answer
from tests.xds.published import Published, member, update
from tests.xds.registry import INS, Parameters, ask, codes, name_of, put, quoted, slot

KNOWN = {
    "type": {
        "coding": [
            {"system": "http://loinc.org", "code": "11488-4", "display": "Consult note"},
            {"system": "http://snomed.info/sct", "code": "371530004"},
        ],
        "text": "Compte rendu",
    },
    "securityLabel": [
        {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"},
                {"system": "http://example.org/labels", "code": "restreint"},
            ]
        }
    ],
}


@pytest.fixture(scope="module")
def live(writable: Live) -> Live:
    return writable


def of_an_app(live: Live, id: str, **elements: Any) -> dict[str, Any]:
    """A document that an app made, with what XDS has no words for."""
    subject = Published(live).resource["subject"]
    document = {
        "resourceType": "DocumentReference",
        "id": id,
        "contained": [
            {"resourceType": "Practitioner", "id": "w", "name": [{"family": "APPLI-TEST", "given": ["Zoé"]}]}
        ],
        "status": "current",
        "docStatus": "final",
        "masterIdentifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:oid:1.2.250.1.999.80.{len(id)}"},
        "subject": subject,
        "date": "2024-06-01T10:00:00+02:00",
        "author": [{"reference": "#w"}],
        "content": [{"attachment": {"contentType": "text/plain", "data": "QQ==", "title": "A"}}],
        "context": {
            "encounter": [{"reference": "Encounter/e", "display": "séjour"}],
            "period": {"start": "2024-06-01T09:30:00+02:00"},
        },
        **elements,
    }
    with httpx2.Client(base_url=live.base_url, timeout=30) as client:
        put(client, document)
    return fetched(live, id)


def fetched(live: Live, id: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx2.get(f"{live.base_url}/DocumentReference/{id}").json()
    return found


def told(live: Live, document: dict[str, Any]) -> etree._Element:
    unique_id = document["masterIdentifier"]["value"].removeprefix("urn:oid:")
    [node] = ask(live.origin, "GetDocuments", {"$XDSDocumentEntryUniqueId": quoted(unique_id)}).all(
        "ExtrinsicObject"
    )
    return node


def masked(node: etree._Element) -> str:
    """The entry as it was told, with a label more."""
    id = node.get("id", "")
    code, system, display = s.MASKED
    more = s.classification(
        id, s.SCHEMES["label"], code, s.slots({"codingScheme": [system]}) + s.names(Name=display)
    )
    node.append(etree.fromstring(more))
    return etree.tostring(node, encoding="unicode")


@pytest.mark.parametrize("elements", [{}, KNOWN])
def test_what_is_told_and_sent_back_masked_has_a_label_more(live: Live, elements: dict[str, Any]) -> None:
    before = of_an_app(live, f"app-{len(elements)}-{'x' * len(elements)}", **elements)
    node = told(live, before)
    id = node.get("id", "")
    answer = update(live, masked(node), member(target=id))
    assert answer.registry_status == "Success", answer.values("RegistryError", "codeContext")
    after = fetched(live, before["id"])
    labels = [label["coding"][0]["code"] for label in after["securityLabel"]]
    assert labels == (["R", "MASQUE_PS"] if elements else ["N", "MASQUE_PS"])
    assert after["securityLabel"][:1] == before.get("securityLabel", after["securityLabel"][:1])
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    assert changed == {"meta", "identifier", "securityLabel"}


def test_metadata_that_lack_what_is_required_are_refused(live: Live) -> None:
    document = Published(live)
    answer = update(live, document.entry(codes={"class": [], "type": []}), member())
    assert answer.codes == ["XDSRegistryMetadataError", "XDSRegistryMetadataError"]
    assert document.resource["meta"]["versionId"] == "1"


def test_of_two_updates_at_once_one_is_done(live: Live) -> None:
    document = Published(live)
    answers: list[Answer] = []

    def send(title: str) -> None:
        answers.append(update(live, document.entry(title=title), member()))

    threads = [threading.Thread(target=send, args=(title,)) for title in ("un", "deux", "trois")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(code for answer in answers for code in answer.codes) == ["XDSMetadataVersionError"] * 2
    assert document.resource["meta"]["versionId"] == "2"


def test_contained_authors_are_told(live: Live) -> None:
    node = told(live, of_an_app(live, "an-app-of-another-kind"))
    [author] = [c for c in node.findall("{*}Classification") if not c.get("nodeRepresentation")]
    assert slot(author, "authorPerson") == ["^APPLI-TEST^Zoé^^^^^^^D"]
    assert (name_of(node), codes(node, "class")) == ("A", ["UNK"])
    found: Parameters = {
        "$XDSDocumentEntryPatientId": quoted(s.cx(INS)),
        "$XDSDocumentEntryStatus": quoted(s.APPROVED),
        "$XDSDocumentEntryAuthorPerson": quoted("%APPLI-TEST%"),
    }
    assert len(ask(live.origin, "FindDocuments", found).all("ExtrinsicObject")) >= 1
