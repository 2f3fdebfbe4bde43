"""How searches grow with the store: ``python -m benchmarks.search --sizes 1000 4000``.

Loads the population into a server of its own up to each size, then asks every shape of search for people
spread over all of it, one after the other, and writes ``benchmarks/search.md``.
"""

import argparse
import asyncio
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from urllib.parse import quote

from benchmarks import load
from benchmarks.codes import LOINC, UCUM
from benchmarks.load import Call, Connection
from benchmarks.operations import BASE, transactions
from benchmarks.people import INS_OID, Person, patients, person
from benchmarks.processes import commit, machine
from benchmarks.server import running

RESULTS = Path(__file__).with_name("search.md")
LOADERS = 4
DAY, YEAR = "2025-03-10", "date=ge2024-06&date=lt2025-06"


@dataclass(frozen=True, slots=True)
class Shape:
    """``query`` makes a search from a person; ``grows`` says that its answer, or what is counted, grows."""

    name: str
    query: Callable[[Person], str]
    grows: bool = False


def _about(query: str) -> Callable[[Person], str]:
    """A search with the person's id for ``{id}``."""
    return lambda someone: query.format(id=someone.id)


def _same(query: str) -> Callable[[Person], str]:
    return lambda _: query


PRESSURE, WEIGHT = f"{LOINC}|85354-9", f"{LOINC}|29463-7"


def _person(p: Person) -> str:
    return f"family={quote(p.birth_name)}&given={quote(p.given[0])}&birthdate={p.birth_date}"


def _just_now(_: Person) -> str:
    return f"Patient?_lastUpdated=gt{(datetime.now(UTC) - timedelta(seconds=2)).isoformat()[:19]}Z"


SHAPES = (
    Shape("_id", _about("Patient?_id={id}")),
    Shape("identifier", lambda p: f"Patient?identifier=urn:oid:{INS_OID}|{p.ins}"),
    Shape("identifier without system", lambda p: f"Patient?identifier={p.ins}"),
    Shape("family, given, birthdate", lambda p: f"Patient?{_person(p)}"),
    Shape("name prefix of 3", lambda p: f"Patient?name={quote(p.birth_name[:3])}", grows=True),
    Shape("family exact", lambda p: f"Patient?family:exact={quote(p.birth_name)}", grows=True),
    Shape("birthdate", lambda p: f"Patient?birthdate={p.birth_date}"),
    Shape("newest patients", _same("Patient")),
    Shape("patient", _about("Observation?patient={id}")),
    Shape("patient's documents, sorted", _about("DocumentReference?patient={id}&_sort=-date")),
    Shape("patient, code", _about(f"Observation?patient={{id}}&code={PRESSURE}")),
    Shape("patient, category", _about("Observation?patient={id}&category=laboratory")),
    Shape("patient, dates, sorted", _about(f"Observation?patient={{id}}&{YEAR}&_sort=-date")),
    Shape("patient, type of document", _about("DocumentReference?patient={id}&type=11502-2")),
    Shape("patient, since", _about("Immunization?patient={id}&date=ge2015")),
    Shape("two patients", lambda p: f"Observation?patient={p.id},{person(p.seed, p.index // 2).id}"),
    Shape("common code, newest", _same(f"Observation?code={PRESSURE}")),
    Shape("two common codes, newest", _same(f"Observation?code={PRESSURE},{WEIGHT}")),
    Shape("code$value", _same(f"Observation?code-value-quantity={WEIGHT}$gt0.08|{UCUM}|Mg")),
    Shape("code, rare value", _same(f"Observation?code={WEIGHT}&value-quantity=gt90000|{UCUM}|g")),
    Shape("a day", _same(f"Observation?date={DAY}"), grows=True),
    Shape("a day, a code", _same(f"Observation?date=ge{DAY}&date=lt2025-03-11&code={PRESSURE}"), grows=True),
    Shape("just now", _just_now),
    Shape("gender missing", _same("Patient?gender:missing=true"), grows=True),
    Shape("chain: identifier", lambda p: f"Observation?patient.identifier={p.ins}"),
    Shape("chain: birthdate", lambda p: f"Observation?patient.birthdate={p.birth_date}"),
    Shape("_has, _id", _about(f"Patient?_id={{id}}&_has:Observation:patient:code={PRESSURE}")),
    Shape("_include", _about("Observation?patient={id}&_include=Observation:patient")),
    Shape("_revinclude", _about("Patient?_id={id}&_revinclude=Observation:patient")),
    Shape("total of a record", _about("Observation?patient={id}&_total=accurate&_count=1")),
    Shape("total of a code", _same(f"Observation?code={PRESSURE}&_summary=count"), grows=True),
)  # fmt: skip


