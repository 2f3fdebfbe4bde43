"""Token searches by value sets and hierarchies: what is found is what the terminology says.

https://hl7.org/fhir/R4/search.html#token
"""

import asyncio
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhirserver import search
from fhirserver.search.match import decidable, satisfies
from fhirserver.search.query import Coded, Condition, Not
from fhirserver.storage.coded import listed
from tests.terminology.conftest import FHIR
from tests.terminology.memory import terminology
from tests.terminology.synthetic import ANIMALS, animals, part, value_set

if TYPE_CHECKING:
    from fhirserver.model.definitions import Definitions
    from tests.live import Live

CODES = ("animal", "mammal", "dog", "cat", "unicorn", "bird", "zebra")
ABOVE = {
    "dog": "dog mammal animal",
    "cat": "cat mammal animal",
    "mammal": "mammal animal",
    "bird": "bird animal",
}
BELOW = {"mammal": "mammal dog cat unicorn", "animal": "animal mammal dog cat unicorn bird", "dog": "dog"}
VS = "http://example.org/ValueSet/"


@pytest.fixture(scope="module")
def mark(terms: "Live") -> str:
    """A tag of Observations, one for each code, and one without a code."""
    mark = uuid.uuid4().hex
    with httpx2.Client(base_url=terms.base_url, headers=FHIR) as client:
        for code in (*CODES, ""):
            concept = {"coding": [{"system": ANIMALS, "code": code}]} if code else {"text": "no code"}
            body = {
                "resourceType": "Observation",
                "id": f"{mark[:8]}-{code or 'none'}",
                "meta": {"tag": [{"code": mark}]},
                "status": "final",
                "code": concept,
            }
            assert client.put(f"/Observation/{body['id']}", json=body).status_code == 201
    return mark


@pytest.fixture
def found(terms: "Live", mark: str) -> Iterator[Any]:
    with httpx2.Client(base_url=terms.base_url) as client:

        def find(query: str) -> set[str]:
            answer = client.get(f"/Observation?_tag={mark}&{query}")
            assert answer.status_code == 200, answer.text
            return {e["resource"]["id"].partition("-")[2] for e in answer.json().get("entry", ())}

        yield find


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"code:in={VS}mammals", "mammal dog cat unicorn"),
        (f"code:in={VS}mammals|2", "mammal dog cat unicorn"),
        ("code:in=ValueSet/mammals", "mammal dog cat unicorn"),
        ("code:in={base}/ValueSet/pets", "dog cat"),
        (f"code:in={VS}pets,{VS}mixed", "dog cat"),
        (f"code:in={VS}all-animals", "animal mammal dog cat unicorn bird"),
        (f"code:not-in={VS}all-animals", "zebra none"),
        (f"code:not-in={VS}pets", "animal mammal unicorn bird zebra none"),
        (f"code:below={ANIMALS}|mammal", "mammal dog cat unicorn"),
        (f"code:below={ANIMALS}|dog", "dog"),
        (f"code:below={ANIMALS}|dog,{ANIMALS}|bird", "dog bird"),
        (f"code:above={ANIMALS}|dog", "dog mammal animal"),
        (f"code:above={ANIMALS}|animal", "animal"),
        (f"code:in={VS}mammals&code:above={ANIMALS}|dog", "mammal dog"),
        (f"combo-code:in={VS}pets", "dog cat"),
        (f"status:in=http://hl7.org/fhir/ValueSet/observation-status&code:in={VS}pets", "dog cat"),
    ],
)
def test_search(found: Any, terms: "Live", query: str, expected: str) -> None:
    assert found(query.format(base=terms.base_url)) == set(expected.split())


def test_a_value_set_that_changes(found: Any, terms: "Live") -> None:
    id = uuid.uuid4().hex
    with httpx2.Client(base_url=terms.base_url, headers=FHIR) as client:
        for op, value, expected in (("=", "dog", {"dog"}), ("is-a", "bird", {"bird"})):
            set = value_set(id, part(op, "code", value))
            assert client.put(f"/ValueSet/{id}", json=set).is_success
            assert found(f"code:in=ValueSet/{id}") == expected


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("code:in=http://example.org/none", 400, "invalid"),
        ("code:in=ValueSet/none", 400, "invalid"),
        (f"code:below={ANIMALS}|yeti", 400, "invalid"),
        ("code:below=http://example.org/none|x", 400, "invalid"),
        ("code:below=dog", 400, "invalid"),
        ("code:in=http://unitsofmeasure.org/vs", 422, "too-costly"),
        (f"code:in={VS}unknown-system", 422, "not-found"),
    ],
)
def test_refused(terms: "Live", query: str, status: int, code: str) -> None:
    with httpx2.Client(base_url=terms.base_url) as client:
        answer = client.get(f"/Observation?{query}")
    assert answer.status_code == status, answer.text
    assert answer.json()["issue"][0]["code"] == code


