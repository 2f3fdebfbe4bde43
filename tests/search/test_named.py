import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import BadRequest
from fhirserver.search.named import NAMED
from fhirserver.search.query import Sort

Finds = Callable[[dict[str, Any], str], bool]
TODAY = date.today()


def document(status: str, type: str = "11506-3") -> dict[str, Any]:
    return {"resourceType": "DocumentReference", "status": status, "type": {"coding": [{"code": type}]}}


def allergy(clinical: str, verification: str = "confirmed") -> dict[str, Any]:
    return {
        "resourceType": "AllergyIntolerance",
        **({"clinicalStatus": {"coding": [{"code": clinical}]}} if clinical else {}),
        "verificationStatus": {"coding": [{"code": verification}]},
    }


def appointment(days: int, status: str = "booked") -> dict[str, Any]:
    start = f"{TODAY + timedelta(days=days)}T10:00:00Z"
    return {"resourceType": "Appointment", "status": status, "start": start}


@pytest.mark.parametrize(
    ("resource", "name", "found"),
    [
        (document("current"), "current-documents", True),
        (document("superseded"), "current-documents", False),
        (document("current"), "emergency", False),
        (document("current", "60591-5"), "emergency", True),
        (document("current", "SYNTH"), "emergency", True),
        (document("superseded", "60591-5"), "emergency", False),
        (allergy("active"), "emergency", True),
        (allergy(""), "emergency", True),
        (allergy("resolved"), "emergency", False),
        (allergy("active", "refuted"), "emergency", False),
        (appointment(3), "upcoming", True),
        (appointment(-3), "upcoming", False),
        (appointment(3, "cancelled"), "upcoming", False),
    ],
)
def test_what_a_name_stands_for(finds: Finds, resource: dict[str, Any], name: str, found: bool) -> None:
    assert finds(resource, f"_query={name}") is found


def test_other_criteria_narrow(finds: Finds) -> None:
    assert not finds(document("current"), "_query=current-documents&type=x")


@pytest.mark.parametrize(
    ("name", "type"), [(n, type) for n, named in NAMED.items() for type in named.criteria]
)
def test_every_query_compiles(indexer: search.Indexer, name: str, type: str) -> None:
    query = search.compile(type, [("_query", name)], indexer=indexer)
    assert query.parameters == (("_query", name),)


@pytest.mark.parametrize(
    ("pairs", "sort"),
    [
        ([], (Sort("date", descending=True),)),
        ([("_sort", "type")], (Sort("type"),)),
    ],
)
def test_a_search_sorts_as_it_says_or_as_the_query_does(
    indexer: search.Indexer, pairs: list[tuple[str, str]], sort: tuple[Sort, ...]
) -> None:
    query = search.compile("DocumentReference", [("_query", "current-documents"), *pairs], indexer=indexer)
    assert query.sort == sort


@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize(
    ("type", "name", "reason"),
    [
        ("DocumentReference", "current", "it has current-documents, emergency"),
        ("Patient", "emergency", "Patient has no named query 'emergency'; it has none"),
        ("Patient", "emergency", "emergency (AllergyIntolerance, Condition"),
    ],
)
def test_an_unknown_name_is_refused_with_what_is_known(
    indexer: search.Indexer, type: str, name: str, reason: str, lenient: bool
) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)):
        search.compile(type, [("_query", name)], indexer=indexer, lenient=lenient)


def test_there_is_one_query_at_a_time(indexer: search.Indexer) -> None:
    pairs = [("_query", "emergency"), ("_query", "current-documents")]
    with pytest.raises(BadRequest, match="more than once"):
        search.compile("DocumentReference", pairs, indexer=indexer)
