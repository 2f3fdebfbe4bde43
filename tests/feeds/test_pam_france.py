"""PAM France: what the patient allows, how sure the identity is, as they change."""

import pytest

from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, message

pytestmark = pytest.mark.anyio


def pam(control: str, day: int, zfa: str, status: str = "PROV", segments: str = "") -> bytes:
    pid = f"PID|||P^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L{'|' * 27}{status}"
    return message(control, "ADT^A31^ADT_A05", f"EVN||202603{day:02}080000\r{pid}\rZFA|{zfa}{segments}")


def dmp(status: str, feeding: str, consultation: str) -> str:
    return f"{status}||||||||{feeding}|20260301|{consultation}|20260301"


async def allowed(feed: Feed) -> dict[str, str]:
    return {c["policyRule"]["text"]: c["provision"]["type"] for c in await feed.search("Consent")}


async def test_what_is_allowed_changes(feed: Feed) -> None:
    for n, (feeding, consultation) in enumerate([("INO", "IC"), ("IO", "NA"), ("NA", "INC")], 1):
        _, outcome = await feed.take(pam(str(n), n, dmp("ACTIF", feeding, consultation)))
        assert outcome.status == "processed", outcome.issues
    assert await allowed(feed) == {"Alimentation du DMP": "deny", "Consultation du DMP": "deny"}


async def test_older_answer_changes_nothing(feed: Feed) -> None:
    for day, feeding in ((5, "IO"), (4, "INO")):
        await feed.take(pam(str(day), day, dmp("ACTIF", feeding, "IC")))
    assert (await allowed(feed))["Alimentation du DMP"] == "deny"


async def test_status_of_identity_and_record_are_the_last(feed: Feed) -> None:
    for n, (identity, record) in enumerate([("PROV", "INEXISTANT"), ("VALI", "ACTIF")], 1):
        await feed.take(pam(str(n), n, dmp(record, "NA", "NA"), identity, f"\rZFD|||Y|N|INSI|2026030{n}|CN"))
    patient = await feed.only("Patient")
    assert sorted(tag["code"] for tag in patient["meta"]["tag"]) == ["ACTIF", "VALI"]
    (reliability,) = [e for e in patient["extension"] if e["url"].endswith("identity-reliability")]
    values = {
        part["url"]: next(v for k, v in part.items() if k != "url") for part in reliability["extension"]
    }
    assert (values["identityStatus"]["code"], values["dateCollection"]) == ("VALI", "2026-03-02")


async def test_identity_is_found_by_its_status(feed: Feed) -> None:
    await feed.take(pam("1", 1, dmp("FERME", "NA", "NA"), "VALI"))
    assert len(await feed.search("Patient", _tag="urn:x-fhirserver:dmp-status|FERME")) == 1
