"""Nothing on the wrong patient."""

import pytest

from tests.feeds.conftest import Feed, OpenFeed
from tests.feeds.messages import OID, message

pytestmark = pytest.mark.anyio

VISIT = f"PV1||I|MED||||||||||||||||{{}}^^^&{OID}.2&ISO^VN"


def admitted(control: str, patient: str, visit: str) -> bytes:
    pid = f"PID|||{patient}^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L"
    return message(control, "ADT^A01^ADT_A01", f"EVN||20260301080000\r{pid}\r{VISIT.format(visit)}")


async def test_visit_of_another_patient_is_held(feed: Feed) -> None:
    await feed.take(admitted("1", "A", "V1"))
    before = await feed.only("Encounter")
    _, outcome = await feed.take(admitted("2", "B", "V1"))
    assert outcome.status == "held"
    assert "another patient's" in outcome.issues[-1]["text"]
    assert "MARTIN" not in str(outcome.issues)
    assert await feed.only("Encounter") == before
    assert len(await feed.search("Patient")) == 1


async def test_result_does_not_refer_to_the_visit_of_another_patient(feed: Feed) -> None:
    await feed.take(admitted("1", "A", "V1"))
    _, outcome = await feed.take(
        message(
            "2",
            "ORU^R01^ORU_R01",
            f"PID|||B^^^&{OID}&ISO^PI||DURAND^Max^^^^^L\r{VISIT.format('V1')}\r"
            "OBR|1||F1^LAB|718-7^Hb^LN|||20260301080000||||||||||||||||||F\r"
            "OBX|1|NM|718-7^Hb^LN||13.5|g/dL|||||F",
        )
    )
    assert outcome.status == "warnings"
    assert "not referred to" in str(outcome.issues)
    assert "encounter" not in await feed.only("Observation")
    assert "encounter" not in await feed.only("DiagnosticReport")


async def test_types_that_are_off_are_left_out(open_feed: OpenFeed) -> None:
    async with open_feed(types=("Patient", "Encounter", "Provenance")) as feed:
        raw = admitted("1", "A", "V1")[:-1] + b"\rDG1|1||I10^Hypertension^I10||20260301|A\r"
        _, outcome = await feed.take(raw)
        assert outcome.status == "processed"
        assert "Condition is not served here" in str(outcome.issues)
        assert "diagnosis" not in await feed.only("Encounter")
