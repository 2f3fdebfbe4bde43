"""Coarse keys: what is in a range has one of the keys that the range is asked by."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver import search
from fhirserver.search import buckets
from fhirserver.search.match import satisfies
from fhirserver.search.types.number import sortable

DAY = ("2024-05-01T22:00:00.000000", "2024-05-02T22:00:00.000000")


@pytest.mark.parametrize(
    ("entry", "keys"),
    [
        ("family|durand\x1fDurand", ["^family|dur", "^family|duran"]),
        ("given|eva\x1f", ["^given|eva"]),
        ("name|li\x1fLi", []),
        ("address|paris\x1fParis", []),
        ("birthdate|2024", []),
    ],
)
def test_names(entry: str, keys: list[str]) -> None:
    assert list(buckets.of_names([entry])) == keys


@pytest.mark.parametrize(
    ("low", "high", "keys"),
    [
        ("family|du", "family|du\U0010ffff", ()),
        ("family|dur", "family|dur\U0010ffff", ("^family|dur",)),
        ("family|durand", "family|durand\U0010ffff", ("^family|duran",)),
        ("family|durand\x1fDurand", "family|durand\x1fDurand\x01", ("^family|duran",)),
        ("family|", "family}", ()),
        ("family|dur", "family}", ()),
        ("address|paris", "address|paris\U0010ffff", ()),
    ],
)
def test_ranges_of_names(low: str, high: str, keys: tuple[str, ...]) -> None:
    assert buckets.for_name(low, high) == keys


@pytest.mark.parametrize(
    ("low", "high", "keys"),
    [
        (*DAY, ("^date|2024-05-01", "^date|2024-05-02", "^date|wide")),
        ("2024-05-01T00:00:00.000000", "2024-05-02T00:00:00.000000", ("^date|2024-05-01", "^date|wide")),
        (
            "2024-12-01T00:00:00.000000",
            "2025-02-01T00:00:00.000000\x01",
            ("^date|2024-12", "^date|2025-01", "^date|2025-02", "^date|wide"),
        ),
        ("2024-05-01T00:00:00.000000", "2025-05-01T00:00:00.000000", ()),
        ("2024-05-02T00:00:00.000000", "2024-05-01T00:00:00.000000", ()),
        ("", "2024-05-01T00:00:00.000000", ()),
        ("2024-05-01T00:00:00.000000", "", ()),
    ],
)
def test_times(low: str, high: str, keys: tuple[str, ...]) -> None:
    assert buckets.for_times("date", low, high) == keys


def test_a_short_time_is_in_each_of_its_days() -> None:
    assert list(buckets.of_time("date", *DAY)) == [
        *("^date|2024-05-01", "^date|2024-05"),
        *("^date|2024-05-02", "^date|2024-05"),
    ]


numbers = st.decimals(-1000, 10**9, allow_nan=False, allow_infinity=False, places=3) | st.just(0)


@given(numbers, numbers)
def test_what_is_measured(value: Any, limit: Any) -> None:
    front = "@code|1|value-quantity:ucum|g"
    entry, low, high = f"{front}|{sortable(value)}", f"{front}|{sortable(limit)}", f"{front}}}"
    keys, beyond = buckets.for_measured(low, high)
    assert len(keys) <= buckets.MOST + 1
    if keys and beyond and low <= entry < high:
        assert set(keys) & set(buckets.of_measured(entry)) or beyond[0] <= entry < beyond[1]
    if limit > 1:
        assert keys


families = st.sampled_from(["Durand", "Duran", "du Ranch", "Dùr", "Le Dur", "D", "Zoé Durand-Dur"])


@given(st.lists(families, min_size=1, max_size=3), families, st.sampled_from(["", ":exact", ":contains"]))
def test_names_are_found_as_without(
    indexer: search.Indexer, written: list[str], asked: str, modifier: str
) -> None:
    index = indexer.index({"resourceType": "Patient", "name": [{"family": name} for name in written]})
    condition = search.compile("Patient", [(f"family{modifier}", asked)], indexer=indexer).condition
    plain = condition.all[-1] if isinstance(condition, search.query.And) else condition
    assert satisfies(index, "1", 0, condition) is satisfies(index, "1", 0, plain)
