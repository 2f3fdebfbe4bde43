"""Mails of the health messaging service: what they say, what they become, what is held."""

import io
import zipfile
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from mappings.core.result import Held, MappingError, Unreadable
from mappings.core.source import Source
from mappings.mail import read, to_bundle

INS = "280026938800165"
OTHER = "279035121518989"
BOX = f"{INS}@patient.mssante.fr"
DOCTOR = "marie.dupont@chu.mssante.fr"


def mail(**headers: str) -> EmailMessage:
    """A mail from a professional to a patient."""
    message = EmailMessage()
    told = {"Message-ID": "<m1@chu.mssante.fr>", "From": f"Dr Marie Dupont <{DOCTOR}>", "To": BOX}
    told |= {"Date": "Sun, 22 Nov 2026 10:00:00 +0100", "Subject": "Votre compte rendu"}
    for name, value in (told | {k.replace("_", "-"): v for k, v in headers.items()}).items():
        if value:
            message[name] = value
    message.set_content("Bonjour,\n\nvoici votre compte rendu.\n")
    return message


def mapped(message: EmailMessage | bytes, source: Source | None = None) -> list[dict[str, Any]]:
    raw = message if isinstance(message, bytes) else message.as_bytes()
    entries: list[dict[str, Any]] = to_bundle(read(raw), source or Source()).bundle["entry"]
    return entries


def one(entries: list[dict[str, Any]], type: str) -> dict[str, Any]:
    [found] = [entry for entry in entries if entry["resource"]["resourceType"] == type]
    return found


SUBMISSION = Path(__file__).parents[2] / "cases" / "xds" / "two-documents"
PATIENT_OF_SUBMISSION = "285077505601284"


