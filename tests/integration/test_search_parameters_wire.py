"""SearchParameter resources over the wire: pending, reindexed, searched, gone."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from fhirserver.settings import Settings
from tests.live import free_port, serve

SHARED = "https://fhir.example.org/StructureDefinition/"
NICKNAME = SHARED + "nickname"
Body = dict[str, Any]


def parameter(code: str, type: str, expression: str, base: str = "Patient", **more: Any) -> Body:
    return {
        "resourceType": "SearchParameter",
        "id": code,
        "url": f"https://fhir.example.org/SearchParameter/{code}",
        "name": "Example",
        "status": "active",
        "description": "An example",
        "code": code,
        "base": [base],
        "type": type,
        "expression": expression,
        **more,
    }


def patient(id: str, nickname: str = "", doctor: str = "") -> Body:
    body: Body = {"resourceType": "Patient", "id": id, "gender": "female"}
    if nickname:
        body["extension"] = [{"url": NICKNAME, "valueString": nickname}]
    if doctor:
        reference = {"url": SHARED + "doctor", "valueReference": {"reference": f"Practitioner/{doctor}"}}
        body["extension"] = [*body.get("extension", []), reference]
    return body


@pytest.fixture(scope="module")
def here(make_settings: Callable[..., Settings]) -> Iterator[httpx2.Client]:
    with (
        serve(make_settings(http_port=free_port())) as live,
        httpx2.Client(base_url=live.base_url, timeout=30) as client,
    ):
        yield client


@pytest.fixture
def two(make_settings: Callable[..., Settings]) -> Iterator[tuple[httpx2.Client, httpx2.Client]]:
    """Clients of two servers of one database."""
    settings = make_settings(http_port=free_port())
    second = settings.model_copy(update={"http_port": free_port()})
    with (
        serve(settings) as one,
        serve(second) as other,
        httpx2.Client(base_url=one.base_url, timeout=30) as here,
        httpx2.Client(base_url=other.base_url, timeout=30) as there,
    ):
        yield here, there


def put(client: httpx2.Client, body: Body) -> httpx2.Response:
    return client.put(f"/{body['resourceType']}/{body['id']}", json=body)


def found(client: httpx2.Client, search: str) -> list[str]:
    answer = client.get(f"/{search}")
    assert answer.status_code == 200, answer.text
    return sorted(entry["resource"]["id"] for entry in answer.json().get("entry", []))


def reindex(client: httpx2.Client, type: str) -> dict[str, Any]:
    accepted = client.post(f"/{type}/$reindex", json={"resourceType": "Parameters"})
    assert accepted.status_code == 202, accepted.text
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        answer = client.get(accepted.headers["content-location"])
        if answer.status_code != 202:
            assert answer.status_code == 200, answer.text
            return dict(answer.json())
        assert answer.headers["x-progress"]
        time.sleep(0.02)
    raise AssertionError("the reindex did not end")


def status(client: httpx2.Client, id: str) -> dict[str, dict[str, str]]:
    """Type -> what $status says of it."""
    answer = client.get(f"/SearchParameter/{id}/$status")
    assert answer.status_code == 200, answer.text
    [row] = answer.json()["parameter"]
    bases = [part["part"] for part in row["part"] if part["name"] == "base"]
    rows = [{p["name"]: p.get("valueCode", p.get("valueString")) for p in parts} for parts in bases]
    return {row["type"]: row for row in rows}


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not check():
        assert time.monotonic() < deadline, "not within seconds"
        time.sleep(0.05)


def known_parameters(client: httpx2.Client, type: str) -> dict[str, str]:
    rows = client.get("/metadata").json()["rest"][0]["resource"]
    return {
        p["name"]: p.get("definition", "") for row in rows if row["type"] == type for p in row["searchParam"]
    }


def test_a_parameter_is_pending_until_the_reindex_has_ended_then_searched_then_gone(
    two: tuple[httpx2.Client, httpx2.Client],
) -> None:
    here, there = two
    put(here, patient("before", "Lili"))
    made = put(here, parameter("nickname", "string", f"Patient.extension('{NICKNAME}').value.as(string)"))
    assert made.status_code == 201, made.text

    refused = here.get("/Patient?nickname=lili")
    assert refused.status_code == 400
    assert "Patient/$reindex" in refused.json()["issue"][0]["details"]["text"]
    lenient = here.get("/Patient?nickname=lili", headers={"Prefer": "handling=lenient"})
    assert lenient.status_code == 400, "ignoring it would find everybody"
    for search in (
        "Patient?_sort=nickname",
        "Patient?_filter=nickname eq lili",
        "Observation?patient.nickname=lili",
        "Patient?nickname:missing=true",
    ):
        assert here.get(f"/{search}").status_code == 400, search
    assert status(here, "nickname")["Patient"]["status"] == "pending"
    assert "nickname" not in known_parameters(here, "Patient")
    eventually(lambda: "reindex" in there.get("/Patient?nickname=lili").text)

    put(there, patient("meanwhile", "Lilou"))
    [counts] = reindex(here, "Patient")["output"]
    assert counts["changed"] >= 1
    assert counts["failed"] == 0

    put(here, patient("after", "Lila"))
    put(there, patient("other", "Zaza"))
    for client in two:
        assert found(client, "Patient?nickname=li") == ["after", "before", "meanwhile"]
        assert found(client, "Patient?nickname:exact=Lilou") == ["meanwhile"]
        assert found(client, "Patient?_filter=nickname sw lil and gender eq female&_sort=nickname")
        assert status(client, "nickname")["Patient"]["status"] == "active"
        assert known_parameters(client, "Patient")["nickname"].endswith("/SearchParameter/nickname")
    created = here.post("/Patient", json=patient("x", "Lili"), headers={"If-None-Exist": "nickname=lilou"})
    assert created.status_code == 200
    assert created.headers["location"].split("/_history")[0].endswith("/meanwhile")

    assert here.delete("/SearchParameter/nickname").status_code in (200, 204)
    gone = here.get("/Patient?nickname=lili")
    assert gone.status_code == 400
    assert "has no search parameter" in gone.text
    eventually(lambda: "has no search parameter" in there.get("/Patient?nickname=lili").text)
    assert here.get("/SearchParameter/nickname/$status").status_code == 404


def test_references_are_chained_and_included(here: httpx2.Client) -> None:
    put(here, {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Knock"}]})
    put(here, patient("with-doctor", doctor="doc"))
    expression = f"Patient.extension.where(url = '{SHARED}doctor').value as Reference"
    definition = parameter("doctor", "reference", expression, target=["Practitioner"])
    assert put(here, definition).status_code == 201
    assert here.get("/Patient?_include=Patient:doctor").status_code == 400
    reindex(here, "Patient")
    assert found(here, "Patient?doctor=Practitioner/doc") == ["with-doctor"]
    assert found(here, "Patient?doctor.family=knock") == ["with-doctor"]
    assert found(here, "Practitioner?_has:Patient:doctor:gender=female") == ["doc"]
    assert found(here, "Patient?doctor=doc&_include=Patient:doctor") == ["doc", "with-doctor"]
    assert found(here, "Practitioner?_id=doc&_revinclude=Patient:doctor") == ["doc", "with-doctor"]


def test_a_new_version_waits_for_a_reindex_again(here: httpx2.Client) -> None:
    put(here, {**patient("widow"), "maritalStatus": {"coding": [{"code": "W"}]}})
    married = parameter("married", "token", "Patient.maritalStatus")
    put(here, married)
    reindex(here, "Patient")
    assert found(here, "Patient?married=W") == ["widow"]
    put(here, married)  # the same: no new version
    assert found(here, "Patient?married=W") == ["widow"]
    put(here, {**married, "expression": "Patient.maritalStatus.coding"})
    assert here.get("/Patient?married=W").status_code == 400
    reindex(here, "Patient")
    assert found(here, "Patient?married=W") == ["widow"]
    put(here, {**married, "status": "retired"})
    assert "has no search parameter" in here.get("/Patient?married=W").text


def test_each_type_is_ready_by_its_own_reindex(here: httpx2.Client) -> None:
    definition = parameter("language-of", "token", "Patient.language | Device.language")
    put(here, {**definition, "base": ["Patient", "Device"]})
    put(here, {"resourceType": "Device", "id": "d", "language": "fr"})
    reindex(here, "Device")
    assert found(here, "Device?language-of=fr") == ["d"]
    assert here.get("/Patient?language-of=fr").status_code == 400
    assert {type: row["status"] for type, row in status(here, "language-of").items()} == {
        "Device": "active",
        "Patient": "pending",
    }


def test_any_fhirpath_can_be_used(here: httpx2.Client) -> None:
    body = {
        **patient("reachable"),
        "telecom": [
            {"system": "phone", "use": "home", "value": "01"},
            {"system": "phone", "use": "mobile", "value": "06"},
        ],
    }
    assert put(here, body).status_code == 201
    expression = "Patient.telecom.where(system = 'phone' and use = 'mobile').value"
    assert put(here, parameter("mobile", "token", expression)).status_code == 201
    reindex(here, "Patient")
    assert found(here, "Patient?mobile=06") == ["reachable"]
    assert found(here, "Patient?mobile=01") == []


def test_a_composite_of_a_parameter_of_ones_own(here: httpx2.Client) -> None:
    number = parameter("batch", "number", "Immunization.protocolApplied.dose as positiveInt", "Immunization")
    whole = parameter(
        "vaccine-dose",
        "composite",
        "Immunization",
        "Immunization",
        component=[
            {
                "definition": "http://hl7.org/fhir/SearchParameter/Immunization-status",
                "expression": "status",
            },
            {"definition": number["url"], "expression": "protocolApplied.dose as positiveInt"},
        ],
    )
    assert put(here, whole).status_code == 422
    assert put(here, {**number, "expression": "Immunization.protocolApplied.doseNumber"}).status_code == 201
    whole["component"][1]["expression"] = "protocolApplied.doseNumber"
    assert put(here, whole).status_code == 201
    immunization = {
        "resourceType": "Immunization",
        "id": "i",
        "status": "completed",
        "vaccineCode": {"text": "BCG"},
        "patient": {"reference": "Patient/p"},
        "occurrenceDateTime": "2020-01-01",
        "protocolApplied": [{"doseNumberPositiveInt": 2}],
    }
    assert put(here, immunization).status_code == 201
    reindex(here, "Immunization")
    assert found(here, "Immunization?vaccine-dose=completed$2") == ["i"]
    assert found(here, "Immunization?vaccine-dose=completed$gt2") == []


OFFICIAL = "http://hl7.org/fhir/SearchParameter/"


@pytest.mark.parametrize(
    ("change", "expression", "text"),
    [
        ({"expression": "Patient.nom"}, "expression", "no element 'nom'"),
        ({"expression": "Patient.name.foo("}, "expression", "cannot be searched on Patient"),
        ({"expression": "Patient.name.where(family.matches('(a+)+$')).family"}, "expression", "no bound"),
        ({"expression": "(" * 500 + "Patient"}, "expression", "nested too deeply"),
        ({"expression": "(" * 9000}, "expression", "nested too deeply"),
        ({"expression": "Patient.name.family", "type": "date"}, "expression", "cannot search string"),
        ({"code": "family"}, "code", "has the parameter family already"),
        ({"code": "a.b"}, "code", "cannot be the name"),
        ({"code": "_mine"}, "code", "cannot be the name"),
        ({"code": "code", "type": "string"}, "code", "choose another code"),
        ({"base": ["Goal"], "expression": "Goal.note"}, "base", "resource type that is on"),
        ({"url": OFFICIAL + "Patient-active"}, "url", "of FHIR itself"),
        ({"type": "special"}, "type", "cannot be defined here"),
        (
            {
                "type": "composite",
                "expression": "Patient",
                "component": [{"definition": OFFICIAL + "nothing", "expression": "gender"}] * 2,
            },
            "component",
            "is not defined",
        ),
    ],
)
def test_what_cannot_be_searched_is_refused_with_its_place(
    here: httpx2.Client, change: Body, expression: str, text: str
) -> None:
    body = {**parameter("odd", "string", "Patient.name.family"), **change}
    refused = put(here, body)
    assert refused.status_code == 422, refused.text
    [issue] = refused.json()["issue"]
    assert issue["expression"] == [f"SearchParameter.{expression}"]
    assert text in issue["details"]["text"]
    assert put(here, {**body, "status": "draft"}).status_code in (200, 201), "a draft is only kept"
    assert here.get("/Patient?odd=x").status_code == 400


def test_two_parameters_cannot_have_one_name(here: httpx2.Client) -> None:
    first = parameter("blood", "token", "Device.type", "Device")
    assert put(here, first).status_code == 201
    second = {**first, "id": "blood2", "url": first["url"] + "2"}
    refused = put(here, second)
    assert refused.status_code == 422
    assert "SearchParameter/blood" in refused.json()["issue"][0]["details"]["text"]
    assert put(here, {**second, "code": "blood2", "url": first["url"]}).status_code == 422


def test_status_is_given_for_all_and_by_url(here: httpx2.Client) -> None:
    definition = parameter("listed", "token", "Device.status", "Device")
    put(here, definition)
    everything = here.get("/SearchParameter/$status").json()["parameter"]
    codes = {part["valueCode"] for row in everything for part in row["part"] if part["name"] == "code"}
    assert "listed" in codes
    chosen = here.get("/SearchParameter/$status", params={"url": definition["url"]}).json()["parameter"]
    assert len(chosen) == 1
    assert here.get("/SearchParameter/$status?url=urn:x").json() == {"resourceType": "Parameters"}
    assert here.get("/SearchParameter/nobody/$status").status_code == 404
