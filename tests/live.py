"""A real server for tests: uvicorn in a thread, on the embedded engine, reached over the wire."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import uvicorn

from fhirserver.app import build
from fhirserver.http.protocol import Protocol
from fhirserver.settings import Settings


@dataclass(frozen=True)
class Live:
    """Where the server listens."""

    origin: str
    settings: Settings

    @property
    def base_url(self) -> str:
        return f"{self.origin}/fhir"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def serve(settings: Settings) -> Iterator[Live]:
    """Serve until the block ends; the stop is a graceful one."""
    config = uvicorn.Config(
        build(settings),
        host="127.0.0.1",
        port=settings.http_port,
        log_level="error",
        lifespan="on",
        http=Protocol,
        ws="wsproto",
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise RuntimeError("the server did not start")
        time.sleep(0.01)
    yield Live(f"http://127.0.0.1:{settings.http_port}", settings)
    server.should_exit = True
    thread.join(30)
