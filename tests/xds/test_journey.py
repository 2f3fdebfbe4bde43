"""A document's way through the transactions as software goes it: publish, find, replace, mask, retrieve."""

import base64
from typing import Final

import pytest

from tests.live import Live
from tests.xds import described as s
from tests.xds.messages import Answer, envelope, post
from tests.xds.published import availability, member, update
from tests.xds.registry import Parameters, ask, codes, links, quoted, slot, titles

PROVIDE: Final = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b"
RETRIEVE: Final = "urn:ihe:iti:2007:RetrieveDocumentSet"
ROOT: Final = "1.2.250.1.999.99"
INS: Final = "188017799999934"
NUMBER: Final = {"sourcePatientId": ["IPP-0099^^^&1.2.250.1.999.35.1&ISO^PI"]}


@pytest.fixture(scope="module")
def live(writable: Live) -> Live:
    return writable


def provide(live: Live, number: int, *more: str, title: str) -> Answer:
    content = f"content {number}".encode()
    described = s.metadata(
        s.entry("Document01", f"{ROOT}.{number}", INS, content, title=title, more=NUMBER),
        s.submission_set(f"{ROOT}.10{number}", INS),
        s.association("HasMember", "SubmissionSet01", "Document01"),
        *more,
    ).decode()
    body = (
        f'<x:ProvideAndRegisterDocumentSetRequest xmlns:x="urn:ihe:iti:xds-b:2007">{described}'
        f'<x:Document id="Document01">{base64.b64encode(content).decode()}</x:Document>'
        "</x:ProvideAndRegisterDocumentSetRequest>"
    )
    return post(f"{live.origin}/xds/repository", envelope(PROVIDE, body))


def find(live: Live, *statuses: str) -> Answer:
    parameters: Parameters = {
        "$XDSDocumentEntryPatientId": quoted(s.cx(INS)),
        "$XDSDocumentEntryStatus": quoted(*statuses),
    }
    return ask(live.origin, "FindDocuments", parameters)


def test_publish_find_replace_mask_archive_and_retrieve(live: Live) -> None:
    assert provide(live, 1, title="v1").registry_status == "Success"
    [first] = find(live, s.APPROVED).all("ExtrinsicObject")
    replaces = s.association("RPLC", "Document01", first.get("id", ""))
    assert provide(live, 2, replaces, title="v2").registry_status == "Success"
    assert titles(find(live, s.DEPRECATED)) == ["v1"]
    [second] = find(live, s.APPROVED).all("ExtrinsicObject")
    lid = second.get("lid", "")
    told = ask(live.origin, "GetAssociations", {"$uuid": quoted(lid)})
    assert ("RPLC", lid, first.get("id")) in links(told)

    labels = {"label": [*s.CODES["label"], s.MASKED]}
    changed = s.entry(
        "Document01",
        f"{ROOT}.2",
        INS,
        b"content 2",
        title="v2",
        codes=labels,
        more=NUMBER,
        attributes=f'lid="{lid}"',
    )
    assert update(live, changed, member(), ins=INS).registry_status == "Success"
    [masked] = find(live, s.APPROVED).all("ExtrinsicObject")
    assert codes(masked, "label") == ["N", "MASQUE_PS"]
    assert update(live, availability(masked.get("id", ""), s.APPROVED, s.ARCHIVED), ins=INS).codes == []
    assert (titles(find(live, s.APPROVED)), titles(find(live, s.ARCHIVED))) == ([], ["v2"])

    [repository] = slot(masked, "repositoryUniqueId")
    body = (
        '<RetrieveDocumentSetRequest xmlns="urn:ihe:iti:xds-b:2007"><DocumentRequest>'
        f"<RepositoryUniqueId>{repository}</RepositoryUniqueId>"
        f"<DocumentUniqueId>{ROOT}.2</DocumentUniqueId></DocumentRequest></RetrieveDocumentSetRequest>"
    )
    retrieved = post(f"{live.origin}/xds/repository", envelope(RETRIEVE, body))
    assert list(retrieved.parts.values()) == [b"content 2"]
