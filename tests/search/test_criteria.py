"""Chains and their reverse: which conditions on which types they are, and what is refused."""

import re

import pytest

from fhirserver import search
from fhirserver.errors import BadRequest, FHIRError, TooCostly, UnknownParameter
from fhirserver.search.query import Condition, Everything, Ids, Keys, Not, Or, Range, Referred, Refers


def compiled(indexer: search.Indexer, type: str, asked: str) -> Condition:
    pairs = [(name, value) for name, _, value in (p.partition("=") for p in asked.split("&"))]
    return search.compile(type, pairs, indexer=indexer).condition


ZOE = Range("name|zoe", "name|zoe\U0010ffff")


@pytest.mark.parametrize(
    ("type", "asked", "expected"),
    [
        ("Observation", "patient.name=Zoé", Refers("patient", "Patient", ZOE)),
        ("Observation", "subject:Patient.name=zoe", Refers("subject", "Patient", ZOE)),
        ("Observation", "subject.birthdate:missing=true&_id=", None),
        (
            "Observation",
            "patient.general-practitioner:Practitioner.name=zoe",
            Refers("patient", "Patient", Refers("general-practitioner", "Practitioner", ZOE)),
        ),
        ("Observation", "patient.gender:not=male", Refers("patient", "Patient", Not(Keys(("gender|male",))))),
        ("Observation", "patient._id=a,b", Refers("patient", "Patient", Or((Ids(("a",)), Ids(("b",)))))),
        (
            "Patient",
            "_has:Observation:patient:code=1,2",
            Referred("Patient", "Observation", "patient", Keys(("code|1", "code|2"))),
        ),
        (
            "Patient",
            "_has:Observation:patient:_has:Provenance:target:agent=Device/1",
            Referred(
                "Patient",
                "Observation",
                "patient",
                Referred("Observation", "Provenance", "target", Keys(("agent|Device/1",))),
            ),
        ),
        (
            "Encounter",
            "patient._has:Group:member:_id=g",
            Refers("patient", "Patient", Referred("Patient", "Group", "member", Ids(("g",)))),
        ),
        (
            "Patient",
            "_has:Observation:patient:encounter.status=finished",
            Referred(
                "Patient",
                "Observation",
                "patient",
                Refers("encounter", "Encounter", Keys(("status|finished",))),
            ),
        ),
        ("Patient", "_list=l1", Referred("Patient", "List", "item", Ids(("l1",)))),
        ("Patient", "_list=", Everything()),
        ("Patient", "_has:Observation:patient:code=", Everything()),
        ("Observation", "patient.name=", Everything()),
    ],
)  # fmt: skip
def test_compiled(indexer: search.Indexer, type: str, asked: str, expected: Condition | None) -> None:
    found = compiled(indexer, type, asked)
    if expected is not None:
        assert found == expected


def test_a_step_without_a_type_goes_to_every_type_that_has_the_parameter(indexer: search.Indexer) -> None:
    found = compiled(indexer, "Observation", "subject.identifier=1")
    assert isinstance(found, Or)
    assert {c.type for c in found.any if isinstance(c, Refers)} == {"Device", "Group", "Location", "Patient"}
    only = compiled(indexer, "Observation", "subject.birthdate=1980")
    assert isinstance(only, Refers)
    assert only.type == "Patient"


def test_a_chain_stays_among_the_types_that_are_served(indexer: search.Indexer) -> None:
    served = search.Indexer(indexer.definitions, types=("Observation", "Patient"))
    found = compiled(served, "Observation", "subject.identifier=1")
    assert found == Refers("subject", "Patient", Keys(("identifier|1",)))


@pytest.mark.parametrize(
    ("type", "asked", "error", "reason"),
    [
        ("Observation", "patient.nom=x", UnknownParameter, "Patient has no search parameter 'nom'"),
        ("Observation", "patient.nom=", UnknownParameter, "Patient has no search parameter 'nom'"),
        ("Observation", "patint.name=x", UnknownParameter, "Did you mean patient?"),
        ("Observation", "code.name=x", UnknownParameter, "no reference parameter 'code'"),
        ("Observation", "subject:Practitioner.name=x", BadRequest, "cannot refer to Practitioner; it can to"),
        ("Observation", "subject:Foo.name=x", UnknownParameter, "'Foo' is not a resource type here"),
        ("Observation", "patient.name:foo=x", UnknownParameter, "has no modifier ':foo'"),
        ("Observation", "patient.birthdate=x", BadRequest, "birthdate: 'x' has an unknown prefix"),
        ("Provenance", "target.identifier=x", BadRequest, "name one, as in target:"),
        ("ServiceRequest", "instantiates-canonical.name=x", UnknownParameter, "canonicals"),
        ("Patient", "_has=1", UnknownParameter, "no search parameter '_has'"),
        ("Patient", "_has:Observation:patient=1", UnknownParameter, "is not _has:[type]"),
        ("Patient", "_has:Foo:patient:code=1", UnknownParameter, "'Foo' is not a resource type here"),
        ("Patient", "_has:Observation:foo:code=1", UnknownParameter, "no reference parameter 'foo'"),
        ("Patient", "_has:Observation:encounter:code=1", BadRequest, "cannot refer to Patient; it can to"),
        ("Patient", "_has:Observation:patient:cod=1", UnknownParameter, "Did you mean code?"),
        ("Patient", "_list=$current-allergies", UnknownParameter, "by their function"),
        ("Patient", "_list=http://x", BadRequest, "not the id of a List"),
        ("Observation", "has-member." * 9 + "code=1", TooCostly, "more than 8 steps"),
        ("Observation", "has-member:Observation." * 1000 + "code=1", TooCostly, "more than 8 steps"),
    ],
)  # fmt: skip
def test_refused(indexer: search.Indexer, type: str, asked: str, error: type[FHIRError], reason: str) -> None:
    with pytest.raises(error, match=re.escape(reason)) as raised:
        compiled(indexer, type, asked)
    assert raised.value.__class__ is error
