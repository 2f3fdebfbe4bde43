"""Versions of one document replace each other, however they come; what they assert goes with them."""

import itertools

import pytest

from fhirserver.model.json import Resource
from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, cda, xdm

pytestmark = pytest.mark.anyio

V1 = cda("1", set_id="S", version=1, lot="A")
V2 = cda("2", set_id="S", version=2, lot="B")
V3 = cda("3", set_id="S", version=3, lot="C")


async def taken(feed: Feed, *inputs: bytes, kind: str = "cda") -> None:
    for raw in inputs:
        _, outcome = await feed.take(raw, kind)
        assert outcome.status in ("processed", "warnings"), outcome.issues


async def document(feed: Feed, number: str) -> Resource:
    return await feed.only("DocumentReference", identifier=f"urn:oid:{OID}.8|{number}")


async def statuses(feed: Feed, numbers: str) -> list[str]:
    return [(await document(feed, number))["status"] for number in numbers]


def replaces(document: Resource) -> list[str]:
    return [r["target"]["reference"] for r in document.get("relatesTo", ()) if r["code"] == "replaces"]


@pytest.mark.parametrize("order", list(itertools.permutations((V1, V2, V3))))
async def test_versions_of_a_set_come_in_any_order(feed: Feed, order: tuple[bytes, ...]) -> None:
    await taken(feed, *order)
    assert await statuses(feed, "123") == ["superseded", "superseded", "current"]
    assert (await feed.only("Immunization"))["lotNumber"] == "C"
    assert replaces(await document(feed, "3")) != []


async def test_a_late_version_is_what_the_later_one_replaces(feed: Feed) -> None:
    await taken(feed, V2, V1)
    first, second = await document(feed, "1"), await document(feed, "2")
    assert replaces(second) == [f"DocumentReference/{first['id']}"]
    assert (first["meta"]["versionId"], second["meta"]["versionId"]) == ("1", "2")


@pytest.mark.parametrize(
    "documents",
    [
        (("1", V1), ("2", V2)),
        (("2", V2), ("1", V1)),
        (("2", cda("2", replaces="1", lot="B")), ("1", cda("1", lot="A"))),
    ],
)
async def test_of_two_versions_in_one_submission_the_newer_is_current(
    feed: Feed, documents: tuple[tuple[str, bytes], ...]
) -> None:
    await taken(feed, xdm("1", *documents), kind="xdm")
    assert await statuses(feed, "12") == ["superseded", "current"]
    assert (await feed.only("Immunization"))["lotNumber"] == "B"
    assert replaces(await document(feed, "2")) == [f"DocumentReference/{(await document(feed, '1'))['id']}"]


@pytest.mark.parametrize(
    "other",
    [
        cda("2", set_id="S", version=2, patient="P2"),
        cda("2", set_id="T", version=2),
        cda("2", set_id="S", version=1),
        cda("2", set_id="S", version=2).replace(b'code="11488-4"', b'code="34112-3"'),
    ],
)
async def test_what_is_no_version_of_the_same_document_replaces_nothing(feed: Feed, other: bytes) -> None:
    await taken(feed, V1, other)
    assert await statuses(feed, "12") == ["current", "current"]


async def test_what_the_next_version_leaves_out_is_no_longer_asserted(feed: Feed) -> None:
    await taken(feed, V1, cda("2", set_id="S", version=2))
    immunization = await feed.only("Immunization")
    assert (immunization["status"], immunization["lotNumber"]) == ("entered-in-error", "A")
    (said,) = [p for p in await feed.search("Provenance") if "activity" in p]
    assert said["activity"]["coding"][0]["code"] == "NULLIFY"
    assert said["target"] == [{"reference": f"Immunization/{immunization['id']}"}]
    removed = f"DocumentReference/{(await document(feed, '1'))['id']}"
    assert said["entity"] == [{"role": "removal", "what": {"reference": removed}}]


async def test_what_is_taken_back_can_be_asserted_again(feed: Feed) -> None:
    await taken(feed, V1, cda("2", set_id="S", version=2), V3)
    immunization = await feed.only("Immunization")
    assert (immunization["status"], immunization["lotNumber"]) == ("completed", "C")


async def test_taking_a_version_in_again_changes_nothing(feed: Feed) -> None:
    await taken(feed, V1, cda("2", set_id="S", version=2))
    before = [await feed.search(type) for type in ("DocumentReference", "Immunization")]
    await taken(feed, xdm("1", ("1", V1)), kind="xdm")
    assert [await feed.search(type) for type in ("DocumentReference", "Immunization")] == before


async def test_two_documents_with_one_file_stay_two(feed: Feed) -> None:
    await taken(feed, cda("1", text="same"), cda("2", text="same"))
    assert await statuses(feed, "12") == ["current", "current"]
    urls = [
        content["attachment"]["url"]
        for each in await feed.search("DocumentReference")
        for content in each["content"]
    ]
    assert len(set(urls)) == len(urls) == 4


async def test_a_document_by_two_channels_is_one_with_two_arrivals(feed: Feed) -> None:
    await taken(feed, V1)
    await taken(feed, xdm("1", ("1", V1)), kind="xdm")
    found = await feed.only("DocumentReference")
    arrivals = await feed.search("Provenance", target=f"DocumentReference/{found['id']}")
    assert len(arrivals) == 2


@pytest.mark.parametrize("order", ["wrong", "right"])
async def test_a_version_that_names_its_parent_by_the_wrong_id(feed: Feed, order: str) -> None:
    """Real files name a parent that never was; the set links them."""
    replacement = cda("2", set_id="S", version=2, lot="B", replaces="no-such")
    if order == "right":
        await taken(feed, V1, replacement)
        assert await statuses(feed, "12") == ["superseded", "current"]
        return
    _, outcome = await feed.take(replacement, "cda")
    assert outcome.status == "held"
    await taken(feed, V1)
    assert await statuses(feed, "1") == ["current"]
