"""Merges over the feed: nothing lost, nothing doubled, nothing on the wrong patient."""

from typing import Any

import pytest

from fhirserver.storage.items import Outcome
from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, adt, message

pytestmark = pytest.mark.anyio

INS = "279035121518989^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS"
OTHER_INS = "284036938304291^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS"


def cx(number: str, kind: str = "PI") -> str:
    return f"{number}^^^&{OID}&ISO^{kind}"


def merge(
    control: str, survivor: str, victim: str, *, event: str = "A40", day: int = 2, extra: str = ""
) -> bytes:
    """``victim`` into ``survivor``: numbers, or CX values."""
    pid, mrg = (value if "^" in value else cx(value) for value in (survivor, victim))
    time = f"202603{day:02}080000"
    segments = f"EVN||{time}\rPID|||{pid}||MARTIN^Ada^^^^^L{extra}\rMRG|{mrg}"
    return message(control, f"ADT^{event}^ADT_A39", segments, f7=f"{time}+0100")


def visit(control: str, patient: str, number: str = "V1", event: str = "A01", more: str = "") -> bytes:
    return message(
        control,
        f"ADT^{event}^ADT_A01",
        f"EVN||20260301080000\rPID|||{cx(patient)}||MARTIN^Ada^^^^^L\r"
        f"PV1||I|MED^101||||||||||||||||{number}^^^&{OID}.2&ISO^VN{more}",
    )


async def take(feed: Feed, *inputs: bytes, status: str = "processed") -> Outcome:
    for raw in inputs:
        _, outcome = await feed.take(raw)
        assert outcome.status in (status, "warnings"), (outcome.status, outcome.issues)
    return outcome


async def by_number(feed: Feed, number: str) -> list[dict[str, Any]]:
    return await feed.search("Patient", identifier=f"urn:oid:{OID}|{number}")


async def active(feed: Feed) -> dict[str, Any]:
    (found,) = [p for p in await feed.search("Patient") if p.get("active", True)]
    return found


def uses(patient: dict[str, Any]) -> dict[str, str]:
    return {i["value"]: i.get("use", "") for i in patient["identifier"]}


@pytest.mark.parametrize("event", ["A40", "A34", "A18", "A30", "A36"])
async def test_what_was_the_victims_is_the_survivors(feed: Feed, event: str) -> None:
    allergy = "\rAL1|1|DA|372687004^Amoxicilline^SCT"
    await take(feed, adt("1", patient="A"), visit("2", "B", more=allergy))
    await take(feed, merge("3", "A", "B", event=event))
    survivor = await active(feed)
    (victim,) = [p for p in await feed.search("Patient") if p["id"] != survivor["id"]]
    reference = f"Patient/{survivor['id']}"
    assert uses(survivor) == {"A": "", "B": "old"}
    assert uses(victim) == {"B": "old"}
    assert victim["link"] == [{"other": {"reference": reference}, "type": "replaced-by"}]
    assert survivor["link"] == [{"other": {"reference": f"Patient/{victim['id']}"}, "type": "replaces"}]
    for type, element in (("Encounter", "subject"), ("AllergyIntolerance", "patient")):
        assert (await feed.only(type))[element]["reference"] == reference
    records = [p for p in await feed.search("Provenance") if "merge" in str(p["activity"])]
    (record,) = records
    assert {t["reference"].split("/")[0] for t in record["target"]} == {
        *("Patient", "Encounter", "AllergyIntolerance")
    }


async def test_again_changes_nothing(feed: Feed) -> None:
    await take(feed, adt("1", patient="A"), adt("2", patient="B"), merge("3", "A", "B"))
    before = await feed.search("Patient")
    await take(feed, merge("4", "A", "B"))
    assert await feed.search("Patient") == before


@pytest.mark.parametrize(
    ("known", "count"),
    [((), 2), (("A",), 2), (("B",), 2)],
)
async def test_unknown_ones_come_to_be(feed: Feed, known: tuple[str, ...], count: int) -> None:
    await take(feed, *(adt(number, patient=number) for number in known), merge("9", "A", "B"))
    assert len(await feed.search("Patient")) == count
    assert uses(await active(feed)) == {"A": "", "B": "old"}


