"""What is stored decides what an input changes."""

from typing import Any

import pytest

from fhirserver.feeds.resolve import Resolved, resolve
from fhirserver.feeds.resources import perform_bundle
from mappings.core.bundle import derived_identifier, mention, post, put, transaction
from mappings.core.result import Held, Mapped
from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, adt, cda, mdm

pytestmark = pytest.mark.anyio

IPP = {"system": "urn:oid:1.2.3", "value": "P|1"}
INS = {"system": "urn:oid:1.2.250.1.213.1.4.10", "value": "284036938304291"}
OTHER_INS = {**INS, "value": "279035121518989"}


def patient(*identifiers: dict[str, str], **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "identifier": list(identifiers), **elements}


async def apply(
    feed: Feed, *entries: dict[str, Any], repeated: bool = False, **cleared: set[str]
) -> Resolved:
    mapped = Mapped(transaction(list(entries)), cleared={f"urn:uuid:{k}": v for k, v in cleared.items()})
    resolved = await resolve(mapped, feed.server, "seed", repeated=repeated)
    if resolved.bundle is not None:
        await perform_bundle(resolved.bundle, feed.server)
    return resolved


async def test_unknown_is_created_and_known_is_merged(feed: Feed) -> None:
    await apply(feed, put("urn:uuid:a", patient(IPP, gender="male", birthDate="1979"), IPP))
    await apply(feed, put("urn:uuid:a", patient(IPP, INS, gender="female"), IPP), a={"birthDate"})
    found = await feed.only("Patient")
    assert found["meta"]["versionId"] == "2"
    assert (found["gender"], "birthDate" in found, found["identifier"]) == ("female", False, [IPP, INS])


async def test_nothing_new_is_left_out_and_still_referred_to(feed: Feed) -> None:
    await apply(feed, put("urn:uuid:a", patient(IPP), IPP))
    known = await feed.only("Patient")
    communication = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": "urn:uuid:a"},
    }
    resolved = await apply(feed, put("urn:uuid:a", patient(IPP), IPP), post("urn:uuid:c", communication))
    assert resolved.unchanged == [f"Patient/{known['id']}/_history/1"]
    assert (await feed.only("Communication"))["subject"]["reference"] == f"Patient/{known['id']}"


async def test_only_known_things_write_nothing(feed: Feed) -> None:
    await apply(feed, put("urn:uuid:a", patient(IPP), IPP))
    resolved = await apply(feed, put("urn:uuid:a", patient(IPP), IPP))
    assert resolved.bundle is None


async def test_mention_leaves_what_is_known(feed: Feed) -> None:
    await apply(feed, mention("urn:uuid:a", patient(IPP, gender="male"), IPP))
    await apply(feed, mention("urn:uuid:a", patient(IPP, gender="female"), IPP))
    assert (await feed.only("Patient"))["gender"] == "male"


async def test_entries_of_one_identifier_are_one_resource(feed: Feed) -> None:
    communication = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": "urn:uuid:b"},
    }
    for _ in range(2):
        await apply(
            feed,
            mention("urn:uuid:b", patient(IPP), IPP),
            put("urn:uuid:a", patient(IPP, gender="female"), IPP),
            post("urn:uuid:c", communication),
        )
    found = await feed.only("Patient")
    assert (found["gender"], found["meta"]["versionId"]) == ("female", "1")
    assert (await feed.only("Communication"))["subject"]["reference"] == f"Patient/{found['id']}"


async def test_entries_that_find_one_resource_are_one(feed: Feed) -> None:
    await apply(feed, put("urn:uuid:a", patient(IPP, INS), IPP))
    await apply(
        feed,
        put("urn:uuid:a", patient(IPP, gender="female"), IPP),
        put("urn:uuid:b", patient(INS, birthDate="1979"), INS),
    )
    found = await feed.only("Patient")
    assert (found["gender"], found["birthDate"], found["meta"]["versionId"]) == ("female", "1979", "2")


