"""``fhirserver send`` to a server over the wire."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fhirserver.cli import app
from tests.feeds.messages import adt, message
from tests.live import Live, free_port


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["send", *arguments], env={"COLUMNS": "200"})
    return result.exit_code, re.sub(r"\x1b\[[0-9;]*m", "", result.output)


@pytest.mark.parametrize(
    ("content", "code", "lines"),
    [
        (adt("S1", patient="S"), 0, ["{file}: AA", "MSA|AA|S1"]),
        (
            adt("S2", patient="S") + adt("S3", patient="S"),
            0,
            ["{file} [1]: AA", "{file} [2]: AA", "2 sent, 0"],
        ),
        (adt("S4", patient="S", f15="AL", f16="AL"), 0, ["{file}: CA, AA", "MSA|CA|S4", "MSA|AA|S4"]),
        (adt("S5", patient="S", f15="AL", f16="ER"), 0, ["{file}: CA"]),
        (adt("S6", patient="S", f15="NE", f16="NE"), 0, ["{file}: sent"]),
        (adt("S8", patient="S", f15="ER", f16="AL"), 0, ["{file}: AA"]),
        (adt("S9", patient="S", f15="ER", f16="AL", f12="3.0"), 1, ["{file}: CR"]),
        (adt("S10", patient="S", f15="AL", f16="AL", f12="3.0"), 1, ["{file}: CR"]),
        (message("S7", "ORU^R01"), 1, ["{file}: AE", "1 sent, 1 refused"]),
        (b"hello", 1, ["there is no MSH segment"]),
    ],
)
def test_messages(live: Live, tmp_path: Path, content: bytes, code: int, lines: list[str]) -> None:
    file = tmp_path / "m.hl7"
    file.write_bytes(content)
    found, output = run(f"127.0.0.1:{live.settings.mllp_port}", str(file), "--timeout", "10")
    assert found == code, output
    for line in lines:
        assert line.format(file=file) in output.replace("\n", " ") or line.format(file=file) in output


@pytest.mark.parametrize(
    ("receiver", "text"),
    [("nowhere", "HOST:PORT"), ("127.0.0.1:99999", "HOST:PORT"), ("{closed}", "127.0.0.1")],
)
def test_nobody_there(tmp_path: Path, receiver: str, text: str) -> None:
    file = tmp_path / "m.hl7"
    file.write_bytes(adt("1"))
    code, output = run(receiver.format(closed=f"127.0.0.1:{free_port()}"), str(file), "--timeout", "2")
    assert (code, text in output) == (2, True)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    code, output = run("127.0.0.1:1", str(tmp_path / "none.hl7"))
    assert (code, "There is no" in output) == (2, True)
    bad = tmp_path / "ca.pem"
    bad.write_text("no certificate")
    (tmp_path / "m.hl7").write_bytes(adt("1"))
    code, output = run("127.0.0.1:1", str(tmp_path / "m.hl7"), "--ca", str(bad))
    assert (code, "certificates cannot be used" in output) == (2, True)
