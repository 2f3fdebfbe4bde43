"""What is no query, or finds too much, is a RegistryError."""

import httpx2
import pytest

from tests.live import Live
from tests.xds import described as s
from tests.xds.messages import envelope, post
from tests.xds.registry import IDS, QUERY, Parameters, ask, put, quoted, request, status
from tests.xds.stock import ROOT, WHO, A, B


@pytest.mark.parametrize(
    ("query", "parameters", "code", "location"),
    [
        ("FindDocuments", {}, "XDSStoredQueryMissingParam", "$XDSDocumentEntryPatientId"),
        (
            "FindDocuments",
            {"$XDSDocumentEntryPatientId": WHO},
            "XDSStoredQueryMissingParam",
            "$XDSDocumentEntryStatus",
        ),
        ("FindSubmissionSets", {}, "XDSStoredQueryMissingParam", "$XDSSubmissionSetPatientId"),
        ("FindFolders", {}, "XDSStoredQueryMissingParam", "$XDSFolderPatientId"),
        ("GetAll", {"$patientId": WHO}, "XDSStoredQueryMissingParam", "$XDSDocumentEntryStatus"),
        ("GetDocuments", {}, "XDSStoredQueryMissingParam", "$XDSDocumentEntryEntryUUID"),
        (
            "GetDocuments",
            {"$XDSDocumentEntryEntryUUID": quoted(A), "$XDSDocumentEntryUniqueId": quoted("1.2.3")},
            "XDSStoredQueryParamNumber",
            "$XDSDocumentEntryUniqueId",
        ),
        (
            "GetRelatedDocuments",
            {"$XDSDocumentEntryEntryUUID": quoted(A)},
            "XDSStoredQueryMissingParam",
            "$AssociationTypes",
        ),
        (
            "GetFoldersForDocument",
            {"$XDSDocumentEntryEntryUUID": quoted(A, B)},
            "XDSStoredQueryParamNumber",
            "$XDSDocumentEntryEntryUUID",
        ),
        (
            "FindDocuments",
            {"$XDSDocumentEntryPatientId": [WHO, WHO], "$XDSDocumentEntryStatus": quoted(s.APPROVED)},
            "XDSStoredQueryParamNumber",
            "$XDSDocumentEntryPatientId",
        ),
        (
            "GetDocuments",
            {"$XDSDocumentEntryEntryUUID": quoted("A")},
            "XDSRegistryError",
            "$XDSDocumentEntryEntryUUID",
        ),
        ("GetDocuments", {"$XDSDocumentEntryUniqueId": quoted("CR 7")}, "XDSRegistryError", "uniqueId"),
        ("GetDocuments", {"$uuid": quoted(A)}, "XDSRegistryError", "$uuid"),
        ("GetDocuments", {"": quoted(A)}, "XDSRegistryError", None),
        ("GetAssociations", {"$uuid": f"('{A}"}, "XDSRegistryError", "$uuid"),
        ("GetAssociations", {"$uuid": f"('{A}' '{B}')"}, "XDSRegistryError", "$uuid"),
        ("GetAssociations", {"$uuid": f"('{A}',)"}, "XDSRegistryError", "$uuid"),
        ("GetAssociations", {"$uuid": "('it's')"}, "XDSRegistryError", "$uuid"),
        ("GetAssociations", {"$uuid": "12"}, "XDSRegistryError", "$uuid"),
        ("GetAssociations", {"$uuid": "'x' OR '1'='1'"}, "XDSRegistryError", "$uuid"),
        (
            "GetAssociations",
            {"$uuid": quoted(A), "$MetadataLevel": "3"},
            "XDSRegistryError",
            "$MetadataLevel",
        ),
        (
            "FindDocuments",
            {
                "$XDSDocumentEntryPatientId": quoted("285077505601284"),
                "$XDSDocumentEntryStatus": quoted(s.APPROVED),
            },
            "XDSRegistryError",
            "$XDSDocumentEntryPatientId",
        ),
        (
            "FindDocuments",
            {
                "$XDSDocumentEntryPatientId": WHO,
                "$XDSDocumentEntryStatus": quoted(s.APPROVED),
                "$XDSDocumentEntryCreationTimeFrom": "20241345",
            },
            "XDSRegistryError",
            "$XDSDocumentEntryCreationTimeFrom",
        ),
        (
            "FindDocuments",
            {
                "$XDSDocumentEntryPatientId": WHO,
                "$XDSDocumentEntryStatus": quoted(s.APPROVED),
                "$XDSDocumentEntryClassCode": quoted("10"),
            },
            "XDSRegistryError",
            "$XDSDocumentEntryClassCode",
        ),
        (
            "GetDocuments",
            {"$XDSDocumentEntryUniqueId": quoted(*(f"1.2.{n}" for n in range(1001)))},
            "XDSRegistryError",
            None,
        ),
    ],
)
def test_what_is_no_query_is_refused(
    stocked: Live, query: str, parameters: Parameters, code: str, location: str | None
) -> None:
    answer = ask(stocked.origin, query, parameters)
    assert (answer.status, status(answer), answer.codes) == (200, "Failure", [code])
    assert answer.values("RegistryError", "location") == ([location] if location else [""])
    assert len(answer.all("RegistryObjectList")) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (
            request("FindDocuments", {}, id="urn:uuid:00000000-0000-4000-8000-000000000000"),
            "XDSUnknownStoredQuery",
        ),
        (request("FindDocuments", {}, id="SELECT 1"), "XDSUnknownStoredQuery"),
        (request("FindDocuments", {}, "LeafClassWithRepositoryItem"), "XDSRegistryError"),
        ("<x/>", "XDSRegistryError"),
        ('<AdhocQueryRequest xmlns="urn:x"/>', "XDSUnknownStoredQuery"),
    ],
)
def test_requests_that_ask_nothing_known(stocked: Live, body: str, code: str) -> None:
    answer = post(f"{stocked.origin}/xds/registry", envelope(QUERY, body))
    assert (answer.status, answer.codes) == (200, [code])


