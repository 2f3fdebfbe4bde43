"""Inputs that change what is here: the life of a document, an order taken back, a mail delivered."""

import asyncio
import base64

import pytest

from fhirserver.storage.items import Outcome
from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, cda, message

pytestmark = pytest.mark.anyio

PID = f"PID|||P1^^^&{OID}&ISO^PI||MARTIN^Ada^^^^^L"
OTHER = f"PID|||P2^^^&{OID}&ISO^PI||DURAND^Luc^^^^^L"
TEXT = "OBX|1|TX|11488-4^CR^LN||{}||||||{}"
MSS = {"f21": "2.1^CISIS_CDA_HL7_V2"}


def mdm(
    control: str, event: str, number: str, *, parent: str = "", status: str = "", available: str = "",
    text: str = "", flag: str = "F", pid: str = PID,
) -> bytes:  # fmt: skip
    txa = f"TXA|1|CN|TX|20260301080000||||||||{number}^^{OID}.7^ISO|{parent and f'{parent}^^{OID}.7^ISO'}"
    lines = [pid, f"{txa}||||{status}||{available}", *([TEXT.format(text, flag)] if text else [])]
    return message(control, f"MDM^{event}", "\r".join(lines))


async def take(feed: Feed, raw: bytes) -> Outcome:
    _, outcome = await feed.take(raw)
    return outcome


async def taken(feed: Feed, *raws: bytes) -> None:
    for raw in raws:
        outcome = await take(feed, raw)
        assert outcome.status in ("processed", "warnings"), outcome.issues


async def document(feed: Feed, number: str) -> tuple[str, str, str | None]:
    """Its status, docStatus and what its content is titled or has as hash."""
    found = await feed.only("DocumentReference", identifier=f"urn:oid:{OID}.7|{number}")
    attachment = found["content"][0]["attachment"]
    return found["status"], found.get("docStatus", ""), attachment.get("hash")


async def test_the_life_of_a_document(feed: Feed) -> None:
    await taken(feed, mdm("1", "T01", "A", status="DI"))
    assert await document(feed, "A") == ("current", "preliminary", None)
    await taken(feed, mdm("2", "T02", "A", status="DO", text="first"))
    status, stage, first = await document(feed, "A")
    assert (status, stage) == ("current", "preliminary")
    assert first
    await taken(feed, mdm("3", "T03", "A", status="AU"))
    assert await document(feed, "A") == ("current", "final", first)
    await taken(feed, mdm("4", "T02", "A", status="DO", text="first"))
    assert await document(feed, "A") == ("current", "final", first), "a copy takes nothing back"
    await taken(feed, mdm("5", "T08", "A", status="AU", text="second", flag="C"))
    status, stage, second = await document(feed, "A")
    assert (status, stage) == ("current", "amended")
    assert second not in (None, first)
    await taken(feed, mdm("6", "T06", "B", parent="A", status="AU", text="more"))
    await taken(feed, mdm("7", "T10", "C", parent="A", status="AU", text="third"))
    assert (await document(feed, "A"))[0] == "superseded"
    assert (await document(feed, "B"))[0] == "current"
    await taken(feed, mdm("8", "T11", "C", status="AU", available="CA"))
    assert (await document(feed, "C"))[:2] == ("entered-in-error", "entered-in-error")


async def test_a_status_with_the_same_content(feed: Feed) -> None:
    await taken(
        feed, mdm("1", "T02", "A", status="DO", text="x"), mdm("2", "T04", "A", status="LA", text="x")
    )
    assert (await document(feed, "A"))[1] == "final"
    await taken(feed, mdm("3", "T04", "A", status="LA", text="x", flag="D"))
    assert (await document(feed, "A"))[0] == "entered-in-error"


@pytest.mark.parametrize("event", ["T03", "T11"])
async def test_a_change_waits_for_its_document(feed: Feed, event: str) -> None:
    early, outcome = await feed.take(mdm("1", event, "A", status="AU"))
    assert outcome.status == "held"
    assert await feed.search("DocumentReference") == []
    await taken(feed, mdm("2", "T02", "A", status="DO", text="x"))
    for _ in range(100):
        if (await feed.inbox.get(early.id)).status not in ("held", "received"):
            break
        await asyncio.sleep(0.02)
    assert (await document(feed, "A"))[1] == ("final" if event == "T03" else "entered-in-error")


