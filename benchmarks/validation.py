"""What validation costs: ours next to fhir.resources (R4B) and jsonschema with HL7's own schema, same run.

python -m benchmarks.validation
"""

import gc
import json
import subprocess
import sys
import tarfile
import time
from base64 import b64encode
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import jsonschema
from fhir.resources.R4B import get_fhir_model_class
from rich.console import Console

from benchmarks.codes import Element
from benchmarks.people import patients
from benchmarks.record import record
from benchmarks.report import Section
from fhirserver.model import json as lossless
from fhirserver.model.definitions import PACKAGE, Definitions, load
from fhirserver.validation import Validator

PACKAGES = Path(__file__).parents[1] / "profiles" / "packages"
CACHE = PACKAGES / ".cache"
TYPES = ("Patient", "Immunization", "AllergyIntolerance", "Observation")
DOCUMENT = 100 * 1024
"""Bytes of the content inside of a DocumentReference."""
ROUNDS, SECONDS = 5, 0.15
"""Programs take turns, so that a busy machine is busy for all of them; of their rounds the median counts."""
SLOW = 1e6
SCHEMA = "package/openapi/fhir.schema.json"
COLUMNS = ("resource", "KB", "ours µs", "fhir.resources µs", "jsonschema µs", "ours / fhir.resources")
START = """
import resource, sys, time
from pathlib import Path
begun = time.perf_counter()
from fhirserver.model.definitions import load
from fhirserver.validation import Validator
Validator(load(Path(sys.argv[1]), Path(sys.argv[2])))
print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""

Check = Callable[[], object]


def validation() -> Section:
    """The microseconds of one validation of what is valid."""
    definitions = load(PACKAGES / PACKAGE, CACHE)
    validator, schema = Validator(definitions), _schema()
    rows = [_row(name, body, validator, schema) for name, body in _bodies(definitions).items()]
    seconds, megabytes = _start()
    notes = [
        f"Ready in {seconds:.1f} s (definitions in the cache), {megabytes:.0f} MB resident: "
        "interpreter, definitions of all R4 types, rules."
    ]
    return Section(
        "Validation",
        "Microseconds for one validation of a valid resource that is decoded already; programs take turns.\n"
        "fhir.resources looks at structure; jsonschema at HL7's schema; ours also at codes, references,\n"
        "invariants, extensions, narratives. A Bundle is a collection of 100 resources.",
        COLUMNS,
        rows,
        notes,
    )


def _row(name: str, body: bytes, validator: Validator, schema: Element) -> tuple[str, ...]:
    type = str(json.loads(body)["resourceType"])
    exact, plain = lossless.parse_resource(body), json.loads(body)
    model = get_fhir_model_class(type)
    other = jsonschema.Draft6Validator({**schema, "oneOf": [{"$ref": f"#/definitions/{type}"}]})
    if issues := validator.validate(exact):
        raise ValueError(f"{name} is not valid: {issues[0].text}")
    ours, theirs, schemas = _turns(
        lambda: validator.validate(exact),
        lambda: model.model_validate(plain),
        lambda: list(other.iter_errors(plain)),
    )
    cells = (f"{len(body) / 1024:.1f}", f"{ours:,.0f}", f"{theirs:,.0f}", f"{schemas:,.0f}")
    return (name, *cells, f"{ours / theirs:.2f}")


def _turns(*checks: Check) -> list[float]:
    """The median microseconds of each; what takes a second or more is measured once."""
    once = [_round(check, 0.0) for check in checks]
    gc.collect()
    found: list[list[float]] = [
        [first if first > SLOW else _round(check, SECONDS) for check, first in zip(checks, once, strict=True)]
        for _ in range(ROUNDS)
    ]
    return [median(column) for column in zip(*found, strict=True)]


def _round(check: Check, seconds: float) -> float:
    count, begun, spent = 0, time.process_time(), 0.0
    while spent < seconds or not count:
        check()
        count += 1
        spent = time.process_time() - begun
    return spent / count * 1e6


def _bodies(definitions: Definitions) -> dict[str, bytes]:
    people = list(islice(patients(1), 60))
    resources = [resource for person in people for resource in record(person)]
    found = {}
    for type in TYPES:
        sized = sorted((lossless.format(r) for r in resources if r["resourceType"] == type), key=len)
        found[type] = sized[len(sized) // 2]
    document = next(r for r in resources if r["resourceType"] == "DocumentReference")
    found["DocumentReference, 100 KB inside"] = lossless.format(_with_content(document))
    entries = [{"resource": r} for r in resources if r["resourceType"] != "Binary"][:100]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    found["Bundle of 100"] = lossless.format(bundle)
    return found


def _with_content(document: Element) -> Element:
    content = bytes(range(256)) * (DOCUMENT // 256)
    attachment = {"contentType": "application/pdf", "data": b64encode(content).decode()}
    return {**document, "content": [{**document["content"][0], "attachment": attachment}]}


def _schema() -> Element:
    with tarfile.open(PACKAGES / PACKAGE) as package:
        stream = package.extractfile(SCHEMA)
        assert stream is not None, "the official package has HL7's schema"
        schema: dict[str, Any] = json.load(stream)
    del schema["oneOf"], schema["discriminator"]
    return schema


def _start() -> tuple[float, float]:
    """Seconds and megabytes of a process that does nothing but make a validator."""
    command = [sys.executable, "-c", START, str(PACKAGES / PACKAGE), str(CACHE)]
    seconds, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(megabytes)


if __name__ == "__main__":
    validation().show(Console(width=130))
