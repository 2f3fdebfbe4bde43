"""Measure a server of its own: ``python -m benchmarks.run --size 300``.

Starts ``fhirserver serve`` with an empty embedded database, loads a synthetic population, measures one
operation after the other, compares reads with a bare route, looks at what is large, and writes
``benchmarks/results.md``. Server, engine and load share the cores.
"""

import argparse
import asyncio
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from rich.console import Console

from benchmarks import load
from benchmarks.comparison import compare
from benchmarks.large import hundreds, memories
from benchmarks.operations import OPERATIONS, Operation
from benchmarks.people import Person, patients
from benchmarks.processes import CPU, commit, cpu, machine, others
from benchmarks.report import Section
from benchmarks.server import RunningServer, running
from benchmarks.validation import validation

RESULTS = Path(__file__).with_name("results.md")
COLUMNS = (
    "operation", "answers", "errors", "per second", "p50 ms", "p99 ms",
    "app CPU µs", "database CPU µs", "load CPU µs",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One operation measured; ``load`` is the CPU that the load generator itself used, in seconds."""

    name: str
    measured: load.Measured
    spent: CPU
    load: float
    note: str = ""

    def cells(self) -> tuple[str, ...]:
        measured = self.measured
        per_call = 1e6 / max(measured.count, 1)
        return (
            self.name,
            str(len(measured.latencies)),
            str(sum(measured.errors.values())),
            f"{measured.rate:,.0f}",
            f"{measured.percentile(0.5) * 1000:.1f}",
            f"{measured.percentile(0.99) * 1000:.1f}",
            f"{self.spent.app * per_call:,.0f}",
            f"{self.spent.database * per_call:,.0f}",
            f"{self.load * per_call:,.0f}",
        )


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    everybody = patients(options.seed)
    people = list(islice(everybody, options.size))
    busy, before, start = os.getloadavg()[0], others(), time.monotonic()
    console = Console(width=130)
    sections = []
    with running(options.workers) as server:
        for section in _sections(people, everybody, server, options):
            section.show(console)
            sections.append(section)
    took = time.monotonic() - start
    settings = (
        f"{options.size} people (seed {options.seed}), {options.concurrency} connections, at most "
        f"{options.count} calls and {options.seconds:g} s an operation, {options.workers} server "
        "process(es), embedded engine"
    )
    load_of_others = (
        f"load average {busy:.1f} before; other programs used {(others() - before) / took:.1f} "
        f"of {os.cpu_count()} cores during the {took:.0f} s"
    )
    console.print(f"Machine: {load_of_others}.")
    options.output.write_text(_markdown(sections, settings, load_of_others))
    return 1 if any(section.errors for section in sections) else 0


def _sections(
    people: list[Person], more: Iterator[Person], server: RunningServer, options: argparse.Namespace
) -> Iterator[Section]:
    """``more`` are people who are not loaded yet."""
    yield _operations([_measure(operation, people, server, options) for operation in OPERATIONS])
    yield compare(people, server, options.concurrency, options.rounds, options.round_seconds)
    yield hundreds(more, server, options.seconds)
    yield memories(more, server, options.export_size)
    yield validation()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--size", type=int, default=300, help="how many people (default 300)")
    parser.add_argument("--seed", type=int, default=1, help="which people (default 1)")
    parser.add_argument("--concurrency", type=int, default=16, help="connections (default 16)")
    parser.add_argument("--count", type=int, default=5000, help="most calls of an operation (default 5000)")
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="most seconds of an operation (default 15)"
    )
    parser.add_argument("--workers", type=int, default=1, help="server processes (default 1)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of compared reads (default 5)")
    parser.add_argument("--round-seconds", type=float, default=2.0, help="seconds of a round (default 2)")
    parser.add_argument(
        "--export-size",
        type=float,
        default=20.0,
        help="megabytes that are loaded before the export (default 20)",
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file")
    return parser.parse_args(arguments)


def _measure(
    operation: Operation, people: list[Person], server: RunningServer, options: argparse.Namespace
) -> Row:
    # The calls are made beforehand: their making is not part of what is measured.
    calls = list(operation.calls(people, options.count))
    port = server.mllp_port if operation.exchange is load.Connection.mllp else server.http_port
    before, own, start = cpu(server.pid), time.process_time(), time.perf_counter()
    seconds = math.inf if operation.complete else options.seconds
    measured = asyncio.run(load.run(calls, port, operation.exchange, options.concurrency, seconds))
    own, note = time.process_time() - own, ""
    if port == server.mllp_port:
        # Messages are acknowledged when they are stored; their CPU is counted until they are processed.
        became = server.inbox_when_processed()
        rate = measured.count / (time.perf_counter() - start)
        note = f"{rate:,.0f} messages a second were received and processed: {became}"
    return Row(operation.name, measured, cpu(server.pid).since(before), own, note)


def _operations(rows: list[Row]) -> Section:
    return Section(
        "Operations",
        "CPU is per call, user and system, of the server's processes, the engine's and the load\n"
        "generator's. HL7v2 messages are answered when they are stored; their CPU is counted until they are\n"
        "processed.",
        COLUMNS,
        [row.cells() for row in rows],
        [f"{row.note}." for row in rows if row.note],
        [f"{r.name}: {n} x {error}" for r in rows for error, n in r.measured.errors.items()],
    )


def _markdown(sections: list[Section], settings: str, load_of_others: str) -> str:
    head = (
        "# What is fast, measured",
        "",
        "Written by `python -m benchmarks.run` (`make bench`). Server, engine and load generator share the",
        "cores. Every write is durable before it is answered.",
        "",
        f"- Machine: {machine()}",
        f"- Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; commit {commit()}",
        f"- Settings: {settings}",
        f"- Load: {load_of_others}",
        "",
    )
    return "\n".join((*head, *(section.markdown() for section in sections)))


if __name__ == "__main__":
    raise SystemExit(main())