async def test_a_change_of_another_patients_document_is_held(feed: Feed) -> None:
    await taken(feed, mdm("1", "T02", "A", status="AU", text="x"))
    outcome = await take(feed, mdm("2", "T11", "A", pid=OTHER))
    assert outcome.status == "held"
    assert (await document(feed, "A"))[0] == "current"


async def test_a_document_is_shown_when_the_sender_says_so(feed: Feed) -> None:
    def flagged(control: str, **flags: str) -> bytes:
        sent = mdm(control, "T02", "A", status="AU", text="x").rstrip(b"\r").decode()
        lines = [f"OBX|9|CWE|{name}^x^MetaDMPMSS||{value}^^YN||||||F" for name, value in flags.items()]
        return "\r".join([sent, *lines]).encode()

    async def hidden_from() -> set[str]:
        found = await feed.only("DocumentReference")
        return {label["coding"][0]["code"] for label in found.get("securityLabel", ())}

    await taken(feed, flagged("1", INVISIBLE_PATIENT="Y", MASQUE_PS="Y"))
    assert await hidden_from() == {"INVISIBLE_PATIENT", "MASQUE_PS"}
    await taken(feed, flagged("2", INVISIBLE_PATIENT="N", MASQUE_PS="N"))
    assert await hidden_from() == {"INVISIBLE_PATIENT", "MASQUE_PS"}, "a copy takes no label away"
    await taken(feed, flagged("3", INVISIBLE_PATIENT="N", MASQUE_PS="Y", MODIF_CONF_CODE="Y"))
    assert await hidden_from() == {"MASQUE_PS"}
    content = (await feed.only("DocumentReference"))["content"]
    await taken(feed, flagged("4", MASQUE_PS="N", MODIF_CONF_CODE="Y"))
    assert await hidden_from() == set()
    assert (await feed.only("DocumentReference"))["content"] == content


async def test_a_report_is_sent_replaced_and_deleted(feed: Feed) -> None:
    def oru(control: str, order: str, flag: str, document: bytes) -> bytes:
        text = base64.b64encode(document).decode()
        lines = [
            PID,
            f"ORC|{order}||F-1^LABO",
            "OBR|1||F-1^LABO|11502-2^CR^LN|||||||||||||||||||||F",
            f"OBX|1|ED|11502-2^CR^LN||^TEXT^XML^Base64^{text}||||||{flag}",
        ]
        return message(control, "ORU^R01^ORU_R01", "\r".join(lines), **MSS)

    async def statuses() -> dict[str, str]:
        found = await feed.search("DocumentReference")
        return {one["masterIdentifier"]["value"]: one["status"] for one in found}

    first, second = cda("1"), cda("2", replaces="1")
    await taken(feed, oru("1", "NW", "F", first))
    await taken(feed, oru("2", "RO", "C", second))
    assert await statuses() == {"1": "superseded", "2": "current"}
    await taken(feed, oru("3", "CA", "D", second))
    assert await statuses() == {"1": "superseded", "2": "entered-in-error"}
    report = await feed.only("DiagnosticReport")
    assert report["status"] == "entered-in-error"
    assert "presentedForm" not in report
    assert (await take(feed, oru("4", "NW", "D", second))).status == "held"


async def test_an_appointment_is_kept_with_its_patient(feed: Feed) -> None:
    def siu(control: str, event: str, pid: str, start: str) -> bytes:
        sch = f"SCH||RDV-1^^{OID}.6^ISO|||||||20|min|^^20^{start}"
        return message(control, f"SIU^{event}", f"{sch}\r{pid}")

    await taken(feed, siu("1", "S12", PID, "20260401100000"), siu("2", "S13", PID, "20260402100000"))
    appointment = await feed.only("Appointment")
    assert (appointment["status"], appointment["start"][:10]) == ("booked", "2026-04-02")
    outcome = await take(feed, siu("3", "S12", OTHER, "20260402100000"))
    assert outcome.status == "held"
    await taken(feed, siu("4", "S26", PID, "20260402100000"))
    assert (await feed.only("Appointment"))["status"] == "noshow"


