"""Every folder of tests/cases/hl7v2: a message, the Bundle it must become, and what of it is not read."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fhirserver.model.json import stored
from fhirserver.validation import Validator
from mappings.core.effects import Effects
from mappings.core.result import Mapped
from mappings.core.source import Source
from mappings.hl7v2 import read, to_bundle

CASES = sorted((Path(__file__).parents[2] / "cases" / "hl7v2").iterdir())
SOURCE = Source("chu-nord")


def mapped(case: Path) -> Mapped:
    return to_bundle(read((case / "message.hl7").read_bytes(), SOURCE), SOURCE)


def expected(case: Path, name: str) -> Any:
    path = case / f"{name}.json"
    return msgspec.json.decode(path.read_bytes()) if path.exists() else None


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_are_cases() -> None:
    assert len(CASES) >= 110


def test_bundle(case: Path) -> None:
    # As text, because numbers must be as written: 5.10 is not 5.1.
    written = stored((case / "bundle.json").read_bytes())
    assert text(mapped(case).bundle) == text(written)


def text(bundle: Any) -> list[str]:
    encode = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
    return [encode(entry).decode() for entry in bundle.pop("entry", [])] + [encode(bundle).decode()]


def test_remarks(case: Path) -> None:
    result = mapped(case)
    issues = [f"{issue.severity} {issue.code} {issue.location}: {issue.text}" for issue in result.issues]
    cleared = {url: sorted(names) for url, names in result.cleared.items()}
    assert result.unread == expected(case, "unread")
    assert issues == (expected(case, "issues") or [])
    assert cleared == (expected(case, "cleared") or {})
    assert effects(result.effects) == (expected(case, "effects") or {})


def effects(stated: Effects) -> dict[str, Any]:
    """What the message does with what is stored, as the cases have it; what it does not do is left out."""
    every = {
        "assumed": {url: sorted(names) for url, names in stated.assumed.items() if names},
        "withdrawn": stated.withdrawn,
        "movements": {url: [m.action, m.time, m.identifier] for url, m in stated.movements.items()},
        "replaced": stated.replaced,
        "renamed": sorted(stated.renamed),
        "moved": sorted(stated.moved),
        "unlinked": [list(pair) for pair in stated.unlinked],
        "snapshots": [[s.type, s.patient, s.source] for s in stated.snapshots],
    }
    return {name: value for name, value in every.items() if value}


def test_the_bundle_is_valid(case: Path, validator: Validator) -> None:
    bundle = mapped(case).bundle
    errors = [issue for issue in validator.validate(bundle) if issue.severity == "error"]
    assert [issue for issue in errors if not is_left_to_the_stored(issue, bundle)] == []


def is_left_to_the_stored(issue: Any, bundle: Any) -> bool:
    """A change of what must be there (ifMatch) may lack what FHIR requires: that is stored already."""
    position = re.match(r"Bundle\.entry\[(\d+)\]\.resource\.\w+$", issue.expression)
    changes = position and "ifMatch" in bundle["entry"][int(position[1])]["request"]
    return bool(changes) and issue.code == "required"


def test_references_stay_inside(case: Path) -> None:
    """Whatever an entry refers to by URN is an entry of the same Bundle."""
    bundle = mapped(case).bundle
    entries = bundle.get("entry", [])
    urls = {entry["fullUrl"] for entry in entries}
    assert len(urls) == len(entries)
    assert set(references(bundle)) <= urls


def references(value: Any) -> list[str]:
    match value:
        case {"reference": str(url)}:
            return [] if url.startswith("#") else [url]
        case dict():
            return [url for part in value.values() for url in references(part)]
        case list():
            return [url for part in value for url in references(part)]
        case _:
            return []
