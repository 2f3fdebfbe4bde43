"""The class of a document by a concept map that an operator has stored."""

import base64
import time
import uuid
from typing import Any

import httpx2
import pytest

from mappings.cda.formats import CLASSES
from tests.feeds.test_publishing import Person, cda

TYPE = "99999-9"


def described(client: httpx2.Client, number: str) -> list[dict[str, Any]]:
    """The category of a document of the type, as it is stored."""
    raw = cda(number, document=str(uuid.uuid4())).replace(b"11488-4", TYPE.encode())
    binary = {"resourceType": "Binary", "contentType": "text/xml", "data": base64.b64encode(raw).decode()}
    answer = client.post("/DocumentReference/$generate-metadata", json=binary).json()
    document = client.get("/" + answer["parameter"][0]["valueReference"]["reference"]).json()
    category: list[dict[str, Any]] = document.get("category", [])
    return category


@pytest.mark.parametrize(
    "source", ["http://loinc.org", "https://mos.esante.gouv.fr/NOS/TRE_A04-Loinc/FHIR/TRE-A04-Loinc"]
)
def test_a_stored_map_says_the_class(client: httpx2.Client, source: str) -> None:
    person = Person(client)
    assert described(client, person.ins) == []
    target = {"code": "44", "display": "Plan de soins", "equivalence": "wider"}
    element = [{"code": TYPE, "target": [target]}]
    concept_map = {
        "resourceType": "ConceptMap",
        "id": "type-to-class",
        "url": "urn:example:type-to-class",
        "status": "active",
        "group": [{"source": source, "target": CLASSES, "element": element}],
    }
    client.put("/ConceptMap/type-to-class", json=concept_map).raise_for_status()
    try:
        deadline = time.monotonic() + 5
        while not (category := described(client, person.ins)) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert category == [{"coding": [{"system": CLASSES, "code": "44", "display": "Plan de soins"}]}]
    finally:
        client.delete("/ConceptMap/type-to-class")
        while described(client, person.ins) and time.monotonic() < deadline + 5:
            time.sleep(0.2)
