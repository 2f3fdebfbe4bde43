"""``_filter``: what it finds, and what is refused."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import BadRequest, FHIRError, TooCostly, UnknownParameter
from fhirserver.search.query import (
    And,
    Condition,
    Everything,
    Ids,
    KeyRange,
    Keys,
    Not,
    Or,
    Range,
    Referred,
    Refers,
)

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
        ("given ne eva", True),
        ("given gt eva", True),
        ("given gt jean", True),
        ('given gt "jean paul"', False),
        ('given ge "jean paul"', True),
        ("given lt eva", False),
        ("given le eva", True),
        ("family gt lefevre", True),
        ("family lt m", True),
        ("gender ne male", True),
        ("gender ne female", False),
        ("gender ne FEMALE", False),
        ("gender eq FEMALE", True),
        ("death-date ne 2020", False),
        ("identifier ne urn:ins|1", True),
        ('identifier ne "1(2)"', False),
        ("identifier ne 12", True),
        ("organization ne Organization/o1", False),
        ("organization ne Organization/o", True),
        ("_id ne p1", False),
        ("_id ne p2", True),
        ("_id pr true", True),
        ("_id pr false", False),
        ("birthdate co 1980-02-29", True),
        ("birthdate co 1980-02-29T10:00:00+01:00", True),
        ("birthdate co 1980-02", False),
        ("_lastUpdated po 1970", True),
        ("_lastUpdated po 1971", False),
        ("gender in http://hl7.org/fhir/ValueSet/administrative-gender", True),
        ("gender ni http://hl7.org/fhir/ValueSet/administrative-gender", False),
        # From left to right: neither binds closer.
        ("gender eq female or given eq zoe and given eq anna", False),
        ("given eq zoe and given eq anna or gender eq female", True),
        ("gender eq female or (given eq zoe and given eq anna)", True),
        ("not(gender eq male)and(given eq eva)", True),
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
        ("code eq loinc|29463-7", True),
        ("code ne loinc|29463-7", False),
        ("code ne snomed|29463-7", True),
        ("code ne 29463-7", False),
        ("value-quantity lt 0.06|ucum|kg", True),
        ("value-quantity ne 58", False),
        ("value-quantity ne 0.058|ucum|kg", False),
        ("value-quantity sa 57.9", True),
        ("value-quantity eb 58", False),
        ("date co 2024-05-15", True),
        ("date co 2024", False),
        ("code-value-quantity[code eq loinc|29463-7].value-quantity gt 57", True),
        ("code-value-quantity[code eq 29463-7].value-quantity gt 58", False),
        ("code-value-quantity[value-quantity eq 58].code eq 29463-7", True),
        ("code-value-quantity[code eq 1].value-quantity eq 58|ucum|g", False),
    ],
)
def test_observations(finds: Finds, filter: str, found: bool) -> None:
    assert finds(OBSERVATION, f"_filter={filter}") is found


def compiled(indexer: search.Indexer, type: str, filter: str) -> Condition:
    return search.compile(type, [("_filter", filter)], indexer=indexer).condition


def test_what_documents_relate_to_is_a_pair(finds: Finds) -> None:
    relates = [{"code": "replaces", "target": {"reference": f"DocumentReference/{n}"}} for n in (1, 2)]
    document = {"resourceType": "DocumentReference", "relatesTo": [*relates, {"code": "signs"}]}
    for code, target, found in (("replaces", 1, True), ("replaces", 3, False), ("signs", 1, False)):
        text = f"relatesTo[code eq {code}].target re DocumentReference/{target}"
        assert finds(document, f"_filter={text}") is found, text


@pytest.mark.parametrize(
    ("probability", "asked", "found"),
    [("0.42", "0.42", True), ("0.4", "0.42", True), ("0.5", "0.42", False), ("0.42", "0.4", False)],
)
def test_a_number_stands_for_what_is_rounded_to_it(
    finds: Finds, probability: str, asked: str, found: bool
) -> None:
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": Decimal(probability)}]}
    assert finds(risk, f"_filter=probability co {asked}") is found


def test_brackets_narrow_a_step(indexer: search.Indexer) -> None:
    def refers(*conditions: Condition) -> Condition:
        return Refers("patient", "Patient", And(conditions))

    female, zoe = Keys(("gender|female", "gender|FEMALE")), Range("family|zoe\x1f\x02", "family|zoe\x20")
    text = "patient[gender eq female].family eq zoe"
    assert compiled(indexer, "Observation", text) == refers(female, zoe)
    text = "patient[gender eq female or (family eq zoe)].organization[name pr true]._id eq 1"
    inner = And((Range("name|", "name}"), Ids(("1",))))
    organization = Refers("organization", "Organization", inner)
    assert compiled(indexer, "Observation", text) == refers(Or((female, zoe)), organization)
    assert compiled(indexer, "Observation", "patient[family eq zoe].gender pr false") == Not(
        refers(zoe, KeyRange("gender|", "gender}"))
    )


def test_paths_are_chains(indexer: search.Indexer) -> None:
    female = Keys(("gender|female", "gender|FEMALE"))
    assert compiled(indexer, "Observation", "patient.gender eq female") == Refers(
        "patient", "Patient", female
    )
    found = compiled(indexer, "Patient", "not (_has:Observation:patient:status eq final)")
    assert found == Not(Referred("Patient", "Observation", "patient", Keys(("status|final", "status|FINAL"))))


@pytest.mark.parametrize(
    ("filter", "error", "position", "reason"),
    [
        ("gender", BadRequest, 7, "path operator value"),
        ("gender eq", BadRequest, 10, "path operator value"),
        ("", None, 0, ""),
        (" ", BadRequest, 2, "not complete"),
        ("(gender eq male", BadRequest, 16, "a ) is missing, for what is open since 1"),
        ("gender eq male)", BadRequest, 15, "ends before ')'"),
        ("gender eq male birthdate eq 1980", BadRequest, 16, "ends before 'birthdate'"),
        ("gender equals male", BadRequest, 8, "is not one of eq, ne"),
        ("gender eq (", BadRequest, 11, "'(' is not a value"),
        ("gender eq male and", BadRequest, 19, "not complete"),
        ("and gender eq male", BadRequest, 5, "is not one of eq"),
        ("not gender eq male", BadRequest, 5, "is not one of eq"),
        ('"gender" eq male', BadRequest, 1, "is not a path"),
        ("gender..x eq male", BadRequest, 1, "a name is missing"),
        ('given eq "x', BadRequest, 10, "is not closed"),
        ('given eq "\\x"', BadRequest, 10, "not a JSON string"),
        ('given eq ""', BadRequest, 10, "write pr false"),
        ('given eq "\\u0000"', BadRequest, 10, "cannot contain NUL"),
        ("link[other eq x].type eq y", UnknownParameter, 1, "no search parameter 'type'"),
        ("organization[name eq x] eq y", BadRequest, 25, "after organization[...] comes a . and a name"),
        ("organization[name eq x", BadRequest, 23, "a ] is missing, for what is open since 13"),
        ("organization [name eq x].name eq y", BadRequest, 14, "is not one of eq"),
        ("gender[x eq y].z eq 1", UnknownParameter, 1, "no reference parameter 'gender'"),
        ("nom eq x", UnknownParameter, 1, "no search parameter 'nom'"),
        ("gender eq male and nom eq x", UnknownParameter, 20, "no search parameter 'nom'"),
        ("given:exact eq x", UnknownParameter, 1, "no modifiers"),
        ("gender co al", UnknownParameter, 1, "co is not for gender"),
        ("gender gt male", UnknownParameter, 1, "gt is not for gender"),
        ("gender re x", UnknownParameter, 1, "re is not for gender"),
        ("given po 1980", UnknownParameter, 1, "po is not for given"),
        ("given ss x", UnknownParameter, 1, "ss is not for given"),
        ("given sa x", UnknownParameter, 1, "sa is not for given"),
        ("organization sw x", UnknownParameter, 1, "sw is not for organization"),
        ("birthdate eq hier", BadRequest, 1, "prefix"),
        ("birthdate po ge1980", BadRequest, 1, "is not a date"),
        ("birthdate pr yes", BadRequest, 1, "followed by true or false"),
        ("identifier ne |", BadRequest, 1, "| alone is not a token"),
        ("(" * 101 + "gender eq male" + ")" * 101, TooCostly, 0, "parentheses"),
        ("organization[" * 101 + "x", TooCostly, 0, "parentheses"),
        (" or ".join(["gender eq male"] * 300), TooCostly, 0, "comparisons"),
    ],
)
def test_refused(
    indexer: search.Indexer, filter: str, error: type[FHIRError] | None, position: int, reason: str
) -> None:
    if error is None:
        assert compiled(indexer, "Patient", filter) == Everything()
        return
    with pytest.raises(error, match=re.escape(reason)) as refusal:
        compiled(indexer, "Patient", filter)
    assert position == 0 or str(refusal.value).startswith(f"_filter, at character {position}: ")


def test_pairs_have_two_names(indexer: search.Indexer) -> None:
    pair = "code-value-quantity[{}].{}"
    for inner, rest, reason in (
        ("code eq 1 and (code eq 2)", "value-quantity gt 1", "is written"),
        ("code ne 1", "value-quantity gt 1", "is written"),
        ("code eq 1", "code eq 2", "has code and value-quantity"),
        ("code eq 1", "value-quantity pr true", "pr is not for"),
    ):
        with pytest.raises(BadRequest, match=reason):
            compiled(indexer, "Observation", pair.format(inner, rest))