async def test_late_message_for_the_victim_goes_to_the_survivor(feed: Feed) -> None:
    await take(feed, adt("1", patient="A", family="SURVIVOR"), adt("2", patient="B", family="VICTIM"))
    await take(feed, merge("3", "A", "B", extra=""), visit("4", "B"))
    outcome = await take(feed, adt("5", patient="B", family="VICTIM", pid="||19791210"))
    assert "was merged" in str(outcome.issues)
    survivor = await active(feed)
    assert (await feed.only("Encounter"))["subject"]["reference"] == f"Patient/{survivor['id']}"
    assert survivor["name"][0]["family"] == "MARTIN"
    assert (survivor["birthDate"], uses(survivor)) == ("1979-12-10", {"A": "", "B": "old"})
    assert len(await feed.search("Patient")) == 2


async def test_chain_ends_at_the_last(feed: Feed) -> None:
    await take(feed, *(adt(n, patient=n) for n in "ABC"), visit("1", "A"))
    await take(feed, merge("2", "B", "A"), merge("3", "C", "B"), visit("4", "A", "V2"))
    last = await active(feed)
    assert uses(last) == {"C": "", "B": "old", "A": "old"}
    subjects = {e["subject"]["reference"] for e in await feed.search("Encounter")}
    assert subjects == {f"Patient/{last['id']}"}


async def test_groups_of_one_message_are_each_a_merge(feed: Feed) -> None:
    await take(feed, *(adt(n, patient=n) for n in "ABCD"), visit("1", "A"), visit("2", "C", "V2"))
    group = "PID|||{}||MARTIN^Ada^^^^^L\rMRG|{}"
    segments = "\r".join(
        ["EVN||20260302080000", group.format(cx("B"), cx("A")), group.format(cx("D"), cx("C"))]
    )
    await take(feed, message("3", "ADT^A40^ADT_A39", segments))
    left = {p["id"]: uses(p) for p in await feed.search("Patient") if p.get("active", True)}
    assert sorted(left.values(), key=str) == [{"B": "", "A": "old"}, {"D": "", "C": "old"}]
    subjects = {
        e["identifier"][0]["value"]: uses_of
        for e in await feed.search("Encounter")
        for uses_of in [left[e["subject"]["reference"].removeprefix("Patient/")]]
    }
    assert subjects == {"V1": {"B": "", "A": "old"}, "V2": {"D": "", "C": "old"}}


async def test_chain_in_one_message(feed: Feed) -> None:
    await take(feed, *(adt(n, patient=n) for n in "ABC"), visit("1", "A"), visit("2", "B", "V2"))
    group = "PID|||{}||MARTIN^Ada^^^^^L\rMRG|{}"
    segments = "\r".join(
        ["EVN||20260302080000", group.format(cx("B"), cx("A")), group.format(cx("C"), cx("B"))]
    )
    await take(feed, message("3", "ADT^A40^ADT_A39", segments))
    last = await active(feed)
    subjects = {e["subject"]["reference"] for e in await feed.search("Encounter")}
    assert subjects == {f"Patient/{last['id']}"}
    await take(feed, visit("4", "A", "V3"))
    assert {e["subject"]["reference"] for e in await feed.search("Encounter")} == subjects


async def test_inverse_changes_which_number_is_in_use(feed: Feed) -> None:
    await take(feed, adt("1", patient="A"), adt("2", patient="B"), merge("3", "A", "B"))
    outcome = await take(feed, merge("4", "B", "A", day=3))
    assert "of one record already" in str(outcome.issues)
    assert uses(await active(feed)) == {"A": "old", "B": ""}
    await take(feed, merge("5", "A", "B", day=1))
    assert uses(await active(feed)) == {"A": "old", "B": ""}, "an older merge comes late"


