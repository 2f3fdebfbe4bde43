"""Documents and mail beyond the cases: what is held, and what is said."""

import base64
from typing import Any

import pytest

from mappings.core.result import Held, Mapped
from mappings.core.source import Source
from mappings.hl7v2 import read, to_bundle

PID = "PID|1||7^^^CHU^PI||ROUX^ANNE||19850706|F"
CISIS = "|||||||||2.1^CISIS_CDA_HL7_V2"
PRT = "PRT||UC||RCT|||||||||||^NET^X.400^{}"


def mapped(event: str, *segments: str, msh: str = "") -> Mapped:
    lines = (f"MSH|^~\\&|GAM|CHU|DPI|CHU|20240318101500||{event}|M-1|P|2.6{msh}", *segments)
    return to_bundle(read("\r".join(lines).encode(), Source()), Source())


def resources(result: Mapped, kind: str) -> list[dict[str, Any]]:
    found = (entry["resource"] for entry in result.bundle["entry"])
    return [resource for resource in found if resource["resourceType"] == kind]


@pytest.mark.parametrize("event", ["MDM^T03", "MDM^T11", "MDM^T07"])
def test_a_change_of_no_document_is_held(event: str) -> None:
    with pytest.raises(Held, match="which document") as held:
        mapped(event, PID, "TXA|1|CN")
    assert held.value.issues[0].location == "TXA-12"


@pytest.mark.parametrize("event", ["MDM^T02", "MDM^T06", "MDM^T10"])
def test_a_document_without_content_is_held(event: str) -> None:
    with pytest.raises(Held, match="no content"):
        mapped(event, PID, "TXA|1|CN|||||||||D-1")


@pytest.mark.parametrize(
    ("control", "flag", "status", "issues"),
    [
        ("NW", "F", "current", 0),
        ("NW", "P", "current", 0),
        ("RO", "C", "current", 0),
        ("CA", "D", "entered-in-error", 0),
        ("RO", "F", "current", 1),
        ("SC", "F", "current", 0),  # version 1.2 has no other
        ("", "F", "current", 0),
        ("NW", "D", None, 0),
        ("CA", "F", None, 0),
    ],
)
def test_orc_and_obx_must_say_the_same(control: str, flag: str, status: str | None, issues: int) -> None:
    segments = (PID, f"ORC|{control}", "TXA|1|CN|||||||||D-1", f"OBX|1|TX|x||text||||||{flag}")
    if status is None:
        with pytest.raises(Held, match="one of them deletes"):
            mapped("MDM^T02", *segments, msh=CISIS)
        return
    result = mapped("MDM^T02", *segments, msh=CISIS)
    assert [document["status"] for document in resources(result, "DocumentReference")] == [status]
    assert len(result.issues) == issues


def test_elsewhere_orc_is_not_compared() -> None:
    result = mapped("MDM^T02", PID, "ORC|CA", "TXA|1|CN|||||||||D-1", "OBX|1|TX|x||text||||||F")
    assert resources(result, "DocumentReference")[0]["status"] == "current"


def test_a_result_status_that_says_nothing_of_a_document_is_an_issue() -> None:
    result = mapped("MDM^T02", PID, "TXA|1|CN|||||||||D-1", "OBX|1|TX|x||text||||||O")
    assert "docStatus" not in resources(result, "DocumentReference")[0]
    assert [issue.location for issue in result.issues] == ["OBX-11"]


@pytest.mark.parametrize(
    ("flags", "addresses", "sent"),
    [
        ({}, ["a@x.mssante.fr"], ["a@x.mssante.fr"]),
        ({"DESTMSSANTEPS": "N"}, ["a@x.mssante.fr"], []),
        ({"DESTMSSANTEPS": "Y"}, ["a@x.mssante.fr", "b@x.mssante.fr"], ["a@x.mssante.fr", "b@x.mssante.fr"]),
        ({"DESTMSSANTEPAT": "Y"}, ["1@patient.mssante.fr"], ["1@patient.mssante.fr"]),
        ({"DESTMSSANTEPAT": "N"}, ["1@patient.mssante.fr", "a@x.mssante.fr"], ["a@x.mssante.fr"]),
        ({"MASQUE_PS": "Y"}, ["a@x.mssante.fr", "1@patient.mssante.fr"], ["1@patient.mssante.fr"]),
        ({"INVISIBLE_PATIENT": "Y"}, ["a@x.mssante.fr", "1@patient.mssante.fr"], ["a@x.mssante.fr"]),
    ],
)
def test_who_is_written_to(flags: dict[str, str], addresses: list[str], sent: list[str]) -> None:
    metadata = [f"OBX|9|CWE|{code}^x^MetaDMPMSS||{value}^^YN||||||F" for code, value in flags.items()]
    recipients = [PRT.format(address) for address in addresses]
    result = mapped("MDM^T02", PID, "TXA|1|CN|||||||||D-1", "OBX|1|TX|x||y||||||F", *recipients, *metadata)
    communications = resources(result, "Communication")
    to = [one["recipient"][0]["identifier"]["value"].removeprefix("mailto:") for one in communications]
    assert to == sent
    hidden = {
        code for code, value in flags.items() if value == "Y" and code in {"MASQUE_PS", "INVISIBLE_PATIENT"}
    }
    for one in communications:
        assert {coding["code"] for coding in one.get("meta", {}).get("security", [])} == hidden


