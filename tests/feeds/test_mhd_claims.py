"""Profiles of IHE MHD and PDSm that are claimed, over the wire: stored where they hold."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.feeds.submissions import MHD, PDSM, Person, comprehensive, stored
from tests.live import free_port, serve


def test_the_capability_statement_names_actors_and_profiles(client: httpx2.Client) -> None:
    statement = client.get("/metadata").json()
    actor = "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified"
    assert actor in statement["instantiates"]
    [resource] = [r for r in statement["rest"][0]["resource"] if r["type"] == "DocumentReference"]
    assert MHD + "Comprehensive.DocumentReference" in resource["supportedProfile"]
    assert "urn:x-fhirserver:profile:fr-document" in resource["supportedProfile"]
    assert "generate-metadata" in [operation["name"] for operation in resource["operation"]]


def _without(*names: str) -> Any:
    def spoil(bundle: dict[str, Any]) -> None:
        element = bundle["entry"][1]["resource"]
        for name in names[:-1]:
            element = element[name]
        del element[names[-1]]

    return spoil


def _reference_outside(bundle: dict[str, Any]) -> None:
    document = bundle["entry"][1]["resource"]
    document["author"] = [{"reference": "https://example.org/fhir/Practitioner/1"}]
    document["contained"] = document["contained"][:1]


COMPREHENSIVE = [
    ("nothing", lambda _: None, ""),
    ("no type", _without("type"), "type"),
    ("no category", _without("category"), "category"),
    ("no label", _without("securityLabel"), "securityLabel"),
    ("no facility", _without("context", "facilityType"), "context.facilityType"),
    ("no practice setting", _without("context", "practiceSetting"), "context.practiceSetting"),
    ("an author outside", _reference_outside, ""),
]


@pytest.mark.parametrize(("what", "spoil", "place"), COMPREHENSIVE, ids=[c[0] for c in COMPREHENSIVE])
def test_a_claim_is_stored_where_it_holds(
    client: httpx2.Client, person: Person, what: str, spoil: Any, place: str
) -> None:
    bundle = comprehensive(person)
    spoil(bundle)
    if what == "no practice setting":
        bundle["entry"][1]["resource"]["meta"] = {
            "profile": [MHD + "Comprehensive.DocumentReference", "urn:x:y"]
        }
    answer = client.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    claimed = stored(client, bundle).get("meta", {}).get("profile", [])
    response = answer.json()["entry"][1]["response"]
    if what == "nothing":
        assert claimed == [MHD + "Comprehensive.DocumentReference"]
        assert "outcome" not in response
    else:
        assert MHD + "Comprehensive.DocumentReference" not in claimed
        told = response["outcome"]["issue"]
        assert {issue["severity"] for issue in told} == {"warning"}
        expected = f"Bundle.entry[1].resource{'.' if place else ''}{place}"
        assert told[0]["expression"] == [expected]
    if what == "no practice setting":
        assert claimed == ["urn:x:y"]


@pytest.fixture(scope="module")
def strict(make_settings: Any) -> Iterator[httpx2.Client]:
    """A client of a server that refuses what is not as it claims."""
    settings = make_settings(http_port=free_port(), mhd_profiles="refuse")
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as client:
        yield client


@pytest.mark.parametrize(("what", "spoil", "place"), COMPREHENSIVE, ids=[c[0] for c in COMPREHENSIVE])
def test_a_claim_that_does_not_hold_is_refused_where_the_setting_says_so(
    strict: httpx2.Client, what: str, spoil: Any, place: str
) -> None:
    bundle = comprehensive(Person(strict))
    spoil(bundle)
    answer = strict.post("", json=bundle)
    assert answer.status_code == (200 if what == "nothing" else 422)


def test_a_withdrawn_document_claims_nothing(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission(author=[{"identifier": {"system": "urn:x", "value": "me"}}])
    client.post("", json=bundle)
    document = stored(client, bundle)
    assert document["meta"]["profile"]
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "reason", "valueString": "test"},
            {"name": "author", "valueIdentifier": {"system": "urn:x", "value": "me"}},
        ],
    }
    answer = client.post(f"/DocumentReference/{document['id']}/$withdraw", json=asked)
    assert answer.status_code == 200, answer.text
    assert "profile" not in answer.json()["meta"]


def test_a_change_lets_a_claim_go(strict: httpx2.Client) -> None:
    bundle = comprehensive(Person(strict))
    strict.post("", json=bundle)
    document = stored(strict, bundle)
    del document["context"]["facilityType"]
    answer = strict.put(f"/DocumentReference/{document['id']}", json=document)
    assert answer.status_code == 200, answer.text
    assert "profile" not in answer.json()["meta"]


def test_conditions_of_the_client_hold_nothing_up(client: httpx2.Client, person: Person) -> None:
    bundle = person.submission()
    master = bundle["entry"][1]["resource"]["masterIdentifier"]
    bundle["entry"][1]["request"]["ifNoneExist"] = f"identifier={master['value']}"
    statuses = [
        [e["response"]["status"][:3] for e in client.post("", json=bundle).json()["entry"]] for _ in range(2)
    ]
    assert statuses == [["201"] * 3, ["200"] * 3]


def test_documents_by_themselves_are_held_to_their_claims_too(
    client: httpx2.Client, strict: httpx2.Client, person: Person
) -> None:
    document = person.simplified(meta={"profile": [PDSM + "pdsm-comprehensive-document-reference"]})
    document["status"] = "superseded"  # it is not published
    made = client.post("/DocumentReference", json=document)
    assert made.status_code == 201
    assert "profile" not in made.json()["meta"]
    document["subject"] = {"reference": Person(strict).reference}
    assert strict.post("/DocumentReference", json=document).status_code == 422
