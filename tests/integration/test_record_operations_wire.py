"""Operations that give a record, or a part of it: $everything, $match, $docref, $document."""

from typing import Any
from uuid import uuid4

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}
MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"


def create(client: httpx2.Client, type: str, /, **elements: Any) -> str:
    answer = client.post(f"/{type}", json={"resourceType": type, **elements}, headers=FHIR)
    assert answer.status_code == 201, answer.text
    return f"{type}/{answer.json()['id']}"


def reference(name: str) -> dict[str, str]:
    return {"reference": name}


def observation(client: httpx2.Client, patient: str, **more: Any) -> str:
    subject = reference(patient)
    return create(client, "Observation", status="final", code={"text": "x"}, subject=subject, **more)


def names(bundle: dict[str, Any], mode: str = "match") -> list[str]:
    return [
        f"{e['resource']['resourceType']}/{e['resource']['id']}"
        for e in bundle.get("entry", ())
        if e["search"]["mode"] == mode
    ]


def link(bundle: dict[str, Any], relation: str) -> str:
    return next((li["url"] for li in bundle["link"] if li["relation"] == relation), "")


def answer(response: httpx2.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


# --- $everything


def test_everything_of_a_patient(client: httpx2.Client) -> None:
    organization = create(client, "Organization", name="CHU")
    doctor = create(client, "Practitioner")
    role = create(
        client, "PractitionerRole", practitioner=reference(doctor), organization=reference(organization)
    )
    mine = create(client, "Patient", managingOrganization=reference(organization))
    other = create(client, "Patient", link=[{"other": reference(mine), "type": "seealso"}])
    observation(client, other)
    made = observation(client, mine, performer=[reference(role)])
    bundle = answer(client.get(f"/{mine}/$everything"))
    assert sorted(names(bundle)) == sorted([mine, made])
    assert sorted(names(bundle, "include")) == sorted([organization, doctor, role])
    assert bundle["total"] == 2
    assert all(e["fullUrl"].endswith(e["resource"]["id"]) for e in bundle["entry"])
    posted = answer(client.post(f"/{mine}/$everything", json={"resourceType": "Parameters"}, headers=FHIR))
    assert names(posted) == names(bundle)


def test_everything_in_pages(client: httpx2.Client) -> None:
    doctor = create(client, "Practitioner")
    mine = create(client, "Patient", generalPractitioner=[reference(doctor)])
    made = {observation(client, mine, performer=[reference(doctor)]) for _ in range(6)} | {mine}
    url, seen, included = f"/{mine}/$everything?_count=3", [], []
    while url:
        bundle = answer(client.get(url))
        seen += names(bundle)
        included += names(bundle, "include")
        assert len(names(bundle)) <= 3
        url = link(bundle, "next").replace(str(client.base_url).rstrip("/"), "")
        observation(client, mine)  # what is written meanwhile is newer than every page
    assert sorted(seen) == sorted(made)
    assert included == [doctor], "once, though every page refers to it"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"old", "new", "undated", "patient"}),
        ("start=2020-01-01", {"new", "undated", "patient"}),
        ("end=2019-12-31", {"old", "undated", "patient"}),
        ("start=2000&end=2001", {"undated", "patient"}),
        ("_type=Patient", {"patient"}),
        ("_type=Observation,AllergyIntolerance", {"old", "new", "undated"}),
        ("_since=2000-01-01T00:00:00Z", {"old", "new", "undated", "patient"}),
        ("_since=2999-01-01T00:00:00Z", set()),
    ],
)
def test_everything_of_a_time_or_a_type(client: httpx2.Client, query: str, expected: set[str]) -> None:
    mine = create(client, "Patient")
    made = {
        mine: "patient",
        observation(client, mine, effectiveDateTime="2010-05-01"): "old",
        observation(client, mine, effectiveDateTime="2024-05-01"): "new",
        observation(client, mine): "undated",
    }
    bundle = answer(client.get(f"/{mine}/$everything?{query}"))
    assert {made[name] for name in names(bundle)} == expected


