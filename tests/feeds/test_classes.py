"""The class of a document by a concept map that an operator has stored."""

import base64
import time
import uuid
from typing import Any

import httpx2
import pytest

from mappings.cda.formats import CLASSES
from tests.feeds.submissions import Person, cda


def described(client: httpx2.Client, number: str, type: str) -> list[dict[str, Any]]:
    """The category of a document of the type, as it is stored."""
    raw = cda(number, document=str(uuid.uuid4())).replace(b"11488-4", type.encode())
    binary = {"resourceType": "Binary", "contentType": "text/xml", "data": base64.b64encode(raw).decode()}
    answer = client.post("/DocumentReference/$generate-metadata", json=binary).json()
    document = client.get("/" + answer["parameter"][0]["valueReference"]["reference"]).json()
    category: list[dict[str, Any]] = document.get("category", [])
    return category


@pytest.mark.parametrize(
    ("source", "type"),
    [
        ("http://loinc.org", "99999-9"),
        ("https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc", "99998-1"),
    ],
)
def test_a_stored_map_says_the_class(client: httpx2.Client, source: str, type: str) -> None:
    person = Person(client)
    assert described(client, person.ins, type) == []
    target = {"code": "44", "display": "Plan de soins", "equivalence": "wider"}
    element = [{"code": type, "target": [target]}]
    concept_map = {
        "resourceType": "ConceptMap",
        "url": f"urn:example:type-to-class:{type}",
        "status": "active",
        "group": [{"source": source, "target": CLASSES, "element": element}],
    }
    made = client.post("/ConceptMap", json=concept_map).json()
    deadline = time.monotonic() + 5
    while not (category := described(client, person.ins, type)) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert category == [{"coding": [{"system": CLASSES, "code": "44", "display": "Plan de soins"}]}]
    client.delete(f"/ConceptMap/{made['id']}").raise_for_status()