def zipped(old: str = "", new: str = "") -> bytes:
    """The XDM zip of two documents, with other metadata."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(SUBMISSION.rglob("*.*")):
            name = path.relative_to(SUBMISSION).as_posix()
            if "/" not in name:
                continue
            data = path.read_bytes()
            if name.endswith("METADATA.XML") and old:
                assert old.encode() in data
                data = data.replace(old.encode(), new.encode())
            archive.writestr(name, data)
    return buffer.getvalue()


def with_zip(message: EmailMessage, content: bytes, name: str = "IHE_XDM.zip") -> EmailMessage:
    message.add_attachment(content, maintype="application", subtype="zip", filename=name)
    return message


def test_a_mail_to_a_patient_is_a_communication() -> None:
    entries = mapped(mail(X_MSS_MES="FIN", Importance="high"))
    patient, made = one(entries, "Patient"), one(entries, "Communication")
    assert patient["request"]["url"] == f"Patient?identifier=urn:oid:1.2.250.1.213.1.4.8%7C{INS}"
    assert patient["request"]["ifMatch"] == "*", "a mail registers nobody"
    assert made["request"]["method"] == "PUT"
    reference = {"reference": patient["fullUrl"]}
    assert made["resource"] == {
        "resourceType": "Communication",
        "extension": [{"url": "urn:x-fhirserver:reply-closed", "valueBoolean": True}],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "mid:m1@chu.mssante.fr"}],
        "status": "completed",
        "category": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/communication-category",
                        "code": "notification",
                    }
                ]
            }
        ],
        "priority": "urgent",
        "medium": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode",
                        "code": "EMAILWRIT",
                    }
                ]
            }
        ],
        "subject": reference,
        "topic": {"text": "Votre compte rendu"},
        "sent": "2026-11-22T10:00:00+01:00",
        "recipient": [reference],
        "sender": {
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"mailto:{DOCTOR}"},
            "display": "Dr Marie Dupont",
        },
        "payload": [{"contentString": "Bonjour,\n\nvoici votre compte rendu."}],
    }
    provenance = one(entries, "Provenance")["resource"]
    assert provenance["target"] == [{"reference": made["fullUrl"]}]
    assert provenance["recorded"] == "2026-11-22T10:00:00+01:00"


def test_the_documents_of_its_zip_come_with_it() -> None:
    to = f"{PATIENT_OF_SUBMISSION}@patient.mssante.fr"
    entries = mapped(with_zip(mail(To=to, Subject="XDM/1.0/DDM+compte rendu"), zipped()))
    documents = [e for e in entries if e["resource"]["resourceType"] == "DocumentReference"]
    communication = one(entries, "Communication")["resource"]
    references = [{"reference": e["fullUrl"]} for e in documents]
    assert len(documents) == 2
    assert communication["about"] == references
    assert [p["contentReference"] for p in communication["payload"][1:]] == references
    assert communication["subject"] == {"reference": one(entries, "Patient")["fullUrl"]}
    assert one(entries, "Patient")["request"]["method"] == "POST"


def test_other_attachments_are_kept_as_they_are() -> None:
    message = mail()
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="été.pdf")
    with_zip(message, b"PK no zip", "photos.zip")
    payload = one(mapped(message), "Communication")["resource"]["payload"]
    assert payload[1]["contentAttachment"] == {
        "contentType": "application/pdf",
        "data": "JVBERi0xLjc=",
        "size": 8,
        "title": "été.pdf",
    }
    assert payload[2]["contentAttachment"]["title"] == "photos.zip"


def test_a_reply_of_the_patient() -> None:
    message = mail(From=f"Éloïse <{BOX}>", To=DOCTOR, In_Reply_To="<m0@chu.mssante.fr>")
    entries = mapped(message)
    communication = one(entries, "Communication")["resource"]
    assert communication["sender"] == {"reference": one(entries, "Patient")["fullUrl"]}
    assert communication["recipient"][0]["identifier"]["value"] == f"mailto:{DOCTOR}"
    assert communication["inResponseTo"][0]["identifier"]["value"] == "mid:m0@chu.mssante.fr"
    assert "extension" not in communication


@pytest.mark.parametrize(
    ("content", "media_type", "expected"),
    [
        (b"<p>Bonjour&nbsp;!</p><script>x()</script><p>Deux</p>", "text/html", "Bonjour !\n\nDeux"),
        ("é".encode("iso-8859-1"), "text/plain; charset=iso-8859-1", "é"),
        ("é".encode("windows-1252"), "text/plain; charset=none-such", "é"),
        (b"a\x00b\x07c", "text/plain; charset=us-ascii", "abc"),
    ],
)
def test_texts(content: bytes, media_type: str, expected: str) -> None:
    raw = f"From: {DOCTOR}\r\nTo: {BOX}\r\nMIME-Version: 1.0\r\nContent-Type: {media_type}\r\n\r\n".encode()
    communication = one(mapped(raw + content), "Communication")["resource"]
    assert communication["payload"] == [{"contentString": expected}]


def test_the_envelope_says_who_else_received_it() -> None:
    raw = f"Delivered-To: {BOX}\r\nReceived: from a by b; Sun, 22 Nov 2026 10:00:02 +0100\r\n".encode()
    message = mail(To="list@chu.mssante.fr").as_bytes()
    communication = one(mapped(raw + message), "Communication")["resource"]
    assert [set(each) for each in communication["recipient"]] == [{"identifier"}, {"reference"}]
    assert communication["received"] == "2026-11-22T10:00:02+01:00"


def test_the_domain_says_which_kind_of_ins() -> None:
    source = Source(authorities={"patient.test.mssante.fr": "urn:oid:1.2.250.1.213.1.4.10"})
    entries = mapped(mail(To=f"{INS}@patient.test.mssante.fr"), source)
    assert one(entries, "Patient")["resource"]["identifier"][0]["system"] == "urn:oid:1.2.250.1.213.1.4.10"


def test_the_same_mail_gives_the_same_bundle() -> None:
    raw = mail().as_bytes()
    assert mapped(raw) == mapped(raw)


@pytest.mark.parametrize(
    ("message", "error", "said"),
    [
        (mail(To=DOCTOR), Held, "which patient"),
        (mail(To=f"{BOX}, {OTHER}@patient.mssante.fr"), Held, "several patients"),
        (mail(To=f"{INS[:-1]}9@patient.mssante.fr"), Held, "key of the INS"),
        (mail(From=""), Unreadable, "sender"),
        (mail(Subject="XDM/1.0/DDM+x"), Unreadable, "no"),
        (with_zip(mail(), b"PK no zip"), Unreadable, "zip"),
        (with_zip(mail(), zipped()), Held, "another patient"),
    ],
)
def test_what_is_not_taken(message: EmailMessage, error: type[MappingError], said: str) -> None:
    with pytest.raises(error, match=said):
        mapped(message)


@pytest.mark.parametrize(
    ("label", "to", "said"),
    [
        ("INVISIBLE_PATIENT", f"{PATIENT_OF_SUBMISSION}@patient.mssante.fr", "hidden from the patient"),
        ("MASQUE_PS", DOCTOR, "hidden from professionals"),
    ],
)
def test_a_hidden_document_is_not_handed_on(label: str, to: str, said: str) -> None:
    content = zipped("INVISIBLE_REPRESENTANTS_LEGAUX", label)
    with pytest.raises(Held, match=said) as caught:
        mapped(with_zip(mail(To=to), content))
    assert caught.value.issues[0].code == "security"
    other = DOCTOR if to != DOCTOR else f"{PATIENT_OF_SUBMISSION}@patient.mssante.fr"
    assert mapped(with_zip(mail(To=other), content))


@pytest.mark.parametrize(
    "raw", [b"", b"\x00\xff", b"From: \xff\xfe <\r\n\r\n", b"From: =?x?b?!!?= <a@b>\r\n\r\n"]
)
def test_no_mail_is_refused_or_held(raw: bytes) -> None:
    with pytest.raises(MappingError):
        mapped(raw)


def test_deep_nesting_is_refused() -> None:
    part = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
    with pytest.raises(Unreadable):
        read(b"From: a@b.fr\r\nMIME-Version: 1.0\r\n" + part * 3000)


RECEIPT = """From: MAILER-DAEMON@mssante.fr
Subject: receipt
Date: Sun, 22 Nov 2026 11:00:00 +0100
MIME-Version: 1.0
Content-Type: multipart/report; report-type={report}; boundary=b

