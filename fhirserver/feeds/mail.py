"""Mail of the health messaging service (MSSanté) by SMTP: each is stored before it is accepted.

https://www.rfc-editor.org/rfc/rfc5321, STARTTLS: .../rfc3207. aiosmtpd speaks the protocol.
"""

import asyncio
import logging
import ssl
from email.utils import formatdate
from typing import Any

import structlog
from aiosmtpd.smtp import SMTP, Envelope, Session

from fhirserver.errors import FHIRError, Unavailable
from fhirserver.feeds.origin import Origin
from fhirserver.feeds.receive import Receiver
from fhirserver.settings import Settings
from mappings.core.identity import has_valid_key
from mappings.mail import Address, ins_of

CHANNEL = "smtp"
IDLE_SECONDS = 120.0
RECIPIENTS = 100
STOP_SECONDS = 10.0
OK, NOT_HERE = "250 2.1.5 OK", "550 5.1.1 There is no such mailbox"
TOO_MANY = "452 4.5.3 Too many recipients"
LATER = "451 4.3.0 It is not stored: try again later"

log = structlog.get_logger()
# Its lines name mailboxes, and a patient's mailbox is the INS.
logging.getLogger("mail.log").disabled = True


class MailListener:
    """Accepts mail for the domains of the setting ``smtp_domains``, and hands it to the receiver."""

    def __init__(self, receiver: Receiver, settings: Settings) -> None:
        self._receiver = receiver
        self._settings = settings
        self._server: asyncio.Server | None = None
        self._receiving: set[asyncio.Task[Any]] = set()
        self.port = 0

    async def start(self) -> int:
        """Listen, and give the port.

        Raises:
            OSError: the port is taken, or the certificate cannot be used (ssl.SSLError).
        """
        settings = self._settings
        context = None
        if settings.smtp_tls_certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(settings.smtp_tls_certificate, settings.smtp_tls_key)

        def session() -> SMTP:
            return SMTP(
                self,
                data_size_limit=settings.smtp_max_message,
                enable_SMTPUTF8=True,
                hostname=settings.smtp_domains[0],
                ident="fhirserver",
                tls_context=context,
                require_starttls=context is not None,
                timeout=IDLE_SECONDS,
            )

        self._server = await asyncio.get_running_loop().create_server(
            session, settings.host, settings.smtp_port, reuse_port=settings.workers > 1 or None
        )
        self.port = int(self._server.sockets[0].getsockname()[1])
        log.info("smtp listening", port=self.port, tls=context is not None)
        return self.port

    async def stop(self) -> None:
        """Accept no more; mail that has arrived is stored and answered."""
        if self._server:
            self._server.close()
        if self._receiving:
            await asyncio.wait(self._receiving, timeout=STOP_SECONDS)

    # --- the hooks of aiosmtpd; their names are its

    async def handle_RCPT(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        box = Address(address.lower())
        patients = box.domain.startswith("patient.")
        if box.domain not in self._settings.smtp_domains or (patients and not has_valid_key(ins_of(box))):
            return NOT_HERE
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return TOO_MANY
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return OK

    async def handle_DATA(  # noqa: N802 (aiosmtpd's name)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        task = asyncio.ensure_future(self._receive(session, envelope))
        self._receiving.add(task)
        task.add_done_callback(self._receiving.discard)
        # A sender that goes away must not leave a mail half stored.
        return await asyncio.shield(task)

    async def handle_exception(self, error: Exception) -> str:
        log.error("smtp session failed", reason=type(error).__name__)
        return LATER

    async def _receive(self, session: Session, envelope: Envelope) -> str:
        content = envelope.content or b""
        raw = _trace(session, envelope) + (content if isinstance(content, bytes) else content.encode())
        address = str((session.peer or ("",))[0])
        await self._receiver.room()
        try:
            receipt = await self._receiver.receive(raw, "mail", Origin(CHANNEL, self.port, address))
        except (Unavailable, FHIRError):
            return LATER
        return f"250 2.0.0 Stored as {receipt.item.id}"


def _trace(session: Session, envelope: Envelope) -> bytes:
    """What a mail server writes on top: https://www.rfc-editor.org/rfc/rfc5321#section-4.4"""
    lines = [f"Return-Path: <{envelope.mail_from or ''}>"]
    lines += (f"Delivered-To: {address}" for address in envelope.rcpt_tos)
    lines.append(
        f"Received: from {session.host_name or 'unknown'} by fhirserver; {formatdate(localtime=True)}"
    )
    return "".join(f"{' '.join(line.split())}\r\n" for line in lines).encode("utf-8", "replace")