async def test_derived_identifiers_need_no_search(feed: Feed) -> None:
    key = derived_identifier("lab", "Communication", "1")
    for text in ("one", "two", "two"):
        resource = {
            "resourceType": "Communication",
            "identifier": [key],
            "status": "completed",
            "payload": [{"contentString": text}],
        }
        await apply(feed, put("urn:uuid:c", resource, key))
    found = await feed.only("Communication")
    assert (found["payload"][0]["contentString"], found["meta"]["versionId"]) == ("two", "2")


async def test_always_new_is_new_once_per_input(feed: Feed) -> None:
    communication = {"resourceType": "Communication", "status": "completed"}
    await apply(feed, post("urn:uuid:c", communication))
    again = await apply(feed, post("urn:uuid:c", communication), repeated=True)
    assert again.bundle is None
    assert len(await feed.search("Communication")) == 1


@pytest.mark.parametrize(
    ("stored", "sent", "text"),
    [
        ([patient(IPP), patient(IPP)], put("urn:uuid:a", patient(IPP), IPP), "same identifier"),
        ([patient(IPP, INS)], put("urn:uuid:a", patient(IPP, OTHER_INS), IPP), "another INS"),
        ([patient(IPP, INS)], mention("urn:uuid:a", patient(IPP, OTHER_INS), IPP), "another INS"),
    ],
)
async def test_doubtful_identity_is_held(
    feed: Feed, stored: list[dict[str, Any]], sent: dict[str, Any], text: str
) -> None:
    for number, resource in enumerate(stored):
        await feed.put({**resource, "id": str(number)})
    with pytest.raises(Held, match=text):
        await apply(feed, sent)


async def test_what_is_about_a_merged_patient_is_about_the_one_that_is_left(feed: Feed) -> None:
    links = [
        [{"type": "replaced-by", "other": {"reference": "Patient/2"}}],
        [{"type": "replaces", "other": {"reference": "Patient/1"}}],
    ]
    for id, link in zip("12", links, strict=True):
        await feed.put(patient({**IPP, "use": "old"}, link=link, id=id))
    communication = {
        "resourceType": "Communication",
        "status": "completed",
        "subject": {"reference": "urn:uuid:a"},
    }
    await apply(feed, mention("urn:uuid:a", patient(IPP), IPP), post("urn:uuid:c", communication))
    assert (await feed.only("Communication"))["subject"]["reference"] == "Patient/2"
    assert len(await feed.search("Patient")) == 2


async def test_a_document_is_one_whatever_way_it_comes(feed: Feed) -> None:
    """The same CDA by HTTP and inside an HL7v2 message has one uniqueId and one content."""
    await feed.take(cda("1"), "cda")
    raw = mdm("1", "1", cda("1")).replace(f"1^^{OID}.7^ISO".encode(), f"1^^{OID}.8^ISO".encode())
    raw = raw.replace(b"application/pdf", b"text/xml").replace(b"^application^pdf^", b"^text^xml^")
    _, outcome = await feed.take(raw)
    assert outcome.status in ("processed", "warnings"), outcome.issues
    document = await feed.only("DocumentReference")
    assert document["meta"]["versionId"] == "1"
    provenances = await feed.search("Provenance")
    assert len(provenances) == 2
    for provenance in provenances:
        assert "urn:uuid:" not in str(provenance)


async def test_same_unique_id_with_other_content_is_held(feed: Feed) -> None:
    await feed.take(cda("1", text="one"), "cda")
    _, outcome = await feed.take(cda("1", text="two"), "cda")
    assert outcome.status == "held"
    assert "same uniqueId" in outcome.issues[-1]["text"]
    assert len(await feed.search("DocumentReference")) == 1
    assert len(await feed.search("Binary")) == 2


