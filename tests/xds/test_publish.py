"""ITI-41 and ITI-42 over the wire: what becomes of submissions, and what refuses them."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from fhirserver.feeds.sniff import sniff
from mappings.core.result import Unreadable
from mappings.xds import read_request
from tests.live import Live
from tests.xds.messages import Answer, post
from tests.xds.submissions import PDF, Entry, Submission, number, patient_id

RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"
APND = "urn:ihe:iti:2007:AssociationType:APND"
INBOX = "/admin/inbox"


@pytest.fixture
def repository(live: Live) -> str:
    return f"{live.origin}/xds/repository"


def documents(client: httpx2.Client, unique_id: str) -> list[dict[str, Any]]:
    """The DocumentReferences with a uniqueId."""
    found = client.get("DocumentReference", params={"identifier": f"urn:ietf:rfc:3986|urn:oid:{unique_id}"})
    return [entry["resource"] for entry in found.json().get("entry", [])]


def provenances(client: httpx2.Client, document: dict[str, Any]) -> int:
    found = client.get("Provenance", params={"target": f"DocumentReference/{document['id']}"})
    return len(found.json().get("entry", []))


@pytest.mark.parametrize("mtom", [True, False])
def test_a_submission_is_stored(repository: str, client: httpx2.Client, mtom: bool) -> None:
    submission = Submission([Entry(), Entry(b"\x00second\n", "Document02", mime_type="application/x-test")])
    answer = submission.send(repository) if mtom else post(repository, submission.inline())
    assert (answer.status, answer.registry_status, answer.codes) == (200, "Success", [])
    assert answer.content_type.startswith("multipart/related" if mtom else "application/soap+xml")
    assert answer.text("Action") == "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse"
    assert answer.text("RelatesTo") == "urn:uuid:1"
    for entry in submission.entries:
        (document,) = documents(client, entry.unique_id)
        assert document["status"] == "current"
        url = document["content"][0]["attachment"]["url"]
        assert client.get(url, headers={"Accept": entry.mime_type}).content == entry.content


def test_a_symbolic_id_becomes_an_entry_uuid(repository: str, client: httpx2.Client) -> None:
    submission = Submission()
    submission.send(repository)
    (document,) = documents(client, submission.entries[0].unique_id)
    (official,) = [i["value"] for i in document["identifier"] if i.get("use") == "official"]
    assert official.startswith("urn:uuid:")
    newer = Submission([Entry(b"newer")], submission.patient, associations=[(RPLC, "Document01", official)])
    assert newer.send(repository).registry_status == "Success"
    (document,) = documents(client, submission.entries[0].unique_id)
    assert document["status"] == "superseded"


def test_what_came_is_in_the_inbox_as_it_came(repository: str, live: Live) -> None:
    body, content_type = Submission().mtom()
    post(repository, body, content_type)
    newest = httpx2.get(f"{live.origin}{INBOX}", params={"kind": "xds"}).json()["items"][0]
    resent = httpx2.post(repository, content=body, headers={"Content-Type": content_type})
    assert resent.headers["location"] == f"{INBOX}/{newest['id']}"
    assert newest["channel"] == "xds"
    assert newest["event"] == "ProvideAndRegisterDocumentSet-b"
    assert newest["status"] in ("processed", "warnings")
    assert httpx2.get(f"{live.origin}{INBOX}/{newest['id']}/raw").content == body
    assert httpx2.post(f"{live.origin}{INBOX}/{newest['id']}/replay").status_code == 202
    for _ in range(100):
        if (again := httpx2.get(f"{live.origin}{INBOX}/{newest['id']}").json())["status"] != "received":
            break
        time.sleep(0.05)
    assert again["status"] == newest["status"]


def test_the_same_document_twice_is_one_with_two_provenances(repository: str, client: httpx2.Client) -> None:
    first = Submission()
    second = Submission(first.entries, first.patient)
    assert [s.send(repository).registry_status for s in (first, second)] == ["Success", "Success"]
    (document,) = documents(client, first.entries[0].unique_id)
    assert provenances(client, document) == 2
    assert first.send(repository).registry_status == "Success"
    assert provenances(client, document) == 2


def _two_patients() -> Submission:
    return Submission([Entry(patient="OTHER^^^&amp;1.2.250.1.999.41.1&amp;ISO^PI")])


def _with(text: str, other: str) -> Callable[[Submission], tuple[bytes, str]]:
    def changed(submission: Submission) -> tuple[bytes, str]:
        body, content_type = submission.mtom()
        assert text.encode() in body
        return body.replace(text.encode(), other.encode()), content_type

    return changed


@pytest.mark.parametrize(
    ("submission", "change", "code"),
    [
        (Submission([Entry(sha1="0" * 40)]), Submission.mtom, "XDSRepositoryMetadataError"),
        (Submission([Entry(size="1")]), Submission.mtom, "XDSRepositoryMetadataError"),
        (_two_patients(), Submission.mtom, "XDSPatientIdDoesNotMatch"),
        (Submission([Entry(slots={"languageCode": ""})]), Submission.mtom, "XDSRepositoryMetadataError"),
        (
            Submission([Entry(slots={"creationTime": "2024-03-12"})]),
            Submission.mtom,
            "XDSRepositoryMetadataError",
        ),
        (Submission([Entry(size="x")]), Submission.mtom, "XDSRepositoryMetadataError"),
        (
            Submission(),
            _with("20240312092000", "yesterday"),
            "XDSRepositoryMetadataError",
        ),
        (
            Submission(associations=[(RPLC, "Document01", "urn:uuid:0a000000-0000-4000-8000-000000000041")]),
            Submission.mtom,
            "UnresolvedReferenceException",
        ),
        (
            Submission([Entry(), Entry(id="Document02", unique_id="1.2.3")]),
            lambda s: (s.mtom()[0].replace(b"cid:1%40client", b"cid:gone"), s.mtom()[1]),
            "XDSMissingDocument",
        ),
        (
            Submission(),
            lambda s: (
                s.mtom()[0].replace(b'<x:Document id="Document01"', b'<x:Document id="Other"'),
                s.mtom()[1],
            ),
            "XDSMissingDocument",
        ),
        (Submission([Entry(b"")]), Submission.mtom, "InvalidDocumentContent"),
        (
            Submission([Entry(unique_id="1.2.9"), Entry(id="Document02", unique_id="1.2.9")]),
            Submission.mtom,
            "XDSRepositoryDuplicateUniqueIdInMessage",
        ),
        (Submission([Entry(unique_id="no OID")]), Submission.mtom, "XDSRepositoryMetadataError"),
        (Submission(patient="P1"), Submission.mtom, "XDSRepositoryMetadataError"),
        (
            Submission(),
            _with('classificationNode="urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd" ', ""),
            "XDSRepositoryMetadataError",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused_says_why_and_stores_nothing(
    repository: str,
    client: httpx2.Client,
    submission: Submission,
    change: Callable[[Submission], tuple[bytes, str]],
    code: str,
) -> None:
    answer: Answer = post(repository, *change(submission))
    assert (answer.status, answer.registry_status) == (200, "Failure")
    assert answer.codes == [code]
    assert answer.values("RegistryError", "codeContext")[0]
    assert answer.values("RegistryError", "severity") == [
        "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"
    ]
    assert documents(client, submission.entries[0].unique_id) == []


MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
NOBODY = "urn:uuid:0a000000-0000-4000-8000-000000000042"


@pytest.mark.parametrize(
    ("association", "code"),
    [
        ((MEMBER, "SubmissionSet01", "Document99"), "UnresolvedReferenceException"),
        ((MEMBER, "SubmissionSet01", NOBODY), "UnresolvedReferenceException"),
        ((MEMBER, NOBODY, "Document01"), "UnresolvedReferenceException"),
        ((RPLC, "Document01", "Document01"), "XDSRepositoryMetadataError"),
    ],
)
def test_an_association_names_what_is_there(
    repository: str, client: httpx2.Client, association: tuple[str, str, str], code: str
) -> None:
    submission = Submission(associations=[association])
    assert submission.send(repository).codes == [code]
    assert documents(client, submission.entries[0].unique_id) == []


def test_a_member_of_another_patient_is_refused(repository: str) -> None:
    uuid = f"urn:uuid:0a000000-0000-4000-8000-{number():0>12}"
    assert Submission([Entry(id=uuid)]).send(repository).registry_status == "Success"
    answer = Submission(associations=[(MEMBER, "SubmissionSet01", uuid)]).send(repository)
    assert answer.codes == ["XDSPatientIdDoesNotMatch"]


@pytest.mark.parametrize("type", ["APND", "XFRM", "XFRM_RPLC"])
def test_nothing_is_added_to_what_was_replaced(repository: str, type: str) -> None:
    uuid = f"urn:uuid:0a000000-0000-4000-8000-{number():0>12}"
    added = ("urn:ihe:iti:2007:AssociationType:" + type, "Document01", uuid)
    first = Submission([Entry(id=uuid)])
    for associations in ([], [(RPLC, "Document01", uuid)]):
        entries = [Entry()] if associations else first.entries
        answer = Submission(entries, first.patient, associations=associations).send(repository)
        assert answer.registry_status == "Success"
    late = Submission(patient=first.patient, associations=[added])
    assert late.send(repository).codes == ["XDSRegistryDeprecatedDocumentError"]


def test_a_member_that_comes_later(repository: str) -> None:
    uuid = f"urn:uuid:0a000000-0000-4000-8000-{number():0>12}"
    early = Submission(associations=[(MEMBER, "SubmissionSet01", uuid)])
    assert early.send(repository).codes == ["UnresolvedReferenceException"]
    assert Submission([Entry(id=uuid)], patient=early.patient).send(repository).registry_status == "Success"
    assert early.send(repository).registry_status == "Success"


def test_a_document_without_an_entry(repository: str) -> None:
    submission = Submission()
    body = submission.inline().replace(
        b"</x:ProvideAnd", b'<x:Document id="Extra">AAAA</x:Document></x:ProvideAnd'
    )
    assert post(repository, body).codes == ["XDSMissingDocumentMetadata"]


def test_base64_that_is_none(repository: str) -> None:
    body = Submission().provide('<x:Document id="Document01">%%%</x:Document>')
    assert post(repository, body).codes == ["InvalidDocumentContent"]


def test_what_is_another_patients_is_not_handed_over(repository: str, client: httpx2.Client) -> None:
    first = Submission()
    assert first.send(repository).registry_status == "Success"
    [document] = documents(client, first.entries[0].unique_id)
    other = Submission([Entry(unique_id=first.entries[0].unique_id)])
    answer = other.send(repository)
    assert answer.codes == ["XDSPatientIdDoesNotMatch"]
    assert document["subject"]["reference"] not in answer.values("RegistryError", "codeContext")[0]
    assert documents(client, first.entries[0].unique_id) == [document]
    number = other.patient.partition("^")[0]
    found = client.get("/List", params={"patient.identifier": f"urn:oid:1.2.250.1.999.41.1|{number}"})
    assert "entry" not in found.json()


def test_one_unique_id_with_other_content(repository: str, client: httpx2.Client) -> None:
    first = Submission()
    first.send(repository)
    other = Submission([Entry(b"other", unique_id=first.entries[0].unique_id)], first.patient)
    answer = other.send(repository)
    assert answer.codes == ["XDSNonIdenticalHash"]
    assert first.entries[0].unique_id in answer.values("RegistryError", "codeContext")[0]
    (document,) = documents(client, first.entries[0].unique_id)
    assert document["content"][0]["attachment"]["size"] == len(PDF)


def test_one_submission_set_with_other_documents(repository: str, client: httpx2.Client) -> None:
    first = Submission()
    first.send(repository)
    other = Submission(patient=first.patient, unique_id=first.unique_id)
    assert other.send(repository).codes == ["XDSDuplicateUniqueIdInRegistry"]
    assert documents(client, other.entries[0].unique_id) == []


def test_one_document_from_many_at_once(repository: str, client: httpx2.Client) -> None:
    entry, patient = Entry(), patient_id()
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: Submission([entry], patient).send(repository), range(8))
        assert [answer.registry_status for answer in answers] == ["Success"] * 8
    (document,) = documents(client, entry.unique_id)
    assert provenances(client, document) == 8


def test_a_document_that_is_replaced_already(repository: str, client: httpx2.Client) -> None:
    first = Submission([Entry(id="urn:uuid:0a000000-0000-4000-8000-0000000041aa")])
    first.send(repository)
    replacing = [(RPLC, "Document01", first.entries[0].id)]
    second, third = (
        Submission([Entry(number().encode())], first.patient, associations=replacing) for _ in "12"
    )
    assert second.send(repository).registry_status == "Success"
    assert third.send(repository).codes == ["XDSRegistryDeprecatedDocumentError"]


def test_a_held_submission_is_processed_when_its_target_comes(repository: str, client: httpx2.Client) -> None:
    first = Submission([Entry(id=f"urn:uuid:0a000000-0000-4000-8000-{int(number()):012}")])
    late = Submission(
        [Entry(b"addendum")], first.patient, associations=[(APND, "Document01", first.entries[0].id)]
    )
    assert late.send(repository).codes == ["UnresolvedReferenceException"]
    assert first.send(repository).registry_status == "Success"
    assert late.send(repository).registry_status == "Success"
    (document,) = documents(client, late.entries[0].unique_id)
    assert document["relatesTo"][0]["code"] == "appends"


def test_metadata_alone_of_a_document_that_is_elsewhere(live: Live, client: httpx2.Client) -> None:
    entry = Entry(slots={"repositoryUniqueId": "1.2.250.1.999.41.9"})
    answer = Submission([entry]).register(f"{live.origin}/xds/registry")
    assert answer.registry_status == "Success"
    assert answer.content_type.startswith("application/soap+xml")
    (document,) = documents(client, entry.unique_id)
    attachment = document["content"][0]["attachment"]
    assert attachment["url"] == f"urn:oid:{entry.unique_id}"
    assert attachment["size"] == len(PDF)
    assert "data" not in attachment


def test_a_document_that_comes_after_its_metadata(live: Live, client: httpx2.Client) -> None:
    entry = Entry(slots={"repositoryUniqueId": "1.2.250.1.999.41.9"})
    first = Submission([entry])
    assert first.register(f"{live.origin}/xds/registry").registry_status == "Success"
    came = Entry(unique_id=entry.unique_id)
    for _ in range(2):
        answer = Submission([came], first.patient).send(f"{live.origin}/xds/repository")
        assert answer.registry_status == "Success"
        (document,) = documents(client, entry.unique_id)
        url = document["content"][0]["attachment"]["url"]
        assert client.get(f"/{url}", headers={"Accept": "application/pdf"}).content == PDF


@pytest.mark.parametrize(
    "slots",
    [
        {},
        {"repositoryUniqueId": "1.2.3", "hash": "zz"},
        {"repositoryUniqueId": "1.2.3", "size": "many"},
        {"repositoryUniqueId": "1.2.3", "hash": ""},
    ],
)
def test_metadata_alone_that_do_not_say_what_is_where(live: Live, slots: dict[str, str]) -> None:
    answer = Submission([Entry(slots=slots)]).register(f"{live.origin}/xds/registry")
    assert (answer.registry_status, answer.codes) == ("Failure", ["XDSRegistryMetadataError"])


def test_each_place_does_its_own(live: Live) -> None:
    answer = Submission().send(f"{live.origin}/xds/registry")
    assert answer.fault == ["Sender", "ActionNotSupported"]
    assert Submission().send(f"{live.origin}/xds").registry_status == "Success"


@pytest.mark.parametrize("mtom", [True, False])
def test_a_message_in_a_file_is_known(mtom: bool) -> None:
    submission = Submission()
    raw = submission.mtom()[0] if mtom else submission.inline()
    assert sniff(raw) == "xds"
    assert read_request(raw).subsets[0].documents[0].data == PDF


def test_another_message_in_a_file_is_no_submission() -> None:
    raw = Submission().inline().replace(b"ProvideAndRegisterDocumentSet-b", b"Other")
    with pytest.raises(Unreadable, match="no submission"):
        read_request(raw)


def test_what_metadata_say_and_nothing_keeps_is_told(repository: str) -> None:
    scheme = "urn:uuid:0a000000-0000-4000-8000-0000000000ff"
    extra = f'<ExternalIdentifier identificationScheme="{scheme}" value="x" registryObject="Document01"/>'
    body, content_type = Submission().mtom()
    answer = post(
        repository, body.replace(b"</ExtrinsicObject>", extra.encode() + b"</ExtrinsicObject>"), content_type
    )
    assert (answer.registry_status, answer.codes) == ("Success", ["XDSExtraMetadataNotSaved"])
    assert answer.values("RegistryErrorList", "highestSeverity")[0].endswith(":Warning")
    assert scheme in answer.values("RegistryError", "codeContext")[0]


def test_truncated_on_the_way(repository: str, client: httpx2.Client) -> None:
    submission = Submission()
    body, content_type = submission.mtom()
    assert post(repository, body[: len(body) // 2], content_type).fault == ["Sender"]
    assert documents(client, submission.entries[0].unique_id) == []
