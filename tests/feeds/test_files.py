"""Files and folders through the inbox, and what ``check`` says of them without one."""

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fhirserver.feeds.check import Checker
from fhirserver.feeds.definition import parse
from fhirserver.feeds.files import Import, import_paths
from fhirserver.model import json
from fhirserver.model.definitions import Definitions
from fhirserver.settings import load
from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, adt, cda, message

PATIENT = {"resourceType": "Patient", "id": "f1", "gender": "female"}
TRANSACTION = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [{"resource": {"resourceType": "Patient"}, "request": {"method": "POST", "url": "Patient"}}],
}


def zipped(**files: bytes) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return raw.getvalue()


FILES: list[tuple[str, bytes, str, dict[str, int]]] = [
    ("a.hl7", adt("1"), "processed", {"Patient": 1}),
    ("batch.hl7", adt("1", patient="A") + adt("2", patient="B"), "processed", {"Patient": 2}),
    ("cut.hl7", b"PID|1", "failed", {}),
    ("held.hl7", message("1", "ZZZ^Z01"), "held", {}),
    ("mixed.hl7", adt("1") + message("2", "ZZZ^Z01"), "held", {"Patient": 1}),
    ("a.xml", cda("1"), "processed", {"Patient": 1, "DocumentReference": 1}),
    (
        "files.zip",
        zipped(a=adt("1"), b=cda("1"), c=b"%PDF"),
        "processed",
        {"Patient": 1, "DocumentReference": 1},
    ),
    ("one.json", json.format(PATIENT), "processed", {"Patient": 1}),
    ("without-id.json", json.format({"resourceType": "Patient"}), "processed", {"Patient": 1}),
    ("bad.json", json.format({**PATIENT, "gender": "x"}), "failed", {}),
    ("transaction.json", json.format(TRANSACTION), "processed", {"Patient": 1}),
    (
        "collection.json",
        json.format({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT}]}),
        "processed",
        {"Patient": 1},
    ),
    ("empty.json", b'{"resourceType":"Bundle","type":"collection"}', "failed", {}),
    (
        "lines.ndjson",
        b"\n".join(json.format({**PATIENT, "id": f"n{n}"}) for n in range(450)),
        "processed",
        {},
    ),
    (
        "some.ndjson",
        json.format(PATIENT) + b"\n" + json.format({**PATIENT, "id": "f2", "gender": "x"}) + b"\n",
        "warnings",
        {"Patient": 1},
    ),
    (
        "one.xml",
        b'<Patient xmlns="http://hl7.org/fhir"><id value="x1"/></Patient>',
        "processed",
        {"Patient": 1},
    ),
    ("read.me", b"%PDF", "unknown", {}),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("name", "content", "status", "stored"), FILES, ids=[f[0] for f in FILES])
async def test_import(
    feed: Feed, tmp_path: Path, name: str, content: bytes, status: str, stored: dict[str, int]
) -> None:
    (tmp_path / name).write_bytes(content)
    for expected in (status, "duplicate" if status in ("processed", "warnings") else status):
        summary = await Import(feed.receiver, lambda _: None).run([tmp_path])
        assert [file.status for file in summary.files] == [expected], summary.files[0].reasons
        for type, count in stored.items():
            assert len(await feed.search(type)) == count
    assert bool(summary.files[0].reasons) is (status in ("held", "failed"))


@pytest.mark.anyio
async def test_import_of_a_folder(feed: Feed, tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "inner" / "a.hl7").write_bytes(adt("1"))
    (tmp_path / "b.hl7").write_bytes(message("2", "ZZZ^Z01"))
    (tmp_path / "c.pdf").write_bytes(b"%PDF")
    (tmp_path / ".hidden" / "d.hl7").write_bytes(adt("3"))
    output = io.StringIO()
    assert await import_paths([tmp_path], feed.receiver, Console(file=output)) == 1
    text = output.getvalue()
    assert "2 files: 1 processed, 1 held" in text
    assert "b.hl7: There is no mapping for ZZZ^Z01 (MSH-9)" in text
    assert "c.pdf" in text
    assert "hidden" not in text


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("files", "code"),
    [({"a.hl7": adt("1")}, 0), ({"a.hl7": b"x"}, 1), ({"a.txt": b"x"}, 2), ({}, 2)],
)
async def test_exit_code_of_an_import(feed: Feed, tmp_path: Path, files: dict[str, bytes], code: int) -> None:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    assert await import_paths([tmp_path], feed.receiver, Console(file=io.StringIO())) == code


@pytest.fixture(scope="module")
def checker(definitions: Definitions) -> Checker:
    return Checker(definitions, load({}, {}))


@pytest.mark.parametrize(
    ("name", "content", "status"), [(name, content, status) for name, content, status, _ in FILES]
)
def test_check_says_what_import_does(checker: Checker, name: str, content: bytes, status: str) -> None:
    """Only NDJSON differs: there, one bad line among good ones is a warning when it is taken in."""
    reports = [report for report in checker.check_bytes(name, content) if report.status != "unknown"]
    order = ("processed", "warnings", "held", "failed")
    worst = max((report.status for report in reports), key=order.index, default="unknown")
    expected = {"some.ndjson": "failed", "empty.json": "processed", "cut.hl7": "unknown"}.get(name, status)
    assert worst == expected, reports


@pytest.mark.parametrize(
    ("application", "defined", "status"),
    [
        ("LAB", {}, "processed"),
        ("LAB", {"structure": "warn"}, "warnings"),
        ("LAB", {"structure": "refuse"}, "failed"),
        ("ELSE", {"structure": "refuse"}, "processed"),
    ],
)
def test_check_maps_as_the_source_is_defined(
    definitions: Definitions, application: str, defined: dict[str, Any], status: str
) -> None:
    lab = parse("lab", {"match": {"application": application, "ports": [2576]}, **defined})
    checker = Checker(definitions, load({}, {}), sources={"lab": lab})
    pid = f"PID||P1^^^&{OID}&ISO^PI|||MARTIN^Ada^^^^^L"
    (report,) = checker.check_bytes("a", message("1", "ADT^A08^ADT_A01", f"EVN||20260301080000\r{pid}"))
    assert (report.status, report.what.endswith(" of the source lab")) == (status, application == "LAB")


def test_check_reports_entries_issues_and_unread_fields(checker: Checker) -> None:
    (report,) = checker.check_bytes("a", adt("1", pid="||19790101|Q" + "|" * 30 + "X"))
    assert report.what == "an HL7v2 message ADT^A08"
    assert "PUT Patient" in report.entries
    assert any(issue.location == "PID-8" for issue in report.issues)
    assert "PID-38" in report.unread
