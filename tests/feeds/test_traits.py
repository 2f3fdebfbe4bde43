"""A document whose header disagrees with the registry: it is told, or held where it may be another's."""

from typing import Any

import pytest

from fhirserver.feeds.traits import disagreements
from tests.feeds.conftest import Feed
from tests.feeds.messages import OID, cda

DOCUMENT = cda("1", patient="T1")


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", **elements}


def named(family: str, *given: str) -> dict[str, Any]:
    return {"family": family, "given": list(given)}


@pytest.mark.parametrize(
    ("sent", "stored", "expected"),
    [
        (patient(), patient(birthDate="1980", gender="male", name=[named("A", "B")]), []),
        (patient(birthDate="1980-05-01"), patient(birthDate="1980"), []),
        (patient(birthDate="1980-05-01"), patient(birthDate="1980-06"), ["birthDate"]),
        (patient(gender="male"), patient(gender="unknown"), []),
        (patient(gender="male"), patient(gender="female"), ["gender"]),
        (patient(name=[named("DUPONT-MOREL")]), patient(name=[named("Dupont Morel")]), []),
        (patient(name=[named("LEFÈVRE")]), patient(name=[named("X"), named("Lefevre")]), []),
        (patient(name=[named("MARTIN")]), patient(name=[named("DURAND")]), ["name.family"]),
        (patient(name=[named("A", "Jean Paul")]), patient(name=[named("A", "JEAN")]), []),
        (patient(name=[named("A", "Jean")]), patient(name=[named("A", "Luc")]), ["name.given"]),
    ],
)
def test_traits_that_cannot_be_one_person_s(
    sent: dict[str, Any], stored: dict[str, Any], expected: list[str]
) -> None:
    assert disagreements(sent, stored) == expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("elements", "status", "severity"),
    [
        ({"gender": "female", "birthDate": "1979-12-10"}, "processed", None),
        ({"gender": "male", "birthDate": "1979-12-10"}, "warnings", "warning"),
        ({"gender": "male", "birthDate": "1960-01-01"}, "held", "error"),
    ],
)
async def test_a_document_never_changes_the_registry(
    feed: Feed, elements: dict[str, str], status: str, severity: str | None
) -> None:
    stored = patient(id="t1", identifier=[{"system": f"urn:oid:{OID}", "value": "T1"}], **elements)
    await feed.put(stored)
    _, outcome = await feed.take(DOCUMENT, "cda")
    assert outcome.status == status
    assert [issue["severity"] for issue in outcome.issues] == ([severity] if severity else [])
    assert "1979" not in str(outcome.issues)
    kept = await feed.only("Patient")
    assert {name: kept[name] for name in elements} == elements
    assert kept["meta"]["versionId"] == "1"
    assert len(await feed.search("DocumentReference")) == (status != "held")
