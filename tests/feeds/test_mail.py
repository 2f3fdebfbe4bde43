"""Mail over real sockets: what is taken, what it becomes, what is refused at the door."""

import asyncio
import contextlib
import smtplib
import socket
import ssl
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from fhirserver.feeds.mail import MailListener
from fhirserver.storage.listing import Filters
from tests.feeds.certificates import certified
from tests.feeds.conftest import Feed, OpenFeed

pytestmark = pytest.mark.anyio

INS = "280026938800165"
BOX = f"{INS}@patient.mssante.fr"
DOCTOR = "marie.dupont@chu.mssante.fr"
PATIENT = {
    "resourceType": "Patient",
    "id": "eloise",
    "identifier": [{"system": "urn:oid:1.2.250.1.213.1.4.8", "value": INS}],
}


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    told = {"Message-ID": "<m1@chu.mssante.fr>", "From": DOCTOR, "To": BOX, "Subject": "Résultats"}
    for name, value in (told | {k.replace("_", "-"): v for k, v in headers.items()}).items():
        message[name] = value
    message.set_content("Bonjour")
    return message


@contextlib.asynccontextmanager
async def listening(feed: Feed) -> AsyncIterator[int]:
    listener = MailListener(feed.receiver, feed.settings)
    yield await listener.start()
    await listener.stop()


def send(port: int, message: EmailMessage, *to: str, tls: ssl.SSLContext | None = None) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as connection:
        if tls:
            connection.starttls(context=tls)
        connection.send_message(message, from_addr=DOCTOR, to_addrs=list(to) or [BOX])


async def settled(feed: Feed) -> list[str]:
    """The statuses of what was received, when all of it is decided."""
    for _ in range(200):
        items = (await feed.inbox.list(Filters(), 100)).items
        if all(item.status != "received" for item in items):
            return [item.status for item in items]
        await asyncio.sleep(0.02)
    raise AssertionError("an item is not processed")


async def test_a_mail_becomes_a_communication_in_the_record(open_feed: OpenFeed) -> None:
    async with open_feed(smtp_port=0) as feed:
        await feed.put(PATIENT)
        async with listening(feed) as port:
            await asyncio.to_thread(send, port, mail())
            assert await settled(feed) == ["processed"]
            await asyncio.to_thread(send, port, mail(Message_ID="<m2@x>", In_Reply_To="<m1@chu.mssante.fr>"))
            await settled(feed)
        both = {found["identifier"][0]["value"]: found for found in await feed.search("Communication")}
        assert both["mid:m2@x"]["inResponseTo"][0]["identifier"]["value"] == "mid:m1@chu.mssante.fr"
        found = both["mid:m1@chu.mssante.fr"]
        assert found["subject"] == {"reference": "Patient/eloise"}
        assert found["payload"] == [{"contentString": "Bonjour"}]
        assert found["received"]
        assert len(await feed.search("Patient")) == 1


async def test_a_receipt_changes_the_communication(open_feed: OpenFeed) -> None:
    receipt = (
        b"From: daemon@mssante.fr\r\nDate: Sun, 22 Nov 2026 11:00:00 +0100\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; boundary=b; report-type=disposition-notification\r\n\r\n--b\r\n"
        b"Content-Type: message/disposition-notification\r\n\r\nOriginal-Message-ID: <m1@chu.mssante.fr>\r\n"
        b"Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n"
    )
    async with open_feed() as feed:
        await feed.put(PATIENT)
        _, before = await feed.take(receipt, "mail")
        assert before.status == "held"
        await feed.take(mail().as_bytes(), "mail")
        _, after = await feed.take(receipt + b"\r\n", "mail")
        assert after.status == "processed", after
        found = await feed.only("Communication")
        assert found["note"] == [{"time": "2026-11-22T11:00:00+01:00", "text": "Read"}]
        assert found["payload"] == [{"contentString": "Bonjour"}]


async def test_a_mail_registers_nobody(feed: Feed) -> None:
    _, outcome = await feed.take(mail().as_bytes(), "mail")
    assert outcome.status == "held"
    assert await feed.search("Patient") == []


@pytest.mark.parametrize(
    ("to", "code"),
    [
        (BOX, 250),
        (BOX.upper(), 250),
        (f"{INS[:-1]}9@patient.mssante.fr", 550),
        ("nobody@patient.mssante.fr", 550),
        ("x@elsewhere.fr", 550),
        (DOCTOR, 250),
    ],
)
async def test_mailboxes(open_feed: OpenFeed, to: str, code: int) -> None:
    def ask(port: int) -> int:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as connection:
            connection.ehlo()
            connection.mail(DOCTOR)
            return connection.rcpt(to)[0]

    domains = "patient.mssante.fr,chu.mssante.fr"
    async with open_feed(smtp_port=0, smtp_domains=domains) as feed, listening(feed) as port:
        assert await asyncio.to_thread(ask, port) == code


async def test_too_much_is_refused_and_kept_nowhere(open_feed: OpenFeed) -> None:
    large = mail()
    large.add_attachment(b"x" * 4096, maintype="application", subtype="pdf")
    async with open_feed(smtp_port=0, smtp_max_message=2048) as feed, listening(feed) as port:
        with pytest.raises(smtplib.SMTPResponseException) as refused:
            await asyncio.to_thread(send, port, large)
        assert refused.value.smtp_code == 552
        assert (await feed.inbox.list(Filters(), 10)).items == []


async def test_with_a_certificate_nothing_is_taken_in_the_clear(open_feed: OpenFeed, tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    trusting = ssl.create_default_context(cafile=str(certificate))
    options = {"smtp_tls_certificate": certificate, "smtp_tls_key": key}
    async with open_feed(smtp_port=0, **options) as feed, listening(feed) as port:
        await feed.put(PATIENT)
        with pytest.raises(smtplib.SMTPException, match="STARTTLS"):
            await asyncio.to_thread(send, port, mail())
        await asyncio.to_thread(lambda: send(port, mail(), tls=trusting))
        assert await settled(feed) == ["processed"]


@pytest.mark.parametrize(
    "said", [b"\x00\xff\r\n", b"DATA\r\n", b"MAIL FROM:<" + b"a" * 3000 + b">\r\n", b"EHLO \r\n"]
)
async def test_what_is_no_smtp_is_answered_and_ends_nothing(open_feed: OpenFeed, said: bytes) -> None:
    def ask(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.recv(1000)
            connection.sendall(said)
            return connection.recv(1000)

    async with open_feed(smtp_port=0) as feed, listening(feed) as port:
        assert (await asyncio.to_thread(ask, port))[:1] == b"5"
        await feed.put(PATIENT)
        await asyncio.to_thread(send, port, mail())
        assert await settled(feed) == ["processed"]
