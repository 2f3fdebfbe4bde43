"""A document that replaces one in a folder is in that folder, too."""

import pytest

from tests.live import Live
from tests.xds.messages import post
from tests.xds.registry import ask, links, quoted
from tests.xds.submissions import RIM, Entry, Submission, number

MEMBER = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
RPLC = "urn:ihe:iti:2007:AssociationType:RPLC"


def uuid() -> str:
    return f"urn:uuid:0c000000-0000-4000-8000-{number():0>12}"


def folder(id: str, patient: str) -> str:
    """The RegistryPackage of a folder."""
    identifiers = {
        "f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a": patient,
        "75df8f67-9973-4fbe-a900-df66cefecc5a": f"1.2.250.1.999.41.7.{number()}",
    }
    written = "".join(
        f'<ExternalIdentifier identificationScheme="urn:uuid:{scheme}" value="{value}"/>'
        for scheme, value in identifiers.items()
    )
    return (
        f'<RegistryPackage id="{id}" xmlns="{RIM}"><Classification classifiedObject="{id}" '
        'classificationScheme="urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5" nodeRepresentation="SUIVI">'
        '<Slot name="codingScheme"><ValueList><Value>1.2.250.1.999.42</Value></ValueList></Slot>'
        f'</Classification><Classification classifiedObject="{id}" '
        'classificationNode="urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"/>'
        f"{written}</RegistryPackage>"
    )


def send(live: Live, submission: Submission, extra: str = "") -> None:
    body, content_type = submission.mtom()
    body = body.replace(b"</RegistryObjectList>", f"{extra}</RegistryObjectList>".encode())
    answer = post(f"{live.origin}/xds/repository", body, content_type)
    assert answer.registry_status == "Success", answer.values("RegistryError", "codeContext")


@pytest.mark.parametrize("late", [False, True], ids=["with-the-folder", "folder-afterwards"])
def test_what_replaces_a_document_is_in_its_folders(live: Live, late: bool) -> None:
    first, second, filed = uuid(), uuid(), uuid()
    submission = Submission([Entry(id=first)])
    member = (MEMBER, filed, first)
    if late:
        send(live, submission)
        send(
            live,
            Submission(patient=submission.patient, associations=[member]),
            folder(filed, submission.patient),
        )
    else:
        submission.associations = [member]
        send(live, submission, folder(filed, submission.patient))
    replacement = Submission([Entry(id=second)], submission.patient, associations=[(RPLC, second, first)])
    send(live, replacement)
    answer = ask(live.origin, "GetFolderAndContents", {"$XDSFolderEntryUUID": quoted(filed)})
    assert sorted(answer.values("ExtrinsicObject", "id")) == sorted([first, second])
    assert {("HasMember", filed, first), ("HasMember", filed, second)} <= links(answer)


def test_what_replaces_a_document_and_is_filed_at_once(live: Live) -> None:
    first, second, filed = uuid(), uuid(), uuid()
    submission = Submission([Entry(id=first)], associations=[(MEMBER, filed, first)])
    send(live, submission, folder(filed, submission.patient))
    related = [(RPLC, second, first), (MEMBER, filed, second)]
    send(live, Submission([Entry(id=second)], submission.patient, associations=related))
    answer = ask(live.origin, "GetFolderAndContents", {"$XDSFolderEntryUUID": quoted(filed)})
    assert sorted(answer.values("ExtrinsicObject", "id")) == sorted([first, second])
