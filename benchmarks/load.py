"""A small HTTP/1.1 and MLLP load generator: keep-alive asyncio streams, as light as the machine needs.

The machine that is measured also runs the load, so a general HTTP client would take a good part of what it
measures.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

HOST = "127.0.0.1"
TIMEOUT = 60.0
"""Seconds for one answer; then the request counts as an error and its connection is opened again."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, or for MLLP one message in ``body`` (the other parts empty)."""

    method: str = ""
    path: str = ""
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Measured:
    """``latencies`` are seconds of the answers that were right; ``errors`` count the others by what came."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return len(self.latencies) / self.seconds if self.seconds else 0.0

    @property
    def count(self) -> int:
        return len(self.latencies) + sum(self.errors.values())

    def percentile(self, share: float) -> float:
        """The latency that this share of the answers did not exceed, in seconds; 0 without answers."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


Exchange = Callable[["Connection", Call], Awaitable[str]]
"""Send a call and give "" for a right answer, else what is wrong with it."""


class Connection:
    """One connection, opened when first used."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.body = b""
        self.headers: dict[str, str] = {}
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self.port, limit=2**24)
        return self._streams

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def http(self, call: Call) -> str:
        """Exchange over HTTP; ``body`` and ``headers`` then hold the answer."""
        reader, writer = await self.open()
        lines = [f"{call.method} {call.path} HTTP/1.1", f"Host: {HOST}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in call.headers]
        if call.body or call.method in ("POST", "PUT"):
            if not any(name.lower() == "content-type" for name, _ in call.headers):
                lines.append("Content-Type: application/fhir+json")
            lines.append(f"Content-Length: {len(call.body)}")
        writer.write("\r\n".join((*lines, "", "")).encode() + call.body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if k}
        self.body = await self._content(reader)
        if self.headers.get("connection", "").lower() == "close":
            self.close()
        return "" if 200 <= status < 300 else f"HTTP {status}"

    async def mllp(self, call: Call) -> str:
        """Exchange over MLLP; right is an acknowledgement with AA or CA."""
        reader, writer = await self.open()
        writer.write(b"\x0b" + call.body + b"\x1c\r")
        self.body = await reader.readuntil(b"\x1c\r")
        accepted = b"\rMSA|AA" in self.body or b"\rMSA|CA" in self.body
        return "" if accepted else "not acknowledged with AA or CA"

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return await reader.readexactly(int(self.headers.get("content-length", 0)))
        content = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            content += (await reader.readexactly(size + 2))[:-2]
        await reader.readuntil(b"\r\n")
        return content


async def run(
    calls: Iterable[Call], port: int, exchange: Exchange, concurrency: int, seconds: float
) -> Measured:
    """Make the calls from that many connections until they or the seconds run out."""
    measured = Measured()
    source = iter(calls)
    start = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(_work(source, port, exchange, start + seconds, measured))
    measured.seconds = time.perf_counter() - start
    return measured


async def _work(
    source: Iterator[Call], port: int, exchange: Exchange, deadline: float, measured: Measured
) -> None:
    connection = Connection(port)
    try:
        for call in source:
            began = time.perf_counter()
            if began > deadline:
                return
            try:
                async with asyncio.timeout(TIMEOUT):
                    wrong = await exchange(connection, call)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
                connection.close()
                wrong = type(error).__name__
            if wrong:
                measured.errors[wrong] = measured.errors.get(wrong, 0) + 1
            else:
                measured.latencies.append(time.perf_counter() - began)
    finally:
        connection.close()