def test_everything_of_all_patients(client: httpx2.Client) -> None:
    mine, other = create(client, "Patient"), create(client, "Patient")
    made = [observation(client, mine), observation(client, other)]
    nobodys = create(client, "Observation", status="final", code={"text": "x"})
    bundle = answer(client.get("/Patient/$everything?_count=20"))
    found = names(bundle)
    assert {mine, other, *made} <= set(found)
    assert nobodys not in found
    assert len(found) == 20
    assert link(bundle, "next")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Patient/none-such/$everything", 404),
        ("/Patient/$everything?_type=Claim", 404),
        ("/Patient/$everything?nonsense=1", 400),
        ("/Patient/$everything?_count=-1", 400),
        ("/Patient/$everything?start=yesterday", 400),
        ("/Patient/$everything?_page=forged", 400),
        ("/Observation/$everything", 404),
    ],
)
def test_everything_refuses(client: httpx2.Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_everything_of_a_deleted_patient(client: httpx2.Client) -> None:
    mine = create(client, "Patient")
    client.delete(f"/{mine}")
    assert client.get(f"/{mine}/$everything").status_code == 410


# --- $match


def match(client: httpx2.Client, patient: dict[str, Any], **parameters: Any) -> dict[str, Any]:
    given: list[dict[str, Any]] = [{"name": "resource", "resource": {"resourceType": "Patient", **patient}}]
    given += [
        {"name": k, "valueBoolean" if isinstance(v, bool) else "valueInteger": v}
        for k, v in parameters.items()
    ]
    body = {"resourceType": "Parameters", "parameter": given}
    return answer(client.post("/Patient/$match", json=body, headers=FHIR))


def graded(bundle: dict[str, Any]) -> list[tuple[float, str]]:
    found = []
    for entry in bundle.get("entry", ()):
        (extension,) = entry["search"]["extension"]
        assert extension["url"] == MATCH_GRADE
        found.append((entry["search"]["score"], extension["valueCode"]))
    return found


def test_match_grades_candidates(client: httpx2.Client) -> None:
    mark, family = str(uuid4()), f"Zz{uuid4().hex[:8]}, de"
    known = {"identifier": [{"system": "urn:m", "value": mark}]}
    person = {"name": [{"family": family, "given": ["Ana"]}], "birthDate": "1980-02-29", "gender": "female"}
    certain = create(client, "Patient", **known, birthDate="1980-02-29")
    probable = create(client, "Patient", **person)
    possible = create(client, "Patient", **(person | {"gender": "male"}))
    create(client, "Patient", **(person | {"identifier": [{"system": "urn:m", "value": "another"}]}))
    bundle = match(client, known | person)
    assert names(bundle) == [certain, probable, possible]
    assert graded(bundle) == [(1.0, "certain"), (0.95, "probable"), (0.55, "possible")]
    assert names(match(client, known | person, onlyCertainMatches=True)) == [certain]
    assert names(match(client, known | person, count=1)) == [certain]
    assert match(client, person | {"birthDate": "1950-01-01"})["total"] == 0
    by_name = match(client, {"name": [{"family": family, "given": ["Ana"]}]})
    assert {grade for _, grade in graded(by_name)} == {"possible"}
    create(client, "Patient", **known)
    assert match(client, known, onlyCertainMatches=True)["total"] == 0, "two certain ones are none"


@pytest.mark.parametrize(
    "body",
    [
        {"resourceType": "Parameters"},
        {"resourceType": "Patient"},
        {"resourceType": "Patient", "gender": "female"},
        {"resourceType": "Patient", "gender": "man", "birthDate": "1980"},
        {"resourceType": "Device"},
    ],
)
def test_match_needs_a_person(client: httpx2.Client, body: dict[str, Any]) -> None:
    assert client.post("/Patient/$match", json=body, headers=FHIR).status_code == 400


# --- $docref


def document_reference(client: httpx2.Client, patient: str, **more: Any) -> str:
    content = [{"attachment": {"url": "http://x.test/1"}}]
    made = {"status": "current", "subject": reference(patient), "content": content} | more
    return create(client, "DocumentReference", **made)


def test_docref(client: httpx2.Client) -> None:
    mine, other = create(client, "Patient"), create(client, "Patient")
    kind = {"coding": [{"system": "http://loinc.org", "code": "60591-5"}]}
    old = document_reference(client, mine, context={"period": {"start": "2010-01-01", "end": "2010-01-05"}})
    new = document_reference(client, mine, date="2024-05-01T10:00:00Z", type=kind)
    document_reference(client, mine, status="superseded", date="2024-06-01T10:00:00Z")
    document_reference(client, other, date="2024-05-01T10:00:00Z")

    def found(query: str) -> list[str]:
        id = mine.partition("/")[2]
        return names(answer(client.get(f"/DocumentReference/$docref?patient={id}{query}")))

    assert found("") == [new], "the latest"
    assert found("&start=2009-01-01") == [new, old]
    assert found("&start=2009-01-01&end=2011-01-01") == [old]
    assert found("&start=2009-01-01&type=http://loinc.org|60591-5") == [new]
    assert found("&start=2030-01-01") == []
    codings = [{"name": "type", "valueCodeableConcept": kind}, {"name": "start", "valueDate": "2009-01-01"}]
    body = {"resourceType": "Parameters", "parameter": [{"name": "patient", "valueId": mine}, *codings]}
    assert names(answer(client.post("/DocumentReference/$docref", json=body, headers=FHIR))) == [new]
    noted = answer(client.get(f"/DocumentReference/$docref?patient={mine}&on-demand=true"))
    assert noted["entry"][-1]["search"]["mode"] == "outcome"
    assert client.get("/DocumentReference/$docref").status_code == 400


# --- $document


def composition(client: httpx2.Client, patient: str, **more: Any) -> str:
    made = {
        "status": "final",
        "type": {"text": "Synthèse"},
        "subject": reference(patient),
        "date": "2026-01-01T10:00:00Z",
        "author": [{"display": "x"}],
        "title": "Synthèse",
    }
    return create(client, "Composition", **(made | more))


def test_a_document_has_all_that_the_composition_refers_to(client: httpx2.Client) -> None:
    organization = create(client, "Organization", name="CHU")
    doctor = create(client, "Practitioner")
    role = create(
        client, "PractitionerRole", practitioner=reference(doctor), organization=reference(organization)
    )
    mine = create(client, "Patient", managingOrganization=reference(organization))
    made = observation(client, mine)
    unrelated = observation(client, mine)
    section = {"title": "Résultats", "entry": [reference(made), reference("Observation/none-such")]}
    inner = {"title": "Autre", "section": [section]}
    asked = composition(client, mine, author=[reference(role)], section=[inner])
    bundle = answer(client.get(f"/{asked}/$document"))
    found = [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in bundle["entry"]]
    assert (bundle["type"], found[0]) == ("document", asked)
    assert sorted(found[1:]) == sorted([mine, role, doctor, organization, made])
    assert unrelated not in found
    checked = client.post("/Bundle/$validate", json=bundle, headers=FHIR).json()
    assert [i["severity"] for i in checked["issue"]] == ["error"]  # what is nowhere is not in it
    by_id = answer(client.get("/Composition/$document", params={"id": asked}))
    assert len(by_id["entry"]) == len(bundle["entry"])


def test_a_document_can_be_kept(client: httpx2.Client) -> None:
    asked = composition(client, create(client, "Patient"))
    made = client.post(f"/{asked}/$document?persist=true")
    assert made.status_code == 200, made.text
    kept = answer(client.get(made.headers["location"].partition("/fhir")[2]))
    assert (kept["resourceType"], kept["type"], len(kept["entry"])) == ("Bundle", "document", 2)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/Composition/none-such/$document", 404),
        ("/Composition/$document", 400),
        ("/Composition/none/$document?graph=http://x.test", 400),
        ("/Composition/none/$document?persist=perhaps", 404),
    ],
)
def test_document_refuses(client: httpx2.Client, path: str, status: int) -> None:
    assert client.get(path).status_code == status


def test_a_document_without_its_subject_is_none(client: httpx2.Client) -> None:
    mine = create(client, "Patient")
    asked = composition(client, mine)
    client.delete(f"/{mine}")
    assert client.get(f"/{asked}/$document").status_code == 422
