"""/metadata over the wire. https://hl7.org/fhir/R4/http.html#capabilities"""

from typing import Any

import httpx2
import pytest

from fhirserver.model.definitions import Definitions
from fhirserver.validation import Validator


@pytest.mark.parametrize(
    ("query", "type"),
    [
        ("", "CapabilityStatement"),
        ("?mode=full", "CapabilityStatement"),
        ("?mode=normative", "CapabilityStatement"),
        ("?mode=terminology", "TerminologyCapabilities"),
        ("?_summary=true", "CapabilityStatement"),
        ("?_elements=software", "CapabilityStatement"),
        ("?_summary=false&_pretty=true&_format=json", "CapabilityStatement"),
    ],
)
def test_the_statement_is_valid(client: httpx2.Client, validator: Validator, query: str, type: str) -> None:
    answer = client.get(f"/metadata{query}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["resourceType"] == type
    errors = [i for i in validator.validate(body) if i.severity in ("error", "fatal")]
    if query == "?_elements=software":  # a part of a statement need not say what it is capable of: cpb-1
        errors = [issue for issue in errors if "cpb-1" not in issue.text]
    assert errors == []
    if query.startswith(("?_summary=true", "?_el")):
        assert body["meta"]["tag"][0]["code"] == "SUBSETTED"
    if query == "?_elements=software":
        assert "rest" not in body


def test_what_it_says(client: httpx2.Client, definitions: Definitions) -> None:
    statement = client.get("/metadata").json()
    rest = statement["rest"][0]
    assert {i["code"] for i in rest["interaction"]} == {
        "transaction",
        "batch",
        "search-system",
        "history-system",
    }
    patient = next(r for r in rest["resource"] if r["type"] == "Patient")
    assert {"read", "vread", "history-instance", "history-type", "search-type"} <= {
        i["code"] for i in patient["interaction"]
    }
    assert patient["conditionalRead"] == "full-support"
    assert f"http://hl7.org/fhir/CompartmentDefinition/{'patient'}" in rest["compartment"]
    assert "application/fhir+ndjson" in statement["format"]


def test_the_normative_part(client: httpx2.Client) -> None:
    def types(query: str) -> set[str]:
        rest: dict[str, Any] = client.get(f"/metadata{query}").json()["rest"][0]
        return {r["type"] for r in rest["resource"]}

    assert types("?mode=normative") < types("")
    assert {"Patient", "Observation"} <= types("?mode=normative")
    assert "DocumentReference" not in types("?mode=normative")


@pytest.mark.parametrize("query", ["?mode=none", "?unknown=1", "?_summary=maybe", "?_elements=nickname"])
def test_refuses(client: httpx2.Client, query: str) -> None:
    assert client.get(f"/metadata{query}").status_code == 400


def test_it_is_read_again_only_when_it_is_another_one(client: httpx2.Client) -> None:
    etag = client.get("/metadata").headers["etag"]
    again = client.get("/metadata", headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get("/metadata?mode=normative", headers={"If-None-Match": etag}).status_code == 200
    headers = {"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}
    assert client.get("/metadata", headers=headers).status_code == 200
