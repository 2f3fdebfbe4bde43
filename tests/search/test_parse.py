import re
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import BadRequest, FHIRError, TooCostly, TypeNotServed, UnknownParameter
from fhirserver.search.query import (
    And,
    Condition,
    Everything,
    Ids,
    KeyRange,
    Keys,
    Not,
    Nothing,
    Or,
    Query,
    Range,
    Sort,
    Updated,
)


def compiled(indexer: search.Indexer, asked: str, *, type: str = "Patient", lenient: bool = False) -> Query:
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in asked.split("&") if p)]
    options: dict[str, Any] = {"lenient": lenient, "default_count": 20, "max_count": 100, "contained": True}
    return search.compile(type, pairs, indexer=indexer, **options)


@pytest.mark.parametrize(
    ("asked", "condition"),
    [
        ("", Everything()),
        ("_id=1", Ids(("1",))),
        ("_id=1,2", Or((Ids(("1",)), Ids(("2",))))),
        ("_id:not=1", Not(Ids(("1",)))),
        ("_id=a/b", Nothing()),
        ("gender=male", Keys(("gender|male",))),
        ("gender=male,female,male", Keys(("gender|male", "gender|female"))),
        ("gender=male,", Keys(("gender|male",))),
        ("gender=", Everything()),
        ("gender:not=male,female", Not(Keys(("gender|male", "gender|female")))),
        ("gender=male&gender=female", And((Keys(("gender|male",)), Keys(("gender|female",))))),
        ("_tag=1,u|", Or((Keys(("_tag|1",)), KeyRange("_tag|u|", "_tag|u}")))),
        ("gender=http://x|a,male", Keys(("gender|male",))),
        ("family:missing=true", Not(Range("family|", "family}"))),
        ("gender:missing=false", KeyRange("gender|", "gender}")),
        ("general-practitioner:Practitioner=1", Keys(("general-practitioner|Practitioner/1",))),
        ("_format=json&_pretty=true&gender=male", Keys(("gender|male",))),
        # 2024 in Paris begins at 23:00 UTC.
        ("_lastUpdated=2024", Updated(1704063600000000, 1735686000000000)),
        ("_lastUpdated=ne2024", Not(Updated(1704063600000000, 1735686000000000))),
        ("_lastUpdated=gt2024", Updated(low=1735686000000000)),
        ("_lastUpdated=sa2024", Updated(low=1735686000000000)),
        ("_lastUpdated=ge2024", Updated(low=1704063600000000)),
        ("_lastUpdated=lt2024", Updated(high=1704063600000000)),
        ("_lastUpdated=eb2024", Updated(high=1704063600000000)),
        ("_lastUpdated=le2024", Updated(high=1735686000000000)),
        ("_lastUpdated=lt1970-01-01T00:00:00Z", Updated(high=0)),
    ],
)  # fmt: skip
def test_condition(indexer: search.Indexer, asked: str, condition: Condition) -> None:
    assert compiled(indexer, asked).condition == condition


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", {}),
        ("_count=5", {"count": 5}),
        ("_count=0", {"count": 0}),
        ("_count=100000", {"count": 100}),
        ("_sort=-birthdate,family", {"sort": (Sort("birthdate", True), Sort("family"))}),
        ("_sort=_id,-_lastUpdated", {"sort": (Sort("_id"), Sort("_lastUpdated", True))}),
        ("_total=accurate", {"total": "accurate"}),
        ("_summary=count", {}),
        ("_elements=name", {}),
        ("_contained=both", {"contained": "both"}),
        ("_contained=false", {}),
        ("_containedType=contained", {"shows_contained": True}),
        ("_containedType=container", {}),
    ],
)
def test_how_the_result_is_given(indexer: search.Indexer, asked: str, expected: dict[str, Any]) -> None:
    name, _, value = asked.partition("=")
    parameters = ((name, value),) if asked else ()
    wanted = Query("Patient", Everything(), **{"count": 20, "parameters": parameters, **expected})
    assert compiled(indexer, asked) == wanted


def test_sort_can_be_repeated_for_the_inner_orders(indexer: search.Indexer) -> None:
    assert compiled(indexer, "_sort=family&_sort=-_id").sort == (Sort("family"), Sort("_id", True))


def test_a_combination_asks_the_parameters_that_make_it_up(indexer: search.Indexer) -> None:
    either = Keys(("code|1", "component-code|1"))
    assert compiled(indexer, "combo-code=1", type="Observation").condition == either
    assert compiled(indexer, "combo-code:not=1", type="Observation").condition == Not(either)
    present = Or((KeyRange("code|", "code}"), KeyRange("component-code|", "component-code}")))
    assert compiled(indexer, "combo-code:missing=true", type="Observation").condition == Not(present)
    with pytest.raises(UnknownParameter, match=re.escape("combo-code (token) has no modifier ':exact'")):
        compiled(indexer, "combo-code:exact=x", type="Observation")


def test_the_parameters_that_were_understood_are_kept_in_order(indexer: search.Indexer) -> None:
    query = compiled(indexer, "gender=male&_sort=family&family=&family=dur&_format=json&gender:not=other")
    assert query.parameters == (
        ("gender", "male"),
        ("_sort", "family"),
        ("family", "dur"),
        ("gender:not", "other"),
    )


