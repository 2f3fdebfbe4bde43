"""fhirpy (https://github.com/beda-software/fhir-py) drives the live server, as an application would."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound

if TYPE_CHECKING:
    from tests.live import Live

SYSTEM = "urn:fhirpy"


@pytest.fixture
def fhirpy(live: "Live") -> SyncFHIRClient:
    return SyncFHIRClient(live.base_url)


@pytest.fixture
def mark() -> str:
    return uuid4().hex


@pytest.fixture
def people(fhirpy: SyncFHIRClient, mark: str) -> Iterator[list[Any]]:
    """Five patients with an identifier of their own each, and a tag in common."""
    made: list[Any] = [
        fhirpy.resource(
            "Patient",
            meta={"tag": [{"system": SYSTEM, "code": mark}]},
            identifier=[{"system": SYSTEM, "value": f"{mark}-{number}"}],
            name=[{"family": f"Durand{number}", "given": ["Éloïse"]}],
            birthDate=f"198{number}-01-31",
        )
        for number in range(5)
    ]
    for each in made:
        each.save()
    yield made
    for each in made:
        each.delete()


def test_create_read_update_delete(fhirpy: SyncFHIRClient, mark: str) -> None:
    patient: Any = fhirpy.resource("Patient", name=[{"family": mark}])
    patient.save()
    assert (patient.id, patient.meta.versionId) == (patient.id, "1")
    patient["active"] = True
    patient.save()
    assert patient.meta.versionId == "2"
    again = fhirpy.reference("Patient", patient.id).to_resource()
    assert (again.active, again.name[0].family) == (True, mark)
    patient.delete()
    with pytest.raises(ResourceNotFound):
        fhirpy.reference("Patient", patient.id).to_resource()


def test_refresh_sees_what_another_client_wrote(fhirpy: SyncFHIRClient, people: list[Any]) -> None:
    # fhirpy sends the version as If-None-Match without the quotes of an ETag.
    mine = people[0]
    mine.refresh()
    other = fhirpy.reference("Patient", mine.id).to_resource()
    other["gender"] = "female"
    other.save()
    mine.refresh()
    assert mine.gender == "female"


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"identifier": "urn:fhirpy|{mark}-3"}, [3]),
        ({"family": "durand"}, [0, 1, 2, 3, 4]),
        ({"family__exact": "Durand1"}, [1]),
        ({"birthdate__ge": "1983"}, [3, 4]),
        ({"birthdate__lt": "1981-01-31"}, [0]),
        ({"family__contains": "RAND4"}, [4]),
    ],
)
def test_search(
    fhirpy: SyncFHIRClient, people: list[Any], mark: str, criteria: dict[str, str], expected: list[int]
) -> None:
    filled = {name: value.format(mark=mark) for name, value in criteria.items()}
    found = fhirpy.resources("Patient").search(_tag=f"{SYSTEM}|{mark}", **filled).fetch()
    assert sorted(each.id for each in found) == sorted(people[number].id for number in expected)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_pages(fhirpy: SyncFHIRClient, people: list[Any], mark: str, count: int) -> None:
    found = fhirpy.resources("Patient").search(_tag=f"{SYSTEM}|{mark}").sort("-birthdate").limit(count)
    assert [each.id for each in found] == [each.id for each in reversed(people)]


def test_get_and_count(live: "Live", fhirpy: SyncFHIRClient, people: list[Any], mark: str) -> None:
    patients = fhirpy.resources("Patient")
    assert patients.search(identifier=f"{SYSTEM}|{mark}-2").get().id == people[2].id
    with pytest.raises(ResourceNotFound):
        patients.search(identifier=f"{SYSTEM}|{mark}-none").get()
    with pytest.raises(MultipleResourcesFound):
        patients.search(_tag=f"{SYSTEM}|{mark}").get()
    # count() sends _totalMethod, a parameter of another server: refused unless the client is lenient.
    lenient = SyncFHIRClient(live.base_url, extra_headers={"Prefer": "handling=lenient"})
    assert lenient.resources("Patient").search(_tag=f"{SYSTEM}|{mark}").count() == 5


def test_conditional_update_and_delete(fhirpy: SyncFHIRClient, mark: str) -> None:
    identifier = [{"system": SYSTEM, "value": mark}]
    matching = fhirpy.resources("Patient").search(identifier=f"{SYSTEM}|{mark}")
    first, created = matching.update(fhirpy.resource("Patient", identifier=identifier))
    second, again = matching.update(fhirpy.resource("Patient", identifier=identifier, active=True))
    assert (created, again, first.id, second.meta.versionId) == (True, False, second.id, "2")
    matching.delete()
    assert matching.fetch() == []


def test_transaction(fhirpy: SyncFHIRClient, mark: str) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:7d2f6f3e-4ac7-4b56-a3b9-6e4b6a3c1a11",
                "resource": {"resourceType": "Patient", "name": [{"family": mark}]},
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {
                    "resourceType": "Observation",
                    "status": "final",
                    "code": {"text": "Poids"},
                    "subject": {"reference": "urn:uuid:7d2f6f3e-4ac7-4b56-a3b9-6e4b6a3c1a11"},
                    "valueQuantity": {"value": 70.5, "unit": "kg"},
                },
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    answer = fhirpy.execute("", "post", data=bundle)
    assert [each["response"]["status"] for each in answer["entry"]] == ["201 Created"] * 2
    patient = fhirpy.resources("Patient").search(family=mark).get()
    weights = fhirpy.resources("Observation").search(subject=patient).fetch()
    assert [each.valueQuantity.value for each in weights] == [70.5]
    assert weights[0].subject.to_resource().id == patient.id


def test_a_refusal_is_an_operation_outcome(fhirpy: SyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome) as refused:
        fhirpy.resource("Patient", gender="man").save()
    (issue,) = refused.value.resource["issue"]
    assert (issue["code"], issue["expression"]) == ("code-invalid", ["Patient.gender"])
    with pytest.raises(OperationOutcome) as unknown:
        fhirpy.resources("Patient").search(famly="Durand").fetch()
    assert "family" in unknown.value.resource["issue"][0]["details"]["text"]
