"""What is large: transactions of 100 and of 10,000 entries, and an export, with the memory that they take."""

import asyncio
import json
import math
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from benchmarks import load
from benchmarks.load import Call, Connection
from benchmarks.operations import BASE, transactions
from benchmarks.people import Person
from benchmarks.processes import Memory, cpu, forget_peaks, memory
from benchmarks.report import Section
from benchmarks.server import RunningServer

HUNDRED = 100
HUNDREDS = 100
"""Most transactions of 100 entries."""
TEN_THOUSAND = 10_000
LOADERS = 4
MB = 1_000_000
PIECE = 1024 * 1024
TRANSACTION_SECONDS = 120.0
EXPORT_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Large:
    """One large thing that was done: ``size`` in bytes of FHIR JSON."""

    name: str
    resources: int
    size: int
    seconds: float
    before: Memory
    after: Memory

    def cells(self) -> tuple[str, ...]:
        return (
            self.name,
            f"{self.resources:,}",
            f"{self.size / MB:,.1f}",
            f"{self.seconds:.1f}",
            f"{self.resources / self.seconds:,.0f}",
            f"{self.before.app:,.0f}",
            f"{self.after.app_peak:,.0f}",
            f"{self.after.app:,.0f}",
            f"{self.after.database_peak:,.0f}",
        )


def hundreds(people: Iterator[Person], server: RunningServer, seconds: float) -> Section:
    """Transactions of 100 new resources, one after the other from one connection."""
    calls = list(islice(transactions(people, 0, HUNDRED), HUNDREDS))
    before = cpu(server.pid)
    measured = asyncio.run(load.run(calls, server.http_port, Connection.http, 1, seconds))
    spent = cpu(server.pid).since(before)
    entries = max(measured.count, 1) * HUNDRED
    p50, p99 = measured.percentile(0.5), measured.percentile(0.99)
    row = (
        f"transaction of {HUNDRED}",
        str(len(measured.latencies)),
        f"{p50 * 1000:.1f}",
        f"{p99 * 1000:.1f}",
        f"{p50 * 1e6 / HUNDRED:,.0f}",
        f"{spent.app * 1e6 / entries:,.0f}",
        f"{spent.database * 1e6 / entries:,.0f}",
    )
    return Section(
        f"Transactions of {HUNDRED} entries",
        "Whole records of people who are new to the server, one Bundle after the other on one connection;\n"
        "the last three columns are for one entry.",
        ("Bundle", "answers", "p50 ms", "p99 ms", "p50 µs", "app CPU µs", "database CPU µs"),
        [row],
        errors=[f"{count} x {error}" for error, count in measured.errors.items()],
    )


def memories(people: Iterator[Person], server: RunningServer, megabytes: float) -> Section:
    """After that many megabytes more were loaded: an export of everything, its files, a transaction."""
    bundle = next(transactions(people, 0, TEN_THOUSAND))
    urls: list[str] = []
    # The transaction is last: the memory that it leaves behind would hide what the others take.
    parts: dict[str, Callable[[], tuple[int, int]]] = {
        "$export": lambda: _export(server, urls),
        "its files fetched": lambda: _fetch(urls),
        f"transaction of {TEN_THOUSAND:,}": lambda: _transaction(bundle, server),
    }
    done: list[Large] = []
    errors = _load(people, server.http_port, megabytes)
    for name, work in parts.items():
        try:
            done.append(_watched(name, server, work))
        except (OSError, RuntimeError, asyncio.IncompleteReadError) as error:
            errors.append(f"{name}: {type(error).__name__}: {error}")
    return Section(
        "Memory while something large runs",
        "Resident memory in MiB: `before`, the `peak` while it ran and `after` are of the server's\n"
        "processes, `engine peak` of the database's. MB are millions of bytes of FHIR JSON. The export is\n"
        "of everything that is stored; its seconds include the one that it waits for writes to settle.",
        ("what", "resources", "MB", "seconds", "per second", "before", "peak", "after", "engine peak"),
        [large.cells() for large in done],
        errors=errors,
    )


def _watched(name: str, server: RunningServer, work: Callable[[], tuple[int, int]]) -> Large:
    """Do the work, which says how many resources and bytes it was about, and look at the memory."""
    forget_peaks(server.pid)
    before, start = memory(server.pid), time.perf_counter()
    resources, size = work()
    return Large(name, resources, size, time.perf_counter() - start, before, memory(server.pid))


def _transaction(bundle: Call, server: RunningServer) -> tuple[int, int]:
    asyncio.run(_answer(bundle, server, TRANSACTION_SECONDS))
    return TEN_THOUSAND, len(bundle.body)


async def _answer(call: Call, server: RunningServer, seconds: float = load.TIMEOUT) -> Connection:
    """The connection, closed, with the answer. Raises TimeoutError, RuntimeError: the answer is not right."""
    connection = Connection(server.http_port)
    try:
        async with asyncio.timeout(seconds):
            wrong = await connection.http(call)
    finally:
        connection.close()
    if wrong:
        raise RuntimeError(f"{wrong}: {connection.body[:300].decode(errors='replace')}")
    return connection


def _load(people: Iterator[Person], port: int, megabytes: float) -> list[str]:
    """Load so much of the population; what went wrong."""
    calls = _up_to(transactions(people, 0), megabytes * MB)
    measured = asyncio.run(load.run(calls, port, Connection.http, LOADERS, math.inf))
    return [f"loading: {count} x {error}" for error, count in measured.errors.items()]


def _up_to(calls: Iterator[Call], size: float) -> Iterator[Call]:
    """So many calls that their bodies have that size."""
    sent = 0
    while sent < size:
        call = next(calls)
        sent += len(call.body)
        yield call


def _export(server: RunningServer, urls: list[str]) -> tuple[int, int]:
    """Export everything; ``urls`` gets the files'. Resources and bytes of them."""
    begin = Call("GET", f"{BASE}/$export", headers=(("Prefer", "respond-async"),))
    status = asyncio.run(_answer(begin, server)).headers["content-location"]
    deadline = time.monotonic() + EXPORT_SECONDS
    while True:
        with urllib.request.urlopen(status, timeout=load.TIMEOUT) as answer:
            if answer.status == 200:
                manifest: dict[str, Any] = json.load(answer)
                break
        if time.monotonic() > deadline:
            raise RuntimeError(f"the export was not done in {EXPORT_SECONDS:g} seconds")
        time.sleep(0.1)
    if manifest["error"]:
        raise RuntimeError("some resources could not be exported")
    urls += [file["url"] for file in manifest["output"]]
    return sum(file["count"] for file in manifest["output"]), sum(map(_length, urls))


def _length(url: str) -> int:
    with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=load.TIMEOUT) as answer:
        return int(answer.headers["Content-Length"])


def _fetch(urls: list[str]) -> tuple[int, int]:
    if not urls:
        raise RuntimeError("there are none")
    lines = size = 0
    for url in urls:
        with urllib.request.urlopen(url, timeout=load.TIMEOUT) as answer:
            while piece := answer.read(PIECE):
                lines += piece.count(b"\n")
                size += len(piece)
    return lines, size
