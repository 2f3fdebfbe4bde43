"""ValueSet/$expand over the wire. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

import uuid

import httpx2
import pytest

from tests.terminology.answers import parameters, refused
from tests.terminology.conftest import BREEDS
from tests.terminology.synthetic import ANIMALS, listed, value_set

GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
UNITS = "http://hl7.org/fhir/ValueSet/ucum-units"
VS = "http://example.org/ValueSet/"


@pytest.mark.parametrize(
    ("query", "codes", "total"),
    [
        (f"/ValueSet/$expand?url={GENDERS}", "male female other unknown", 4),
        (f"/ValueSet/$expand?url={GENDERS}|4.0.1", "male female other unknown", 4),
        (f"/ValueSet/$expand?url={GENDERS}&valueSetVersion=4.0.1", "male female other unknown", 4),
        (f"/ValueSet/$expand?url={GENDERS}&filter=fem", "female", 1),
        (f"/ValueSet/$expand?url={GENDERS}&count=2", "male female", 4),
        (f"/ValueSet/$expand?url={GENDERS}&count=2&offset=3", "unknown", 4),
        (f"/ValueSet/$expand?url={GENDERS}&count=0", "", 4),
        ("/ValueSet/mammals/$expand", "mammal dog cat unicorn", 4),
        ("/ValueSet/mammals/$expand?activeOnly=true", "mammal dog cat", 3),
        (f"/ValueSet/$expand?url={VS}mammals|2", "mammal dog cat unicorn", 4),
        (f"/ValueSet/$expand?url={VS}all-animals", "animal mammal dog cat unicorn bird", 6),
        (f"/ValueSet/$expand?url={VS}all-animals&excludeNotForUI=true&filter=bi", "bird", 1),
        (f"/ValueSet/$expand?url={VS}mixed", "dog poodle", 2),
        (f"/ValueSet/$expand?url={VS}mixed&exclude-system={BREEDS}", "dog", 1),
    ],
)
def test_expand(api: httpx2.Client, query: str, codes: str, total: int) -> None:
    answer = api.get(query)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["resourceType"], body["status"]) == ("ValueSet", "active")
    assert [entry["code"] for entry in body["expansion"].get("contains", [])] == codes.split()
    assert body["expansion"]["total"] == total
    assert body["expansion"]["identifier"].startswith("urn:uuid:")
    assert "compose" not in body


def test_expand_says_what_was_asked_and_used(api: httpx2.Client) -> None:
    asked = parameters(
        ("url", "valueUri", f"{VS}pets"),
        ("includeDesignations", "valueBoolean", True),
        ("displayLanguage", "valueCode", "fr"),
        ("count", "valueInteger", 1),
        ("includeDefinition", "valueBoolean", True),
    )
    body = api.post("/ValueSet/$expand", json=asked).json()
    assert body["url"] == f"{VS}pets"
    assert body["compose"]["include"][0]["system"] == ANIMALS
    told = {p["name"]: next(v for k, v in p.items() if k != "name") for p in body["expansion"]["parameter"]}
    assert told == {
        "includeDesignations": True,
        "displayLanguage": "fr",
        "count": 1,
        "version": f"{ANIMALS}|1.0",
    }
    assert body["expansion"]["contains"] == [
        {
            "system": ANIMALS,
            "version": "1.0",
            "code": "dog",
            "display": "Chien",
            "designation": [
                {"language": "fr", "value": "Chien"},
                {"language": "fr-CA", "value": "Pitou"},
            ],
        }
    ]


def test_expand_heeds_accept_language(api: httpx2.Client) -> None:
    body = api.get("/ValueSet/pets/$expand", headers={"Accept-Language": "fr-FR,fr;q=0.9"}).json()
    assert [entry["display"] for entry in body["expansion"]["contains"]] == ["Chien", "Chat"]


def test_expand_nests_when_asked(api: httpx2.Client) -> None:
    body = api.get("/ValueSet/mammals/$expand?excludeNested=false").json()
    [mammal] = body["expansion"]["contains"]
    assert [entry["code"] for entry in mammal["contains"]] == ["dog", "cat", "unicorn"]


@pytest.mark.parametrize("alone", [True, False])
def test_expand_what_comes_along(api: httpx2.Client, alone: bool) -> None:
    set = value_set("along", listed("cat"))
    del set["url"]
    body = set if alone else parameters(("valueSet", "resource", set))
    answer = api.post("/ValueSet/$expand", json=body)
    assert [entry["code"] for entry in answer.json()["expansion"]["contains"]] == ["cat"]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("/ValueSet/$expand?url=http://example.org/none", 404, "not-found"),
        (f"/ValueSet/$expand?url={GENDERS}|9", 404, "not-found"),
        ("/ValueSet/none/$expand", 404, "not-found"),
        (f"/ValueSet/$expand?url={VS}unknown-system", 422, "not-found"),
        (f"/ValueSet/$expand?url={UNITS}", 422, "too-costly"),
        ("/ValueSet/$expand?url=http://unitsofmeasure.org/vs", 422, "too-costly"),
        ("/ValueSet/$expand", 400, "invalid"),
        (f"/ValueSet/$expand?url={GENDERS}&count=x", 400, "invalid"),
        (f"/ValueSet/$expand?url={GENDERS}&offset=-1", 400, "invalid"),
        (f"/ValueSet/$expand?url={GENDERS}&activeOnly=maybe", 400, "invalid"),
        (f"/ValueSet/$expand?url={GENDERS}&system-version=x", 400, "invalid"),
        (f"/ValueSet/$expand?url={GENDERS}&surprise=1", 400, "not-supported"),
        ("/ValueSet/$expand?context=Patient.gender", 501, "not-supported"),
        (f"/ValueSet/mammals/$expand?url={GENDERS}", 400, "invalid"),
        (f"/ValueSet/$expand?url={VS}pets&force-system-version={ANIMALS}|9", 200, ""),
        (f"/ValueSet/$expand?url={VS}mammals&force-system-version={ANIMALS}|9", 422, "not-found"),
        (f"/ValueSet/$expand?url={VS}mammals&check-system-version={ANIMALS}|9", 422, "processing"),
        (f"/ValueSet/$expand?url={VS}mammals&check-system-version={ANIMALS}|1.0", 200, ""),
        (f"/ValueSet/$expand?url={VS}mammals&system-version={ANIMALS}|1.0", 200, ""),
    ],
)
def test_expand_refused(api: httpx2.Client, query: str, status: int, code: str) -> None:
    answer = api.get(query)
    if status == 200:
        assert answer.status_code == 200, answer.text
    else:
        refused(answer, status, code)


def test_expand_an_invalid_value_set(api: httpx2.Client) -> None:
    set = value_set("x", {"system": ANIMALS, "filter": [{"property": "code", "op": "like", "value": "x"}]})
    refused(api.post("/ValueSet/$expand", json=set), 400, "code-invalid")
    assert api.post("/ValueSet/$expand", json=parameters(("valueSet", "valueString", "x"))).status_code == 400


def test_a_write_is_seen_at_once(api: httpx2.Client) -> None:
    id = uuid.uuid4().hex
    set = value_set(id, listed("dog"))
    assert api.put(f"/ValueSet/{id}", json=set).status_code == 201
    assert [e["code"] for e in api.get(f"/ValueSet/{id}/$expand").json()["expansion"]["contains"]] == ["dog"]
    assert api.put(f"/ValueSet/{id}", json=value_set(id, listed("cat"))).status_code == 200
    found = api.get(f"/ValueSet/$expand?url={set['url']}").json()
    assert [entry["code"] for entry in found["expansion"]["contains"]] == ["cat"]
    assert api.delete(f"/ValueSet/{id}").status_code == 204
    refused(api.get(f"/ValueSet/$expand?url={set['url']}"), 404, "not-found")
    refused(api.get(f"/ValueSet/{id}/$expand"), 410, "deleted")
