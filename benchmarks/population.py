"""A synthetic French population, of any size: the same seed gives the same people.

``python -m benchmarks.population --count 1000 --seed 1 > population.ndjson`` writes one resource per line;
``--bundles`` writes one transaction Bundle per person instead.
"""

import argparse
import sys
from itertools import islice

from benchmarks.messages import adt, oru
from benchmarks.people import Person, patients
from benchmarks.record import record, transaction
from fhirserver.model.json import format as format_json

__all__ = ["Person", "adt", "oru", "patients", "record", "transaction"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.population", description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="how many people (default 100)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other people (default 1)")
    parser.add_argument("--start", type=int, default=0, help="number of the first one (default 0)")
    parser.add_argument("--bundles", action="store_true", help="transaction Bundles, not resources")
    chosen = parser.parse_args(arguments)
    for person in islice(patients(chosen.seed, chosen.start), chosen.count):
        for resource in [transaction(person)] if chosen.bundles else record(person):
            sys.stdout.buffer.write(format_json(resource) + b"\n")


if __name__ == "__main__":
    main()