async def test_replacement_supersedes_in_the_same_transaction(feed: Feed) -> None:
    await feed.take(cda("1"), "cda")
    await feed.take(cda("2", replaces="1"), "cda")
    old = await feed.only("DocumentReference", identifier=f"urn:oid:{OID}.8|1")
    new = await feed.only("DocumentReference", identifier=f"urn:oid:{OID}.8|2")
    assert (old["status"], new["status"]) == ("superseded", "current")
    assert new["relatesTo"][0]["target"]["reference"] == f"DocumentReference/{old['id']}"
    assert new["meta"]["lastUpdated"][:19] >= old["meta"]["lastUpdated"][:19]


async def test_unknown_parent_is_found_by_set_id(feed: Feed) -> None:
    await feed.take(cda("1", set_id="S", version=1), "cda")
    _, outcome = await feed.take(cda("3", replaces="2", set_id="S", version=3), "cda")
    assert "linked by setId" in str(outcome.issues)
    old = await feed.only("DocumentReference", identifier=f"urn:oid:{OID}.8|1")
    assert old["status"] == "superseded"


@pytest.mark.parametrize(
    ("before", "sent", "text"),
    [
        ([], cda("2", replaces="1"), "not here"),
        ([cda("1", set_id="S", version=2)], cda("3", replaces="2", set_id="S", version=2), "not here"),
        ([cda("1"), cda("2", replaces="1")], cda("3", replaces="1"), "not the current one"),
        ([cda("1", patient="P9")], cda("2", replaces="1"), "same patient"),
    ],
)
async def test_doubtful_replacement_is_held(feed: Feed, before: list[bytes], sent: bytes, text: str) -> None:
    for raw in before:
        _, outcome = await feed.take(raw, "cda")
        assert outcome.status in ("processed", "warnings"), outcome.issues
    known = len(await feed.search("DocumentReference"))
    _, outcome = await feed.take(sent, "cda")
    assert outcome.status == "held"
    assert text in outcome.issues[-1]["text"]
    assert len(await feed.search("DocumentReference")) == known


async def test_others_who_change_the_same_patient_do_not_lose(feed: Feed) -> None:
    """Messages about one person under different numbers meet at the same Patient."""
    await feed.take(adt("0", pid="||||||||", patient="P1"))
    stored = await feed.only("Patient")
    second = {"system": f"urn:oid:{OID}", "value": "P2"}
    await feed.put({**stored, "identifier": [*stored["identifier"], second]})
    receipts = [
        await feed.receiver.receive(adt(str(n), patient=f"P{n % 2 + 1}", family=f"N{n}"), "hl7v2", "test")
        for n in range(1, 9)
    ]
    outcomes = [await receipt.outcome() for receipt in receipts]
    assert {outcome.status for outcome in outcomes} == {"processed"}
    assert int((await feed.only("Patient"))["meta"]["versionId"]) >= 6


@pytest.mark.parametrize("count", [2, 30])
async def test_ambiguous_mention_of_others_than_the_patient_is_the_oldest(feed: Feed, count: int) -> None:
    """Two Practitioners with one identifier must not hold every message that names them."""
    number = {"system": "urn:oid:1.2.250.1.71.4.2.1", "value": "810000000001"}
    doctor = {"resourceType": "Practitioner", "identifier": [number]}
    for name in range(count):
        await feed.put({**doctor, "id": f"d{name}"})
    resolved = await apply(
        feed,
        mention("urn:uuid:d", doctor, number),
        put("urn:uuid:a", patient(IPP, generalPractitioner=[{"reference": "urn:uuid:d"}]), IPP),
    )
    assert (await feed.only("Patient"))["generalPractitioner"] == [{"reference": "Practitioner/d0"}]
    (issue,) = resolved.issues
    assert (issue.severity, issue.code, issue.location) == ("warning", "multiple-matches", "Practitioner")
    with pytest.raises(Held, match="same identifier"):
        await apply(feed, put("urn:uuid:d", doctor, number))


LAB = {"system": "urn:oid:1.2.4", "value": "L1"}
OTHER_LAB = {**LAB, "value": "L2"}
WRONG_INS = {"system": "urn:oid:1.2.250.1.213.1.4.8", "value": "284036938304200"}


