"""The runner of the public validator cases, on a directory that is made here."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.validator_cases import Cases, main
from fhirserver.model.definitions import Definitions

PROFILE = {
    "resourceType": "StructureDefinition", "url": "https://example.org/p", "name": "P", "status": "draft",
    "kind": "resource", "abstract": False, "type": "Patient", "derivation": "constraint",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "differential": {"element": [
        {"id": "Patient.gender", "path": "Patient.gender", "min": 1,
         "binding": {"strength": "required", "valueSet": "https://example.org/vs"}}]},
}  # fmt: skip
VALUE_SET = {
    "resourceType": "ValueSet", "url": "https://example.org/vs", "status": "draft",
    "compose": {"include": [{"system": "http://hl7.org/fhir/administrative-gender",
                             "concept": [{"code": "female"}]}]},
}  # fmt: skip
FILES: dict[str, Any] = {
    "good.json": {"resourceType": "Patient", "gender": "female"},
    "bad.json": {"resourceType": "Patient", "gender": "x"},
    "male.json": {"resourceType": "Patient", "gender": "male"},
    "claim.json": {"resourceType": "Claim"},
    "p.json": PROFILE,
    "vs.json": VALUE_SET,
    "outcome.json": {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "value"}]},
}
WITH_PROFILE = {"source": "p.json", "supporting": ["vs.json"]}
CASES: list[dict[str, Any]] = [
    {"name": "good", "file": "good.json", "version": "4.0", "java": {"errorCount": 0}},
    {"name": "bad", "file": "bad.json", "version": "4.0", "java": {"errorCount": 1}, "module": "codes"},
    {"name": "too strict", "file": "bad.json", "version": "4.0", "java": {"errorCount": 0}},
    {"name": "too lax", "file": "good.json", "version": "4.0", "java": "outcome.json"},
    {"name": "an outcome", "file": "bad.json", "version": "4.0", "java": {"outcome": "outcome.json"}},
    {"name": "no JSON", "file": "cut.json", "version": "4.0", "java": {"errorCount": 1}},
    {"name": "p good", "file": "good.json", "version": "4.0", "supporting": ["vs.json"],
     "profile": {**WITH_PROFILE, "java": {"errorCount": 0}}},
    {"name": "p bad", "file": "male.json", "version": "4.0", "java": {"errorCount": 0},
     "profile": {**WITH_PROFILE, "java": {"errorCount": 1}}},
    {"name": "off", "file": "bad.json", "version": "4.0", "use-test": False},
    {"name": "R5", "file": "bad.json", "java": {"errorCount": 0}},
    {"name": "type", "file": "claim.json", "version": "4.0", "java": {"errorCount": 0}},
    {"name": "package", "file": "bad.json", "version": "4.0", "packages": ["x#1"], "java": {}},
    {"name": "format", "file": "bad.ttl", "version": "4.0", "java": {}},
    {"name": "missing", "file": "missing.json", "version": "4.0", "java": {}},
    {"name": "silent", "file": "good.json", "version": "4.0", "firely-sdk-current": {}},
]  # fmt: skip


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    folder = tmp_path / "validator"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(json.dumps(content))
    (folder / "cut.json").write_text('{"resourceType": "Patient"')
    (folder / "manifest.json").write_text(json.dumps({"test-cases": CASES}))
    return tmp_path


def test_tally(directory: Path, definitions: Definitions) -> None:
    tally = Cases(directory, definitions).run()
    assert {category: dict(verdicts) for category, verdicts in tally.verdicts.items()} == {
        "general": {"agreed": 6, "rejected wrongly": 1, "accepted wrongly": 1},
        "codes": {"agreed": 1},
    }
    assert [line.partition(": ")[2].partition(":")[0] for line in tally.differing] == [
        "too strict",
        "too lax",
    ]
    assert dict(tally.left_out) == {
        "switched off": 1, "another FHIR version": 1, "a type that is not served": 1, "needs packages": 1,
        "another format": 1, "the file is missing": 1, "no answer of the official validator": 1,
    }  # fmt: skip


def test_command(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(directory), "--names"]) == 0
    assert "rejected wrongly: too strict: Patient.gender" in capsys.readouterr().out


def test_a_directory_that_is_something_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([str(tmp_path)]) == 2
    assert "is no copy" in capsys.readouterr().err
    monkeypatch.delenv("FHIR_TEST_CASES", raising=False)
    assert main([]) == 2
