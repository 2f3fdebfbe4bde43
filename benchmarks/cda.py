"""Measure how many CDA documents a second come in: ``python -m benchmarks.cda``.

Posted to ``/feeds/cda``, stored durably, mapped, stored as FHIR, answered: 300 KB of level 1 with a PDF,
100 KB of level 3 with measures, results and problems. France's peak is 80 a second. Writes
``benchmarks/cda.md``.
"""

import argparse
import asyncio
import itertools
import math
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks.cda_documents import level_1, level_3
from benchmarks.load import Call, Connection, run
from benchmarks.people import Person, patients
from benchmarks.processes import commit, cpu, forget_peaks, machine, memory, others
from benchmarks.report import Section
from benchmarks.server import RunningServer, running

RESULTS = Path(__file__).with_name("cda.md")
KINDS: tuple[tuple[str, Callable[[Person, int, int], bytes], int], ...] = (
    ("level 1", level_1, 300_000),
    ("level 3", level_3, 100_000),
)
PEOPLE = 200
WARM_UP = 40
XML = (("Content-Type", "text/xml"),)


def measure(server: RunningServer, name: str, documents: list[bytes], connections: int) -> tuple[str, ...]:
    """A row: what it took to have all documents stored and answered."""
    calls = [Call("POST", "/feeds/cda", document, XML) for document in documents]
    forget_peaks(server.pid)
    before, memory_before, elsewhere = cpu(server.pid), memory(server.pid), others()
    start = time.perf_counter()
    measured = asyncio.run(run(calls, server.http_port, Connection.http, connections, math.inf))
    became = server.inbox_when_processed()
    seconds = time.perf_counter() - start
    used, after = cpu(server.pid).since(before), memory(server.pid)
    count = len(documents)
    return (
        name,
        f"{len(documents[0]) // 1000} KB",
        str(count),
        str(sum(measured.errors.values())),
        f"{count / seconds:,.0f}",
        f"{1000 * measured.percentile(0.5):,.0f}",
        f"{1000 * used.app / count:.1f}",
        f"{1000 * used.database / count:.1f}",
        f"{memory_before.app:,.0f}",
        f"{after.app_peak:,.0f}",
        f"{(others() - elsewhere - used.app - used.database) / seconds:.1f}",
        became,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=600)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    people = list(itertools.islice(patients(1), PEOPLE))
    numbers = itertools.count(1)

    def made(make: Callable[[Person, int, int], bytes], size: int, count: int) -> list[bytes]:
        return [make(people[number % PEOPLE], number, size) for number in itertools.islice(numbers, count)]

    rows = []
    with running(arguments.workers) as server:
        for _, make, size in KINDS:
            measure(server, "warm-up", made(make, size, WARM_UP), arguments.connections)
        for name, make, size in KINDS:
            documents = made(make, size, arguments.documents)
            rows.append(measure(server, name, documents, arguments.connections))
    about = (
        f"From {arguments.connections} connections, {arguments.workers} server process(es), embedded engine; "
        f"{PEOPLE} people.\nAnswered when all of it is stored. CPU is per document, memory in MiB; `others` "
        "is the CPU that other\nprograms, the load generator among them, used meanwhile, in cores."
    )
    titles = ("documents of", "size", "count", "errors", "a second", "p50 ms", "app ms", "database ms")
    section = Section("Documents", about, (*titles, "memory before", "peak", "others", "became"), rows)
    text = (
        "# CDA documents, measured\n\n"
        "Written by `python -m benchmarks.cda`. Server, engine and load generator share the cores. The goal\n"
        "is 80 documents a second on 2 cores, and memory that stays flat.\n\n"
        f"- Machine: {machine()}\n- Commit: {commit()}\n\n{section.markdown()}\n"
    )
    RESULTS.write_text(text)
    Console(width=150).print(text, markup=False)


if __name__ == "__main__":
    main()