def typed(identifier: dict[str, Any], code: str, **elements: str) -> dict[str, Any]:
    return {**identifier, "type": {"coding": [{"code": code}]}, **elements}


@pytest.mark.parametrize("entry", [put, mention])
async def test_patient_known_by_another_number_is_the_same(feed: Feed, entry: Any) -> None:
    """First known by the establishment's number, then by the INS."""
    await feed.put({**patient(typed(IPP, "PI"), gender="male"), "id": "p"})
    both = patient(INS, typed(IPP, "PI"), OTHER_LAB, gender="female")
    await apply(feed, entry("urn:uuid:a", both, INS))
    await apply(feed, entry("urn:uuid:a", patient(INS), INS))
    found = await feed.only("Patient")
    assert (found["id"], found["meta"]["versionId"]) == ("p", "2")
    assert INS in found["identifier"]
    # An input that only mentions the patient says no more of it than its number.
    assert (found["gender"], OTHER_LAB in found["identifier"]) == (
        ("female", True) if entry is put else ("male", False)
    )


@pytest.mark.parametrize("entry", [put, mention])
async def test_one_local_number_under_two_ins_is_two_persons(feed: Feed, entry: Any) -> None:
    await feed.put({**patient(IPP, OTHER_INS), "id": "0"})
    resolved = await apply(feed, entry("urn:uuid:a", patient(INS, IPP), INS))
    assert "another INS" in str(resolved.issues)
    found = await feed.search("Patient")
    assert sorted(INS in person["identifier"] for person in found) == [False, True]


@pytest.mark.parametrize(
    ("stored", "sent", "text"),
    [
        ([patient(IPP, LAB)], patient(INS, IPP, OTHER_LAB), "another number of the same system"),
        ([patient(IPP), patient(LAB)], patient(INS, IPP, LAB), "2 patients have one"),
        ([patient(IPP), patient(IPP)], patient(INS, IPP), "2 patients have one"),
    ],
)
@pytest.mark.parametrize("entry", [put, mention])
async def test_doubtful_other_numbers_are_held(
    feed: Feed, stored: list[dict[str, Any]], sent: dict[str, Any], text: str, entry: Any
) -> None:
    for number, resource in enumerate(stored):
        await feed.put({**resource, "id": str(number)})
    with pytest.raises(Held, match=text):
        await apply(feed, entry("urn:uuid:a", sent, INS))


@pytest.mark.parametrize(
    ("known", "identifier"),
    [
        (IPP, typed(IPP, "AN")),
        (IPP, typed(IPP, "NH")),
        (IPP, {**IPP, "use": "old"}),
        (WRONG_INS, WRONG_INS),
        (IPP, OTHER_LAB),
    ],
)
async def test_other_numbers_that_are_of_no_one_person_find_nobody(
    feed: Feed, known: dict[str, Any], identifier: dict[str, Any]
) -> None:
    await feed.put({**patient(known), "id": "p"})
    await apply(feed, put("urn:uuid:a", patient(LAB, identifier), LAB))
    assert len(await feed.search("Patient")) == 2


async def test_ins_finds_before_other_numbers(feed: Feed) -> None:
    await feed.put({**patient(INS), "id": "p"})
    await feed.put({**patient(IPP), "id": "q"})
    await apply(feed, put("urn:uuid:a", patient(LAB, IPP, INS), LAB))
    assert (await feed.only("Patient", identifier="L1"))["id"] == "p"


async def test_number_of_another_patient_is_not_taken(feed: Feed) -> None:
    """Found by the INS, with a local number that somebody else goes by: both stay findable."""
    await feed.put({**patient(INS, typed(LAB, "PI")), "id": "p"})
    await feed.put({**patient(typed(IPP, "PI")), "id": "q"})
    resolved = await apply(feed, put("urn:uuid:a", patient(INS, typed(IPP, "PI"), gender="female"), INS))
    assert "a merge says so" in str(resolved.issues)
    assert (await feed.only("Patient", identifier="P\\|1"))["id"] == "q"
    assert (await feed.only("Patient", gender="female"))["id"] == "p"
