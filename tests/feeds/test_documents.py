"""A document that is stored already comes again, whatever way."""

import asyncio

import pytest

from fhirserver.storage.items import Item
from mappings.core.result import Issue
from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, cda, mdm, xdm

pytestmark = pytest.mark.anyio

V1 = cda("1", set_id="S", version=1, lot="A")
V2 = cda("2", set_id="S", version=2, lot="B", replaces="1")


def in_mdm(control: str, number: str, raw: bytes, *labels: str) -> bytes:
    """A CDA inside an MDM, with flags of MetaDMPMSS."""
    sent = mdm(control, number, raw).replace(f"{OID}.7^ISO".encode(), f"{OID}.8^ISO".encode())
    sent = sent.replace(b"application/pdf", b"text/xml").replace(b"^application^pdf^", b"^text^xml^")
    flags = [f"OBX|{n}|CE|{code}^^MetaDMPMSS||Y^^expandedYes-NoIndicator" for n, code in enumerate(labels, 2)]
    return sent.rstrip(b"\r") + b"\r" + "\r".join(flags).encode()


async def taken(feed: Feed, raw: bytes, kind: str) -> None:
    _, outcome = await feed.take(raw, kind)
    assert outcome.status in ("processed", "warnings"), outcome.issues


async def labels(feed: Feed, number: str = "1") -> list[str]:
    document = await feed.only("DocumentReference", identifier=f"urn:oid:{OID}.8|{number}")
    return [label["coding"][0]["code"] for label in document.get("securityLabel", ())]


@pytest.mark.parametrize(
    ("kind", "again", "provenances"),
    [
        ("xdm", xdm("1", ("1", V1)), 3),
        ("hl7v2", in_mdm("1", "1", V1), 3),
        ("cda", V1, 2),
    ],
)
async def test_an_old_version_brings_no_old_content_back(
    feed: Feed, kind: str, again: bytes, provenances: int
) -> None:
    for raw in (V1, V2):
        await taken(feed, raw, "cda")
    vaccination = await feed.only("Immunization")
    assert vaccination["lotNumber"] == "B"
    binaries = len(await feed.search("Binary"))
    await taken(feed, again, kind)
    assert await feed.only("Immunization") == vaccination
    assert len(await feed.search("Binary")) == binaries + (kind == "xdm"), "the submission's signature is new"
    assert len(await feed.search("Provenance")) == provenances
    assert len(await feed.search("List")) == (kind == "xdm")


async def test_a_known_document_does_not_hide_what_is_new_beside_it(feed: Feed) -> None:
    await taken(feed, V1, "cda")
    other = cda("3", set_id="T", version=1, lot="C")
    await taken(feed, xdm("1", ("1", V1), ("3", other)), "xdm")
    lots = {found["lotNumber"] for found in await feed.search("Immunization")}
    assert lots == {"A", "C"}


async def test_a_submission_packed_again_is_one(feed: Feed) -> None:
    await taken(feed, xdm("1", ("1", V1)), "xdm")
    types = ("Binary", "Provenance", "List", "Immunization", "DocumentReference")
    before = [await feed.search(type) for type in types]
    await taken(feed, xdm("1", ("1", V1), comment=b"again"), "xdm")
    assert [await feed.search(type) for type in types] == before


@pytest.mark.parametrize(
    ("kind", "again", "expected"),
    [
        (
            "xdm",
            xdm("1", ("1", V1), labels="MASQUE_PS INVISIBLE_PATIENT"),
            ["N", "MASQUE_PS", "INVISIBLE_PATIENT"],
        ),
        ("hl7v2", in_mdm("1", "1", V1, "MASQUE_PS"), ["N", "MASQUE_PS"]),
        ("xdm", xdm("1", ("1", V1)), ["N"]),
        ("hl7v2", in_mdm("1", "1", V1), ["N"]),
    ],
)
async def test_the_labels_of_all_arrivals_hold(
    feed: Feed, kind: str, again: bytes, expected: list[str]
) -> None:
    await taken(feed, V1, "cda")
    await taken(feed, again, kind)
    assert await labels(feed) == expected
    # Less said later takes nothing away.
    await taken(feed, xdm("2", ("1", V1)), "xdm")
    assert await labels(feed) == expected
    document = await feed.only("DocumentReference")
    assert document["meta"]["versionId"] == ("1" if expected == ["N"] else "2")


