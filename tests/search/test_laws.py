"""What ``index`` writes, ``compile`` finds: against a matcher written from search.html.

The matcher is ``slowly``; ``test_laws_in_storage`` asks the real engine.
"""

import contextlib
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhirserver import search
from fhirserver.errors import BadRequest, Unprocessable
from fhirserver.search.match import satisfies
from tests.search.slowly import (
    FIRST,
    GRAMS,
    LAST,
    OWN,
    date_matches,
    escaped,
    number_matches,
    plain,
    quantity_matches,
    reference_matches,
    span,
    string_matches,
    token_matches,
    uri_matches,
)


def found(indexer: search.Indexer, resource: dict[str, Any], name: str, value: str) -> bool:
    query = search.compile(resource["resourceType"], [(name, value)], indexer=indexer)
    return satisfies(indexer.index(resource), "1", 0, query.condition)


# --- strings

words = st.sampled_from(
    ["Éva", "eva", "EVE", "Marie-Louise", "d'Arc", "L'Haÿ", "Le", "œuvre", "a,b", "Ev", "É|v"]
)
texts = st.lists(words, min_size=1, max_size=4).map(" ".join)


@given(st.lists(texts, min_size=1, max_size=3), st.data(), st.sampled_from(["", ":contains", ":exact"]))
def test_strings(indexer: search.Indexer, given_names: list[str], data: st.DataObject, modifier: str) -> None:
    text = data.draw(st.sampled_from(given_names) | texts)
    asked = text[data.draw(st.integers(0, len(text) // 2)) :] if modifier == ":contains" else text
    if not plain(asked):
        return
    resource = {"resourceType": "Patient", "name": [{"given": given_names}]}
    expected = any(string_matches(modifier, name, asked) for name in given_names)
    assert found(indexer, resource, f"given{modifier}", escaped(asked)) is expected


# --- tokens

systems = st.sampled_from([None, "urn:a", "urn:a|b", "urn:a\\", "http://x/$y"])
codes = st.sampled_from(["a", "A", "a|b", "b", "b|a", "a,b", "\\", "$", "é"])


@settings(max_examples=400)
@given(
    st.lists(st.tuples(systems, codes), max_size=3),
    systems,
    codes,
    st.sampled_from(["code", "system|code", "system|"]),
)
def test_tokens(
    indexer: search.Indexer, values: list[tuple[str | None, str]], system: str | None, code: str, form: str
) -> None:
    elements = [{"value": c} | ({"system": s} if s else {}) for s, c in values]
    resource = {"resourceType": "Patient", "identifier": elements}
    written = escaped(system or "")
    match form:
        case "code":
            asked, expected = escaped(code), any(token_matches(e, None, code, True) for e in elements)
        case "system|" if system:
            asked, expected = f"{written}|", any(token_matches(e, system, None, False) for e in elements)
        case _:
            asked = f"{written}|{escaped(code)}"
            expected = any(token_matches(e, system, code, False) for e in elements)
    assert found(indexer, resource, "identifier", asked) is expected
    assert found(indexer, resource, "identifier:missing", "true") is (not elements)


@given(st.lists(codes, max_size=3), st.lists(codes, min_size=1, max_size=3))
def test_not_is_the_complement(indexer: search.Indexer, values: list[str], asked: list[str]) -> None:
    languages = [{"language": {"coding": [{"code": code}]}} for code in values]
    resource = {"resourceType": "Patient", "communication": languages}
    text = ",".join(map(escaped, asked))
    assert found(indexer, resource, "language", text) is bool(set(values) & set(asked))
    assert found(indexer, resource, "language:not", text) is not found(indexer, resource, "language", text)


# --- references

references = st.builds(
    lambda base, type, id, version: f"{base}{type}/{id}{version}",
    st.sampled_from(["", f"{OWN}/", "https://autre.example/fhir/", f"{OWN}/x/"]),
    st.sampled_from(["Patient", "Group"]),
    st.sampled_from(["1", "12", "a.b"]),
    st.sampled_from(["", "/_history/1", "/_history/2"]),
)


@given(references, references | st.sampled_from(["1", "12", "2", "a.b"]))
def test_references(indexer: search.Indexer, value: str, asked: str) -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": value}}
    assert found(indexer, resource, "subject", asked) is reference_matches(value, asked)
    assert found(indexer, resource, "patient:missing", "false") is ("Patient/" in value)


# --- dates

instants = st.datetimes(datetime(2023, 12, 30), datetime(2024, 4, 2))
zones = st.sampled_from(["", "Z", "+02:00", "-05:00"])


@st.composite
def dates(draw: st.DrawFn) -> str:
    instant = draw(instants)
    form = draw(st.sampled_from(["%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]))
    return instant.strftime(form) + (draw(zones) if "T" in form else "")


prefixes = st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])


@given(dates(), prefixes, dates())
@settings(max_examples=300)
def test_dates(indexer: search.Indexer, value: str, prefix: str, asked: str) -> None:
    resource = {"resourceType": "Observation", "effectiveDateTime": value}
    assert found(indexer, resource, "date", prefix + asked) is date_matches(prefix, *span(value), asked)


@given(st.none() | dates(), st.none() | dates(), prefixes, dates())
@settings(max_examples=300)
def test_periods(
    indexer: search.Indexer, start: str | None, end: str | None, prefix: str, asked: str
) -> None:
    period = {name: text for name, text in (("start", start), ("end", end)) if text}
    low = span(start)[0] if start else FIRST
    high = span(end)[1] if end else LAST
    if low >= high or not period:
        return
    resource = {"resourceType": "Observation", "effectivePeriod": period}
    assert found(indexer, resource, "date", prefix + asked) is date_matches(prefix, low, high, asked)


# --- quantities in units

decimals = st.decimals("0.001", "999", places=3) | st.integers(1, 99).map(Decimal)


@settings(max_examples=300)
@given(
    decimals,
    st.sampled_from(sorted(GRAMS)),
    decimals,
    st.sampled_from(sorted(GRAMS)),
    prefixes,
    st.booleans(),
)
def test_quantities(
    indexer: search.Indexer, value: Decimal, unit: str, asked: Decimal, other: str, prefix: str, same: bool
) -> None:
    if same:
        asked = Decimal((Fraction(value) * GRAMS[unit] / GRAMS[other]).__round__(6).__float__()).quantize(
            value
        )
    if not asked:
        return
    quantity = {"value": value, "system": "http://unitsofmeasure.org", "code": unit}
    resource = {"resourceType": "Observation", "valueQuantity": quantity}
    expected = quantity_matches(Fraction(value) * GRAMS[unit], prefix, asked, GRAMS[other])
    text = f"{prefix}{asked}|http://unitsofmeasure.org|{other}"
    assert found(indexer, resource, "value-quantity", text) is expected


# --- numbers and ranges

numbers = st.decimals("-99", "99", places=2) | st.integers(-9, 9).map(Decimal)


@given(st.lists(numbers, min_size=1, max_size=2), prefixes, numbers)
@settings(max_examples=300)
def test_numbers(indexer: search.Indexer, bounds: list[Decimal], prefix: str, asked: Decimal) -> None:
    low, high = min(bounds), max(bounds)
    value = (
        {"probabilityDecimal": low}
        if len(bounds) == 1
        else {"probabilityRange": {"low": {"value": low}, "high": {"value": high}}}
    )
    resource = {"resourceType": "RiskAssessment", "prediction": [value]}
    expected = number_matches(Fraction(low), Fraction(high), prefix, asked)
    assert found(indexer, resource, "probability", f"{prefix}{asked}") is expected


# --- uris

paths = st.lists(st.sampled_from(["a", "ab", "b"]), max_size=3)
urls = paths.map(lambda steps: "/".join(["http://x", *steps]))
modifiers = st.sampled_from(["", ":below", ":above"])


@given(urls, modifiers, urls, st.booleans(), st.booleans())
def test_uris(
    indexer: search.Indexer, value: str, modifier: str, asked: str, ends: bool, asked_ends: bool
) -> None:
    value, asked = value + "/" * ends, asked + "/" * asked_ends
    resource = {"resourceType": "ValueSet", "url": value}
    assert found(indexer, resource, f"url{modifier}", asked) is uri_matches(modifier, value, asked)


# --- anything at all

NAMES = [
    "family",
    "identifier",
    "birthdate",
    "organization",
    "active",
    "phone",
    "_profile",
    "_id",
    "_lastUpdated",
]
NAMES += [
    "_sort",
    "_count",
    "_elements",
    "value-quantity",
    "code-value-quantity",
    "subject",
    "date",
    "combo-code",
]
MODIFIERS = [
    "",
    ":missing",
    ":not",
    ":exact",
    ":contains",
    ":text",
    ":of-type",
    ":below",
    ":above",
    ":Patient",
    ":x",
    ":",
]
pieces = st.sampled_from(
    ["|", "$", ",", "\\", "ge", "ap", "2013-01", "1e5", "http://x/", "#", "-", "Patient/1", "mg"]
)


@given(
    st.sampled_from(["Patient", "Observation"]),
    st.sampled_from(NAMES),
    st.sampled_from(MODIFIERS),
    st.text(max_size=8) | st.lists(pieces, max_size=5).map("".join),
)
@settings(max_examples=500)
def test_a_search_compiles_or_is_refused(
    indexer: search.Indexer, type: str, name: str, modifier: str, value: str
) -> None:
    try:
        query = search.compile(type, [(name + modifier, value)], indexer=indexer)
    except BadRequest:
        return
    satisfies(indexer.index({"resourceType": type}), "1", 0, query.condition)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["", "x", "2013-01-14", "Patient/1"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["value", "system", "code", "coding", "reference", "start", "type", "family"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["identifier", "name", "birthDate", "telecom", "meta", "generalPractitioner"]), json
    )
)
@settings(max_examples=500)
def test_a_resource_is_indexed_or_refused(indexer: search.Indexer, elements: dict[str, Any]) -> None:
    with contextlib.suppress(Unprocessable):
        indexer.index({"resourceType": "Patient", **elements})
