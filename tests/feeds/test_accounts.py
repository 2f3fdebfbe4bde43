"""Accounts of stays (PID-18): merged, moved, renumbered, and what is on them."""

from typing import Any

import pytest

from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, message

pytestmark = pytest.mark.anyio


def event(
    control: str, trigger: str, *, account: str = "", mrg: str = "", patient: str = "P1", visit: str = ""
) -> bytes:
    """``mrg`` is ``PATIENT/ACCOUNT``; a visit comes with a weight that was measured during it."""
    pid = f"PID|||{patient}^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L|||||||||||||{number(account)}"
    segments = [f"EVN||2026030{control[-1]}080000", pid]
    if mrg:
        whose, _, prior = mrg.partition("/")
        segments.append(f"MRG|{whose}^^^&{OID}&ISO^PI||{number(prior)}")
    if visit:
        segments.append(f"PV1||I|WARD{'|' * 16}{visit}^^^&{OID}.2&ISO^VN")
        segments.append("OBX|1|NM|29463-7^Poids^LN||70|kg^^UCUM|||||F")
    return message(control, f"ADT^{trigger}", "\r".join(segments))


def number(account: str) -> str:
    return f"{account}^^^&{OID}.3&ISO^AN" if account else ""


A1 = event("1", "A01", account="D1", visit="V1")
A2 = event("2", "A01", account="D2", visit="V2")
OTHER = event("3", "A01", account="D2", visit="V2", patient="P2")


@pytest.mark.parametrize(
    ("inputs", "accounts", "visits"),
    [
        ([A1, A1], {"D1 active P1"}, {"V1 D1 P1"}),
        ([A1, A2], {"D1 active P1", "D2 active P1"}, {"V1 D1 P1", "V2 D2 P1"}),
        (
            [A1, A2, event("4", "A41", account="D1", mrg="P1/D2")],
            {"D1 (D2) active P1", "(D2) entered-in-error P1"},
            {"V1 D1 P1", "V2 D1 P1"},
        ),
        (
            [
                A1,
                A2,
                event("4", "A35", account="D1", mrg="P1/D2"),
                event("5", "A35", account="D1", mrg="P1/D2"),
            ],
            {"D1 (D2) active P1", "(D2) entered-in-error P1"},
            {"V1 D1 P1", "V2 D1 P1"},
        ),
        (
            [A1, event("4", "A41", account="D1", mrg="P1/D9")],
            {"D1 (D9) active P1", "(D9) entered-in-error P1"},
            {"V1 D1 P1"},
        ),
        (
            [A1, event("4", "A49", account="D7", mrg="P1/D1"), event("5", "A49", account="D7", mrg="P1/D1")],
            {"D7 (D1) active P1"},
            {"V1 D7 P1"},
        ),
        ([A1, event("4", "A44", patient="P2", mrg="P1/D1")], {"D1 active P2"}, {"V1 D1 P2"}),
        (
            [A1, event("4", "A44", patient="P2", account="D8", mrg="P1/D1")],
            {"D8 (D1) active P2"},
            {"V1 D8 P2"},
        ),
        (
            [A1, OTHER, event("4", "A36", account="D1", mrg="P2/D2")],
            {"D1 (D2) active P1", "(D2) entered-in-error P1"},
            {"V1 D1 P1", "V2 D1 P1"},
        ),
        ([event("4", "A28", account="D1")], {"D1 active P1"}, set()),
    ],
)
async def test_accounts(feed: Feed, inputs: list[bytes], accounts: set[str], visits: set[str]) -> None:
    for raw in inputs:
        _, outcome = await feed.take(raw)
        assert outcome.status in ("processed", "warnings"), outcome.issues
    patients = {f"Patient/{p['id']}": current(p) for p in await feed.search("Patient", active__not="false")}
    found = {f"Account/{a['id']}": a for a in await feed.search("Account")}
    assert {f"{shown(a)} {a['status']} {patients[a['subject'][0]['reference']]}" for a in found.values()} == (
        accounts
    )
    assert {
        f"{current(v)} {current(found[v['account'][0]['reference']])} {patients[v['subject']['reference']]}"
        for v in await feed.search("Encounter")
    } == visits
    weights = [patients[o["subject"]["reference"]] for o in await feed.search("Observation")]
    assert set(weights) <= {visit.rpartition(" ")[2] for visit in visits}