async def test_an_order_is_taken_back(feed: Feed) -> None:
    order = f"ORC|NW|ORD-1^^{OID}.5^ISO\rOBR|1|ORD-1^^{OID}.5^ISO||2345-7^Glucose^LN"
    gone = f"ORC|CA|ORD-1^^{OID}.5^ISO"
    assert (await take(feed, message("1", "ORM^O01", f"{PID}\r{gone}"))).status == "held"
    await taken(feed, message("2", "ORM^O01", f"{PID}\r{order}"))
    assert (await feed.only("ServiceRequest"))["status"] == "active"
    await taken(feed, message("3", "ORM^O01", f"{PID}\r{gone}"))
    request = await feed.only("ServiceRequest")
    assert (request["status"], request["code"]["coding"][0]["code"]) == ("revoked", "2345-7")


async def test_a_treatment_is_stopped(feed: Feed) -> None:
    number = f"ORD-1^^{OID}.5^ISO"
    order = f"ORC|NW|{number}\rRXO|123^Perfusion^L|500||mL^^UCUM|SOL^Solution^L\rRXC|A|KCL^KCl^L|2|g^^UCUM"
    stopped = f"ORC|DC|{number}"
    assert (await take(feed, message("1", "RDE^O11", f"{PID}\r{stopped}"))).status == "held"
    await taken(feed, message("2", "OMP^O09", f"{PID}\r{order}"))
    assert (await feed.only("MedicationRequest"))["status"] == "active"
    await taken(feed, message("3", "RDE^O11", f"{PID}\r{stopped}"))
    request = await feed.only("MedicationRequest")
    (medication,) = request["contained"]
    assert (request["status"], medication["ingredient"][0]["itemCodeableConcept"]["coding"][0]["code"]) == (
        "stopped",
        "KCL",
    )
    outcome = await take(feed, message("4", "RDE^O11", f"{OTHER}\r{stopped}"))
    assert outcome.status == "held", "another patient's"


async def test_results_do_not_change_the_order_they_are_about(feed: Feed) -> None:
    order = f"ORC|HD|ORD-1^^{OID}.5^ISO\rOBR|1|ORD-1^^{OID}.5^ISO||2345-7^Glucose^LN"
    result = (
        f"OBR|1|ORD-1^^{OID}.5^ISO||2345-7^Glucose^LN|||||||||||||||||||||F\rOBX|1|NM|2345-7^^LN||5||||||F"
    )
    await taken(feed, message("1", "ORM^O01", f"{PID}\r{order}"))
    await taken(feed, message("2", "ORU^R01", f"{PID}\r{result}"))
    request = await feed.only("ServiceRequest")
    assert request["status"] == "on-hold"
    report = await feed.only("DiagnosticReport")
    assert report["basedOn"] == [{"reference": f"ServiceRequest/{request['id']}"}]


async def test_a_mail_is_delivered_and_read(feed: Feed) -> None:
    recipient = "PRT||UC||RCT|||||||||||^NET^X.400^luc@exemple.mssante.fr"
    flags = "OBX|2|CWE|DESTMSSANTEPS^x^MetaDMPMSS||Y^^YN||||||F"
    sent = mdm("F-1", "T02", "A", status="AU", text="x").rstrip(b"\r").decode()
    await taken(feed, f"{sent}\r{recipient}\r{flags}".encode())
    assert (await feed.only("Communication"))["status"] == "in-progress"

    def answer(control: str, event: str, code: str, value: str, more: str = "") -> bytes:
        obx = f"OBX|1|CWE|{code}^^AckMetierZAM|F-1|{value}^^YN||||||F"
        who = "OBX|2|XTN|DESTINATAIRE_MSS^^AckMetierZAM|1|^^X.400^Luc@exemple.mssante.fr||||||F"
        fields = {"f3": "PFI", "f4": "X", "f5": "LAB", "f6": "HOSP"}
        return message(control, f"ZAM^{event}", f"EVN||20260301090000\r{obx}\r{who}{more}", **fields)

    await taken(feed, answer("Z-1", "Z02", "ACK_RECEPTION_MSS", "Y"))
    delivered = await feed.only("Communication")
    assert (delivered["status"], delivered["received"]) == ("completed", "2026-03-01T09:00:00+01:00")
    await taken(feed, answer("Z-2", "Z03", "ACK_LECTURE_MSS", "Y"))
    assert [note["text"] for note in (await feed.only("Communication"))["note"]] == ["Read"]
    await taken(feed, answer("Z-3", "Z02", "ACK_RECEPTION_MSS", "N", "\rERR|||207|E|550^Unknown^SMTP"))
    refused = await feed.only("Communication")
    assert (refused["status"], refused["statusReason"]["coding"][0]["code"]) == ("not-done", "550")
