"""How searches grow with the store: ``python -m benchmarks.search DIRECTORY --sizes 1000 16000 64000``.

Measures the stores that ``benchmarks.search_load`` made, each with a server of its own, all at the same time
and in turn, so that what else the machine does falls on all of them; writes ``benchmarks/search.md``.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import HOST, Call, Connection
from benchmarks.operations import BASE
from benchmarks.people import person
from benchmarks.processes import commit, machine
from benchmarks.search_shapes import SHAPES
from benchmarks.server import free_ports, started

RESULTS = Path(__file__).with_name("search.md")
WARM_UP = 2
ENOUGH = 15.0
"""Seconds that the calls of one shape may take."""
GOAL = 1.5


@dataclass(slots=True)
class Measured:
    """A shape at one size in one round: seconds of each answer, the most entries, what went wrong."""

    seconds: list[float] = field(default_factory=list)
    entries: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """Milliseconds; 0 without answers."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[len(ordered) // 2] if ordered else 0.0


Round = list[dict[int, Measured]]
"""For each shape what was measured at each size."""


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    rounds: list[Round] = []
    with contextlib.ExitStack() as stack:
        ports = {size: stack.enter_context(_serving(options.directory / str(size))) for size in options.sizes}
        for number in range(options.rounds):
            if number:
                time.sleep(options.pause)
            rounds.append(asyncio.run(_measure(ports, options, number)))
    options.output.write_text(_markdown(rounds, options))
    return 1 if any(m.errors for found in rounds for row in found for m in row.values()) else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("directory", type=Path, help="where benchmarks.search_load put the stores")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 16000, 64000], help="people")
    parser.add_argument("--seed", type=int, default=1, help="which people (default 1)")
    parser.add_argument("--calls", type=int, default=21, help="calls of each shape (default 21)")
    parser.add_argument("--rounds", type=int, default=2, help="how often all is measured (default 2)")
    parser.add_argument("--pause", type=float, default=60.0, help="seconds between rounds (default 60)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file")
    return parser.parse_args(arguments)


@contextlib.contextmanager
def _serving(store: Path) -> Iterator[int]:
    """A server on a store; its port."""
    port, _ = free_ports()
    program = str(Path(sys.executable).with_name("fhirserver"))
    command = [program, "serve", "--http-port", str(port), "--mllp-port", "-1", "--data-dir", str(store)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIRSERVER_")}
    environment |= {"FHIRSERVER_LOG_LEVEL": "warning", "FHIRSERVER_TEXT_SEARCH": "off"}
    with TemporaryDirectory(prefix="fhirserver-bench-") as folder:
        url = f"http://{HOST}:{port}/fhir/metadata"
        with started(command, environment, Path(folder, "server.log"), url):
            yield port


async def _measure(ports: dict[int, int], options: argparse.Namespace, number: int) -> Round:
    connections = {size: Connection(port) for size, port in ports.items()}
    found: Round = []
    for shape in SHAPES:
        chances = {size: random.Random(f"{shape.name}/{size}/{number}") for size in ports}
        row = {size: Measured() for size in ports}
        for call in range(options.calls + WARM_UP):
            for size, connection in connections.items():
                if sum(row[size].seconds) > ENOUGH or len(row[size].errors) > 2:
                    continue
                someone = person(options.seed, chances[size].randrange(size))
                asked = Call("GET", f"{BASE}/{shape.query(someone)}")
                # While others took long it may have been closed: ask something before the time is taken.
                await _woken(connection)
                start = time.perf_counter()
                wrong = await connection.http(asked)
                took = time.perf_counter() - start
                if wrong:
                    row[size].errors.append(f"{size}: {wrong}: {asked.path[:80]}")
                elif call >= WARM_UP:
                    row[size].seconds.append(took)
                    entries = len(json.loads(connection.body).get("entry", ()))
                    row[size].entries = max(row[size].entries, entries)
        found.append(row)
        times = " ".join(f"{m.p50:8.1f}" for m in row.values())
        wrong = next((m.errors[0] for m in row.values() if m.errors), "")
        print(f"{shape.name:34} {times} ms {wrong}", flush=True)
    for connection in connections.values():
        connection.close()
    return found


async def _woken(connection: Connection) -> None:
    call = Call("GET", f"{BASE}/Patient?_id=nobody&_count=0")
    try:
        await connection.http(call)
    except (OSError, asyncio.IncompleteReadError):
        connection.close()
        await connection.http(call)


def _markdown(rounds: list[Round], options: argparse.Namespace) -> str:
    sizes: list[int] = options.sizes
    first, last = sizes[0], sizes[-1]
    growths = [f"growth {n}" for n in range(1, len(rounds) + 1)] if len(rounds) > 1 else ["growth"]
    lines = [
        "| search | entries | " + " | ".join(f"{size:,}" for size in sizes) + f" | {' | '.join(growths)} |",
        "|---|---:|" + "---:|" * (len(sizes) + len(growths)),
    ]
    within = counted = 0
    for i, shape in enumerate(SHAPES):
        rows = [found[i] for found in rounds]
        medians = {size: Measured([s for row in rows for s in row[size].seconds]).p50 for size in sizes}
        ratios = [row[last].p50 / row[first].p50 if row[first].p50 else 0.0 for row in rows]
        if not shape.grows:
            counted += 1
            within += medians[last] <= GOAL * medians[first]
        cells = [f"{medians[size]:.1f}" for size in sizes] + [f"{ratio:.2f}" for ratio in ratios]
        name = f"{shape.name}{' *' if shape.grows else ''}"
        lines.append(f"| {name} | {rows[-1][last].entries} | {' | '.join(cells)} |")
    wrong = [
        f"- {s.name}: {e}"
        for i, s in enumerate(SHAPES)
        for f in rounds
        for m in f[i].values()
        for e in m.errors
    ]
    return "\n".join(
        (
            "# How searches grow",
            "",
            "Written by `python -m benchmarks.search`: median milliseconds of one search after another,",
            "over HTTP, by the number of people whose records are stored (15 resources each). `growth`: the",
            "last size by the first, in each round; `entries`: the largest answer. Where what is counted",
            "grows with the store, the name has a star.",
            "",
            f"- Machine: {machine()}; commit {commit()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"- {options.calls} calls of each in a round, seed {options.seed}; for each size one server",
            "  process with an embedded engine of its own, asked in turn; `text_search` is off there",
            f"- What else ran: load average {os.getloadavg()[2]:.1f} (the measurement alone: about 1), so",
            "  compare columns, not milliseconds with other tables",
            f"- Goal, p50 at {last:,} at most {GOAL} times that at {first:,}: met by {within} of {counted}",
            "  searches without a star",
            "",
            *lines,
            "",
            "![the same as dots](search.png)",
            "",
            *(["Errors:", "", *wrong[:20], ""] if wrong else []),
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
