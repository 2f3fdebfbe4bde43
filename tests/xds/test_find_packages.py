"""Submission sets, folders and associations, by every stored query that answers with them."""

import pytest

from tests.live import Live
from tests.xds import described as s
from tests.xds.registry import (
    INS,
    Parameters,
    ask,
    codes,
    links,
    name_of,
    quoted,
    slot,
    status,
    titles,
)
from tests.xds.stock import ANY, FOLDER, OTHER_AUTHOR, ROOT, SETS, WHO, A, B, C, D

SETS_OF = {"$XDSSubmissionSetPatientId": WHO, "$XDSSubmissionSetStatus": quoted(s.APPROVED)}
FOLDERS_OF = {"$XDSFolderPatientId": WHO, "$XDSFolderStatus": quoted(s.APPROVED)}


@pytest.mark.parametrize(
    ("query", "parameters", "expected"),
    [
        ("FindSubmissionSets", SETS_OF, ["Envoi 2", "Envoi"]),
        (
            "FindSubmissionSets",
            {**SETS_OF, "$XDSSubmissionSetSourceId": "('1.2.250.1.999.35.10.2')"},
            ["Envoi 2"],
        ),
        ("FindSubmissionSets", {**SETS_OF, "$XDSSubmissionSetSubmissionTimeFrom": "20240502"}, ["Envoi 2"]),
        ("FindSubmissionSets", {**SETS_OF, "$XDSSubmissionSetSubmissionTimeTo": "20240312092000"}, []),
        ("FindSubmissionSets", {**SETS_OF, "$XDSSubmissionSetAuthorPerson": quoted("%O'NEILL%")}, ["Envoi"]),
        (
            "FindSubmissionSets",
            {**SETS_OF, "$XDSSubmissionSetContentType": quoted("03^^1.2.250.1.213.2.2")},
            ["Envoi 2"],
        ),
        ("FindSubmissionSets", {**SETS_OF, "$XDSSubmissionSetStatus": quoted(s.DEPRECATED)}, []),
        ("FindFolders", FOLDERS_OF, ["Dossier"]),
        (
            "FindFolders",
            {**FOLDERS_OF, "$XDSFolderCodeList": quoted("GROSSESSE^^1.2.250.1.999.35.20")},
            ["Dossier"],
        ),
        ("FindFolders", {**FOLDERS_OF, "$XDSFolderCodeList": quoted("ALD^^1.2.250.1.999.35.20")}, []),
        ("FindFolders", {**FOLDERS_OF, "$XDSFolderLastUpdateTimeFrom": "2025"}, ["Dossier"]),
        ("FindFolders", {**FOLDERS_OF, "$XDSFolderLastUpdateTimeTo": "2025"}, []),
        ("GetFolders", {"$XDSFolderEntryUUID": quoted(FOLDER)}, ["Dossier"]),
        ("GetFolders", {"$XDSFolderUniqueId": quoted(f"{ROOT}.201")}, ["Dossier"]),
        ("GetFolders", {"$XDSFolderEntryUUID": quoted(SETS[0])}, []),
        ("GetSubmissionSets", {"$uuid": quoted(A)}, ["Envoi"]),
        ("GetSubmissionSets", {"$uuid": quoted(B, FOLDER)}, ["Envoi", "Envoi 2"]),
        ("GetSubmissionSets", {"$uuid": quoted(B), "$XDSAssociationStatus": quoted(s.DEPRECATED)}, []),
        ("GetFoldersForDocument", {"$XDSDocumentEntryEntryUUID": quoted(A)}, ["Dossier"]),
        ("GetFoldersForDocument", {"$XDSDocumentEntryUniqueId": quoted(f"{ROOT}.2^B")}, ["Dossier"]),
        ("GetFoldersForDocument", {"$XDSDocumentEntryEntryUUID": quoted(C)}, ["Dossier"]),
        ("GetFoldersForDocument", {"$XDSDocumentEntryEntryUUID": quoted(D)}, []),
    ],
)
def test_packages(stocked: Live, query: str, parameters: Parameters, expected: list[str]) -> None:
    answer = ask(stocked.origin, query, parameters)
    assert status(answer) == "Success", answer.codes
    found = [name_of(node) for node in answer.all("RegistryPackage")]
    assert (found if query.startswith("Find") else sorted(found)) == expected


def test_attributes_of_a_submission_set(stocked: Live) -> None:
    answer = ask(stocked.origin, "FindSubmissionSets", SETS_OF)
    second, first = answer.all("RegistryPackage")
    assert slot(second, "submissionTime") == ["20240502080000"]
    assert slot(second, "intendedRecipient") == [f"{s.INSTITUTION}|{s.PERSON}", f"|{s.PERSON}"]
    assert codes(second, "content") == ["03"]
    [author] = [c for c in first.findall("{*}Classification") if c.get("nodeRepresentation") == ""]
    assert {name: slot(author, name) for name in OTHER_AUTHOR} == OTHER_AUTHOR
    values = [e.get("value") for e in second.findall("{*}ExternalIdentifier")]
    assert values == [s.cx(INS), "1.2.250.1.999.35.10.2", f"{ROOT}.102"]
    nodes = [c.get("classificationNode") for c in second.findall("{*}Classification")]
    assert "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd" in nodes


