from typing import Any

import pytest

from fhirserver import search
from fhirserver.model.definitions import Definitions, SearchParameter
from fhirserver.search.match import satisfies
from fhirserver.search.parameters import Custom, compile_parameters
from fhirserver.validation.evaluation import evaluator

PATIENT = {
    "resourceType": "Patient",
    "birthDate": "1979-03-14",
    "active": True,
    "name": [
        {"use": "official", "family": "Durand", "given": ["Éva", "Zoé"]},
        {"use": "nickname", "given": ["Vava"]},
    ],
    "telecom": [
        {"system": "phone", "use": "home", "value": "01 02"},
        {"system": "phone", "use": "mobile", "value": "06 07"},
    ],
    "generalPractitioner": [{"reference": "Practitioner/1"}, {"reference": "Organization/2"}],
    "multipleBirthInteger": 2,
}


def custom(type: str, expression: str) -> Custom:
    definition = SearchParameter("mine", type, "http://x/mine", ("Patient",), expression)
    return Custom("1", 1, definition, frozenset({"Patient"}))


@pytest.mark.parametrize(
    ("type", "expression", "asked", "found"),
    [
        ("token", "Patient.telecom.where(system = 'phone' and use = 'mobile')", "0607", True),
        ("token", "Patient.telecom.where(system = 'phone' and use = 'mobile')", "0102", False),
        ("token", "Patient.telecom.where(use = 'mobile').value", "06 07", True),
        ("string", "Patient.name.where(use != 'nickname' or family.exists()).given.first()", "eva", True),
        ("string", "Patient.name.where(use != 'nickname' or family.exists()).given.first()", "zoe", False),
        ("string", "Patient.name.where(use != 'nickname' or family.exists())", "zoe", True),
        ("string", "Patient.name.first().given.last()", "zoe", True),
        ("token", "iif(Patient.active, Patient.name.use, {})", "official", True),
        ("token", "Patient.name.count() > 1", "true", True),
        ("token", "Patient.name.exists(use = 'old')", "false", True),
        ("number", "Patient.multipleBirth + 1", "3", True),
        ("date", "Patient.birthDate.where($this > @1970-01-01)", "1979", True),
        ("date", "Patient.birthDate.where($this > @1990-01-01)", "1979", False),
        (
            "reference",
            "Patient.generalPractitioner.where(resolve() is Practitioner).first()",
            "Practitioner/1",
            True,
        ),
        (
            "reference",
            "Patient.generalPractitioner.where((resolve() is Organization) and true)",
            "Practitioner/1",
            False,
        ),
    ],
)
def test_what_an_expression_finds(
    definitions: Definitions, type: str, expression: str, asked: str, found: bool
) -> None:
    indexer = search.Indexer(definitions, fhirpath=evaluator(definitions))
    indexer.use([custom(type, expression)])
    condition = search.compile("Patient", [("mine", asked)], indexer=indexer).condition
    assert satisfies(indexer.index(PATIENT), "1", 0, condition) is found
    nobody: dict[str, Any] = {"resourceType": "Patient"}
    present = search.compile("Patient", [("mine:missing", "false")], indexer=indexer).condition
    assert satisfies(indexer.index(PATIENT), "1", 0, present) or not found
    assert isinstance(indexer.index(nobody), search.Index)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("Patient.name.where(usage = 'x' or true)", "no element 'usage' in Patient"),
        ("Patient.name.where(use = 'x' or true).famly", "no element 'famly' in Patient"),
        ("Patient.name.where(($this is HumanNames) and true)", "no type 'HumanNames'"),
        ("Patient.name.frobnicate()", "frobnicate() is not known"),
        ("Patient.name.where(", "is not understood"),
        ("Patient.name ~~~ 3", "is not understood"),
    ],
)
def test_refused(definitions: Definitions, expression: str, reason: str) -> None:
    found = compile_parameters("Patient", definitions, [custom("string", expression)], evaluator(definitions))
    assert reason in found.refused["mine"]


def test_without_an_engine_only_paths_are_understood(definitions: Definitions) -> None:
    found = compile_parameters("Patient", definitions, [custom("token", "Patient.name.count() > 1")])
    assert "'>' is not understood" in found.refused["mine"]
