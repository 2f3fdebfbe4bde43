from datetime import UTC, datetime, timedelta

import pytest

from fhirserver import search
from fhirserver.search.match import satisfies

DAY = timedelta(days=1)


def matches(indexer: search.Indexer, asked: str, updated: datetime) -> bool:
    name, _, value = asked.partition("=")
    condition = search.compile("Patient", [(name, value)], indexer=indexer).condition
    instant = int(updated.timestamp() * 1_000_000)
    return satisfies(indexer.index({"resourceType": "Patient"}), "1", instant, condition)


@pytest.mark.parametrize(
    ("prefix", "before", "inside", "after"),
    [
        ("", False, True, False),
        ("eq", False, True, False),
        ("ne", True, False, True),
        ("gt", False, False, True),
        ("sa", False, False, True),
        ("lt", True, False, False),
        ("eb", True, False, False),
        ("ge", False, True, True),
        ("le", True, True, False),
    ],
)
def test_the_instant_of_a_version(
    indexer: search.Indexer, prefix: str, before: bool, inside: bool, after: bool
) -> None:
    noon = datetime(2024, 2, 29, 12, tzinfo=UTC)
    found = [
        matches(indexer, f"_lastUpdated={prefix}2024-02-29", day) for day in (noon - DAY, noon, noon + DAY)
    ]
    assert found == [before, inside, after]


@pytest.mark.parametrize(("days", "found"), [(-11, False), (-9, True), (0, True), (9, True), (12, False)])
def test_approximately_is_a_tenth_of_the_time_until_now(
    indexer: search.Indexer, days: int, found: bool
) -> None:
    asked = datetime.now(UTC) - 100 * DAY
    text = asked.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert matches(indexer, f"_lastUpdated=ap{text}", asked + days * DAY) is found


@pytest.mark.parametrize("name", ["_id", "_lastUpdated"])
def test_nothing_is_without_id_and_instant(indexer: search.Indexer, name: str) -> None:
    now = datetime.now(UTC)
    assert matches(indexer, f"{name}:missing=false", now)
    assert not matches(indexer, f"{name}:missing=true", now)