--b
Content-Type: text/plain

What became of it.
--b
Content-Type: message/{report}

{fields}
--b
Content-Type: text/rfc822-headers

Message-ID: <m1@chu.mssante.fr>
--b--
"""
DELIVERY = (
    "Reporting-MTA: dns; mssante.fr\n\nFinal-Recipient: rfc822; x@y.fr\nAction: {action}\nStatus: {status}"
)
DISPOSITION = "Final-Recipient: rfc822; x@y.fr\nOriginal-Message-ID: <m1@chu.mssante.fr>\nDisposition: {}"
AT = "2026-11-22T11:00:00+01:00"


@pytest.mark.parametrize(
    ("report", "fields", "expected"),
    [
        (
            "delivery-status",
            DELIVERY.format(action="delivered", status="2.0.0"),
            {"status": "completed", "received": AT},
        ),
        (
            "delivery-status",
            DELIVERY.format(action="failed", status="5.1.1"),
            {"status": "not-done", "statusReason": {"text": "5.1.1"}},
        ),
        (
            "delivery-status",
            DELIVERY.format(action="delayed", status="4.2.2"),
            {"note": [{"time": AT, "text": "Not delivered yet: 4.2.2"}]},
        ),
        (
            "disposition-notification",
            DISPOSITION.format("manual-action/MDN-sent-manually; displayed"),
            {"note": [{"time": AT, "text": "Read"}]},
        ),
        (
            "disposition-notification",
            DISPOSITION.format("automatic-action/MDN-sent-automatically; deleted/error"),
            {"note": [{"time": AT, "text": "Not read: deleted"}]},
        ),
    ],
)
def test_a_receipt_changes_the_communication(report: str, fields: str, expected: dict[str, Any]) -> None:
    [entry] = mapped(RECEIPT.format(report=report, fields=fields).encode())
    identifier = [{"system": "urn:ietf:rfc:3986", "value": "mid:m1@chu.mssante.fr"}]
    assert entry["resource"] == {"resourceType": "Communication", "identifier": identifier, **expected}
    assert entry["request"]["ifMatch"] == "*"
