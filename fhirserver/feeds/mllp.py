"""The HL7v2 listener: MLLP over TCP or TLS. HL7 v2.9 appendix C.4; IHE ITI-19 (ATNA) for TLS"""

import asyncio
import contextlib
import socket
import ssl
from dataclasses import replace

import structlog

from fhirserver.errors import Unavailable
from fhirserver.feeds import acknowledgement
from fhirserver.feeds.envelope import open_envelope
from fhirserver.feeds.framing import Framer, Oversize, frame
from fhirserver.feeds.receive import Receipt, Receiver
from fhirserver.settings import Settings
from mappings import hl7v2
from mappings.core.result import Issue

CHANNEL = "mllp"
READ_BYTES = 256 * 1024
CONNECTIONS = 256
CUT = Issue("error", "incomplete", "The message ends without an end of block: it is cut off")
SILENCE = 0.3
"""So long after an end of block without CR it is believed to be one."""
STOP_SECONDS = 10.0

log = structlog.get_logger()


class Listener:
    """Accepts connections; each is read message by message, and answered in order."""

    def __init__(self, receiver: Receiver, settings: Settings) -> None:
        self._receiver = receiver
        self._settings = settings
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    async def start(self) -> int:
        """Listen, and give the port.

        Raises:
            OSError: the port is taken, or the certificate cannot be used (ssl.SSLError).
        """
        settings = self._settings
        self._server = await asyncio.start_server(
            self._accept,
            settings.host,
            settings.mllp_port,
            limit=READ_BYTES,
            backlog=CONNECTIONS,
            ssl=_tls(settings),
            reuse_port=settings.workers > 1 or None,
        )
        port = int(self._server.sockets[0].getsockname()[1])
        log.info("mllp listening", port=port, tls=settings.mllp_tls_certificate is not None)
        return port

    async def stop(self) -> None:
        """Accept no more; messages that have begun are received and answered, then connections close."""
        if self._server:
            self._server.close()
        tasks = list(self._connections)
        for connection in self._connections.values():
            connection.stop()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._server:
            await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= CONNECTIONS:
            log.warning("mllp connection refused", reason="too many connections", connections=CONNECTIONS)
            writer.close()
            return
        connection = _Connection(reader, writer, self._receiver, self._settings)
        self._connections[task] = connection
        try:
            await connection.serve()
        except (ConnectionError, TimeoutError, ssl.SSLError) as error:
            log.info("mllp connection lost", reason=type(error).__name__)
        except Exception as error:
            # Its text may quote a message: only its kind is told. What was acknowledged is stored.
            log.error("mllp connection ended", reason=type(error).__name__)
        finally:
            del self._connections[task]
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, TimeoutError):
                await writer.wait_closed()


class _Connection:
    """One sender's stream of messages."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        receiver: Receiver,
        settings: Settings,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._receiver = receiver
        self._settings = settings
        self._framer = Framer(settings.mllp_max_message)
        self._stopping = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()
        _keep_alive(writer)

    def stop(self) -> None:
        """Finish the message in hand, then end."""
        self._stopping.set()

    async def serve(self) -> None:
        try:
            while not (self._stopping.is_set() and not self._framer.open):
                await self._receiver.room()
                try:
                    part = await self._read()
                except TimeoutError:
                    if not self._framer.ended:
                        break  # silent for too long
                    frames = self._framer.flush()
                else:
                    if not part:
                        break
                    frames = self._framer.feed(part)
                for content in frames:
                    await self._receive(content)
            for content in self._framer.rest():
                await self._receive(content, cut=True)
        except Oversize as error:
            await self._refuse(error)
        await asyncio.gather(*self._later, return_exceptions=True)

    async def _read(self) -> bytes:
        """The next bytes; b"" at the end of the stream or when the listener stops. Raises TimeoutError."""
        patience = SILENCE if self._framer.ended else self._settings.mllp_idle
        reading = asyncio.ensure_future(self._reader.read(READ_BYTES))
        stopping = asyncio.ensure_future(self._stopping.wait())
        # Once the listener stops, only a message that has begun is waited for.
        waited = {reading} if self._stopping.is_set() else {reading, stopping}
        try:
            done, _ = await asyncio.wait(waited, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            if reading in done:
                return reading.result()
            if stopping in done:
                return await asyncio.wait_for(asyncio.shield(reading), SILENCE) if self._framer.open else b""
            raise TimeoutError
        finally:
            reading.cancel()
            stopping.cancel()

    async def _receive(self, content: bytes, *, cut: bool = False) -> None:
        """Store the messages of a frame and answer each, in order."""
        batch = hl7v2.split(content)
        issues = list(batch.issues) if batch.messages else []
        for raw in batch.messages or [content]:
            envelope = open_envelope("hl7v2", raw, CHANNEL)
            if cut and raw is (batch.messages or [content])[-1]:
                envelope = replace(envelope, issues=(*envelope.issues, CUT), refusal="AE")
            try:
                receipt = await self._receiver.receive(
                    raw, "hl7v2", CHANNEL, issues=issues, envelope=envelope
                )
            except Unavailable:
                await self._send(acknowledgement.not_stored(envelope, self._settings))
                continue
            await self._send(acknowledgement.when_stored(envelope, self._settings))
            if not acknowledgement.answers_when_processed(envelope, self._settings):
                continue
            if envelope.header is not None and hl7v2.mode(envelope.header) == "original":
                await self._answer(receipt)
            else:
                task = asyncio.create_task(self._answer(receipt))
                self._later.add(task)
                task.add_done_callback(self._later.discard)

    async def _answer(self, receipt: Receipt) -> None:
        """Send the application acknowledgement once the message is processed."""
        outcome = await receipt.outcome()
        await self._send(acknowledgement.when_processed(receipt.envelope, outcome, self._settings))

    async def _refuse(self, error: Oversize) -> None:
        """Keep and answer the beginning of a message that is too large; the rest of the stream is lost."""
        limit = f"{self._settings.mllp_max_message} bytes (mllp_max_message)"
        text = f"The message is larger than {limit}: only its first {len(error.start)} bytes are kept"
        issue = Issue("error", "too-long", text)
        log.warning("mllp message refused", reason="too large")
        envelope = open_envelope("hl7v2", error.start, CHANNEL)
        # What the missing rest would have mended is no fault of the message.
        envelope = replace(envelope, issues=(issue,), refusal="AR")
        try:
            await self._receiver.receive(error.start, "hl7v2", CHANNEL, envelope=envelope)
        except Unavailable:
            log.warning("mllp message not kept", reason="the database does not take it now")
        await self._send(acknowledgement.build(envelope, "AR", [issue], self._settings))

    async def _send(self, answer: bytes | None) -> None:
        if answer is not None:
            self._writer.write(frame(answer))
            async with asyncio.timeout(self._settings.mllp_idle):
                await self._writer.drain()


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Notice dead peers after about two minutes."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.mllp_tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(settings.mllp_tls_certificate, settings.mllp_tls_key)
    if settings.mllp_tls_client_ca is not None:
        context.load_verify_locations(settings.mllp_tls_client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