async def test_circle_over_messages_ends_in_one_record(feed: Feed) -> None:
    await take(feed, *(adt(n, patient=n) for n in "ABC"))
    await take(feed, merge("1", "B", "A", day=2), merge("2", "C", "B", day=3), merge("3", "A", "C", day=4))
    assert uses(await active(feed)) == {"A": "", "B": "old", "C": "old"}
    assert len([p for p in await feed.search("Patient") if "link" in p]) == 3


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ([("A", "A")], "into itself"),
        ([("A", "B"), ("B", "A")], "in a circle"),
        ([("A", "C"), ("B", "C")], "into two"),
        ([("A", "")], "which patient is merged"),
    ],
)
async def test_what_cannot_be_is_refused(feed: Feed, groups: list[tuple[str, str]], text: str) -> None:
    await take(feed, *(adt(n, patient=n) for n in "ABC"))
    before = await feed.search("Patient")
    parts = [f"PID|||{cx(a)}||MARTIN^Ada^^^^^L\rMRG|{cx(b) if b else ''}" for a, b in groups]
    _, outcome = await feed.take(message("9", "ADT^A40^ADT_A39", "\r".join(["EVN||20260302", *parts])))
    assert (outcome.status, outcome.acknowledgement) == ("failed", "AE")
    assert text in outcome.issues[-1]["text"]
    assert await feed.search("Patient") == before


async def test_victim_of_another_merge_is_held(feed: Feed) -> None:
    await take(feed, *(adt(n, patient=n) for n in "ABC"), merge("1", "B", "A"))
    _, outcome = await feed.take(merge("2", "C", "A"))
    assert outcome.status == "held"
    assert "another one before" in outcome.issues[-1]["text"]


async def test_two_national_identities_are_held(feed: Feed) -> None:
    vali = "|" * 27 + "VALI"
    await take(
        feed, merge_free("1", f"{cx('A')}~{INS}", vali), merge_free("2", f"{cx('B')}~{OTHER_INS}", vali)
    )
    _, outcome = await feed.take(merge("3", "A", "B"))
    assert outcome.status == "held"
    assert "two national identities" in outcome.issues[-1]["text"]


def merge_free(control: str, identifiers: str, pid: str) -> bytes:
    return message(
        control, "ADT^A28^ADT_A05", f"EVN||20260301080000\rPID|||{identifiers}||MARTIN^Ada^^^^^L{pid}"
    )


async def test_national_identity_of_the_victim_stays_in_use(feed: Feed) -> None:
    vali = "|" * 27 + "VALI"
    await take(feed, adt("1", patient="A"), merge_free("2", f"{cx('B')}~{INS}", vali), merge("3", "A", "B"))
    survivor = await active(feed)
    assert uses(survivor)["279035121518989"] == "official"
    await take(feed, merge_free("4", f"{cx('A')}~{INS}", "||19790328" + "|" * 25 + "VALI"))
    assert (await active(feed))["birthDate"] == "1979-03-28"


async def test_merged_elsewhere_is_followed(feed: Feed) -> None:
    """By another client, who has not copied the number."""
    await take(feed, adt("1", patient="A"), adt("2", patient="B"))
    (a,), (b,) = await by_number(feed, "A"), await by_number(feed, "B")
    link = [{"other": {"reference": f"Patient/{a['id']}"}, "type": "replaced-by"}]
    await feed.put({**b, "active": False, "link": link})
    await take(feed, visit("3", "B"))
    assert (await feed.only("Encounter"))["subject"]["reference"] == f"Patient/{a['id']}"


# --- numbers that change


@pytest.mark.parametrize("event", ["A47", "A46"])
async def test_number_changes(feed: Feed, event: str) -> None:
    await take(feed, adt("1", patient="A"), merge("2", "B", "A", event=event))
    assert uses(await feed.only("Patient")) == {"A": "old", "B": ""}
    before = await feed.search("Patient")
    await take(feed, merge("3", "B", "A", event=event), visit("4", "A"))
    assert await feed.search("Patient") == before
    await take(feed, merge("5", "A", "B", event=event, day=3))
    assert uses(await feed.only("Patient")) == {"A": "", "B": "old"}


