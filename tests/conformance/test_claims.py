"""From a CapabilityStatement to claims, from claims to cases of checks."""

from pathlib import Path
from typing import Any

import pytest

import conformance.areas  # noqa: F401  # registers the checks
from conformance.checks import CHECKS, Check, uncovered
from conformance.samples import REQUIRED, sample
from conformance.statement import read
from conformance.target import Target
from fhirserver.model.definitions import Definitions
from fhirserver.validation import Validator

ROOT = Path(__file__).parents[2]

PATIENT: dict[str, Any] = {
    "type": "Patient",
    "interaction": [{"code": "read"}],
    "versioning": "versioned",
    "readHistory": True,
    "updateCreate": False,
    "conditionalRead": "full-support",
    "conditionalDelete": "not-supported",
    "referencePolicy": ["literal"],
    "searchInclude": ["Patient:organization"],
    "searchParam": [{"name": "birthdate", "type": "date"}],
    "operation": [{"name": "$everything", "definition": "http://conformance.test/everything"}],
}


def statement_of(*resources: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "fhirVersion": "4.0.1",
        "format": ["xml"],
        "rest": [{"mode": "client"}, {"mode": "server", "resource": list(resources), **rest}],
    }


def test_claims_of_a_statement() -> None:
    found = read(
        statement_of(
            PATIENT,
            {"type": "Basic"},
            interaction=[{"code": "batch"}],
            operation=[{"name": "export", "definition": "http://conformance.test/export"}],
            searchParam=[{"name": "_id", "type": "token"}],
            security={"cors": True, "service": [{"coding": [{"code": "SMART-on-FHIR"}]}]},
            compartment=["http://hl7.org/fhir/CompartmentDefinition/patient"],
        )
        | {"patchFormat": ["application/json-patch+json"]}
    )
    assert found.types == ("Patient", "Basic")
    assert found.parameters == {"Patient?birthdate": "date", "Patient?_id": "token", "Basic?_id": "token"}
    assert found.claims == {
        "format:xml",
        "patchFormat:application/json-patch+json",
        "batch",
        "$export",
        "cors",
        "security:SMART-on-FHIR",
        "compartment:http://hl7.org/fhir/CompartmentDefinition/patient",
        "Patient/read",
        "Patient/versioning:versioned",
        "Patient/readHistory",
        "Patient/conditionalRead:full-support",
        "Patient/referencePolicy:literal",
        "Patient/_include=Patient:organization",
        "Patient/$everything",
        "Patient?birthdate",
        "Patient?_id",
        "Basic?_id",
    }


def nothing(target: Target) -> None:
    """A check that is content with everything."""


@pytest.mark.parametrize(
    ("needs", "each", "expected"),
    [
        ((), "server", [""]),
        (("batch",), "server", [""]),
        (("transaction",), "server", []),
        (("{type}/read",), "server", ["Patient"]),
        (("{type}/read",), "type", ["Patient"]),
        (("{type}/create",), "type", []),
        (("{type}?_id",), "type", ["Basic", "Patient"]),
        (("{type}/read", "batch"), "type", ["Patient"]),
        (("{type}/read", "transaction"), "type", []),
        (("{type}?{item}",), "claim", ["Basic?_id", "Patient?_id", "Patient?birthdate"]),
        (("{type}?{item}", "{type}/read"), "claim", ["Patient?_id", "Patient?birthdate"]),
        (("format:{item}",), "claim", ["format:xml"]),
        (("format:{xml}",), "server", [""]),
        (("Patient/$everything",), "server", [""]),
    ],
)
def test_cases_of_a_check(needs: tuple[str, ...], each: Any, expected: list[str]) -> None:
    statement = read(
        statement_of(
            {"type": "Basic"},
            PATIENT,
            interaction=[{"code": "batch"}],
            searchParam=[{"name": "_id", "type": "token"}],
        )
    )
    check = Check("area", "title", "http.html", needs, each, False, nothing)
    assert [case.name for case in check.cases(statement, statement.types)] == expected


@pytest.mark.parametrize(
    ("resource", "rest", "claim"),
    [
        ({"type": "Patient", "operation": [{"name": "levitate"}]}, {}, "Patient/$levitate"),
        ({"type": "Patient", "supportedProfile": ["http://x.test/p"]}, {}, "Patient/profile:http://x.test/p"),
        ({"type": "Levitation", "interaction": [{"code": "read"}]}, {}, "Levitation/read"),
        ({"type": "Patient"}, {"operation": [{"name": "levitate"}]}, "$levitate"),
        ({"type": "Patient"}, {"interaction": [{"code": "levitate"}]}, "levitate"),
    ],
)
def test_a_claim_without_a_check_is_named(resource: dict[str, Any], rest: dict[str, Any], claim: str) -> None:
    statement = read(statement_of(resource, **rest))
    assert uncovered(statement, CHECKS, statement.types) == [claim]


def test_titles_name_one_check_each() -> None:
    names = [(check.area, check.title, check.needs) for check in CHECKS]
    assert len(set(names)) == len(names)
    pages = [check.spec.partition("#")[0] for check in CHECKS]
    assert [page for page in pages if not page.endswith(".html") and "://" not in page] == []


def test_the_documentation_names_every_area() -> None:
    text = " ".join((ROOT / "docs" / "api" / "conformance.md").read_text("utf-8").split())
    areas = ", ".join(dict.fromkeys(check.area for check in CHECKS))
    assert f"Areas: {areas}." in text


def test_there_is_a_valid_sample_of_every_type(definitions: Definitions, validator: Validator) -> None:
    assert REQUIRED.keys() == set(definitions.resource_types) - {"Parameters"}
    for type in REQUIRED:
        issues = validator.validate(sample(type, "mark"))
        assert [issue for issue in issues if issue.severity in ("error", "fatal")] == [], type