OF_FIRST = {("HasMember", SETS[0], target) for target in (A, B, FOLDER)}
OF_FOLDER = {("HasMember", FOLDER, target) for target in (A, B, C)}
"""C has replaced A."""
OF_SECOND = {("HasMember", SETS[1], target) for target in (B, C, D)}
RELATED = {("RPLC", C, A), ("IsSnapshotOf", C, B)}
TYPES = quoted(f"{s.TYPE}RPLC", "urn:ihe:iti:2010:AssociationType:IsSnapshotOf", s.HAS_MEMBER)


@pytest.mark.parametrize(
    ("query", "parameters", "documents", "expected"),
    [
        (
            "GetAll",
            {
                "$patientId": WHO,
                "$XDSDocumentEntryStatus": quoted(*ANY, s.DELETED),
                "$XDSSubmissionSetStatus": quoted(s.APPROVED),
                "$XDSFolderStatus": quoted(s.APPROVED),
            },
            "ABCDE",
            OF_FIRST | OF_FOLDER | OF_SECOND | RELATED,
        ),
        (
            "GetAll",
            {
                "$patientId": WHO,
                "$XDSDocumentEntryStatus": quoted(s.DEPRECATED),
                "$XDSSubmissionSetStatus": quoted(s.DEPRECATED),
                "$XDSFolderStatus": quoted(s.DEPRECATED),
            },
            "A",
            {("HasMember", SETS[0], A), ("HasMember", FOLDER, A), ("RPLC", C, A)},
        ),
        (
            "GetAssociations",
            {"$uuid": quoted(C)},
            "",
            {*RELATED, *(("HasMember", list, C) for list in (SETS[1], FOLDER))},
        ),
        ("GetAssociations", {"$uuid": quoted(FOLDER)}, "", {*OF_FOLDER, ("HasMember", SETS[0], FOLDER)}),
        ("GetAssociations", {"$uuid": quoted(C), "$XDSAssociationStatus": quoted(s.DEPRECATED)}, "", set()),
        (
            "GetDocumentsAndAssociations",
            {"$XDSDocumentEntryEntryUUID": quoted(A)},
            "A",
            {("HasMember", SETS[0], A), ("HasMember", FOLDER, A), ("RPLC", C, A)},
        ),
        (
            "GetSubmissionSetAndContents",
            {"$XDSSubmissionSetEntryUUID": quoted(SETS[0])},
            "AB",
            OF_FIRST | OF_FOLDER - {("HasMember", FOLDER, C)},
        ),
        (
            "GetSubmissionSetAndContents",
            {
                "$XDSSubmissionSetUniqueId": quoted(f"{ROOT}.101"),
                "$XDSDocumentEntryConfidentialityCode": quoted("MASQUE_PS^^1.2.250.1.213.1.1.4.13"),
            },
            "B",
            {("HasMember", SETS[0], B), ("HasMember", SETS[0], FOLDER), ("HasMember", FOLDER, B)},
        ),
        (
            "GetFolderAndContents",
            {"$XDSFolderEntryUUID": quoted(FOLDER)},
            "ABC",
            {*OF_FOLDER, ("RPLC", C, A), ("IsSnapshotOf", C, B)},
        ),
        (
            "GetFolderAndContents",
            {
                "$XDSFolderUniqueId": quoted(f"{ROOT}.201"),
                "$XDSDocumentEntryType": quoted("urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"),
            },
            "",
            set(),
        ),
        (
            "GetRelatedDocuments",
            {"$XDSDocumentEntryEntryUUID": quoted(C), "$AssociationTypes": TYPES},
            "ABC",
            RELATED,
        ),
        (
            "GetRelatedDocuments",
            {"$XDSDocumentEntryUniqueId": quoted(f"{ROOT}.1"), "$AssociationTypes": quoted(f"{s.TYPE}RPLC")},
            "AC",
            {("RPLC", C, A)},
        ),
        (
            "GetRelatedDocuments",
            {"$XDSDocumentEntryEntryUUID": quoted(C), "$AssociationTypes": quoted(f"{s.TYPE}APND")},
            "",
            set(),
        ),
    ],
)
def test_associations(
    stocked: Live,
    query: str,
    parameters: Parameters,
    documents: str,
    expected: set[tuple[str, str, str]],
) -> None:
    answer = ask(stocked.origin, query, parameters)
    assert status(answer) == "Success", answer.codes
    assert "".join(sorted(titles(answer))) == documents
    assert links(answer) == expected


def test_status_of_members(stocked: Live) -> None:
    answer = ask(stocked.origin, "GetAssociations", {"$uuid": quoted(SETS[1])})
    members = {
        node.get("targetObject"): slot(node, "SubmissionSetStatus") for node in answer.all("Association")
    }
    assert members == {C: ["Original"], D: ["Original"], B: ["Reference"]}
