"""Measure a feed of ADT messages end to end: ``python -m benchmarks.feed``.

Framed, stored durably, acknowledged, mapped, stored as FHIR: messages of 2 KB about different people over
MLLP, from the first byte to the last status, with the CPU of the server and of the database for each. Writes
``benchmarks/feed.md``.
"""

import argparse
import asyncio
import itertools
import time
from pathlib import Path

from rich.console import Console

from benchmarks.load import Call, Connection, Measured, run
from benchmarks.messages import adt
from benchmarks.people import patients
from benchmarks.processes import commit, cpu, machine, others
from benchmarks.reading import padded
from benchmarks.report import Section
from benchmarks.server import RunningServer, running

RESULTS = Path(__file__).with_name("feed.md")
BYTES = 2000
WARM_UP = 100
SECONDS = 300.0


def send(server: RunningServer, messages: list[bytes], connections: int) -> Measured:
    calls = (Call(body=message) for message in messages)
    return asyncio.run(run(calls, server.mllp_port, Connection.mllp, connections, SECONDS))


def feed(server: RunningServer, messages: list[bytes], connections: int, name: str) -> tuple[str, ...]:
    """A row: what it took to have all messages processed."""
    before, elsewhere, start = cpu(server.pid), others(), time.perf_counter()
    measured = send(server, messages, connections)
    became = server.inbox_when_processed()
    seconds = time.perf_counter() - start
    used = cpu(server.pid).since(before)
    count = len(messages)
    return (
        name,
        str(count),
        f"{measured.rate:,.0f}",
        f"{count / seconds:,.0f}",
        f"{1000 * measured.percentile(0.5):.1f}",
        f"{1000 * measured.percentile(0.99):.1f}",
        f"{1000 * used.app / count:.2f}",
        f"{1000 * used.database / count:.2f}",
        f"{(others() - elsewhere - used.app - used.database) / seconds:.1f}",
        became,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    people = patients(1)
    made = [padded(adt(one), BYTES) for one in itertools.islice(people, WARM_UP + arguments.messages)]
    with running(arguments.workers) as server:
        feed(server, made[:WARM_UP], arguments.connections, "warm-up")
        new = made[WARM_UP:]
        # The same people a second time: other control ids, nothing else is new.
        known = [message.replace(b"|A1-", b"|B1-", 1) for message in new]
        rows = [
            feed(server, new, arguments.connections, "people who are new"),
            feed(server, known, arguments.connections, "the same people again"),
        ]
    about = (
        f"ADT^A01 messages of {len(made[0]):,} bytes from {arguments.connections} connections, "
        f"{arguments.workers} process(es),\nembedded engine. `processed` counts until the last status; "
        "CPU is per message; `others` is the CPU that other programs used meanwhile, in cores."
    )
    titles = ("messages of", "count", "acknowledged/s", "processed/s", "p50 ms", "p99 ms")
    section = Section("ADT end to end", about, (*titles, "app ms", "database ms", "others", "became"), rows)
    text = (
        "# A feed of ADT messages, measured\n\n"
        "Written by `python -m benchmarks.feed`. Server, engine and load generator share the cores.\n\n"
        f"- Machine: {machine()}\n- Commit: {commit()}\n\n{section.markdown()}\n"
    )
    RESULTS.write_text(text)
    Console().print(text, markup=False)


if __name__ == "__main__":
    main()
