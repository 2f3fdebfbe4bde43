"""Update Document Set over the wire: other metadata, availability, associations; all of it or nothing."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx2
import pytest

from tests.live import Live
from tests.xds import described as s
from tests.xds.messages import envelope, post
from tests.xds.published import NUMBERS, SET, SUBMIT, UPDATE, Published, availability, member, update
from tests.xds.registry import (
    INS,
    OTHER,
    Parameters,
    ask,
    codes,
    links,
    name_of,
    put,
    quoted,
    slot,
    titles,
)

HIDDEN: Final = ("INVISIBLE_PATIENT", "1.2.250.1.213.1.1.4.13", "Non visible par le patient")
NORMAL: Final = ("N", "2.16.840.1.113883.5.25", "Normal")


@pytest.fixture(scope="module")
def live(writable: Live) -> Live:
    return writable


def test_other_metadata_are_a_new_version(live: Live) -> None:
    document = Published(live)
    more = {"languageCode": ["fr-CA"], "serviceStartTime": ["20240101"], "urn:example:site": ["3"]}
    kind = {"class": [("11", "1.2.250.1.213.1.1.4.1", "Synthèse")]}
    answer = update(live, document.entry(title="Après", comments="", codes=kind, more=more), member())
    assert answer.registry_status == "Success", answer.values("RegistryError", "codeContext")
    [node] = document.found().all("ExtrinsicObject")
    assert node.get("lid") == document.uuid != node.get("id")
    assert [v.get("versionName") for v in node.findall("{*}VersionInfo")] == ["2"]
    assert name_of(node) == "Après"
    assert node.find("{*}Description") is None
    assert codes(node, "class") == ["11"]
    assert [slot(node, name) for name in more] == list(more.values())
    resource = document.resource
    assert resource["meta"]["versionId"] == "2"
    assert [i["use"] for i in resource["identifier"]] == ["official", "old", "secondary"]
    # It is in its folder and its first submission set still, and in the one that updated it.
    about = ask(live.origin, "GetAssociations", {"$uuid": quoted(node.get("id", ""))})
    assert len(links(about)) == 3
    assert ("HasMember", document.folder, node.get("id")) in links(about)
    binary = httpx2.get(f"{live.base_url}/DocumentReference/{resource['id']}/$content?original=true")
    assert binary.content == document.content


def test_former_versions_are_told_at_level_2(live: Live) -> None:
    document = Published(live)
    for version in ("1", "2"):
        assert update(live, document.entry(title=f"v{version}"), member(version)).codes == []
    assert titles(document.found(document.uuid)) == []
    before = document.found(document.uuid, **{"$MetadataLevel": "2"})
    assert titles(before) == ["Avant"]
    assert before.values("ExtrinsicObject", "status") == [s.DEPRECATED]
    named: Parameters = {"$XDSDocumentEntryLogicalID": quoted(document.uuid)}
    assert titles(ask(live.origin, "GetDocuments", named)) == ["v2"]
    all_of_them = ask(live.origin, "GetDocuments", {**named, "$MetadataLevel": "2"})
    assert titles(all_of_them) == ["v2", "v1", "Avant"]
    assert len(set(all_of_them.values("ExtrinsicObject", "id"))) == 3
    patient = {"$XDSDocumentEntryPatientId": quoted(s.cx(INS)), "$MetadataLevel": "2"}
    found = ask(live.origin, "FindDocuments", {**patient, "$XDSDocumentEntryStatus": quoted(s.DEPRECATED)})
    former = [n.get("id", "") for n in found.all("ExtrinsicObject") if n.get("lid") == document.uuid]
    assert sorted(former) == sorted(all_of_them.values("ExtrinsicObject", "id")[1:])


@pytest.mark.parametrize(
    ("before", "sent", "expected"),
    [
        ([NORMAL], [NORMAL, s.MASKED], ["N", "MASQUE_PS"]),
        ([NORMAL, s.MASKED], [NORMAL], ["N"]),
        ([NORMAL, s.MASKED, HIDDEN], [NORMAL, HIDDEN], ["N", "INVISIBLE_PATIENT"]),
        # Whoever sends a visibility code alone says nothing of how confidential it is.
        ([NORMAL], [s.MASKED], ["N", "MASQUE_PS"]),
        ([("R", "2.16.840.1.113883.5.25", "Restreint"), s.MASKED], [HIDDEN], ["R", "INVISIBLE_PATIENT"]),
    ],
)
def test_mask_and_unmask(live: Live, before: list[Any], sent: list[Any], expected: list[str]) -> None:
    document = Published(live, codes={"label": before})
    assert update(live, document.entry(codes={"label": sent}), member()).codes == []
    assert document.labels == expected


@pytest.mark.parametrize(
    ("changes", "status", "archived"),
    [
        ([(s.APPROVED, s.ARCHIVED)], "current", True),
        ([(s.APPROVED, s.ARCHIVED), (s.ARCHIVED, s.APPROVED)], "current", False),
        ([(s.APPROVED, s.DEPRECATED)], "superseded", None),
        ([(s.APPROVED, s.DEPRECATED), (s.DEPRECATED, s.APPROVED)], "current", None),
        ([(s.APPROVED, s.DELETED)], "entered-in-error", None),
        ([(s.APPROVED, s.ARCHIVED), (s.ARCHIVED, s.DELETED)], "entered-in-error", True),
    ],
)
def test_availability(
    live: Live, changes: Sequence[tuple[str, str]], status: str, archived: bool | None
) -> None:
    document = Published(live)
    for original, new in changes:
        answer = update(live, availability(document.uuid, original, new))
        assert answer.registry_status == "Success", answer.values("RegistryError", "codeContext")
    resource = document.resource
    assert resource["status"] == status
    flags = [e["valueBoolean"] for e in resource.get("extension", []) if "is-archived" in e["url"]]
    assert flags == ([] if archived is None else [archived])
    [node] = document.found().all("ExtrinsicObject")
    assert node.get("status") == changes[-1][1]
    assert (node.get("id"), node.findall("{*}VersionInfo")[0].get("versionName")) == (document.uuid, "1")


def test_masked_and_archived_in_one_request(live: Live) -> None:
    document = Published(live)
    masked = document.entry(codes={"label": [NORMAL, s.MASKED]})
    answer = update(live, masked, member(), availability(document.uuid, s.APPROVED, s.ARCHIVED))
    assert answer.registry_status == "Success", answer.values("RegistryError", "codeContext")
    assert document.labels == ["N", "MASQUE_PS"]
    assert document.found().values("ExtrinsicObject", "status") == [s.ARCHIVED]
    assert document.resource["meta"]["versionId"] == "2"
    former = update(live, availability(document.uuid, s.ARCHIVED, s.APPROVED))
    assert former.codes == ["XDSMetadataUpdateError"]


def test_a_deletion_is_recorded_with_who_asked(live: Live) -> None:
    document = Published(live)
    assert update(live, availability(document.uuid, s.APPROVED, s.DELETED)).codes == []
    params = {"target": f"DocumentReference/{document.resource['id']}"}
    bundle = httpx2.get(f"{live.base_url}/Provenance", params=params).json()
    records = [e["resource"] for e in bundle["entry"] if "activity" in e["resource"]]
    assert {r["activity"]["coding"][0]["code"] for r in records} == {"NULLIFY", "UPDATE"}
    who = {a["who"]["identifier"]["value"] for r in records for a in r["agent"]}
    assert who == {"899912345678", "1350000099"}


STRANGER: Final = {
    "authorPerson": ["899999999999^AUTRE-TEST^X^^^^^^&1.2.250.1.71.4.2.1&ISO^D^^^IDNPS"],
    "authorInstitution": ["Autre^^^^^&1.2.250.1.71.4.2.2&ISO^IDNST^^^1350000999"],
}
COLLEAGUE: Final = {**STRANGER, "authorInstitution": [s.INSTITUTION]}


def _assertion(person: str, structure: str) -> str:
    return (
        '<w:Security xmlns:w="http://docs.oasis-open.org/wss/2004/01/'
        'oasis-200401-wss-wssecurity-secext-1.0.xsd"><a:Assertion ID="_1" Version="2.0" '
        'IssueInstant="2026-11-22T10:00:00Z" xmlns:a="urn:oasis:names:tc:SAML:2.0:assertion">'
        f"<a:Issuer>x</a:Issuer><a:Subject><a:NameID>{person}</a:NameID></a:Subject><a:AttributeStatement>"
        f'<a:Attribute Name="Identifiant_Structure"><a:AttributeValue>{structure}</a:AttributeValue>'
        "</a:Attribute></a:AttributeStatement></a:Assertion></w:Security>"
    )


@pytest.mark.parametrize(
    ("author", "header", "expected"),
    [
        (STRANGER, "", ["XDSMetadataUpdateError"]),
        (COLLEAGUE, "", []),
        # What an assertion says counts, not what the submission set does.
        (None, _assertion("899999999999", "1350000999"), ["XDSMetadataUpdateError"]),
        (STRANGER, _assertion("899912345678", "1350000999"), []),
        (STRANGER, _assertion("899999999999", "1350000099"), []),
    ],
)
def test_only_the_author_or_the_same_organization_deletes(
    live: Live, author: s.Slots | None, header: str, expected: list[str]
) -> None:
    document = Published(live)
    answer = update(live, availability(document.uuid, s.APPROVED, s.DELETED), author=author, header=header)
    assert answer.codes == expected
    assert document.resource["status"] == ("current" if expected else "entered-in-error")


def test_folder_metadata_and_membership(live: Live) -> None:
    one, other = Published(live), Published(live)
    lid = f'lid="{one.folder}"'
    changed = s.folder("Folder01", one.folder_id, INS, code="ALD", title="Autre titre", attributes=lid)
    added = s.association("HasMember", one.folder, other.uuid)
    answer = update(
        live, changed, member(target="Folder01"), added, s.association(SUBMIT, SET, s.id_of(added))
    )
    assert answer.registry_status == "Success", answer.values("RegistryError", "codeContext")
    found = ask(live.origin, "GetFolders", {"$XDSFolderUniqueId": quoted(one.folder_id)})
    [node] = found.all("RegistryPackage")
    assert (name_of(node), codes(node, "folder"), node.get("lid")) == ("Autre titre", ["ALD"], one.folder)
    inside = ask(live.origin, "GetFolderAndContents", {"$XDSFolderUniqueId": quoted(one.folder_id)})
    assert {target for _, _, target in links(inside)} == {one.uuid, other.uuid}
    [link] = [a for a in inside.all("Association") if a.get("targetObject") == one.uuid]
    left = availability(link.get("id", ""), s.APPROVED, s.DEPRECATED)
    assert update(live, left).codes == []
    inside = ask(live.origin, "GetFolderAndContents", {"$XDSFolderUniqueId": quoted(one.folder_id)})
    assert {target for _, _, target in links(inside)} == {other.uuid}
    assert update(live, left).codes == ["UnresolvedReferenceException"]
    status = availability(node.get("id", ""), s.APPROVED, s.DEPRECATED)
    assert update(live, status).codes == []
    found = ask(live.origin, "GetFolders", {"$XDSFolderUniqueId": quoted(one.folder_id)})
    assert found.values("RegistryPackage", "status") == [s.DEPRECATED]


@pytest.mark.parametrize(
    ("type", "status"),
    [("RPLC", "superseded"), ("XFRM_RPLC", "superseded"), ("APND", "current"), ("XFRM", "current")],
)
def test_relations_of_registered_documents(live: Live, type: str, status: str) -> None:
    one, other = Published(live), Published(live)
    relation = s.association(type, one.uuid, other.uuid)
    assert update(live, relation, s.association(SUBMIT, SET, s.id_of(relation))).codes == []
    assert other.resource["status"] == status
    told = ask(live.origin, "GetAssociations", {"$uuid": quoted(other.uuid)})
    assert (type, one.uuid, other.uuid) in links(told)
    if status == "superseded":
        again = update(live, availability(other.uuid, s.DEPRECATED, s.APPROVED))
        assert again.codes == ["XDSMetadataUpdateError"]


@pytest.fixture(scope="module")
def untouched(live: Live) -> Published:
    """A document that nothing changes."""
    return Published(live)


Build = Callable[[Published], Sequence[str]]


@pytest.mark.parametrize(
    ("build", "code"),
    [
        (lambda d: [d.entry(), member("2")], "XDSMetadataVersionError"),
        (lambda d: [d.entry(), member(None)], "XDSMetadataVersionError"),
        (lambda d: [d.entry(), member("x")], "XDSMetadataVersionError"),
        (lambda d: [d.entry(attributes=""), member()], "XDSMetadataIdentifierError"),
        (lambda d: [d.entry(lid=d.folder), member()], "XDSMetadataIdentifierError"),
        (lambda d: [d.entry(lid=f"urn:uuid:0f{d.uuid[11:]}"), member()], "XDSMetadataIdentifierError"),
        (lambda d: [d.entry(unique_id="1.2.3"), member()], "XDSMetadataIdentifierError"),
        (lambda d: [d.entry(id=d.folder), member(target=d.folder)], "XDSMetadataIdentifierError"),
        (lambda d: [d.entry(content=b"other"), member()], "XDSMetadataUpdateError"),
        (lambda d: [d.entry(more={"creationTime": ["hier"]}), member()], "XDSRegistryMetadataError"),
        (lambda d: [d.entry()], "XDSMetadataUpdateOperationError"),
        (lambda d: [], "XDSMetadataUpdateOperationError"),
        (lambda d: [d.entry(), member(AssociationPropagation="no")], "XDSMetadataUpdateOperationError"),
        (lambda d: [d.entry(), member(), d.entry(), member()], "XDSRegistryMetadataError"),
        (lambda d: [s.association("urn:x:Y", SET, d.uuid)], "XDSMetadataUpdateOperationError"),
        (lambda d: [availability(d.uuid, s.DEPRECATED, s.APPROVED)], "XDSMetadataUpdateError"),
        (lambda d: [availability(d.uuid, s.APPROVED, "urn:x")], "XDSMetadataUpdateError"),
        (lambda d: [availability(d.uuid, s.APPROVED, "")], "XDSMetadataUpdateError"),
        (lambda d: [availability("x", s.APPROVED, s.ARCHIVED)], "UnresolvedReferenceException"),
        (
            lambda d: [availability(f"urn:uuid:0f{d.uuid[11:]}", s.APPROVED, s.ARCHIVED)],
            "UnresolvedReferenceException",
        ),
        (lambda d: [s.association("HasMember", d.uuid, d.folder)], "XDSMetadataUpdateOperationError"),
        (lambda d: [s.association("RPLC", d.uuid, d.folder)], "XDSMetadataUpdateOperationError"),
        (lambda d: [s.association("RPLC", d.uuid, d.uuid)], "XDSMetadataUpdateOperationError"),
        (lambda d: [s.association("signs", d.uuid, "x")], "UnresolvedReferenceException"),
        (lambda d: [s.association("Contains", d.uuid, d.folder)], "XDSMetadataUpdateOperationError"),
        # What goes wrong in one place is not done in another.
        (
            lambda d: [d.entry(title="Après"), member(), availability("x", s.APPROVED, s.ARCHIVED)],
            "UnresolvedReferenceException",
        ),
    ],
)
def test_what_is_refused_changes_nothing(untouched: Published, build: Build, code: str) -> None:
    document, live = untouched, untouched.live
    answer = update(live, *build(document))
    assert (answer.status, answer.registry_status, answer.codes) == (200, "Failure", [code])
    assert document.resource["meta"]["versionId"] == "1"
    assert titles(document.found()) == ["Avant"]


@pytest.mark.parametrize(
    ("ins", "own", "code"),
    [(OTHER, OTHER, "XDSPatientIDReconciliationError"), (OTHER, INS, "XDSPatientIdDoesNotMatch")],
)
def test_of_another_patient(live: Live, ins: str, own: str, code: str) -> None:
    document = Published(live)
    answer = update(live, document.entry(ins=ins), member(), ins=own)
    assert answer.codes == [code]
    assert OTHER not in answer.values("RegistryError", "codeContext")[0]
    assert document.resource["meta"]["versionId"] == "1"


def test_updates_are_kept_and_a_repetition_changes_nothing(live: Live) -> None:
    document = Published(live)
    own = s.submission_set(f"1.2.250.1.999.63.{next(NUMBERS)}", INS)
    raw = envelope(UPDATE, s.metadata(document.entry(title="Après"), member(), own).decode())
    for _ in range(2):
        assert post(f"{live.origin}/xds/registry", raw).registry_status == "Success"
    assert document.resource["meta"]["versionId"] == "2"
    other = envelope(UPDATE, s.metadata(document.entry(title="Encore"), member("2"), own).decode())
    assert post(f"{live.origin}/xds/registry", other).codes == ["XDSDuplicateUniqueIdInRegistry"]
    items = httpx2.get(f"{live.origin}/admin/inbox", params={"kind": "xds-update"}).json()
    assert [item["status"] for item in items["items"][:3]] == ["failed", "duplicate", "processed"]


def test_a_document_of_an_app_is_updated_by_the_ids_that_were_told(live: Live) -> None:
    seed = Published(live)
    with httpx2.Client(base_url=live.base_url, timeout=30) as client:
        put(
            client,
            {
                "resourceType": "DocumentReference",
                "id": "of-an-app",
                "contained": [{"resourceType": "Organization", "id": "keeper", "name": "Gardien"}],
                "status": "current",
                "subject": seed.resource["subject"],
                "custodian": {"reference": "#keeper"},
                "content": [{"attachment": {"contentType": "text/plain", "data": "QQ==", "title": "A"}}],
            },
        )
    patient: Parameters = {
        "$XDSDocumentEntryPatientId": quoted(s.cx(INS)),
        "$XDSDocumentEntryStatus": quoted(s.APPROVED),
    }
    nodes = ask(live.origin, "FindDocuments", patient).all("ExtrinsicObject")
    [node] = [each for each in nodes if name_of(each) == "A"]
    unique_id = node.findall("{*}ExternalIdentifier")[1].get("value", "")
    lid = f'lid="{node.get("id")}"'
    masked = s.entry(
        "Document01", unique_id, INS, b"A", title="B", attributes=lid, codes={"label": [s.MASKED]}
    )
    answer = update(live, masked, member())
    assert answer.registry_status == "Success", answer.values("RegistryError", "codeContext")
    resource = httpx2.get(f"{live.base_url}/DocumentReference/of-an-app").json()
    assert resource["securityLabel"][0]["coding"][0]["code"] == "MASQUE_PS"
    assert resource["content"][0]["attachment"]["title"] == "B"
    assert [c["resourceType"] for c in resource["contained"]] == ["Organization"]
    again = ask(live.origin, "GetDocuments", {"$XDSDocumentEntryLogicalID": quoted(node.get("id", ""))})
    assert titles(again) == ["B"]
