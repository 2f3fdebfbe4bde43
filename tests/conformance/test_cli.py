"""``python -m conformance``: what it prints and writes, and how it ends."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from conformance.cli import main
from fhirserver.model.json import parse_resource
from fhirserver.validation import Validator
from tests.conformance import tiny
from tests.conformance.tiny import serving

ROOT = Path(__file__).parents[2]


def test_a_pass_is_0_and_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as base_url:
        assert main(["--base-url", base_url, "--area", "read", "--area", "create"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{base_url} tiny"
    passed = next(line for line in lines if "What was deleted is 410" in line)
    assert re.split(r"\s{2,}", passed.strip()) == ["pass", "1/1", "What was deleted is 410", "http.html#read"]
    assert [line for line in lines if line and line[0] != " "][1:3] == ["read", "create"]
    assert lines[-1].startswith("9 checks, 9 cases: 8 pass, 0 fail, 1 warn")


def test_a_failure_is_1_and_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with serving("deleted is 404") as base_url:
        assert main(["--base-url", base_url, "--area", "read"]) == 1
    assert "expected 410, got 404" in capsys.readouterr().out


def test_what_is_not_claimed_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as base_url:
        assert main(["--base-url", base_url, "--area", "transaction"]) == 0
    assert " 0 cases: 0 pass, 0 fail, 0 warn (a SHOULD), 9 not claimed" in capsys.readouterr().out


def test_claims_without_a_check_are_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed = json.loads(json.dumps(tiny.STATEMENT))
    claimed["rest"][0]["operation"] = [{"name": "levitate", "definition": "http://x.test"}]
    monkeypatch.setattr(tiny, "STATEMENT", claimed)
    with serving() as base_url:
        main(["--base-url", base_url, "--type", "Patient"])
    assert "claimed, but not checked: $levitate" in capsys.readouterr().out


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        ({"resourceType": "Patient"}, "is no CapabilityStatement (status 200"),
        ({"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"}, "says fhirVersion 5.0.0"),
        ({"resourceType": "CapabilityStatement"}, "says fhirVersion (none)"),
        ({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": [{}]}, "cannot be read"),
        ([], "is no CapabilityStatement"),
    ],
)
def test_no_r4_server_is_2(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, statement: Any, text: str
) -> None:
    monkeypatch.setattr(tiny, "STATEMENT", statement)
    with serving() as base_url:
        assert main(["--base-url", base_url]) == 2
    assert text in capsys.readouterr().err


def test_nobody_there_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--base-url", f"http://127.0.0.1:{free_port()}/fhir"]) == 2
    assert "cannot be reached: ConnectionRefusedError" in capsys.readouterr().err


def test_a_type_that_is_not_served_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as base_url:
        assert main(["--base-url", base_url, "--type", "Claim"]) == 2
    assert "Claim is not served; served are Patient" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--base-url", "localhost:8080"], "is not an http or https URL"),
        (["--base-url", "http://x.test", "--area", "levitation"], "invalid choice: 'levitation'"),
        (["--base-url", "http://x.test", "--header", "nonsense"], "is not a header"),
        ([], "--base-url"),
    ],
)
def test_wrong_arguments_are_2(capsys: pytest.CaptureFixture[str], arguments: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert text in capsys.readouterr().err


def test_json_has_every_case(capsys: pytest.CaptureFixture[str]) -> None:
    with serving("deleted is 404") as base_url:
        main(["--base-url", base_url, "--area", "read", "--json"])
    found = json.loads(capsys.readouterr().out)
    (failed,) = [each for each in found["results"] if each["status"] == "fail"]
    assert (failed["title"], failed["case"]) == ("What was deleted is 410", "Patient")
    assert failed["specification"] == "https://hl7.org/fhir/R4/http.html#read"
    assert found["baseUrl"] == base_url


def test_the_report_is_a_valid_test_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, validator: Validator
) -> None:
    file = tmp_path / "report.json"
    with serving("deleted is 404") as base_url:
        arguments = ["--area", "read", "--area", "transaction", "--area", "create"]
        main(["--base-url", base_url, *arguments, "--report", str(file)])
    report = parse_resource(file.read_bytes())
    assert [issue for issue in validator.validate(report) if issue.severity in ("error", "fatal")] == []
    assert (report["result"], report["participant"][0]["uri"]) == ("fail", base_url)
    results = {test["name"]: test["action"][0]["assert"]["result"] for test in report["test"]}
    assert results["read: What was deleted is 410"] == "fail"
    assert results["read: What never was is 404"] == "pass"
    assert results["transaction: The same resource twice fails"] == "skip"
    assert float(report["score"]) == pytest.approx(100 * 8 / 9, abs=0.01)


def test_it_runs_where_only_python_is() -> None:
    """No site-packages: the standard library is enough."""
    with serving() as base_url:
        done = subprocess.run(
            [sys.executable, "-S", "-m", "conformance", "--base-url", base_url, "--area", "read"],
            cwd=ROOT,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert "0 fail" in done.stdout


def test_the_token_and_headers_go_with_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = set()

    def route(self: tiny.Handler, path: list[str]) -> None:
        seen.add((self.headers.get("authorization"), self.headers.get("x-key")))
        original(self, path)

    original = tiny.Handler.route
    monkeypatch.setattr(tiny.Handler, "route", route)
    with serving() as base_url:
        main(["--base-url", base_url, "--area", "read", "--token", "secret", "--header", "X-Key: value"])
    assert seen == {("Bearer secret", "value")}
