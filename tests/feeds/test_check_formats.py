"""What ``fhirserver check`` says of files, in its three formats, and its exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fhirserver.cli import app
from fhirserver.feeds.check import Asked, Checker, Finding, Report
from fhirserver.feeds.check_formats import FORMATS, exit_code
from fhirserver.model.definitions import Definitions
from fhirserver.settings import load
from tests.feeds.messages import adt

GOOD = b'{"resourceType": "Patient", "id": "1", "gender": "female"}'
BAD = b'{"resourceType": "Patient", "id": "1",\n "gender": "femal"}'
XML = b'<Patient xmlns="http://hl7.org/fhir">\n  <gender value="femal"/>\n</Patient>'
LINES = GOOD + b"\n\n" + b'{"resourceType": "Patient", "gender": "femal"}\n{\n'
WARNED = b'{"resourceType": "Patient", "id": "1", "meta": {"profile": ["https://example.org/p"]}}'


@pytest.fixture(scope="module")
def checker(definitions: Definitions) -> Checker:
    return Checker(definitions, load({}, {}))


def places(reports: list[Report]) -> list[tuple[str, int, int]]:
    return [(issue.location, issue.line, issue.column) for report in reports for issue in report.issues]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD, []),
        (BAD, [("Patient.gender", 2, 2)]),
        (XML, [("Patient.gender", 2, 3)]),
        (LINES, [("Patient.gender", 3, 29), ("", 0, 0)]),
    ],
)
def test_places(checker: Checker, content: bytes, expected: list[tuple[str, int, int]]) -> None:
    assert places(checker.check_bytes("a", content)) == expected


def test_french_and_profiles(definitions: Definitions) -> None:
    bp = "http://hl7.org/fhir/StructureDefinition/bp"
    checker = Checker(definitions, load({}, {}), asked=Asked("fr", profiles=(bp,)))
    (report,) = checker.check_bytes("a", BAD)
    assert [issue.text.partition(",")[0] for issue in report.issues] == [
        "'femal' n'est pas l'un de female",
        f"le profil {bp} porte sur Observation",
    ]


REPORTS = [
    Report(
        "a.json",
        "a FHIR resource (JSON)",
        "failed",
        ["PUT Patient"],
        [Finding("error", "code-invalid", "not é", "Patient.gender", "code", "https://x.test/", 2, 3)],
        ["PID-9"],
    ),
    Report("b.hl7", "an HL7v2 message", issues=[Finding("warning", "value", "odd", "PID-8")]),
]


def test_text() -> None:
    assert FORMATS["text"](REPORTS).splitlines() == [
        "a.json: a FHIR resource (JSON), would be failed",
        "  PUT Patient",
        "  2:3: error: Patient.gender: not é [code]",
        "  sent and not read: PID-9",
        "b.hl7: an HL7v2 message, would be processed",
        "  warning: PID-8: odd",
    ]


def test_json() -> None:
    first, second = json.loads(FORMATS["json"](REPORTS))
    assert (first["name"], first["status"], first["unread"]) == ("a.json", "failed", ["PID-9"])
    assert first["issues"][0]["line"] == 2
    assert second["issues"][0]["location"] == "PID-8"


def test_sarif() -> None:
    found = json.loads(FORMATS["sarif"](REPORTS))
    (run,) = found["runs"]
    assert (found["version"], run["tool"]["driver"]["name"]) == ("2.1.0", "fhirserver")
    assert run["tool"]["driver"]["rules"] == [
        {"id": "code", "helpUri": "https://x.test/"},
        {"id": "value"},
    ]
    first, second = run["results"]
    assert (first["ruleId"], first["level"], first["message"]) == ("code", "error", {"text": "not é"})
    assert first["locations"] == [
        {
            "physicalLocation": {
                "artifactLocation": {"uri": "a.json"},
                "region": {"startLine": 2, "startColumn": 3},
            },
            "logicalLocations": [{"fullyQualifiedName": "Patient.gender"}],
        }
    ]
    assert "region" not in second["locations"][0]["physicalLocation"]


@pytest.mark.parametrize(
    ("statuses", "strict", "code"),
    [
        (["processed"], False, 0),
        (["processed", "warnings", "unknown"], False, 0),
        (["processed", "warnings"], True, 1),
        (["processed", "failed"], False, 1),
        (["held"], False, 1),
        (["unknown"], False, 2),
        ([], False, 2),
    ],
)
def test_exit_code(statuses: list[str], strict: bool, code: int) -> None:
    assert exit_code([Report("a", "b", status) for status in statuses], strict=strict) == code


@pytest.mark.parametrize(
    ("files", "options", "code"),
    [
        ({"a.json": GOOD, "b/c.hl7": adt("1")}, [], 0),
        ({"a.json": GOOD, "b.json": BAD}, ["--format", "sarif"], 1),
        ({"a.json": WARNED}, [], 0),
        ({"a.json": WARNED}, ["--strict", "--format", "json", "--advice", "--lang", "fr"], 1),
        ({"a.txt": b"x"}, [], 2),
    ],
)
def test_command(tmp_path: Path, files: dict[str, bytes], options: list[str], code: int) -> None:
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    result = CliRunner().invoke(app, ["check", str(tmp_path), *options])
    assert result.exit_code == code, result.output
    if "json" in options or "sarif" in options:
        json.loads(result.output)
