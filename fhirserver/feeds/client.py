"""Sending HL7v2 over MLLP: one connection, a message at a time, each answered before the next."""

import asyncio
import contextlib
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

from fhirserver.feeds.framing import Framer, Oversize, frame

ANSWER_BYTES = 4 * 1024 * 1024
READ_BYTES = 64 * 1024


class Unanswered(Exception):
    """The message was written, and no answer came."""


class Sender:
    """An open connection to a receiver; an asynchronous context manager.

    ``seconds`` is how long connecting, and then each answer, may take.
    """

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, seconds: float = 15.0
    ) -> None:
        self._host, self._port, self._tls, self._seconds = host, port, tls, seconds
        self._answers: list[bytes] = []
        self._framer = Framer(ANSWER_BYTES)

    async def __aenter__(self) -> Self:
        """Raises OSError (ssl.SSLError, TimeoutError): there is no connection."""
        async with asyncio.timeout(self._seconds):
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(self._seconds):
                await self._writer.wait_closed()

    async def send(self, message: bytes) -> bytes:
        """Send a message and give the next answer, without its framing.

        Raises:
            Unanswered: none came in time, the connection ended, or what came is no answer.
            OSError: it could not be written.
        """
        await self.write(message)
        return await self.answer()

    async def write(self, message: bytes) -> None:
        """Send a message that is not answered. Raises OSError (TimeoutError)."""
        self._writer.write(frame(message))
        async with asyncio.timeout(self._seconds):
            await self._writer.drain()

    async def answer(self, seconds: float = 0) -> bytes:
        """The next answer; ``seconds`` is how long it may take. Raises Unanswered."""
        try:
            async with asyncio.timeout(seconds or self._seconds):
                while not self._answers:
                    part = await self._reader.read(READ_BYTES)
                    if not part:
                        self._answers += self._framer.rest()
                        break
                    self._answers += self._framer.feed(part)
        except (TimeoutError, OSError, Oversize) as error:
            # A last block character may be all that is missing.
            self._answers += self._framer.flush()
            if not self._answers:
                reason = "it took too long" if isinstance(error, TimeoutError) else type(error).__name__
                raise Unanswered(f"There was no answer: {reason}") from None
        if not self._answers:
            raise Unanswered("There was no answer: the connection was closed")
        return self._answers.pop(0)


def tls_context(
    authority: Path | None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """TLS that verifies the receiver, by one authority (else the system's), and shows a certificate.

    Raises:
        OSError: a file cannot be read or used (ssl.SSLError).
    """
    context = ssl.create_default_context(cafile=str(authority) if authority else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate:
        context.load_cert_chain(certificate, key)
    return context
