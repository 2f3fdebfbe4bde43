"""fhirclient, the SMART client (https://github.com/smart-on-fhir/client-py), drives the live server.

Its models check every answer against the structure of R4, so an answer it takes is one it understands.
"""

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.binary import Binary
from fhirclient.models.bundle import Bundle
from fhirclient.models.documentreference import DocumentReference
from fhirclient.models.observation import Observation
from fhirclient.models.operationoutcome import OperationOutcome
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException
from requests import HTTPError

if TYPE_CHECKING:
    from tests.live import Live

SYSTEM = "urn:fhirclient"


@pytest.fixture
def smart(live: "Live") -> Any:
    client = FHIRClient(settings={"app_id": "tests", "api_base": live.base_url})
    yield client.server
    client.server.session.close()


@pytest.fixture
def mark() -> str:
    return uuid4().hex


def patient(mark: str, **elements: Any) -> Patient:
    return Patient(
        {
            "resourceType": "Patient",
            "identifier": [{"system": SYSTEM, "value": mark}],
            "name": [{"family": "Lefèvre", "given": ["Œdipe"]}],
            "birthDate": "1955-06-01",
            **elements,
        }
    )


def test_capabilities(smart: Any) -> None:
    statement = smart.capabilityStatement
    assert statement.fhirVersion == "4.0.1"
    assert "Patient" in {each.type for each in statement.rest[0].resource}


def test_create_read_update_delete(smart: Any, mark: str) -> None:
    id = patient(mark).create(smart)["id"]
    read = Patient.read(id, smart)
    assert (read.name[0].family, read.birthDate.isostring) == ("Lefèvre", "1955-06-01")
    read.active = True
    assert read.update(smart)["meta"]["versionId"] == "2"
    assert Patient.read(id, smart).active is True
    read.delete(smart)
    with pytest.raises(HTTPError, match="410"):
        Patient.read(id, smart)


def test_search_with_paging(smart: Any, mark: str) -> None:
    tag = {"tag": [{"system": SYSTEM, "code": mark}]}
    made = [patient(f"{mark}-{n}", meta=tag).create(smart)["id"] for n in range(5)]
    search = Patient.where({"_tag": f"{SYSTEM}|{mark}", "_count": "2"})
    pages = list(search.perform_iter(smart))
    assert [(page.type, len(page.entry)) for page in pages] == [("searchset", n) for n in (2, 2, 1)]
    found = [each.id for each in search.perform_resources_iter(smart)]
    assert sorted(found) == sorted(made)
    assert list(Patient.where({"_tag": f"{SYSTEM}|none-such"}).perform_resources_iter(smart)) == []


def test_search_by_date_and_reference(smart: Any, mark: str) -> None:
    id = patient(mark).create(smart)["id"]
    weight = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": f"Patient/{id}"},
        "effectiveDateTime": "2026-01-02T08:00:00+01:00",
        "valueQuantity": {"value": 70.5, "unit": "kg"},
    }
    Observation(weight).create(smart)
    search = Observation.where({"subject": id, "code": "http://loinc.org|29463-7", "date": "ge2026"})
    (found,) = search.perform_resources_iter(smart)
    assert (found.valueQuantity.value, found.effectiveDateTime.isostring) == (
        70.5,
        "2026-01-02T08:00:00+01:00",
    )
    assert found.subject.resolved(Patient).id == id


def test_transaction(smart: Any, mark: str) -> None:
    full_url = f"urn:uuid:{uuid4()}"
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "subject": {"reference": full_url},
        "content": [{"attachment": {"contentType": "application/pdf", "title": mark}}],
    }
    bundle = Bundle(
        {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "fullUrl": full_url,
                    "resource": patient(mark).as_json(),
                    "request": {"method": "POST", "url": "Patient"},
                },
                {"resource": document, "request": {"method": "POST", "url": "DocumentReference"}},
            ],
        }
    )
    answer = Bundle(smart.post_json("", bundle.as_json()).json())
    assert [each.response.status for each in answer.entry] == ["201 Created"] * 2
    (owner,) = Patient.where({"identifier": f"{SYSTEM}|{mark}"}).perform_resources_iter(smart)
    (stored,) = DocumentReference.where({"patient": owner.id}).perform_resources_iter(smart)
    assert stored.subject.reference == f"Patient/{owner.id}"


def test_binary(smart: Any) -> None:
    made = {"resourceType": "Binary", "contentType": "text/plain", "data": "w6lsb8Ovc2U="}
    id = Binary(made).create(smart)["id"]
    assert Binary.read(id, smart).data == "w6lsb8Ovc2U="
    assert smart.request_data(f"Binary/{id}", headers={"Accept": "text/plain"}).decode() == "éloïse"


def test_refusals(smart: Any) -> None:
    with pytest.raises(FHIRNotFoundException):
        Patient.read("none-such", smart)
    with pytest.raises(HTTPError) as refused:
        smart.post_json("Patient", {"resourceType": "Patient", "birthDate": "1980-02-30"})
    assert refused.value.response is not None
    outcome = OperationOutcome(refused.value.response.json())
    assert (outcome.issue[0].code, outcome.issue[0].expression) == ("value", ["Patient.birthDate"])
