"""Reads of the server next to reads of a bare route on the same engine, in rounds that take turns."""

import asyncio
import contextlib
import itertools
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import bare, load
from benchmarks.load import HOST, Call
from benchmarks.operations import reads
from benchmarks.people import Person
from benchmarks.processes import cpu
from benchmarks.report import Section
from benchmarks.server import RunningServer, free_ports, started

GOAL = 0.8
WARM_UP = 0.5
"""Seconds of calls before the first round."""


@dataclass(slots=True)
class Reader:
    """One of the two programs: ``app`` and ``database`` are µs of CPU a read, one per round."""

    name: str
    pid: int
    port: int
    rounds: list[load.Measured] = field(default_factory=list)
    app: list[float] = field(default_factory=list)
    database: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """The median of the rounds, in reads a second."""
        return median(measured.rate for measured in self.rounds)

    def cells(self) -> tuple[str, ...]:
        return (
            self.name,
            f"{self.rate:,.0f}",
            " ".join(f"{measured.rate:,.0f}" for measured in self.rounds),
            f"{1000 * median(m.percentile(0.5) for m in self.rounds):.1f}",
            f"{1000 * median(m.percentile(0.99) for m in self.rounds):.1f}",
            f"{median(self.app):,.0f}",
            f"{median(self.database):,.0f}",
        )


def compare(
    people: list[Person], server: RunningServer, concurrency: int, rounds: int, seconds: float
) -> Section:
    """Read resources that are there, at random, from one and the other in turn."""
    # The content of a Binary is kept apart from its body: it takes more than the one query that is compared.
    calls = [call for call in reads(people, 5000) if "/Binary/" not in call.path]
    with _bare(server, calls[0].path) as (pid, port):
        readers = (Reader("fhirserver", server.pid, server.http_port), Reader("bare route", pid, port))
        for reader in readers:
            asyncio.run(_read(reader, calls, concurrency, WARM_UP))
        for number in range(rounds):
            # Who begins changes, so that a slow drift of the machine meets both.
            for reader in readers if number % 2 == 0 else reversed(readers):
                _round(reader, server, calls, concurrency, seconds)
    ours, other = readers
    ratio = ours.rate / other.rate if other.rate else 0.0
    errors = [
        f"{r.name}: {count} x {error}" for r in readers for m in r.rounds for error, count in m.errors.items()
    ]
    return Section(
        "Reads next to a bare route",
        "The bare route is `benchmarks/bare.py`: Starlette, uvicorn, uvloop, httptools, one pymongo\n"
        "`find_one` by id, the stored bytes. Both read the same resources (no Binary) of the same engine\n"
        f"from {concurrency} connections of the same load generator, in {rounds} rounds of {seconds:g} s "
        "each that take turns;\nfigures are medians of the rounds.",
        (
            "reads of", "per second", "rounds", "p50 ms", "p99 ms", "app CPU µs", "database CPU µs",
        ),
        [reader.cells() for reader in readers],
        [f"fhirserver / bare route: {ratio:.2f} (goal: at least {GOAL})."],
        errors,
    )  # fmt: skip


def _round(
    reader: Reader, server: RunningServer, calls: list[Call], concurrency: int, seconds: float
) -> None:
    app, engine = cpu(reader.pid).app, cpu(server.pid).database
    measured = asyncio.run(_read(reader, calls, concurrency, seconds))
    per_call = 1e6 / max(measured.count, 1)
    reader.rounds.append(measured)
    reader.app.append((cpu(reader.pid).app - app) * per_call)
    reader.database.append((cpu(server.pid).database - engine) * per_call)


async def _read(reader: Reader, calls: list[Call], concurrency: int, seconds: float) -> load.Measured:
    return await load.run(itertools.cycle(calls), reader.port, load.Connection.http, concurrency, seconds)


@contextlib.contextmanager
def _bare(server: RunningServer, path: str) -> Iterator[tuple[int, int]]:
    """Start the bare route; its pid and port."""
    port, _ = free_ports()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.bare:app", "--port", str(port)]
    command += ["--app-dir", str(Path(__file__).parent.parent), "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning", "--no-server-header"]
    environment = {**os.environ, bare.URI: server.engine}
    with (
        TemporaryDirectory(prefix="bare-bench-") as folder,
        started(command, environment, Path(folder, "log"), f"http://{HOST}:{port}{path}") as pid,
    ):
        yield pid, port
