"""How alike two Patients are."""

from typing import Any

import pytest

from fhirserver.operations.matching import grade, score


def person(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


INS = "urn:oid:1.2.250.1.213.1.4.10"
DURAND = {"name": [{"family": "Durand", "given": ["Éloïse", "Marie"]}]}
NAMESAKE = {"name": [{"family": "DURAND", "given": ["Eloise"]}]}
BORN = {"birthDate": "1980-02-29"}
FEMALE = {"gender": "female"}


def ins(value: str, **more: Any) -> dict[str, Any]:
    return {"identifier": [{"system": INS, "value": value, **more}]}


ELSEWHERE = {"identifier": [{"system": "urn:o", "value": "1"}]}


@pytest.mark.parametrize(
    ("asked", "candidate", "value", "graded"),
    [
        (ins("1"), ins("1"), 1.0, "certain"),
        (ins("1") | BORN, ins("1") | {"birthDate": "1990"}, 0.7, "possible"),
        (ins("1") | BORN | FEMALE, ins("1") | {"birthDate": "1990", "gender": "male"}, 0.4, "possible"),
        (ins("1") | DURAND | BORN, ins("2") | DURAND | BORN, 0.0, "certainly-not"),
        (ins("1", use="old"), ins("1"), 0.0, "certainly-not"),
        (ins("1") | DURAND | BORN, ELSEWHERE | DURAND | BORN, 0.85, "probable"),
        (DURAND | BORN | FEMALE, NAMESAKE | BORN | FEMALE, 0.95, "probable"),
        (DURAND | BORN, NAMESAKE | BORN, 0.85, "probable"),
        (DURAND | BORN, NAMESAKE | {"birthDate": "1980"}, 0.65, "possible"),
        (DURAND | FEMALE, NAMESAKE | FEMALE, 0.6, "possible"),
        (DURAND | BORN, NAMESAKE | {"birthDate": "1981-02-28"}, 0.2, "certainly-not"),
        (DURAND | BORN | FEMALE, NAMESAKE | BORN | {"gender": "male"}, 0.55, "possible"),
        (DURAND | {"gender": "unknown"}, NAMESAKE | FEMALE, 0.5, "possible"),
        (BORN, BORN, 0.35, "certainly-not"),
        ({}, {}, 0.0, "certainly-not"),
    ],
)
def test_score(asked: dict[str, Any], candidate: dict[str, Any], value: float, graded: str) -> None:
    assert score(person(**asked), person(**candidate)) == value
    assert score(person(**candidate), person(**asked)) == value, "whoever is compared with whom"
    assert grade(value) == graded