async def test_new_labels_and_a_replacement_at_once(feed: Feed) -> None:
    await taken(feed, V1, "cda")
    await taken(feed, xdm("1", ("2", V2), ("1", V1), labels="MASQUE_PS"), "xdm")
    assert await labels(feed) == ["N", "MASQUE_PS"]
    old = await feed.only("DocumentReference", identifier=f"urn:oid:{OID}.8|1")
    assert (old["status"], old["meta"]["versionId"]) == ("superseded", "2")
    assert (await feed.only("Immunization"))["lotNumber"] == "B"


async def settled(feed: Feed, id: str, *, attempts: int) -> Item:
    """The item once it has been processed so often."""
    for _ in range(100):
        item = await feed.inbox.get(id)
        if item.status != "received" and item.attempts >= attempts:
            return item
        await asyncio.sleep(0.02)
    raise AssertionError(f"{item.status} after {item.attempts} attempts")


@pytest.mark.parametrize(
    ("kind", "original", "replacement"),
    [
        ("cda", cda("1"), cda("2", replaces="1")),
        ("xdm", xdm("1", ("1", cda("1"))), xdm("2", ("2", cda("2", replaces="1")))),
        ("cda", in_mdm("1", "1", cda("1")), cda("2", replaces="1")),
    ],
)
async def test_a_replacement_waits_for_its_original(
    feed: Feed, kind: str, original: bytes, replacement: bytes
) -> None:
    held, outcome = await feed.take(replacement, kind)
    assert outcome.status == "held"
    await feed.take(cda("9", patient="P9"), "cda")
    assert (await feed.inbox.get(held.id)).status == "held", "another document opens nothing"
    await taken(feed, original, "hl7v2" if original.startswith(b"MSH") else kind)
    item = await settled(feed, held.id, attempts=2)
    assert item.status in ("processed", "warnings")
    assert not any(issue["severity"] == "error" for issue in item.outcome.issues)
    statuses = {
        number: (await feed.only("DocumentReference", identifier=f"urn:oid:{OID}.8|{number}"))["status"]
        for number in "12"
    }
    assert statuses == {"1": "superseded", "2": "current"}


async def test_a_chain_of_versions_in_the_wrong_order(feed: Feed) -> None:
    versions = [cda("1"), cda("2", replaces="1"), cda("3", replaces="2")]
    items = [(await feed.take(raw, "cda"))[0] for raw in reversed(versions)]
    assert (await settled(feed, items[0].id, attempts=2)).status == "processed"
    documents = await feed.search("DocumentReference")
    assert sorted(document["status"] for document in documents) == ["current", "superseded", "superseded"]


async def test_what_is_held_for_another_reason_waits_for_nothing(feed: Feed) -> None:
    await feed.take(cda("1"), "cda")
    await feed.take(cda("2", replaces="1"), "cda")
    held, outcome = await feed.take(cda("3", replaces="1"), "cda")
    assert outcome.status == "held"
    await feed.take(in_mdm("1", "1", cda("1")))
    item = await feed.inbox.get(held.id)
    assert (item.status, item.attempts) == ("held", 1)


async def test_the_original_may_come_while_the_replacement_is_held(feed: Feed) -> None:
    """Under different numbers of one patient they are not processed one after the other."""
    numbers = [{"system": f"urn:oid:{OID}", "value": value} for value in ("P1", "P2")]
    await feed.put({"resourceType": "Patient", "id": "p", "identifier": numbers})
    versions = [
        raw
        for n in range(8)
        for raw in (cda(f"{n}b", replaces=f"{n}a", patient="P1"), cda(f"{n}a", patient="P2"))
    ]
    receipts = await asyncio.gather(*(feed.receiver.receive(raw, "cda", "test") for raw in versions))
    for receipt in receipts:
        for _ in range(100):
            if (await feed.inbox.get(receipt.item.id)).status in ("processed", "warnings"):
                break
            await asyncio.sleep(0.02)
        else:
            raise AssertionError("it is still held")


async def test_an_item_opened_again_says_everything_once(feed: Feed) -> None:
    remark = Issue("information", "informational", "The related document is on its way")
    held, _ = await feed.take(cda("2", replaces="1"), "cda", issues=[remark])
    first = await feed.inbox.get(held.id)
    await feed.receiver.replay(held.id)
    again = await settled(feed, held.id, attempts=2)
    assert again.status == "held"
    assert again.outcome.issues == first.outcome.issues
    texts = [issue["text"] for issue in again.outcome.issues]
    assert len(texts) == len(set(texts)) == 2
