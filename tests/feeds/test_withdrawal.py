"""A document that an HL7v2 message deletes: what it asserted goes with it, and only its makers can."""

import pytest

from fhirserver.storage.items import Outcome
from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, cda, message

pytestmark = pytest.mark.anyio

AUTHOR, OTHER = "810000000001", "810000000002"


def delete(control: str, number: str, author: str = "") -> bytes:
    """An MDM^T11; ``author`` is the number (IDNPS) of who deletes."""
    who = f"{author}^X^Y^^^^^^&1.2.250.1.71.4.2.1&ISO" if author else ""
    pid = f"PID|||P1^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L"
    txa = f"TXA|1|CN|TX|20260301080000|||||{who}|||{number}^^{OID}.8^ISO|||||AU||CA"
    return message(control, "MDM^T11", f"{pid}\r{txa}")


async def delivered(feed: Feed, author: str) -> Outcome:
    _, outcome = await feed.take(cda("1", lot="A"), "cda")
    assert outcome.status == "processed", outcome.issues
    _, outcome = await feed.take(delete("1", "1", author))
    return outcome


async def status(feed: Feed, type: str) -> str:
    found: str = (await feed.only(type))["status"]
    return found


@pytest.mark.parametrize("author", [AUTHOR, ""])
async def test_what_a_deleted_document_asserted_goes_with_it(feed: Feed, author: str) -> None:
    outcome = await delivered(feed, author)
    assert outcome.status in ("processed", "warnings"), outcome.issues
    assert await status(feed, "DocumentReference") == "entered-in-error"
    assert await status(feed, "Immunization") == "entered-in-error"
    (said,) = [
        p
        for p in await feed.search("Provenance")
        if p.get("activity", {}).get("coding", [{}])[0].get("code") == "NULLIFY"
    ]
    assert [target["reference"].partition("/")[0] for target in said["target"]] == ["Immunization"]


async def test_only_who_made_a_document_deletes_it(feed: Feed) -> None:
    outcome = await delivered(feed, OTHER)
    assert outcome.status == "held"
    assert outcome.issues[-1]["text"].startswith("901 ")
    assert await status(feed, "DocumentReference") == "current"
    assert await status(feed, "Immunization") == "completed"
