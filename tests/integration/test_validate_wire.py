"""What clients are told of what is wrong, and the schemas they can check with before."""

from typing import Any

import httpx2
import pytest
from jsonschema import Draft202012Validator

FHIR = {"Content-Type": "application/fhir+json"}
BP = "http://hl7.org/fhir/StructureDefinition/bp"
BODY = b'{"resourceType": "Patient",\n  "gender": "femal",\n  "birthDate": "2023-02-30"}'
XML = b'<Patient xmlns="http://hl7.org/fhir">\n  <gender value="femal"/>\n</Patient>'


def issues(response: httpx2.Response) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = response.json()["issue"]
    return listed


def place(issue: dict[str, Any]) -> dict[str, int]:
    return {e["url"].rpartition("-")[2]: e["valueInteger"] for e in issue.get("extension", ())}


@pytest.mark.parametrize("path", ["/Patient", "/Patient/$validate"])
def test_rule_line_and_column(client: httpx2.Client, path: str) -> None:
    response = client.post(path, content=BODY, headers=FHIR)
    gender, date = issues(response)
    assert response.status_code == (200 if path.endswith("$validate") else 400)
    assert gender["details"]["text"].startswith("'femal' is not one of female, male")
    assert gender["details"]["coding"][0]["code"] == "code"
    assert gender["details"]["coding"][0]["system"].startswith("https://hl7.org/fhir/R4/")
    assert gender["expression"] == ["Patient.gender"]
    assert [place(gender), place(date)] == [{"line": 2, "col": 3}, {"line": 3, "col": 3}]


def test_the_place_in_xml(client: httpx2.Client) -> None:
    response = client.post("/Patient", content=XML, headers={"Content-Type": "application/fhir+xml"})
    response = client.post(
        "/Patient",
        content=XML,
        headers={"Content-Type": "application/fhir+xml", "Accept": "application/fhir+json"},
    )
    assert place(issues(response)[0]) == {"line": 2, "col": 3}


def test_the_place_in_parameters_and_bundles(client: httpx2.Client) -> None:
    parameters = (
        b'{"resourceType": "Parameters", "parameter": [\n{"name": "resource", "resource": ' + BODY + b"}]}"
    )
    response = client.post("/Patient/$validate", content=parameters, headers=FHIR)
    assert place(issues(response)[0]) == {"line": 3, "col": 3}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.5", "n'est pas l'un de female, male"),
        ("de, en;q=0.8, fr;q=0.7", "is not one of female, male"),
        ("", "is not one of female, male"),
        ("fr;q=x, *", "is not one of female, male"),
    ],
)
def test_language(client: httpx2.Client, language: str, text: str) -> None:
    response = client.post("/Patient", content=BODY, headers=FHIR | {"Accept-Language": language})
    assert text in issues(response)[0]["details"]["text"]


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **elements}


def test_a_profile_that_is_claimed_is_held_to(client: httpx2.Client) -> None:
    response = client.post("/Observation", json=observation(meta={"profile": [BP]}), headers=FHIR)
    assert response.status_code == 400
    assert {i["expression"][0] for i in issues(response)} >= {"Observation.category", "Observation.component"}


def test_a_profile_that_is_asked_for(client: httpx2.Client) -> None:
    response = client.post("/Observation/$validate", params={"profile": BP}, json=observation(), headers=FHIR)
    assert response.status_code == 200
    assert "error" in {i["severity"] for i in issues(response)}


def test_an_unknown_profile_is_stored_with_a_warning(client: httpx2.Client) -> None:
    resource = observation(meta={"profile": ["https://example.org/profiles/unknown"]})
    assert client.post("/Observation", json=resource, headers=FHIR).status_code == 201
    (issue,) = issues(client.post("/Observation/$validate", json=resource, headers=FHIR))
    assert (issue["severity"], issue["code"]) == ("warning", "not-supported")


def test_schemas(client: httpx2.Client) -> None:
    base = str(client.base_url).rstrip("/").removesuffix("/fhir")
    listed = httpx2.get(f"{base}/schemas").json()["schemas"]
    patient = next(row for row in listed if row["name"] == "Patient")
    response = httpx2.get(f"{base}/schemas/Patient")
    assert response.headers["content-type"] == "application/schema+json"
    schema = response.json()
    assert schema["$id"] == patient["url"]
    assert Draft202012Validator(schema).is_valid({"resourceType": "Patient", "gender": "female"})
    assert not Draft202012Validator(schema).is_valid({"resourceType": "Patient", "gender": "x"})
    missing = httpx2.get(f"{base}/schemas/Ward")
    assert (missing.status_code, missing.json()["issue"][0]["code"]) == (404, "not-found")
