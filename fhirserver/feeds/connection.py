"""One sender's connection: its frames are stored message by message, and answered in order."""

import asyncio
import socket
import ssl
from dataclasses import replace

import structlog

from fhirserver.errors import Unavailable
from fhirserver.feeds import acknowledgement
from fhirserver.feeds.framing import Framer, Oversize, frame
from fhirserver.feeds.origin import Origin, certificate_names
from fhirserver.feeds.receive import Receipt, Receiver
from fhirserver.settings import Settings
from mappings import hl7v2
from mappings.core.result import Issue

CHANNEL = "mllp"
READ_BYTES = 256 * 1024
CUT = Issue("error", "incomplete", "The message ends without an end of block: it is cut off")
SLOW = Issue("error", "incomplete", "The message did not end in time (mllp_message_seconds): it is cut off")
SILENCE = 0.3
"""So long after an end of block without CR it is believed to be one."""

log = structlog.get_logger()


class Connection:
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
        self._begun = 0.0
        self.origin = origin_of(writer)
        _keep_alive(writer)

    def stop(self) -> None:
        """Finish the message in hand, then end."""
        self._stopping.set()

    async def serve(self) -> None:
        cut = CUT
        try:
            while not (self._stopping.is_set() and not self._framer.open):
                await self._receiver.room()
                try:
                    part = await self._read()
                except TimeoutError:
                    if not self._framer.ended:
                        cut = SLOW if self._framer.open and self._left() <= 0 else CUT
                        break  # silent for too long
                    frames = self._framer.flush()
                else:
                    if not part:
                        break
                    frames = self._framer.feed(part)
                for content in frames:
                    await self._receive(content)
                self._note(began_anew=bool(frames))
            for content in self._framer.rest():
                await self._receive(content, cut=cut)
        except Oversize as error:
            await self._refuse(error)
        await asyncio.gather(*self._later, return_exceptions=True)

    async def _read(self) -> bytes:
        """The next bytes; b"" at the end of the stream or when the listener stops. Raises TimeoutError."""
        patience = SILENCE if self._framer.ended else min(self._settings.mllp_idle, self._left())
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

    def _left(self) -> float:
        """Seconds that the message in hand still has."""
        if not self._framer.open:
            return self._settings.mllp_message_seconds
        now = asyncio.get_running_loop().time()
        return max(0.0, self._begun + self._settings.mllp_message_seconds - now)

    def _note(self, *, began_anew: bool) -> None:
        """Note when the message in hand began."""
        if began_anew or not self._framer.open:
            self._begun = 0.0
        if self._framer.open and not self._begun:
            self._begun = asyncio.get_running_loop().time()

    async def _receive(self, content: bytes, *, cut: Issue | None = None) -> None:
        """Store the messages of a frame and answer each, in order."""
        batch = hl7v2.split(content)
        issues = list(batch.issues) if batch.messages else []
        messages = batch.messages or [content]
        for position, raw in enumerate(messages, 1):
            envelope = self._receiver.open("hl7v2", raw, self.origin)
            if cut and position == len(messages):
                envelope = replace(envelope, issues=(*envelope.issues, cut), refusal="AE", held=False)
            try:
                receipt = await self._receiver.receive(
                    raw, "hl7v2", self.origin, issues=issues, envelope=envelope
                )
            except Unavailable:
                await self._send(acknowledgement.not_stored(envelope, self._settings))
                continue
            await self._send(acknowledgement.when_stored(envelope, self._settings, receipt.item))
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
        envelope = receipt.envelope
        await self._send(acknowledgement.when_processed(envelope, outcome, self._settings, receipt.item))

    async def _refuse(self, error: Oversize) -> None:
        """Keep and answer the beginning of a message that is too large; the rest of the stream is lost."""
        limit = f"{self._settings.mllp_max_message} bytes (mllp_max_message)"
        text = f"The message is larger than {limit}: only its first {len(error.start)} bytes are kept"
        issue = Issue("error", "too-long", text)
        log.warning("mllp message refused", reason="too large")
        envelope = self._receiver.open("hl7v2", error.start, self.origin)
        # What the missing rest would have mended is no fault of the message.
        envelope = replace(envelope, issues=(issue,), refusal="AR", held=False)
        try:
            await self._receiver.receive(error.start, "hl7v2", self.origin, envelope=envelope)
        except Unavailable:
            log.warning("mllp message not kept", reason="the database does not take it now")
        await self._send(acknowledgement.build(envelope, "AR", [issue], self._settings))

    async def _send(self, answer: bytes | None) -> None:
        if answer is not None:
            self._writer.write(frame(answer))
            async with asyncio.timeout(self._settings.mllp_idle):
                await self._writer.drain()


def origin_of(writer: asyncio.StreamWriter) -> Origin:
    """Where a connection comes from; its certificate has been verified, or none was asked for."""
    tls: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    names: frozenset[str] = frozenset()
    if tls is not None and (der := tls.getpeercert(binary_form=True)):
        names = frozenset(certificate_names(tls.getpeercert() or {}, der))
    port = int((writer.get_extra_info("sockname") or ("", 0))[1])
    address = str((writer.get_extra_info("peername") or ("",))[0])
    return Origin(CHANNEL, port, address, names)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    """Notice dead peers after about two minutes."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
