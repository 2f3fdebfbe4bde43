from typing import Any

import pytest
from rich.console import Console

from fhirserver.demo import report
from fhirserver.demo.record import TYPES, Record
from fhirserver.demo.report import Delivery
from fhirserver.demo.samples import Sample


def resource(id: str, version: str) -> dict[str, Any]:
    return {"id": id, "meta": {"versionId": version}}


ONE = Record({"Patient": [resource("a", "1")], "List": [resource("a", "1")]})


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (Record(), ONE, "2 resources created, 0 updated, 0 unchanged."),
        (ONE, ONE, "Nothing changed: all 2 resources are as they were."),
        (
            ONE,
            Record({"Patient": [resource("a", "2")], "List": [resource("a", "1"), resource("b", "1")]}),
            "1 resources created, 1 updated, 1 unchanged.",
        ),
    ],
)
def test_changes(before: Record, after: Record, said: str) -> None:
    console = Console(width=120)
    with console.capture() as printed:
        report.changes(console, before, after)
    assert printed.get().strip() == said


@pytest.mark.parametrize(
    ("held", "status", "as_meant"),
    [
        (False, "processed", True),
        (False, "warnings", True),
        (False, "duplicate", True),
        (False, "held", False),
        (False, "failed", False),
        (True, "held", True),
        (True, "processed", False),
    ],
)
def test_a_delivery_is_as_meant(held: bool, status: str, as_meant: bool) -> None:
    sample = Sample("x.hl7", "mllp", "x", held)
    assert Delivery(sample, "MLLP", "ACK AA", status, [], []).as_meant is as_meant


@pytest.mark.parametrize(
    ("contents", "intact"), [({}, True), ({"a": None, "b": True}, True), ({"a": True, "b": False}, False)]
)
def test_a_record_is_intact_when_no_content_differs(contents: dict[str, bool | None], intact: bool) -> None:
    assert Record({}, contents).intact is intact


def test_markup_in_a_record_is_text() -> None:
    patient = {
        "name": [{"use": "official", "family": "[bold]X[/bold]"}],
        "identifier": [{"value": "1", "system": "urn:a"}],
    }
    console = Console(width=120)
    with console.capture() as printed:
        report.record(console, Record({"Patient": [patient], **{type: [] for type in TYPES}}))
    assert "[bold]X[/bold]" in printed.get()