def test_the_words_of_a_mail_are_sent_with_it() -> None:
    words = base64.b64encode("Bonjour à vous".encode()).decode()
    mail = f"OBX|9|ED|CORPSMAIL_PS^x^MetaDMPMSS||^TEXT^^Base64^{words}||||||F"
    document = "OBX|1|TX|x||y||||||F"
    result = mapped("MDM^T02", PID, "TXA|1|CN|||||||||D-1", document, PRT.format("a@x.fr"), mail)
    (communication,) = resources(result, "Communication")
    assert communication["payload"][0] == {"contentString": "Bonjour à vous"}
    assert "contentReference" in communication["payload"][1]


@pytest.mark.parametrize(("wanted", "sent"), [("", 1), ("Y", 1), ("N", 0)])
def test_words_to_the_patient_are_a_message_to_the_patient(wanted: str, sent: int) -> None:
    words = base64.b64encode(b"Bonjour").decode()
    mail = f"OBX|9|ED|CORPSMAIL_PATIENT^x^MetaDMPMSS||^TEXT^^Base64^{words}||||||F"
    flag = [f"OBX|8|CWE|DESTMSSANTEPAT^x^MetaDMPMSS||{wanted}^^YN||||||F"] if wanted else []
    result = mapped("MDM^T02", PID, "TXA|1|CN|||||||||D-1", "OBX|1|TX|x||y||||||F", mail, *flag)
    communications = resources(result, "Communication")
    assert len(communications) == sent
    for one in communications:
        assert one["recipient"] == [one["subject"]]
        assert one["payload"][0] == {"contentString": "Bonjour"}


@pytest.mark.parametrize(
    ("event", "segments", "text"),
    [
        ("ZAM^Z02", ["OBX|1|CWE|OTHER||Y"], "There is no OBX of ACK_RECEPTION_MSS"),
        ("ZAM^Z02", ["OBX|1|CWE|ACK_RECEPTION_MSS||Y"], "said of no message"),
        ("ZAM^Z03", ["OBX|1|CWE|ACK_LECTURE_MSS|F-1|Y"], "names no recipient"),
        ("ZAM^Z01", [], "There is no OBX of ACK_RECEPTION_DMP"),
    ],
)
def test_an_acknowledgement_of_nothing_is_held(event: str, segments: list[str], text: str) -> None:
    with pytest.raises(Held, match=text):
        mapped(event, "EVN||20240318", *segments)


CDA = """<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.250.1.999.88.1"/><recordTarget><patientRole>
<id root="1.2.250.1.213.1.4.10" extension="280026938800165"/></patientRole></recordTarget>
<informationRecipient><intendedRecipient><id root="1.2.250.1.213.1.4.10" extension="280026938800165"/>
</intendedRecipient></informationRecipient><component><nonXMLBody><text>x</text></nonXMLBody></component>
</ClinicalDocument>"""


@pytest.mark.parametrize(
    ("more", "recipients"),
    [
        ((), [("Patient", "completed")]),
        ((PRT.format("jean@medecin.mssante.fr"),), [("", "in-progress")]),
        (("OBX|2|CE|DESTDMP^Destinataire DMP^MetaDMPMSS||Y^^expandedYes-NoIndicator||||||F",), []),
    ],
)
def test_the_message_says_to_whom_a_document_goes_else_the_document(
    more: tuple[str, ...], recipients: list[tuple[str, str]]
) -> None:
    encoded = base64.b64encode(CDA.encode()).decode()
    patient = "PID|1||280026938800165^^^&1.2.250.1.213.1.4.10&ISO^INS||ROUX^ANNE||19800229|F"
    result = mapped(
        "MDM^T02",
        patient,
        "TXA|1|CN|||||||||D-1",
        f"OBX|1|ED|34112-3^CR^LN||^TEXT^XML^Base64^{encoded}||||||F",
        *more,
        msh=CISIS,
    )
    entries = {e["fullUrl"]: e["resource"]["resourceType"] for e in result.bundle["entry"]}
    sent = [
        (entries.get(each["recipient"][0].get("reference", ""), ""), each["status"])
        for each in resources(result, "Communication")
    ]
    assert sent == recipients