@dataclass(slots=True)
class Measured:
    """A shape at one size: seconds of each answer, the most entries, what went wrong."""

    seconds: list[float] = field(default_factory=list)
    entries: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def p50(self) -> float:
        """Milliseconds; 0 without answers."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[len(ordered) // 2] if ordered else 0.0


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    people = patients(options.seed)
    table: dict[int, list[Measured]] = {}
    loaded = 0
    with running(1) as server:
        for size in options.sizes:
            start = time.perf_counter()
            count = _load(islice(people, size - loaded), server.http_port)
            took = time.perf_counter() - start
            print(f"{size} people: {count} more Bundles in {took:.0f} s", flush=True)
            loaded = size
            table[size] = asyncio.run(_measure(server.http_port, size, options))
            for shape, measured in zip(SHAPES, table[size], strict=True):
                wrong = measured.errors[0] if measured.errors else ""
                print(f"  {shape.name:34} {measured.p50:8.1f} ms {measured.entries:5} {wrong}")
    options.output.write_text(_markdown(table, options))
    return 1 if any(m.errors for column in table.values() for m in column) else 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1000, 4000], help="people (default 1000 4000)"
    )
    parser.add_argument("--seed", type=int, default=1, help="which people (default 1)")
    parser.add_argument("--calls", type=int, default=21, help="calls of each shape (default 21)")
    parser.add_argument("--output", type=Path, default=RESULTS, help="results file")
    return parser.parse_args(arguments)


def _load(people: Iterator[Person], port: int) -> int:
    """Store people's records, a stream of transactions of which only a few are held at a time."""
    count = 0
    while group := list(islice(people, 50)):
        calls = list(transactions(group, 0))
        measured = asyncio.run(load.run(calls, port, Connection.http, LOADERS, float("inf")))
        if measured.errors:
            raise RuntimeError(f"the population could not be loaded: {measured.errors}")
        count += len(calls)
    return count


async def _measure(port: int, size: int, options: argparse.Namespace) -> list[Measured]:
    connection = Connection(port)
    found = []
    for shape in SHAPES:
        chance = random.Random(f"{shape.name}/{size}")
        measured = Measured()
        for number in itertools.count():
            if number > options.calls:
                break
            someone = person(options.seed, chance.randrange(size))
            call = Call("GET", f"{BASE}/{shape.query(someone)}")
            start = time.perf_counter()
            wrong = await connection.http(call)
            if wrong:
                measured.errors.append(f"{wrong}: {call.path[:80]}")
            elif number:  # the first one warms up
                measured.seconds.append(time.perf_counter() - start)
                measured.entries = max(measured.entries, len(json.loads(connection.body).get("entry", ())))
        found.append(measured)
    connection.close()
    return found


def _markdown(table: dict[int, list[Measured]], options: argparse.Namespace) -> str:
    sizes = list(table)
    lines = [
        "| search | entries | " + " | ".join(f"{size:,}" for size in sizes) + " | growth |",
        "|---|---:|" + "---:|" * len(sizes) + "---:|",
    ]
    for i, shape in enumerate(SHAPES):
        row = [table[size][i] for size in sizes]
        growth = row[-1].p50 / row[0].p50 if row[0].p50 else 0.0
        times = " | ".join(f"{m.p50:.1f}" for m in row)
        lines.append(
            f"| {shape.name}{' *' if shape.grows else ''} | {row[-1].entries} | {times} | {growth:.1f} |"
        )
    errors = [
        f"- {s.name}: {e}" for i, s in enumerate(SHAPES) for m in table.values() for e in m[i].errors[:1]
    ]
    return "\n".join(
        (
            "# How searches grow",
            "",
            "Written by `python -m benchmarks.search`: median milliseconds of one search after another, over",
            "HTTP, by the number of people whose records are stored. Where the answer, or what has to be",
            "looked at for it, grows with the store, the name has a star. `entries`: the largest answer.",
            "",
            f"- Machine: {machine()}; commit {commit()}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"- {options.calls} calls of each, seed {options.seed}, one server process, embedded engine",
            "",
            *lines,
            "",
            *(["Errors:", "", *errors, ""] if errors else []),
        )
    )


if __name__ == "__main__":
    raise SystemExit(main())