@pytest.mark.parametrize(
    ("asked", "error", "reason"),
    [
        # Unknown parameters: the known ones, and the nearest.
        ("nam=x", UnknownParameter, "Did you mean name? Known are _contained, _containedType, _content"),
        ("Name=x", UnknownParameter, "Did you mean name?"),
        ("nom=", UnknownParameter, "no search parameter 'nom'"),
        ("x=1", UnknownParameter, "Known are"),
        ("code=1", UnknownParameter, "Patient has no search parameter 'code'"),
        ("=1", UnknownParameter, "no search parameter ''"),
        ("_text=x", BadRequest, "no word to search for"),
        ("_content:exact=x", UnknownParameter, "it has no modifiers"),
        ("_filter=x", BadRequest, "path operator value"),
        ("_filter:x=x", UnknownParameter, "_filter cannot be searched"),
        ("_query=x", UnknownParameter, "no named query"),
        ("_contained=yes", BadRequest, "not one of false, true, both"),
        ("_containedType=x", BadRequest, "not one of container, contained"),
        ("_type=Patient", UnknownParameter, "not supported yet"),
        # Unknown modifiers.
        ("name:foo=x", UnknownParameter, "has no modifier ':foo'; known are :contains, :exact, :missing"),
        ("name:=x", UnknownParameter, "has no modifier ':'"),
        ("gender:exact=x", UnknownParameter, ":below, :above, :in, :not-in, :missing"),
        ("gender:exact=x", UnknownParameter, "has no modifier"),
        ("birthdate:not=2000", UnknownParameter, "known are :missing"),
        ("_id:exact=1", UnknownParameter, "known are :not, :missing"),
        ("_lastUpdated:missing=no", BadRequest, "is not true or false"),
        ("name:not=x", UnknownParameter, "has no modifier"),
        # Malformed values.
        ("birthdate=hier", BadRequest, "birthdate: 'hier' has an unknown prefix"),
        ("gender=,", BadRequest, "gender has no value"),
        ("gender:missing=", None, ""),
        ("gender:missing=1", BadRequest, "not true or false"),
        ("gender=a\0", BadRequest, "NUL"),
        ("gender=\ud800", BadRequest, "surrogate"),
        ("gen\0der=a", BadRequest, "NUL"),
        ("_count=-1", BadRequest, "not a whole number"),
        ("_count=dix", BadRequest, "not a whole number"),
        ("_count=1&_count=2", BadRequest, "more than once"),
        ("_sort=nom", BadRequest, "cannot be sorted by 'nom'"),
        ("_sort=famly", BadRequest, "Did you mean family?"),
        ("_sort=--family", BadRequest, "cannot be sorted"),
        ("_total=all", BadRequest, "not one of none, estimate, accurate"),
        # Too much.
        ("gender=" + "m," * 10_000, TooCostly, "10000 values"),
        ("gender=" + "m" * 65_537, TooCostly, "longer than 65536"),
    ],
)  # fmt: skip
def test_refused(indexer: search.Indexer, asked: str, error: type[FHIRError] | None, reason: str) -> None:
    if error is None:
        assert compiled(indexer, asked).condition == Everything()
        return
    with pytest.raises(error, match=re.escape(reason)) as raised:
        compiled(indexer, asked)
    assert raised.value.__class__ is error


def test_many_values_are_one_set_of_keys(indexer: search.Indexer) -> None:
    query = compiled(indexer, "identifier=" + ",".join(map(str, range(9_999))))
    assert isinstance(query.condition, Keys)
    assert len(query.condition.keys) == 9_999


@pytest.mark.parametrize("asked", ["nom=x", "_type=Patient", "general-practitioner.nom=x", "_has:A:b:c=1"])
def test_lenient_leaves_out_what_it_does_not_know(indexer: search.Indexer, asked: str) -> None:
    query = compiled(indexer, f"{asked}&gender=male", lenient=True)
    name, _, value = asked.partition("=")
    assert query.ignored == ((name, value),)
    assert query.parameters == (("gender", "male"),)
    assert query.condition == Keys(("gender|male",))


@pytest.mark.parametrize("asked", ["name:foo=x", "birthdate=hier", "_query=x", "_count=x", "_sort=nom"])
def test_lenient_is_no_licence(indexer: search.Indexer, asked: str) -> None:
    with pytest.raises(BadRequest):
        compiled(indexer, asked, lenient=True)


def test_unknown_types_are_not_served(indexer: search.Indexer) -> None:
    with pytest.raises(TypeNotServed, match="'Patiente'"):
        compiled(indexer, "", type="Patiente")


@pytest.mark.parametrize("value", ["x" * 60_000, "é" * 10_000])
def test_an_error_quotes_long_values_cut_short(indexer: search.Indexer, value: str) -> None:
    with pytest.raises(BadRequest) as raised:
        compiled(indexer, f"birthdate={value}")
    assert len(str(raised.value)) < 300


def test_criteria_do_not_look_into_what_is_contained(indexer: search.Indexer) -> None:
    for value in ("true", "both"):
        with pytest.raises(UnknownParameter, match="_contained is for searches"):
            search.compile("Patient", [("_contained", value)], indexer=indexer)
    assert search.compile("Patient", [("_contained", "false")], indexer=indexer).condition == Everything()