async def test_number_of_another_is_held(feed: Feed) -> None:
    await take(feed, adt("1", patient="A"), adt("2", patient="B"))
    _, outcome = await feed.take(merge("3", "B", "A", event="A47"))
    assert outcome.status == "held"
    assert "is a merge" in outcome.issues[-1]["text"]


async def test_national_identity_is_taken_away(feed: Feed) -> None:
    """PAM France: A47 with an INS that is null."""
    await take(feed, merge_free("1", f"{cx('A')}~{INS}", "|" * 27 + "VALI"))
    assert len((await feed.only("Patient"))["identifier"]) == 2
    nothing = '""^^^ASIP-SANTE-INS-NIR&1.2.250.1.213.1.4.10&ISO^INS'
    await take(feed, merge("2", f"{cx('A')}~{nothing}", INS, event="A47"))
    assert uses(await feed.only("Patient")) == {"A": ""}
    await take(feed, merge_free("3", f"{cx('B')}~{INS}", "|" * 27 + "VALI"))
    assert len(await feed.search("Patient")) == 2


# --- visits


async def test_visits_are_merged(feed: Feed) -> None:
    await take(
        feed, visit("1", "A", "V1"), visit("2", "A", "V2", more="\rOBX|1|NM|8867-4^Pouls^LN||60|/min|||||F")
    )
    segments = (
        f"EVN||20260302080000\rPID|||{cx('A')}\rMRG|{cx('A')}||||V2^^^&{OID}.2&ISO\r"
        f"PV1||I|||||||||||||||||V1^^^&{OID}.2&ISO^VN"
    )
    for control in ("3", "4"):
        await take(feed, message(control, "ADT^A42^ADT_A39", segments))
        found = {e["identifier"][0]["value"]: e for e in await feed.search("Encounter", status__not="x")}
        assert (found["V1"]["status"], found["V2"]["status"]) == ("in-progress", "entered-in-error")
        assert uses(found["V1"]) == {"V1": "", "V2": "old"}
        observation = await feed.only("Observation")
        assert observation["encounter"]["reference"] == f"Encounter/{found['V1']['id']}"


async def test_visit_number_changes(feed: Feed) -> None:
    await take(feed, visit("1", "A", "V1"))
    segments = (
        f"EVN||20260302080000\rPID|||{cx('A')}\rMRG|{cx('A')}||||V1^^^&{OID}.2&ISO\r"
        f"PV1||I|||||||||||||||||V9^^^&{OID}.2&ISO^VN"
    )
    for control in ("2", "3"):
        await take(feed, message(control, "ADT^A50^ADT_A50", segments))
        assert uses(await feed.only("Encounter")) == {"V1": "old", "V9": ""}


@pytest.mark.parametrize("number", ["V1", "V9"])
async def test_visit_is_moved_with_all_that_belongs_to_it(feed: Feed, number: str) -> None:
    await take(
        feed, visit("1", "A", "V1", more="\rOBX|1|NM|8867-4^Pouls^LN||60|/min|||||F"), visit("2", "A", "V2")
    )
    segments = (
        f"EVN||20260302080000\rPID|||{cx('B')}||DURAND^Max^^^^^L\rMRG|{cx('A')}||||V1^^^&{OID}.2&ISO\r"
        f"PV1||I|||||||||||||||||{number}^^^&{OID}.2&ISO^VN"
    )
    await take(feed, message("3", "ADT^A45^ADT_A45", segments))
    (b,) = await by_number(feed, "B")
    for visit_number, is_moved in (("V1", True), ("V2", False)):
        encounter = await feed.only("Encounter", identifier=f"urn:oid:{OID}.2|{visit_number}")
        assert (encounter["subject"]["reference"] == f"Patient/{b['id']}") is is_moved
    assert (await feed.only("Observation"))["subject"]["reference"] == f"Patient/{b['id']}"
