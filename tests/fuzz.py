"""Mutate HL7v2 messages and map them: ``python -m tests.fuzz --mutants 100000`` (``make fuzz``).

The samples are the messages of ``tests/cases/hl7v2``. A mutant may be refused or held, with a reason, and
nothing else: every other exception, every mapping that takes more than a second, every Bundle that is not
encodable and every segment that gets lost on reading is a defect; it is written to a file and counted.
Mutants are a function of the seed and their number: ``--seed 7 --only 1234`` makes one again.
"""

import argparse
import random
import resource
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from mappings.core.result import Issue, MappingError
from mappings.core.source import Source
from mappings.hl7v2 import acknowledge, header, read, split, to_bundle
from mappings.hl7v2.charset import decode
from mappings.hl7v2.reader import FRAMING
from mappings.hl7v2.segment import Segment

CASES: Final = Path(__file__).parent / "cases" / "hl7v2"
SOURCE: Final = Source("fuzz")
LIMIT: Final = 1.0
"""So many seconds of CPU may one mutant take."""

NOW: Final = datetime(2024, 3, 18, 10, 15, tzinfo=UTC)
REMARK: Final = Issue("error", "value", "A remark | with ^ delimiters\nand lines", "OBX[2]-5.5")

_BITS: Final = (
    b"", b'""', b"\\", b"\\X", b"\\X0D0A\\", b"\\.sp999999999\\", b"\\.br\\", b"~" * 50, b"^" * 200,
    b"&" * 50, b"|" * 300, b"\r", b"\n", b"\r\n", b"\x0b", b"\x1c\r", b"\x00", b"\xff\xfe", b"\xc3", b"\xe9",
    b"99999999999999999999", b"-1", b"1e999999", b"0.0000000001", b"20240230", b"00000000",
    b"2024031810-9999", b"Base64", b"=" * 9,
    b"%PDF", b"<ClinicalDocument/>", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", b"MSH",
    b"MSH|^~\\&|", b"ED", b"SN", b"NM", b"CWE", b"D", b"A" * 5000, "é\u2028\u0085\ufffd".encode(),
)  # fmt: skip
"""What mutations put in: delimiters, escapes, line ends, control bytes, numbers and times out of range."""

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


@dataclass(slots=True)
class Findings:
    """What became of the mutants."""

    outcomes: Counter[str] = field(default_factory=Counter)
    defects: list[tuple[int, bytes, str]] = field(default_factory=list)
    slowest: float = 0.0
    lost: int = 0


def put_bit(raw: bytearray, chance: random.Random, samples: Sequence[bytes]) -> None:
    at = chance.randrange(len(raw) + 1)
    raw[at : at + chance.choice((0, 0, 1, 3, 12))] = chance.choice(_BITS)


def flip_byte(raw: bytearray, chance: random.Random, samples: Sequence[bytes]) -> None:
    if raw:
        raw[chance.randrange(len(raw))] = chance.randrange(256)


def cut(raw: bytearray, chance: random.Random, samples: Sequence[bytes]) -> None:
    start = chance.randrange(len(raw) + 1)
    del raw[start : start + chance.choice((1, 5, 40, 400))]


def field_of_another(raw: bytearray, chance: random.Random, samples: Sequence[bytes]) -> None:
    """Put one field of another message in the place of one of this."""
    fields, others = bytes(raw).split(b"|"), chance.choice(samples).split(b"|")
    fields[chance.randrange(len(fields))] = chance.choice(others)
    raw[:] = b"|".join(fields)


def segment_elsewhere(raw: bytearray, chance: random.Random, samples: Sequence[bytes]) -> None:
    """Move, repeat or drop a segment, or take one of another message."""
    lines = bytes(raw).split(b"\r")
    line = lines.pop(chance.randrange(len(lines)))
    for _ in range(chance.choice((0, 1, 1, 2, 20))):
        lines.insert(chance.randrange(len(lines) + 1), line)
    if chance.random() < 0.5:
        lines.insert(chance.randrange(len(lines) + 1), chance.choice(chance.choice(samples).split(b"\r")))
    raw[:] = b"\r".join(lines)


