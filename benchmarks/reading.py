"""Measure how fast HL7v2 messages are read and mapped: ``python -m benchmarks.reading``.

One process, one core, no server. Each line is the best of some rounds: what the code costs, not what else the
machine does. Writes ``benchmarks/reading.md``.
"""

import argparse
import gc
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.messages import adt, oru
from benchmarks.people import patients
from benchmarks.processes import commit, machine
from benchmarks.report import Section
from fhirserver.feeds.framing import Framer, frame
from mappings.core.result import Mapped
from mappings.core.source import Source
from mappings.hl7v2 import header, read, split, to_bundle

RESULTS = Path(__file__).with_name("reading.md")
SOURCE = Source("bench")
SIZES = (500, 1000, 2000, 4000, 8000)
"""So many OBX have the ORU messages that show how reading grows."""


def padded(message: bytes, size: int) -> bytes:
    """The message with an NTE that makes it so many bytes."""
    rest = size - len(message) - len(b"NTE|1||\r")
    return message + b"NTE|1||" + b"x" * rest + b"\r" if rest > 0 else message


def long_oru(results: int) -> bytes:
    """An ORU^R01 with so many numeric results."""
    start = oru(next(patients(1))).split(b"OBX|", 1)[0].rstrip(b"\r")
    lines = [
        f"OBX|{number}|NM|718-7^Hémoglobine^LN|{number}|{number % 90}.{number % 10}|g/dL^^UCUM|12-16|N"
        "|||F|||202512010815+0100".encode()
        for number in range(1, results + 1)
    ]
    return b"\r".join([start, *lines]) + b"\r"


def best(action: Callable[[], object], rounds: int) -> float:
    """The CPU seconds of the fastest round."""
    gc.collect()
    found = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        found.append(time.process_time() - start)
    return min(found)


def mapped(raw: bytes) -> Mapped:
    return to_bundle(read(raw, SOURCE), SOURCE)


def framed(stream: bytes, part: int) -> int:
    """Take frames and their headers from a stream that comes in parts; how many there were."""
    framer, count = Framer(64 * 1024 * 1024), 0
    for at in range(0, len(stream), part):
        for content in framer.feed(stream[at : at + part]):
            for message in split(content).messages:
                assert header(message).control_id
                count += 1
    return count


def rates(size: int, count: int, rounds: int) -> Section:
    """Messages a second of an ADT of so many bytes."""
    messages = [padded(adt(person), size) for person in itertools.islice(patients(1), count)]
    stream = b"".join(frame(message) for message in messages)
    steps: Sequence[tuple[str, Callable[[], object]]] = (
        ("framing, split and header", lambda: framed(stream, 64 * 1024)),
        ("header", lambda: [header(message) for message in messages]),
        ("read (segments)", lambda: [read(message, SOURCE) for message in messages]),
        ("read and map to a Bundle", lambda: [mapped(message) for message in messages]),
    )
    rows = []
    for name, action in steps:
        seconds = best(action, rounds)
        rows.append((name, f"{count / seconds:,.0f}", f"{1e6 * seconds / count:,.0f}"))
    about = (
        f"ADT^A01 messages of {len(messages[0]):,} bytes, one core, CPU time. The aim is 20,000 a second\n"
        "for framing and header."
    )
    return Section("ADT", about, ("step", "messages/s", "µs each"), rows)


def growth(rounds: int) -> Section:
    """How the time of one message grows with its results."""
    rows = []
    for size in SIZES:
        raw = long_oru(size)
        reading = best(partial(read, raw, SOURCE), rounds)
        mapping = best(partial(mapped, raw), max(rounds // 2, 1))
        rows.append(
            (
                f"{size:,} OBX",
                f"{len(raw) / 1024:,.0f}",
                f"{reading * 1000:.1f}",
                f"{reading / size * 1e6:.2f}",
                f"{mapping * 1000:,.0f}",
                f"{mapping / size * 1e6:.0f}",
            )
        )
    columns = ("message", "KiB", "read ms", "read µs/OBX", "read and map ms", "µs/OBX")
    return Section("ORU by size", "Linear when the time for one OBX stays.", columns, rows)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading", description=__doc__)
    parser.add_argument("--size", type=int, default=2048, help="bytes of an ADT (default 2048)")
    parser.add_argument("--count", type=int, default=2000, help="messages of a round (default 2000)")
    parser.add_argument("--rounds", type=int, default=7, help="rounds, of which the best counts (default 7)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file")
    options = parser.parse_args(arguments)
    sections = [rates(options.size, options.count, options.rounds), growth(options.rounds)]
    console = Console(width=110)
    for section in sections:
        section.show(console)
    head = (
        "# HL7v2: reading and mapping, measured\n\n"
        "Written by `python -m benchmarks.reading`. One process, one core, CPU time, the best round.\n\n"
        f"- Machine: {machine()}\n- Commit {commit()}\n"
    )
    options.output.write_text("\n".join((head, *(section.markdown() for section in sections))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