def test_through_a_chain(terms: "Live") -> None:
    id = uuid.uuid4().hex
    with httpx2.Client(base_url=terms.base_url, headers=FHIR) as client:
        assert client.put(f"/Patient/{id}", json={"resourceType": "Patient", "id": id}).status_code == 201
        body = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": ANIMALS, "code": "cat"}]},
            "subject": {"reference": f"Patient/{id}"},
        }
        assert client.post("/Observation", json=body).status_code == 201
        query = f"_has:Observation:patient:code:below={quote(f'{ANIMALS}|mammal')}"
        assert client.get(f"/Patient?_id={id}&{query}").json()["total"] == 1
        query = f"_has:Observation:patient:code:above={quote(f'{ANIMALS}|mammal')}"
        assert client.get(f"/Patient?_id={id}&{query}").json()["total"] == 0


@pytest.fixture(scope="module")
def indexer(definitions: "Definitions") -> search.Indexer:
    return search.Indexer(definitions)


def condition(indexer: search.Indexer, name: str, value: str) -> Condition:
    return search.compile("Observation", [(name, value)], indexer=indexer).condition


def test_what_storage_is_asked(indexer: search.Indexer) -> None:
    asked = condition(indexer, "code:below", f"{ANIMALS}|dog")
    assert isinstance(asked, Coded)
    assert (asked.relation, asked.system, asked.value) == ("below", ANIMALS, "dog")
    excluded = condition(indexer, "code:not-in", f"{VS}x|1")
    assert isinstance(excluded, Not)
    assert not decidable(excluded)
    implied = condition(indexer, "status:above", "final")
    assert isinstance(implied, Coded)
    assert implied.system == "http://hl7.org/fhir/observation-status"


@pytest.mark.parametrize(
    ("stored", "modifier", "asked", "expected"),
    [
        ("text/xml; charset=UTF-8", "below", "text/xml", True),
        ("text/xml", "above", "text/xml; charset=UTF-8", True),
        ("text/xml", "above", "text/xml", True),
        ("text/xml; charset=UTF-8", "above", "text/xml", False),
    ],
)
def test_mime_types_need_no_terminology(
    indexer: search.Indexer, stored: str, modifier: str, asked: str, expected: bool
) -> None:
    resource = {"resourceType": "DocumentReference", "content": [{"attachment": {"contentType": stored}}]}
    query = search.compile("DocumentReference", [(f"contenttype:{modifier}", asked)], indexer=indexer)
    assert satisfies(indexer.index(resource), "1", 0, query.condition) is expected


@settings(max_examples=60, deadline=None)
@given(
    codes=st.lists(st.sampled_from(CODES), max_size=3),
    asked=st.sampled_from(
        [
            *(("code:below", f"{ANIMALS}|{code}", set(found.split())) for code, found in BELOW.items()),
            *(("code:above", f"{ANIMALS}|{code}", set(found.split())) for code, found in ABOVE.items()),
            ("code:in", f"{VS}mammals", set(BELOW["mammal"].split())),
        ]
    ),
)
def test_law_what_is_listed_finds_what_the_hierarchy_says(
    indexer: search.Indexer, codes: list[str], asked: tuple[str, str, set[str]]
) -> None:
    """A resource is found exactly when one of its codes is one that the terminology names."""
    name, value, expected = asked
    known = terminology(animals(), value_set("mammals", part("is-a", "concept", "mammal")))
    resource: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    if codes:
        resource["code"]["coding"] = [{"system": ANIMALS, "code": code} for code in codes]
    index = indexer.index(resource)
    for negated in (False, True):
        if negated and name != "code:in":
            continue
        compiled = condition(indexer, "code:not-in" if negated else name, value)
        resolved = asyncio.run(listed(known, compiled))
        assert satisfies(index, "1", 0, resolved) is (bool(expected & set(codes)) != negated)
