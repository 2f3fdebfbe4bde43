"""``_contained`` over the wire: what is in other resources is found when it is asked for."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}


def practitioner(id: str, mark: str, family: str) -> dict[str, Any]:
    identifier = [{"system": "urn:rpps", "value": f"{mark}-{family}"}, {"system": "urn:all", "value": mark}]
    return {"resourceType": "Practitioner", "id": id, "identifier": identifier, "name": [{"family": family}]}


@pytest.fixture(scope="module")
def mark(live: Any) -> str:
    """What only the practitioners of this module have: Anne and Berthe are contained, Claire is stored."""
    mark = uuid4().hex
    document = {
        "resourceType": "DocumentReference",
        "id": f"{mark}-doc",
        "status": "current",
        "content": [{"attachment": {"contentType": "text/plain", "url": "urn:x"}}],
        "author": [{"reference": "#anne"}, {"reference": "#berthe"}],
        "contained": [practitioner("anne", mark, "Anne"), practitioner("berthe", mark, "Berthe")],
    }
    observation = {
        "resourceType": "Observation",
        "id": f"{mark}-obs",
        "status": "final",
        "code": {"text": "x"},
        "performer": [{"reference": "#a"}],
        "contained": [practitioner("a", mark, "Anne")],
    }
    with httpx2.Client(base_url=live.base_url) as client:
        for body in (document, observation, practitioner(f"{mark}-c", mark, "Claire")):
            path = f"/{body['resourceType']}/{body['id']}"
            assert client.put(path, json=body, headers=FHIR).status_code == 201
    return mark


def names(body: dict[str, Any]) -> list[str]:
    """The ends of the URLs of the entries, behind the mark."""
    assert {entry["search"]["mode"] for entry in body.get("entry", ())} <= {"match"}
    return sorted(entry["fullUrl"].rpartition("/")[2].partition("-")[2] for entry in body.get("entry", ()))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("identifier={mark}", ["c"]),
        ("identifier={mark}&_contained=false", ["c"]),
        ("identifier={mark}&_contained=true", ["doc", "obs"]),
        ("identifier={mark}&_contained=both", ["c", "doc", "obs"]),
        ("identifier={mark}&_contained=true&_containedType=contained", ["doc#anne", "doc#berthe", "obs#a"]),
        (
            "identifier={mark}&_contained=both&_containedType=contained",
            ["c", "doc#anne", "doc#berthe", "obs#a"],
        ),
        ("identifier={mark}&family=berthe&_contained=true", ["doc"]),
        ("identifier={mark}&family=anne&_contained=true&_containedType=contained", ["doc#anne", "obs#a"]),
        ("identifier=urn:rpps|{mark}-Anne&name=berthe&_contained=both", []),
        ("identifier={mark}&_lastUpdated=gt2020&_contained=true", ["doc", "obs"]),
        ("identifier={mark}&_lastUpdated=lt2020&_contained=true", []),
        ("identifier={mark}&_contained=true&_sort=_lastUpdated", ["doc", "obs"]),
    ],
)
def test_contained(client: httpx2.Client, mark: str, query: str, expected: list[str]) -> None:
    answer = client.get(f"/Practitioner?{query.format(mark=mark)}")
    assert answer.status_code == 200, answer.text
    assert names(answer.json()) == expected
    assert answer.json()["total"] == len(expected)


def test_pages(client: httpx2.Client, mark: str) -> None:
    url, found = f"/Practitioner?identifier={mark}&_contained=both&_count=1", []
    while url:
        body = client.get(url).json()
        found += names(body)
        url = {link["relation"]: link["url"] for link in body["link"]}.get("next", "")
    assert sorted(found) == ["c", "doc", "obs"]


def test_chains_look_inside(client: httpx2.Client, mark: str) -> None:
    found = client.get(f"/DocumentReference?author:Practitioner.identifier={mark}-Berthe").json()
    assert names(found) == ["doc"]
    found = client.get(f"/Observation?performer:Practitioner.identifier={mark}-Berthe").json()
    assert names(found) == []


def test_a_part_is_marked(client: httpx2.Client, mark: str) -> None:
    query = f"identifier={mark}&family=berthe&_contained=true&_containedType=contained&_elements=name"
    entry = client.get(f"/Practitioner?{query}").json()["entry"][0]
    assert set(entry["resource"]) == {"resourceType", "id", "meta", "name"}


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("Practitioner?_contained=maybe", "not one of false, true, both"),
        ("Practitioner?_containedType=x", "not one of container, contained"),
        ("Practitioner?name=x&_contained=true&_sort=name", "cannot be sorted by name"),
        ("Observation?patient.name=x&_contained=true", "chains"),
        ("Practitioner/1/Observation?_contained=true", "searches of one type"),
        ("?_type=Patient,Practitioner&_id=x&_contained=true", "searches of one type"),
    ],
)
def test_refused(client: httpx2.Client, path: str, reason: str) -> None:
    answer = client.get(f"/{path}")
    assert answer.status_code == 400
    assert reason in answer.json()["issue"][0]["details"]["text"]
