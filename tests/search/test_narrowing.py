"""What follows from several conditions: it is true whenever they are, and it finds less."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirserver import search
from fhirserver.search import narrowing
from fhirserver.search.match import satisfies
from fhirserver.search.query import And, Condition, Everything, Index, Keys, Or, Range
from fhirserver.search.types import date, ordered
from fhirserver.search.types.number import sortable

RECORD: dict[str, Any] = {
    "resourceType": "Observation",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}, {"code": "pas"}]},
    "category": [{"coding": [{"system": "urn:c", "code": "vital|signs"}]}],
    "subject": {"reference": "Patient/1/_history/2"},
    "effectiveDateTime": "2024-05-01",
}


FIVE_TO_SIX = Or(
    (
        Range(f"value-quantity|{sortable(5)}\x01", f"value-quantity|{sortable(6)}"),
        Range("value-quantity:wide|", "value-quantity:wide}"),
    )
)

DAYS = Keys(("^date|2024-05-02", "^date|2024-05-03", "^date|wide"))
BETWEEN = Or(
    (
        Range("date|2024-05-01T21:00:00.000000", "date|2024-05-03T22:00:00.000000"),
        Range("date:wide|", "date:wide}"),
    )
)


def implied(indexer: search.Indexer, asked: str) -> list[Condition]:
    """What a compiled search has besides what was asked."""
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in asked.split("&"))]
    condition = search.compile("Observation", pairs, indexer=indexer).condition
    written = {search.compile("Observation", [pair], indexer=indexer).condition for pair in pairs}
    flat = {part for c in written for part in (c.all if isinstance(c, And) else (c,))}
    return [c for c in condition.all if c not in flat] if isinstance(condition, And) else []


def test_a_record_is_indexed_with_its_patient_in_front(indexer: search.Indexer) -> None:
    index = indexer.index(RECORD)
    assert {key for key in index.keys if key.startswith("@")} == {
        "@Patient/1|code|8480-6",
        "@Patient/1|code|pas",
        "@Patient/1|category|vital\\|signs",
    }
    assert [e for e in index.sorted if e.startswith("@")] == ["@Patient/1|date|2024-04-30T22:00:00.000000"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("patient=1&code=8480-6", [Keys(("@Patient/1|code|8480-6",))]),
        (
            "subject=Patient/1&code=http://loinc.org|8480-6,pas",
            [Keys(("@Patient/1|code|8480-6", "@Patient/1|code|pas"))],
        ),
        (
            "patient=1&date=ge2024-05-02T01:00:00Z",
            [
                Or(
                    (
                        Range("@Patient/1|date|2024-05-01T00:00:00.000000", "@Patient/1|date}"),
                        Range("@Patient/1|date:wide|", "@Patient/1|date:wide}"),
                    )
                )
            ],
        ),
        ("date=ge2024-05-03&date=lt2024-05-04", [DAYS, BETWEEN]),
        ("value-quantity=gt5&value-quantity=lt6", [FIVE_TO_SIX]),
        ("value-quantity=lt6&code=1&value-quantity=gt5", [FIVE_TO_SIX]),
        ("value-quantity=5.5", []),
        ("patient=1", []),
        ("code=8480-6&status=final", []),
        ("patient=1,2&code=8480-6", []),
        ("patient=1&code=http://loinc.org|", []),
        ("subject=Group/1&code=8480-6", []),
        ("date=ge2024", []),
    ],
)  # fmt: skip
def test_what_is_implied(indexer: search.Indexer, asked: str, expected: list[Condition]) -> None:
    assert implied(indexer, asked) == expected


def test_what_is_nested_is_flat(indexer: search.Indexer) -> None:
    patient, code = Keys(("patient|Patient/1",)), Keys(("code|1",))
    together = And((Keys(("@Patient/1|code|1",)), patient, code))
    assert search.narrow((Everything(), And((patient, And((code,)))))) == together
    assert search.narrow(()) == Everything()
    assert search.narrow((Everything(), code)) == code


days = st.integers(1, 28).map(lambda day: f"2024-02-{day:02d}")
times = days | st.tuples(days, st.integers(0, 23)).map(lambda t: f"{t[0]}T{t[1]:02d}:30:00Z")
values = times | st.just("2024-02") | st.tuples(times, times).map(lambda t: tuple(sorted(t)))
prefixes = st.sampled_from(["", "ge", "gt", "le", "lt", "sa", "eb", "ap", "ne"])


@settings(max_examples=400)
@given(st.lists(values, max_size=3), st.lists(st.tuples(prefixes, times), min_size=1, max_size=3))
def test_it_is_implied(indexer: search.Indexer, found: list[Any], asked: list[tuple[str, str]]) -> None:
    """Of any times, those that satisfy the criteria satisfy what follows from them, in a record as well."""
    index = Index(keys=["patient|Patient/1"])
    for value in found:
        if isinstance(value, tuple):
            date.entries(index, "date", "Period", {"start": value[0], "end": value[1]}, indexer.site)
        else:
            date.entries(index, "date", "dateTime", value, indexer.site)
    narrowing.entries(index)
    parameter = indexer.compiled("Observation").compiled["date"]
    criteria = [date.compare(parameter, prefix + value, indexer.site) for prefix, value in asked]
    plain = And((Keys(("patient|Patient/1",)), *criteria))
    expected = satisfies(index, "1", 0, plain)
    assert satisfies(index, "1", 0, search.narrow(plain.all)) is expected
    assert satisfies(index, "1", 0, search.narrow(criteria)) is expected


@given(
    st.lists(st.tuples(st.integers(-3, 9), st.integers(0, 3)), max_size=3),
    st.integers(-3, 9),
    st.integers(-3, 9),
)
def test_numbers_between_two_limits(found: list[tuple[int, int]], low: int, high: int) -> None:
    index = Index()
    for number, width in found:
        ordered.write(index, "n", f"{number + 5:02d}", f"{number + width + 5:02d}")
    narrowing.entries(index)
    criteria = (
        ordered.within("n", high=("$gt", f"{low + 5:02d}")),
        ordered.within("n", low=("$lt", f"{high + 5:02d}")),
    )
    assert satisfies(index, "1", 0, search.narrow(criteria)) is satisfies(index, "1", 0, And(criteria))