def current(resource: dict[str, Any]) -> str:
    numbers = resource["identifier"]
    return str(next(i["value"] for i in numbers if i.get("use") != "old"))


def shown(account: dict[str, Any]) -> str:
    numbers = sorted(account["identifier"], key=lambda i: i.get("use", ""))
    return " ".join(f"({i['value']})" if i.get("use") == "old" else i["value"] for i in numbers)


@pytest.mark.parametrize(
    ("inputs", "status", "where"),
    [
        ([event("4", "A41", account="D1", mrg="P1/D1")], "failed", "MRG-3"),
        ([event("4", "A41", mrg="P1/D1")], "failed", "MRG-3"),
        ([event("4", "A49", account="D1", mrg="P1/")], "failed", "MRG-3"),
        ([event("4", "A41", account="D1")], "failed", "MRG"),
        ([A1, OTHER, event("4", "A41", account="D1", mrg="P1/D2")], "held", "Account.subject"),
        ([A1, A2, event("4", "A49", account="D2", mrg="P1/D1")], "held", "MRG-1"),
        ([event("4", "A43", patient="P2", mrg="P1/")], "held", "MRG-1"),
    ],
)
async def test_accounts_that_are_not_merged(feed: Feed, inputs: list[bytes], status: str, where: str) -> None:
    *before, last = inputs
    for raw in before:
        await feed.take(raw)
    stored = await feed.search("Account")
    _, outcome = await feed.take(last)
    assert (outcome.status, [i["location"] for i in outcome.issues if i["severity"] == "error"]) == (
        status,
        [where],
    )
    assert await feed.search("Account") == stored


async def test_the_alternate_number_of_a_visit_changes(feed: Feed) -> None:
    pid = f"PID|||P1^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L"

    def pv1(alternate: str) -> str:
        return f"PV1||I|WARD{'|' * 16}V1^^^&{OID}.2&ISO^VN{'|' * 31}{alternate}^^^&{OID}.4&ISO^VN"

    await feed.take(message("1", "ADT^A01", f"EVN||20260301080000\r{pid}\r{pv1('X1')}"))
    mrg = f"MRG|P1^^^&{OID}&ISO^PI|||||X1^^^&{OID}.4&ISO^VN"
    _, outcome = await feed.take(message("2", "ADT^A51", f"EVN||20260302080000\r{pid}\r{mrg}\r{pv1('X2')}"))
    assert outcome.status == "processed", outcome.issues
    visit = await feed.only("Encounter")
    assert {(i["value"], i.get("use")) for i in visit["identifier"]} == {
        ("V1", None),
        ("X2", None),
        ("X1", "old"),
    }


@pytest.mark.parametrize(
    ("account", "admitted", "status"),
    [
        ("D1", "", "finished"),
        ("D1", "20260301080000", "finished"),
        ("", "20260301080000", "finished"),
        ("", "", ""),
    ],
)
async def test_a_stay_without_a_number(feed: Feed, account: str, admitted: str, status: str) -> None:
    """Its account, or the patient and the admission, tell which one it is."""
    pid = f"PID|||P1^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L|||||||||||||{number(account)}"
    pv1 = f"PV1||I|WARD{'|' * 41}{admitted}"
    for control, trigger in (("1", "A01"), ("2", "A03")):
        _, outcome = await feed.take(
            message(control, f"ADT^{trigger}", f"EVN||2026030{control}080000\r{pid}\r{pv1}")
        )
        assert outcome.status == ("processed" if status else "warnings"), outcome.issues
    assert [visit["status"] for visit in await feed.search("Encounter")] == ([status] if status else [])
