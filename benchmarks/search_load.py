"""Records of synthetic people in a directory, straight into the store: as durable as over HTTP, and faster.

``python -m benchmarks.search_load DIRECTORY --sizes 1000 16000 64000`` fills ``DIRECTORY/64000`` and leaves a
copy at every smaller size. A load that was interrupted goes on where it ended: a group of people is one
transaction, and a group that is there is not written again.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from benchmarks.people import Person, patients
from benchmarks.record import record
from fhirserver.app import open_parts
from fhirserver.errors import Unavailable
from fhirserver.model.json import format as format_json
from fhirserver.server import Server
from fhirserver.settings import load
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.embedded import EmbeddedEngine
from fhirserver.storage.repository import now

GROUP = 20
"""People of one transaction."""
ATTEMPTS = 6
TOGETHER = 4
"""Groups that are on their way at once: they share commits."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search_load", description=__doc__)
    parser.add_argument("directory", type=Path, help="where the stores are, one for each size")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 16000, 64000], help="people")
    parser.add_argument("--seed", type=int, default=1, help="which people (default 1)")
    options = parser.parse_args(arguments)
    fill(options.directory, options.sizes, options.seed)


def fill(directory: Path, sizes: Sequence[int], seed: int) -> None:
    """Load up to the largest size; of every smaller one a copy remains."""
    largest = directory / str(max(sizes))
    for size in sorted(sizes):
        if (directory / str(size) / "complete").exists():
            continue
        engine = EmbeddedEngine(largest)
        engine.start()
        try:
            asyncio.run(_load(engine.uri, size, seed))
        finally:
            engine.stop()
        store = directory / str(size)
        if store != largest:
            shutil.rmtree(store, ignore_errors=True)
            shutil.copytree(largest, store)
        (store / "complete").touch()


async def _load(uri: str, size: int, seed: int) -> None:
    options = {
        "mongodb_uri": uri,
        "embedded": True,
        "mllp_port": -1,
        "log_level": "warning",
        "text_search": "off",
    }
    async with open_parts(load(options, {}), listen=False) as parts:
        start, begun = await _missing(parts.server, size, seed), time.perf_counter()
        people = patients(seed, start)
        done = start
        while done < size:
            groups: list[list[Person]] = []
            while done < size and len(groups) < TOGETHER:
                groups.append(list(islice(people, min(GROUP, size - done))))
                done += len(groups[-1])
            await asyncio.gather(*(_write(parts.server, group) for group in groups))
            if done % 1000 < GROUP * TOGETHER or done == size:
                rate = (done - start) / (time.perf_counter() - begun)
                sys.stderr.write(f"{done} of {size} people, {rate:.0f} a second\n")


async def _missing(server: Server, size: int, seed: int) -> int:
    """The first person who is not there, where a group begins; those after are not there either."""
    low, high = 0, -(-size // GROUP)
    while low < high:
        middle = (low + high) // 2
        person = next(patients(seed, middle * GROUP))
        if await server.repository.find("Patient", person.id) is None:
            high = middle
        else:
            low = middle + 1
    # Of the groups that were written together some may be there and others not.
    return max(0, low - TOGETHER) * GROUP


async def _write(server: Server, people: list[Person]) -> None:
    for patience in range(ATTEMPTS):
        try:
            if await server.repository.find("Patient", people[0].id) is None:
                versions = [_first(resource) for person in people for resource in record(person)]
                await server.repository.write([(version, None) for version in versions])
            return
        except Unavailable:
            # A busy machine: the engine did not answer in time.
            await asyncio.sleep(2**patience)
    raise RuntimeError("the engine does not take the records")


def _first(resource: dict[str, object]) -> Stored:
    """The first version, as an update that creates stores it."""
    updated = now()
    kind, id = str(resource["resourceType"]), str(resource["id"])
    meta = {"versionId": "1", "lastUpdated": instant(updated)}
    body = format_json({"resourceType": kind, "id": id, "meta": meta, **resource})
    return Stored(kind, id, 1, updated, "PUT", body)


if __name__ == "__main__":
    main()
