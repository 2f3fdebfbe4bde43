"""What contained resources are indexed by, and how they are found."""

from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import Unprocessable
from fhirserver.search.contained import MOST, alone, inside
from fhirserver.search.match import satisfies
from fhirserver.search.query import Condition, Inner

DOCUMENT: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "id": "d",
    "status": "current",
    "author": [{"reference": "#lefevre"}, {"reference": "Practitioner/9"}],
    "authenticator": {"reference": "#durand"},
    "contained": [
        {
            "resourceType": "Practitioner",
            "id": "lefevre",
            "identifier": [{"system": "urn:rpps", "value": "1"}],
            "name": [{"family": "Lefèvre", "given": ["Zoé"]}],
            "birthDate": "1970-01-02",
        },
        {
            "resourceType": "Practitioner",
            "id": "durand",
            "identifier": [{"system": "urn:rpps", "value": "2"}],
            "name": [{"family": "Durand", "given": ["Éva"]}],
        },
    ],
}


def compiled(indexer: search.Indexer, type: str, asked: str) -> Condition:
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in asked.split("&"))]
    return search.compile(type, pairs, indexer=indexer).condition


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("identifier=urn:rpps|1", True),
        ("identifier=1", True),
        ("identifier=3", False),
        ("family=lef", True),
        ("family:exact=Lefèvre", True),
        ("family:contains=evre", True),
        ("name=zoe,marie", True),
        # All of it must be so of one of them.
        ("family=lefevre&given=zoe", True),
        ("family=lefevre&given=eva", False),
        ("identifier=1&family=durand", False),
        ("_id=durand", True),
        ("_id=d", False),
        ("_content=lefevre zoe", True),
        ("identifier:not=1", True),
        ("active:missing=true", True),
        ("family:missing=true", False),
        ("_filter=given eq eva or given eq anna", True),
    ],
)
def test_inside(indexer: search.Indexer, asked: str, found: bool) -> None:
    condition = compiled(indexer, "Practitioner", asked)
    assert alone(condition)
    index = indexer.index(DOCUMENT)
    assert satisfies(index, "d", 0, inside("Practitioner", condition)) is found
    assert not satisfies(index, "d", 0, inside("Patient", condition))
    # The document itself does not have any of this.
    assert not any(key.startswith(("identifier|", "family|", "given|")) for key in index.keys + index.sorted)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("author:Practitioner.identifier=1", True),
        ("author:Practitioner.identifier=2", False),
        ("authenticator:Practitioner.identifier=2", True),
        ("author:Practitioner.family=lef&author:Practitioner.given=zoe", True),
        ("author:Practitioner.family=durand", False),
        ("_filter=author[family eq lefevre].given eq zoe", True),
        ("_filter=author[family eq lefevre].given eq eva", False),
    ],
)
def test_chains_look_inside(indexer: search.Indexer, asked: str, found: bool) -> None:
    condition = compiled(indexer, "DocumentReference", asked)
    assert satisfies(indexer.index(DOCUMENT), "d", 0, condition) is found


def test_the_index_says_what_refers(indexer: search.Indexer) -> None:
    index = indexer.index(DOCUMENT)
    assert [(i.type, i.id, i.by) for i in index.contained] == [
        ("Practitioner", "lefevre", ("author",)),
        ("Practitioner", "durand", ("authenticator",)),
    ]
    assert isinstance(index.contained[0], Inner)
    assert "#Practitioner>identifier|urn:rpps|1" in index.keys


def test_it_is_bounded_and_refuses_what_is_no_resource(indexer: search.Indexer) -> None:
    people = [{"resourceType": "Practitioner", "id": f"p{n}"} for n in range(MOST + 1)]
    assert len(indexer.index(DOCUMENT | {"contained": people}).contained) == MOST
    for wrong in ([1], [{"id": "x"}], {"resourceType": "Patient"}):
        with pytest.raises(Unprocessable):
            indexer.index(DOCUMENT | {"contained": wrong})


@pytest.mark.parametrize(
    ("type", "asked"),
    [
        ("Observation", "patient.name=zoe"),
        ("Patient", "_has:Observation:patient:code=1"),
        ("Patient", "gender=male&_lastUpdated=2024"),
        ("Location", "near=1|2|3|km"),
    ],
)
def test_what_asks_others_cannot_be_inside(indexer: search.Indexer, type: str, asked: str) -> None:
    assert not alone(compiled(indexer, type, asked))
