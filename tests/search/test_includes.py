"""What ``_include`` and ``_revinclude`` ask for, and which references of a resource they follow."""

import re
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import BadRequest
from fhirserver.search.includes import referred
from fhirserver.search.query import Include


def includes(indexer: search.Indexer, type: str, *asked: str) -> tuple[Include, ...]:
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in asked)]
    return search.compile(type, pairs, indexer=indexer).includes


@pytest.mark.parametrize(
    ("type", "asked", "expected"),
    [
        ("Observation", "_include=Observation:patient", Include("Observation", ("patient",))),
        ("Observation", "_include=Observation:subject:Group", Include("Observation", ("subject",), "Group")),
        (
            "Observation",
            "_include:iterate=Patient:organization",
            Include("Patient", ("organization",), iterate=True),
        ),
        (
            "Patient",
            "_revinclude=Observation:subject",
            Include("Observation", ("subject",), "Patient", reverse=True),
        ),
        (
            "Patient",
            "_revinclude=Observation:subject:Patient",
            Include("Observation", ("subject",), "Patient", reverse=True),
        ),
    ],
)
def test_compiled(indexer: search.Indexer, type: str, asked: str, expected: Include) -> None:
    assert includes(indexer, type, asked) == (expected,)
    assert includes(indexer, type, asked, asked) == (expected,)


def test_wildcards(indexer: search.Indexer) -> None:
    (every,) = includes(indexer, "Observation", "_include=*")
    assert (every,) == includes(indexer, "Observation", "_include=Observation:*")
    assert {"patient", "encounter", "performer"} <= set(every.parameters)
    (to_patients,) = includes(indexer, "Observation", "_include=Observation:*:Patient")
    assert "encounter" not in to_patients.parameters
    assert includes(indexer, "Binary", "_include=*", "_include=Binary:*") == ()
    reverse = includes(indexer, "Patient", "_revinclude=*")
    assert {"Observation", "Encounter", "Patient"} <= {i.source for i in reverse}
    assert {i.target for i in reverse} == {"Patient"}


@pytest.mark.parametrize(
    ("type", "asked", "reason"),
    [
        ("Patient", "_include=Patient", "is not [type]:[parameter]"),
        ("Patient", "_include=Patient:", "is not [type]:[parameter]"),
        ("Patient", "_include=:link", "is not [type]:[parameter]"),
        ("Patient", "_include=Foo:link", "'Foo' is not a resource type here"),
        ("Patient", "_include=Patient:lnk", "Did you mean link?"),
        ("Patient", "_include=Patient:name", "no reference parameter 'name'"),
        ("Patient", "_include=Patient:link:Foo", "'Foo' is not a resource type here"),
        ("Patient", "_include=Patient:link:Device", "is about nothing that this search finds"),
        ("Patient", "_include=Patient:link,Patient:organization", "for several it is repeated"),
        ("Patient", "_include=Observation:patient", "see _include:iterate"),
        ("Patient", "_revinclude=Observation:encounter", "see _revinclude:iterate"),
        ("Patient", "_revinclude=Observation:subject:Group", "see _revinclude:iterate"),
        ("Patient", "_include:recurse=Patient:link", "no search parameter '_include'"),
    ],
)
def test_refused(indexer: search.Indexer, type: str, asked: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)):
        includes(indexer, type, asked)


def test_references_that_are_followed(indexer: search.Indexer) -> None:
    observation: dict[str, Any] = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "performer": [
            {"reference": f"{indexer.site.base_url}/Practitioner/2/_history/3"},
            {"reference": "https://elsewhere.example/fhir/Practitioner/4"},
            {"reference": "#inside"},
            {"display": "Dr Zoé"},
            {"reference": "Organization/5"},
        ],
    }
    every = includes(indexer, "Observation", "_include=*")
    found = {str(r) for r in referred(observation, every, indexer)}
    assert found == {"Patient/1", "Practitioner/2/_history/3", "Organization/5"}
    some = includes(indexer, "Observation", "_include=Observation:performer:Organization")
    assert [str(r) for r in referred(observation, some, indexer)] == ["Organization/5"]
