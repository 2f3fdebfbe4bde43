"""``_filter``: what it finds, and what is refused."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import BadRequest, FHIRError, TooCostly, UnknownParameter
from fhirserver.search.query import Condition, Keys, Not, Referred, Refers

Finds = Callable[[dict[str, Any], str], bool]

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": "urn:ins", "value": "1(2)"}],
    "name": [{"family": "Lefèvre d'Ormesson", "given": ["Éva", "Jean Paul"]}],
    "gender": "female",
    "birthDate": "1980-02-29",
    "managingOrganization": {"reference": "Organization/o1"},
}
OBSERVATION = {
    "resourceType": "Observation",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "effectivePeriod": {"start": "2024-05-01", "end": "2024-05-31"},
    "valueQuantity": {"value": Decimal("58"), "system": "http://unitsofmeasure.org", "code": "g"},
}


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ('given eq "Éva"', True),
        ("given eq eva", True),
        ("given eq ev", False),
        ('given eq "jean paul"', True),
        ("given eq jean", False),
        ("given eq paul", False),
        ("given sw jean", True),
        ("given sw paul", False),
        ("given co paul", True),
        ("given co an", True),
        ("given ew paul", True),
        ("given ew jean", False),
        ("given ew va", True),
        ("name sw lefevre", True),
        ("name ew ormesson", True),
        ("gender eq female", True),
        ("not (gender eq male)", True),
        ("not (gender eq female)", False),
        ("identifier eq urn:ins|1(2)", None),
        ('identifier eq "1(2)"', True),
        ('identifier eq "urn:ins|1(2)"', False),
        ("birthdate eq 1980", True),
        ("birthdate gt 1980-02-28", True),
        ("birthdate ne 1980-02-29", False),
        ("birthdate lt 1980-02-29", False),
        ("birthdate po 1980-02", True),
        ("birthdate po 1981", False),
        ("birthdate pr true", True),
        ("death-date pr false", True),
        ("death-date pr true", False),
        ("organization re Organization/o1", True),
        ("organization eq o1", True),
        ("_id eq p1", True),
        ("_id eq p2", False),
        ("_lastUpdated lt 2000", True),
        ("_lastUpdated ge 2000", False),
        ("gender eq female and birthdate ge 1980", True),
        ("gender eq male or birthdate ge 1980", True),
        ("gender eq male or birthdate ge 1981 or given eq zoe", False),
        ("gender eq female and (given eq zoe or given eq eva)", True),
        ("(gender eq female and given eq zoe) or family sw lef", True),
        ("not (gender eq male and given eq eva) and not (given eq zoe)", True),
        ("((gender eq female))", True),
    ],
)
def test_patients(finds: Finds, filter: str, found: bool | None) -> None:
    if found is None:
        with pytest.raises(BadRequest):
            finds(PATIENT, f"_filter={filter}")
        return
    assert finds(PATIENT, f"_filter={filter}") is found


@pytest.mark.parametrize(
    ("filter", "found"),
    [
        ("code eq http://loinc.org|29463-7", True),
        ("code eq |29463-7", False),
        ("date po 2024-05-15", True),
        ("date po 2024-06-15", False),
        ("date sa 2024-04", True),
        ("date eb 2024-06", True),
        ("value-quantity gt 0.057|http://unitsofmeasure.org|kg", True),
        ("value-quantity eq 58", True),
        ("value-quantity ap 60", True),
        ("combo-code eq 29463-7", True),
        ("combo-value-quantity le 57", False),
        ("code-value-quantity eq 29463-7$gt57", True),
    ],
)
def test_observations(finds: Finds, filter: str, found: bool) -> None:
    assert finds(OBSERVATION, f"_filter={filter}") is found


def compiled(indexer: search.Indexer, type: str, filter: str) -> Condition:
    return search.compile(type, [("_filter", filter)], indexer=indexer).condition


def test_paths_are_chains(indexer: search.Indexer) -> None:
    female = Keys(("gender|female",))
    assert compiled(indexer, "Observation", "patient.gender eq female") == Refers(
        "patient", "Patient", female
    )
    found = compiled(indexer, "Patient", "not (_has:Observation:patient:status eq final)")
    assert found == Not(Referred("Patient", "Observation", "patient", Keys(("status|final",))))


@pytest.mark.parametrize(
    ("filter", "error", "reason"),
    [
        ("gender", BadRequest, "path operator value"),
        ("gender eq", BadRequest, "path operator value"),
        ("(gender eq male", BadRequest, "path operator value"),
        ("gender eq male)", BadRequest, "ends before ')'"),
        ("gender eq male birthdate eq 1980", BadRequest, "ends before 'birthdate'"),
        ("gender eq male and birthdate eq 1980 or _id eq 1", BadRequest, "put parentheses"),
        ("gender equals male", BadRequest, "is not one of eq, ne"),
        ("gender eq (", BadRequest, "is not a path"),
        ('given eq "x', BadRequest, "is not understood at"),
        ('given eq "\\x"', BadRequest, "not a JSON string"),
        ('given eq ""', BadRequest, "write pr false"),
        ("link[other eq x].type eq y", BadRequest, "filters inside a path"),
        ("nom eq x", UnknownParameter, "no search parameter 'nom'"),
        ("given:exact eq x", UnknownParameter, "no modifiers"),
        ("gender ne male", UnknownParameter, "write not (... eq ...)"),
        ("gender co al", UnknownParameter, "co is not for gender"),
        ("given gt x", UnknownParameter, "gt is not for given"),
        ("gender re x", UnknownParameter, "re is not for gender"),
        ("given po 1980", UnknownParameter, "po is not for given"),
        ("_id pr true", UnknownParameter, "pr is not for _id"),
        ("gender in http://x", UnknownParameter, "needs terminology"),
        ("gender ss male", UnknownParameter, "needs terminology"),
        ("birthdate eq hier", BadRequest, "prefix"),
        ("birthdate pr yes", BadRequest, "followed by true or false"),
        ("(" * 101 + "gender eq male" + ")" * 101, TooCostly, "parentheses"),
        (" or ".join(["gender eq male"] * 300), TooCostly, "comparisons"),
    ],
)
def test_refused(indexer: search.Indexer, filter: str, error: type[FHIRError], reason: str) -> None:
    with pytest.raises(error, match=re.escape(reason)):
        compiled(indexer, "Patient", filter)
