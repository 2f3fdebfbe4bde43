"""Every transaction leaves an AuditEvent that FHIR clients can read."""

import base64
from typing import Any

import httpx2
import pytest

from fhirserver.xds import TRANSACTIONS
from fhirserver.xds.trace import EVENTS
from tests.live import Live
from tests.xds.assertions import assertion, header
from tests.xds.messages import RETRIEVE, envelope, post
from tests.xds.registry import IDS, QUERY, quoted, request
from tests.xds.submissions import XDSB, Entry, Submission


def events(client: httpx2.Client, **parameters: str) -> list[dict[str, Any]]:
    """AuditEvents, newest first."""
    found = client.get("AuditEvent", params={"_sort": "-date", **parameters}).json()
    return [entry["resource"] for entry in found.get("entry", [])]


def entities(event: dict[str, Any]) -> set[str]:
    return {e["what"].get("reference", "") for e in event["entity"]}


@pytest.mark.parametrize("action", TRANSACTIONS)
def test_every_transaction_has_its_event(action: str) -> None:
    assert action in EVENTS


def test_who_published_and_who_read(live: Live, client: httpx2.Client) -> None:
    submission = Submission()
    body, content_type = submission.mtom(header(assertion(purpose="centre_15")))
    assert post(f"{live.origin}/xds/repository", body, content_type).registry_status == "Success"
    unique_id = submission.entries[0].unique_id
    named = {"identifier": f"urn:ietf:rfc:3986|urn:oid:{unique_id}"}
    document = client.get("DocumentReference", params=named).json()["entry"][0]["resource"]
    reference, patient = f"DocumentReference/{document['id']}", document["subject"]["reference"]
    asked = (
        f'<x:RetrieveDocumentSetRequest xmlns:x="{XDSB}"><x:DocumentRequest>'
        f"<x:RepositoryUniqueId>{live.settings.xds_repository_id}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{unique_id}</x:DocumentUniqueId></x:DocumentRequest>"
        "</x:RetrieveDocumentSetRequest>"
    )
    message = envelope(RETRIEVE, asked, header(assertion()))
    assert post(f"{live.origin}/xds/repository", message).registry_status == "Success"
    read, published = events(client, entity=reference)
    assert [event["subtype"][0]["code"] for event in (published, read)] == ["ITI-41", "ITI-43"]
    assert [event["action"] for event in (published, read)] == ["C", "R"]
    assert {reference, patient} <= entities(published)
    assert entities(read) == {reference, patient}
    assert published["purposeOfEvent"][0]["coding"][0]["code"] == "centre_15"
    asks = read["agent"][0]
    assert asks["who"]["identifier"]["value"] == "899912345678"
    assert (asks["requestor"], asks["network"]["address"]) == (True, "127.0.0.1")
    assert [role["coding"][0]["code"] for role in asks["role"]] == ["10", "SM26"]


def test_what_was_asked_in_vain(live: Live, client: httpx2.Client) -> None:
    wanted = "1.2.250.1.999.41.404"
    asked = (
        f'<x:RetrieveDocumentSetRequest xmlns:x="{XDSB}"><x:DocumentRequest>'
        f"<x:RepositoryUniqueId>{live.settings.xds_repository_id}</x:RepositoryUniqueId>"
        f"<x:DocumentUniqueId>{wanted}</x:DocumentUniqueId></x:DocumentRequest>"
        "</x:RetrieveDocumentSetRequest>"
    )
    post(f"{live.origin}/xds/repository", envelope(RETRIEVE, asked, header(assertion())))
    event = events(client, subtype="ITI-43", outcome="4")[0]
    assert event["outcomeDesc"] == "XDSDocumentUniqueIdError"
    assert event["entity"][0]["what"]["identifier"]["value"] == "285077505601284"


def test_whose_record_was_asked_for_in_vain(live: Live, client: httpx2.Client) -> None:
    submission = Submission([Entry(sha1="0" * 40)])
    assert submission.send(f"{live.origin}/xds/repository").codes
    failed = events(client, subtype="ITI-41", outcome="4")[0]
    assert failed["entity"][0]["what"]["identifier"]["value"] == submission.patient.partition("^")[0]
    body = request(
        "FindDocuments",
        {
            "$XDSDocumentEntryPatientId": quoted(submission.patient.replace("&amp;", "&")),
            "$XDSDocumentEntryStatus": quoted("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"),
        },
    )
    post(f"{live.origin}/xds/registry", envelope(QUERY, body))
    patient, query = events(client, subtype="ITI-18")[0]["entity"]
    assert patient["what"] == failed["entity"][0]["what"]
    assert query["what"]["identifier"]["value"] == f"urn:uuid:{IDS['FindDocuments']}"
    assert b"AdhocQueryRequest" in base64.b64decode(query["query"])


def test_a_patient_id_that_is_none_is_not_kept(live: Live) -> None:
    asked = {
        "$XDSDocumentEntryPatientId": quoted(f"{'9' * 1_100_000}^^^&1.2.3&ISO"),
        "$XDSDocumentEntryStatus": quoted("urn:oasis:names:tc:ebxml-regrep:StatusType:Approved"),
    }
    answer = post(f"{live.origin}/xds/registry", envelope(QUERY, request("FindDocuments", asked)))
    assert (answer.status, answer.all("ExtrinsicObject")) == (200, [])
