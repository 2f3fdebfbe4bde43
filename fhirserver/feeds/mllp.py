"""The HL7v2 listener: MLLP over TCP or TLS. HL7 v2.9 appendix C.4; IHE ITI-19 (ATNA) for TLS"""

import asyncio
import contextlib
import ssl
from collections.abc import Iterator

import structlog

from fhirserver.feeds.connection import READ_BYTES, Connection
from fhirserver.feeds.origin import is_inside
from fhirserver.feeds.receive import Receiver
from fhirserver.settings import Settings

BACKLOG = 256
STOP_SECONDS = 10.0

log = structlog.get_logger()


class Listener:
    """Accepts connections on one or several ports; each is read message by message."""

    def __init__(self, receiver: Receiver, settings: Settings) -> None:
        self._receiver = receiver
        self._settings = settings
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self.ports: list[int] = []
        self.encrypted: list[bool] = []
        """Of each port, whether it speaks TLS."""

    async def start(self) -> int:
        """Listen, and give the first port.

        Raises:
            OSError: a port is taken, or the certificate cannot be used (ssl.SSLError).
        """
        settings = self._settings
        context = _tls(settings)
        for port, encrypted in _ports(settings):
            server = await asyncio.start_server(
                self._accept,
                settings.host,
                port,
                limit=READ_BYTES,
                backlog=BACKLOG,
                ssl=context if encrypted else None,
                reuse_port=settings.workers > 1 or None,
            )
            self._servers.append(server)
            self.ports.append(int(server.sockets[0].getsockname()[1]))
            self.encrypted.append(encrypted)
            log.info("mllp listening", port=self.ports[-1], tls=encrypted)
        return self.ports[0]

    async def stop(self) -> None:
        """Accept no more; messages that have begun are received and answered, then connections close."""
        for server in self._servers:
            server.close()
        tasks = list(self._connections)
        for connection in self._connections.values():
            connection.stop()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connection = Connection(reader, writer, self._receiver, self._settings)
        if reason := self._refusal(connection.origin.address):
            log.warning("mllp connection refused", reason=reason, connections=len(self._connections))
            writer.close()
            return
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

    def _refusal(self, address: str) -> str:
        settings = self._settings
        if settings.mllp_networks and not is_inside(address, settings.mllp_networks):
            return "not of mllp_networks"
        if len(self._connections) >= settings.mllp_connections:
            return "too many connections (mllp_connections)"
        same = sum(one.origin.address == address for one in self._connections.values())
        if same >= settings.mllp_connections_per_address:
            return "too many of one address (mllp_connections_per_address)"
        return ""


def _ports(settings: Settings) -> Iterator[tuple[int, bool]]:
    """Each port and whether it is encrypted."""
    encrypted = settings.mllp_tls_certificate is not None
    yield settings.mllp_port, encrypted
    for text in settings.mllp_ports:
        number, _, kind = text.partition("+")
        yield int(number), kind == "tls" or (encrypted and kind != "plain")


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