def test_too_many(stocked: Live) -> None:
    named = quoted(*(f"1.2.250.1.999.51.{n}" for n in range(21)))
    with httpx2.Client(base_url=stocked.base_url, timeout=30) as client:
        for number in range(21):
            put(
                client,
                {
                    "resourceType": "DocumentReference",
                    "id": f"many-{number}",
                    "status": "current",
                    "masterIdentifier": {
                        "system": "urn:ietf:rfc:3986",
                        "value": f"urn:oid:1.2.250.1.999.51.{number}",
                    },
                    "subject": {"reference": "Patient/nobody"},
                    "content": [{"attachment": {"title": "x"}}],
                },
            )
    parameters = {"$XDSDocumentEntryUniqueId": named}
    assert ask(stocked.origin, "GetDocuments", parameters).codes == ["XDSTooManyResults"]
    assert len(ask(stocked.origin, "GetDocuments", parameters, "ObjectRef").all("ObjectRef")) == 21


def test_objects_of_several_patients(stocked: Live) -> None:
    parameters = {"$XDSDocumentEntryUniqueId": quoted(f"{ROOT}.1", f"{ROOT}.9")}
    assert ask(stocked.origin, "GetDocuments", parameters).codes == ["XDSResultNotSinglePatient"]
    assert len(ask(stocked.origin, "GetDocuments", parameters, "ObjectRef").all("ObjectRef")) == 2


@pytest.mark.parametrize("number", [str(1 << 128), "9" * 5000])
def test_a_number_that_is_no_uuid_is_nobodys(stocked: Live, number: str) -> None:
    answer = ask(stocked.origin, "GetDocuments", {"$XDSDocumentEntryUniqueId": quoted(f"2.25.{number}")})
    assert (answer.status, status(answer), answer.all("ExtrinsicObject")) == (200, "Success", [])


def test_every_query_is_asked() -> None:
    """The ids above are written by hand; the server's own table has the same ones."""
    from mappings.xds.stored_queries import STORED_QUERIES

    assert {query.name: id.removeprefix("urn:uuid:") for id, query in STORED_QUERIES.items()} == IDS
