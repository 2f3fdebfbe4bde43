"""ITI-43 over the wire: bytes as they came, and what is said of those that are not here."""

import base64

import httpx2
import pytest

from tests.live import Live
from tests.xds.messages import RETRIEVE, Answer, envelope, post
from tests.xds.submissions import APPROVED, XDSB, Entry, Submission

Wanted = tuple[str, str]


def retrieve(live: Live, *wanted: Wanted, place: str = "/repository") -> Answer:
    """Ask for documents by (uniqueId, repositoryUniqueId)."""
    asked = "".join(
        f"<x:DocumentRequest><x:HomeCommunityId>urn:oid:1.2.3</x:HomeCommunityId>"
        f"<x:RepositoryUniqueId>{repository}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{id}</x:DocumentUniqueId></x:DocumentRequest>"
        for id, repository in wanted
    )
    body = f'<x:RetrieveDocumentSetRequest xmlns:x="{XDSB}">{asked}</x:RetrieveDocumentSetRequest>'
    return post(f"{live.origin}/xds{place}", envelope(RETRIEVE, body))


def test_bytes_as_they_came(live: Live) -> None:
    cda = b"\xef\xbb\xbf<?xml version='1.0'?>\r\n<note/>\r\n"
    entries = [
        Entry(b"%PDF \r\n--x\r\n\x00"),
        Entry(cda, "Document02", mime_type="text/xml"),
        Entry(b"a" * 1_500_000, "Document03", f"1.2.250.1.999.41.7^{id(cda)}", "text/plain"),
    ]
    assert Submission(entries).send(f"{live.origin}/xds/repository").registry_status == "Success"
    own = live.settings.xds_repository_id
    answer = retrieve(live, *((entry.unique_id, own) for entry in entries))
    assert (answer.status, answer.registry_status) == (200, "Success")
    assert answer.content_type.startswith("multipart/related")
    ids = [node.get("href", "").removeprefix("cid:") for node in answer.all("Include")]
    assert [answer.parts[id] for id in ids] == [entry.content for entry in entries]
    assert [n.text for n in answer.all("DocumentUniqueId")] == [entry.unique_id for entry in entries]
    assert [n.text for n in answer.all("mimeType")] == [entry.mime_type for entry in entries]
    assert [n.text for n in answer.all("HomeCommunityId")] == ["urn:oid:1.2.3"] * 3
    assert {n.text for n in answer.all("RepositoryUniqueId")} == {own}


def test_a_document_that_came_without_a_unique_id(live: Live, client: httpx2.Client) -> None:
    patient = client.post("Patient", json={"resourceType": "Patient"}).json()
    content = {"attachment": {"contentType": "text/plain", "data": base64.b64encode(b"by FHIR").decode()}}
    subject = {"reference": f"Patient/{patient['id']}"}
    posted = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": subject,
        "content": [content],
    }
    document = client.post("DocumentReference", json=posted).json()
    listed = stored_query(
        f"{live.origin}/xds/registry",
        "14d4debf-8f97-4251-9a74-a90016b0af0d",
        {
            "$XDSDocumentEntryPatientId": f"'{patient['id']}^^^&amp;{live.settings.xds_source_id}&amp;ISO'",
            "$XDSDocumentEntryStatus": f"('{APPROVED}')",
        },
    )
    (unique_id,) = [
        node.get("value", "")
        for node in listed.all("ExternalIdentifier")
        if node.get("identificationScheme") == "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
    ]
    answer = retrieve(live, (unique_id, live.settings.xds_repository_id))
    assert list(answer.parts.values()) == [b"by FHIR"], document


def stored_query(url: str, id: str, slots: dict[str, str]) -> Answer:
    """Ask a registry for the leaf classes of a stored query."""
    rim = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
    written = "".join(
        f'<r:Slot name="{name}"><r:ValueList><r:Value>{value}</r:Value></r:ValueList></r:Slot>'
        for name, value in slots.items()
    )
    body = (
        f'<q:AdhocQueryRequest xmlns:q="urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0" xmlns:r="{rim}">'
        '<q:ResponseOption returnType="LeafClass" returnComposedObjects="true"/>'
        f'<r:AdhocQuery id="urn:uuid:{id}">{written}</r:AdhocQuery></q:AdhocQueryRequest>'
    )
    return post(url, envelope("urn:ihe:iti:2007:RegistryStoredQuery", body))


def test_some_are_here(live: Live) -> None:
    submission = Submission()
    submission.send(f"{live.origin}/xds/repository")
    own, here = live.settings.xds_repository_id, submission.entries[0].unique_id
    answer = retrieve(live, ("1.2.3.4", own), (here, own), (here, "1.2.9"), place="")
    assert answer.registry_status == "PartialSuccess"
    assert answer.codes == ["XDSDocumentUniqueIdError", "XDSUnknownRepositoryId"]
    assert answer.values("RegistryError", "location") == ["1.2.3.4", here]
    assert len(answer.parts) == 1


@pytest.mark.parametrize("unique_id", ["1.2.3.4", "no OID", "1.2.3^é|,$"])
def test_none_is_here(live: Live, unique_id: str) -> None:
    answer = retrieve(live, (unique_id, live.settings.xds_repository_id))
    assert (answer.registry_status, answer.codes) == ("Failure", ["XDSDocumentUniqueIdError"])
    assert answer.parts == {}


def test_what_another_repository_has(live: Live) -> None:
    entry = Entry(slots={"repositoryUniqueId": "1.2.250.1.999.41.9"})
    Submission([entry]).register(f"{live.origin}/xds/registry")
    answer = retrieve(live, (entry.unique_id, live.settings.xds_repository_id))
    assert answer.codes == ["XDSDocumentUniqueIdError"]


@pytest.mark.parametrize("body", ["<x/>", f'<x:RetrieveDocumentSetRequest xmlns:x="{XDSB}"/>'])
def test_what_asks_for_nothing(live: Live, body: str) -> None:
    answer = post(f"{live.origin}/xds/repository", envelope(RETRIEVE, body))
    assert (answer.registry_status, answer.codes) == ("Failure", ["XDSRepositoryError"])


def test_too_many_at_once(live: Live) -> None:
    answer = retrieve(live, *((f"1.2.{n}", "1.2") for n in range(201)))
    assert answer.codes == ["XDSRepositoryOutOfResources"]