def other_event(raw: bytearray, chance: random.Random, samples: Sequence[bytes]) -> None:
    """Give the message the type of another."""
    fields, others = bytes(raw).split(b"|", 9), chance.choice(samples).split(b"|", 9)
    if len(fields) > 9 and len(others) > 9:
        fields[8] = others[8]
    raw[:] = b"|".join(fields)


def other_delimiters(raw: bytearray, chance: random.Random, samples: Sequence[bytes]) -> None:
    used, new = b"|^~&", bytes(chance.sample(range(33, 127), 4))
    raw[:] = bytes(raw).translate(bytes.maketrans(used, new))


MUTATIONS: Final[tuple[Mutation, ...]] = (
    put_bit, put_bit, flip_byte, cut, field_of_another, field_of_another, segment_elsewhere, other_event,
    other_delimiters,
)  # fmt: skip


def samples() -> list[bytes]:
    """The messages of the cases; those with a large document inside are few, so that mutants hit fields."""
    return [path.read_bytes() for path in sorted(CASES.glob("*/message.hl7"))]


def mutant(number: int, seed: int, sources: Sequence[bytes]) -> bytes:
    chance = random.Random(f"{seed}/{number}")
    raw = bytearray(chance.choice(sources))
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        chance.choice(MUTATIONS)(raw, chance, sources)
    return bytes(raw)


def try_one(raw: bytes) -> list[str]:
    """Read and map as a feed does; give the outcome of each message in it.

    Raises:
        Exception: a defect.
    """
    outcomes = []
    for message in split(raw).messages:
        try:
            msh = header(message)
            acknowledge(msh, "AE", [REMARK], control_id="1", now=NOW)
            found = read(message, SOURCE)
            _check_nothing_lost(message, found.segments)
            mapped = to_bundle(found, SOURCE)
        except MappingError as error:
            if not error.issues or not str(error):
                raise AssertionError("refused without a reason") from error
            outcomes.append(type(error).__name__)
        else:
            msgspec.json.encode(mapped.bundle).decode()
            outcomes.append("mapped")
    return outcomes or ["no message"]


def _check_nothing_lost(raw: bytes, segments: Sequence[Segment]) -> None:
    """What was decoded is in the segments, in order; only white space between lines may go."""
    text, _, _ = decode(raw, SOURCE.charset)
    if "".join(text.strip(FRAMING).split()) != "".join("".join(segment.raw for segment in segments).split()):
        raise AssertionError("the segments are not what was sent")


def run(numbers: range, seed: int) -> Findings:
    sources, findings = samples(), Findings()
    for number in numbers:
        raw = mutant(number, seed, sources)
        start = time.process_time()
        try:
            findings.outcomes.update(try_one(raw))
        except Exception:
            findings.defects.append((number, raw, traceback.format_exc(limit=-4)))
        took = time.process_time() - start
        findings.slowest = max(findings.slowest, took)
        if took > LIMIT:
            findings.defects.append((number, raw, f"took {took:.1f} s"))
    return findings


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutants", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="make and try this one mutant")
    parser.add_argument("--defects", type=Path, default=Path(".cache/fuzz"), help="where defects are written")
    options = parser.parse_args()
    numbers = range(options.mutants) if options.only is None else range(options.only, options.only + 1)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    findings = run(numbers, options.seed)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    took = time.monotonic() - start
    print(f"{len(numbers)} mutants in {took:.0f} s: {dict(findings.outcomes.most_common())}")
    print(f"slowest {findings.slowest * 1000:.0f} ms, memory grew by {grown:.0f} MiB")
    for number, raw, text in findings.defects[:20]:
        options.defects.mkdir(parents=True, exist_ok=True)
        (options.defects / f"{options.seed}-{number}.hl7").write_bytes(raw)
        print(f"defect {number}: {text}", file=sys.stderr)
    print(f"{len(findings.defects)} defects")
    return 1 if findings.defects else 0


if __name__ == "__main__":
    sys.exit(main())
