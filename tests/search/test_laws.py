"""What ``index`` writes, ``compile`` finds: against a matcher written from search.html.

The matcher knows nothing of keys, entries and intervals: it looks at the resource, generated. It compares
times as aware datetimes and strings word by word.
"""

import contextlib
import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from fhirserver import search
from fhirserver.errors import BadRequest, Unprocessable
from fhirserver.search.match import satisfies

PARIS = ZoneInfo("Europe/Paris")
OWN = "https://dossier.example/fhir"


def found(indexer: search.Indexer, resource: dict[str, Any], name: str, value: str) -> bool:
    query = search.compile(resource["resourceType"], [(name, value)], indexer=indexer)
    return satisfies(indexer.index(resource), "1", 0, query.condition)


def escaped(text: str) -> str:
    for character in "\\,$|":
        text = text.replace(character, "\\" + character)
    return text


# --- strings

words = st.sampled_from(
    ["Éva", "eva", "EVE", "Marie-Louise", "d'Arc", "L'Haÿ", "Le", "œuvre", "a,b", "Ev", "É|v"]
)
texts = st.lists(words, min_size=1, max_size=4).map(" ".join)


def plain(text: str) -> list[str]:
    """The words of a text without case, accents and punctuation."""
    decomposed = unicodedata.normalize("NFD", text.lower().replace("œ", "oe"))
    letters = (c for c in decomposed if unicodedata.category(c) != "Mn")
    return "".join(c if c.isalnum() else " " for c in letters).split()


def string_matches(modifier: str, value: str, asked: str) -> bool:
    if modifier == ":exact":
        return value == asked
    in_value, searched = plain(value), " ".join(plain(asked))
    if modifier == ":contains":
        return searched in " ".join(in_value)
    starts = [i for i, word in enumerate(in_value) if i == 0 or len(word) > 1]
    return any(" ".join(in_value[i:]).startswith(searched) for i in starts[:8])


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


def token_matches(element: dict[str, Any], system: str | None, code: str | None, any_system: bool) -> bool:
    same_system = any_system or element.get("system") == system
    return same_system and (code is None or element.get("value") == code)


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


def reference_matches(value: str, asked: str) -> bool:
    value, asked = value.removeprefix(f"{OWN}/"), asked.removeprefix(f"{OWN}/")
    if "/" not in asked:
        return value.partition("/_history/")[0] in (f"Patient/{asked}", f"Group/{asked}")
    return value == asked if "/_history/" in asked else value.partition("/_history/")[0] == asked


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


def span(text: str) -> tuple[datetime, datetime]:
    """A date as two aware datetimes, the second one not in it."""
    if "T" in text:
        low = datetime.fromisoformat(text)
        low = low if low.tzinfo else low.replace(tzinfo=PARIS)
        low = low.astimezone(UTC)
        return low, low + (timedelta(seconds=1) if text[16:17] == ":" else timedelta(minutes=1))
    year, month, day = [int(n) for n in text.split("-")] + [0] * (2 - text.count("-"))
    low = datetime(year, month or 1, day or 1, tzinfo=PARIS)
    if day:
        high = low + timedelta(days=1)
    elif month:
        high = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=PARIS)
    else:
        high = datetime(year + 1, 1, 1, tzinfo=PARIS)
    return low.astimezone(UTC), high.astimezone(UTC)


FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def date_matches(prefix: str, low: datetime, high: datetime, asked: str) -> bool:
    a, b = span(asked)
    contained = a <= low and high <= b
    starts_after, ends_before = low >= b, high <= a
    match prefix:
        case "" | "eq":
            return contained
        case "ne":
            return not contained
        case "gt":
            return high > b
        case "lt":
            return low < a
        case "ge":
            return high > b or contained or (high > a and not ends_before)
        case "le":
            return low < a or contained or (low < b and not starts_after)
        case "sa":
            return starts_after
        case _:
            return ends_before


prefixes = st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"])


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

GRAMS = {"g": Fraction(1), "kg": Fraction(1000), "mg": Fraction(1, 1000), "[oz_av]": Fraction("28.349523125")}
decimals = st.decimals("0.001", "999", places=3) | st.integers(1, 99).map(Decimal)


def quantity_matches(value: Fraction, prefix: str, written: Decimal, grams: Fraction) -> bool:
    """Counted in fractions: the digits that are written say how far the number reaches on either side."""
    half = Fraction(10) ** int(written.as_tuple().exponent) / 2
    asked, low, high = (
        Fraction(n) * grams for n in (written, Fraction(written) - half, Fraction(written) + half)
    )
    return {
        "": low <= value < high,
        "ne": not low <= value < high,
        "gt": value > asked,
        "lt": value < asked,
        "ge": value >= asked,
        "le": value <= asked,
    }[prefix]


@settings(max_examples=300)
@given(
    decimals,
    st.sampled_from(sorted(GRAMS)),
    decimals,
    st.sampled_from(sorted(GRAMS)),
    st.sampled_from(["", "ne", "gt", "lt", "ge", "le"]),
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
