"""Searches that follow references, over the wire: included resources, chains, lists."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from fhirserver.interactions import include
from fhirserver.settings import Settings
from fhirserver.storage import chains
from tests.live import Live, free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}
LOINC = "http://loinc.org"


def observation(id: str, subject: str, code: str, **others: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}]},
        "subject": {"reference": f"Patient/{subject}"},
        **others,
    }


def records(m: str, base: str) -> Iterator[dict[str, Any]]:
    """Two patients with a doctor and a hospital, three observations, where one is from, a list."""
    yield {"resourceType": "Organization", "id": f"{m}-ch", "name": f"Hôpital {m}"}
    yield {"resourceType": "Practitioner", "id": f"{m}-zoe", "name": [{"family": "Zoé"}]}
    for key, family, doctor in (("a", "Durand", f"{m}-zoe"), ("b", "Lefèvre", "nobody")):
        yield {
            "resourceType": "Patient",
            "id": f"{m}-{key}",
            "meta": {"tag": [{"code": m}]},
            "name": [{"family": family}],
            "gender": "female",
            "generalPractitioner": [{"reference": f"Practitioner/{doctor}"}],
            "managingOrganization": {"reference": f"Organization/{m}-ch"},
        }
    performer = [{"reference": f"{base}/Practitioner/{m}-zoe"}, {"reference": f"Organization/{m}-ch"}]
    yield observation(f"{m}-1", f"{m}-a", "8480-6", performer=performer)
    yield observation(f"{m}-2", f"{m}-a", "8462-4", hasMember=[{"reference": f"Observation/{m}-1"}])
    yield observation(f"{m}-3", f"{m}-b", "8480-6", derivedFrom=[{"reference": f"Observation/{m}-2"}])
    yield {
        "resourceType": "Provenance",
        "id": f"{m}-p",
        "target": [{"reference": f"Observation/{m}-1/_history/1"}],
        "recorded": "2024-05-01T10:00:00Z",
        "agent": [{"who": {"reference": f"Practitioner/{m}-zoe"}}],
    }
    yield {
        "resourceType": "List",
        "id": f"{m}-l",
        "status": "current",
        "mode": "working",
        "entry": [{"item": {"reference": f"Patient/{m}-a"}}, {"item": {"reference": f"Observation/{m}-3"}}],
    }


@pytest.fixture(scope="module")
def live(make_settings: Callable[..., Settings]) -> Iterator[Live]:
    """A server with a database of its own: what other tests store is too much for the limits tried here."""
    with serve(make_settings(http_port=free_port())) as live:
        yield live


@pytest.fixture(scope="module")
def mark(live: Live) -> str:
    mark = uuid4().hex[:12]
    with httpx2.Client(base_url=live.base_url) as client:
        for resource in records(mark, live.base_url):
            answer = client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource, headers=FHIR)
            assert answer.status_code == 201, answer.text
    return mark


def found(body: dict[str, Any], mark: str, mode: str = "match") -> list[str]:
    """The ids on a page, without the mark, with the letter of their type."""
    entries = [e["resource"] for e in body.get("entry", []) if e["search"]["mode"] == mode]
    return sorted(f"{r['resourceType'][0]}{r['id'].removeprefix(mark + '-')}" for r in entries)


@pytest.mark.parametrize(
    ("query", "matches", "includes"),
    [
        ("Observation?_id={m}-1&_include=Observation:patient", ["O1"], ["Pa"]),
        ("Observation?_id={m}-1&_include=Observation:subject:Location", ["O1"], []),
        ("Observation?_id={m}-1&_include=Observation:performer", ["O1"], ["Och", "Pzoe"]),
        ("Observation?_id={m}-1&_include=Observation:performer:Practitioner", ["O1"], ["Pzoe"]),
        ("Observation?_id={m}-1&_include=*", ["O1"], ["Och", "Pa", "Pzoe"]),
        ("Observation?_id={m}-1,{m}-2&_include=Observation:patient", ["O1", "O2"], ["Pa"]),
        ("Observation?_id={m}-1,{m}-2&_include=Observation:has-member", ["O1", "O2"], []),
        ("Observation?_id={m}-2&_include=Observation:has-member", ["O2"], ["O1"]),
        ("Observation?_id={m}-3&_include=Observation:derived-from", ["O3"], ["O2"]),
        (
            "Observation?_id={m}-3&_include:iterate=Observation:derived-from&_include:iterate=Observation:has-member",
            ["O3"],
            ["O1", "O2"],
        ),
        (
            "Observation?_id={m}-1&_include=Observation:patient&_include:iterate=Patient:organization",
            ["O1"],
            ["Och", "Pa"],
        ),
        ("Patient?_id={m}-b&_include=Patient:general-practitioner", ["Pb"], []),
        ("Patient?_tag={m}&_revinclude=Observation:patient", ["Pa", "Pb"], ["O1", "O2", "O3"]),
        ("Patient?_id={m}-a&_revinclude=Observation:subject:Patient", ["Pa"], ["O1", "O2"]),
        ("Observation?_id={m}-1&_revinclude=Provenance:target", ["O1"], ["Pp"]),
        (
            "Patient?_id={m}-a&_revinclude=Observation:patient&_revinclude:iterate=Provenance:target",
            ["Pa"],
            ["O1", "O2", "Pp"],
        ),
        ("Patient?_id={m}-a&_revinclude=*", ["Pa"], ["Ll", "O1", "O2"]),
        ("Organization?_id={m}-ch&_revinclude=Patient:organization", ["Och"], ["Pa", "Pb"]),
        ("Provenance?_id={m}-p&_include=Provenance:target", ["Pp"], ["O1"]),
        ("?_type=Patient,Organization&_id={m}-a,{m}-ch&_include=Patient:organization", ["Och", "Pa"], []),
    ],
)
def test_included(
    client: httpx2.Client, mark: str, query: str, matches: list[str], includes: list[str]
) -> None:
    body = client.get("/" + query.format(m=mark)).json()
    assert found(body, mark) == matches, body
    assert found(body, mark, "include") == includes
    assert body["total"] == len(matches)
    urls = [entry["fullUrl"] for entry in body["entry"]]
    assert len(set(urls)) == len(urls)
    assert all(url.startswith(str(client.base_url)) for url in urls)


def test_each_page_has_its_own_includes(client: httpx2.Client, mark: str) -> None:
    url, seen = f"/Patient?_tag={mark}&_revinclude=Observation:patient&_count=1", []
    while url:
        body = client.get(url).json()
        seen.append((found(body, mark), found(body, mark, "include")))
        url = {link["relation"]: link["url"] for link in body["link"]}.get("next", "")
    assert sorted(seen) == [(["Pa"], ["O1", "O2"]), (["Pb"], ["O3"])]


def test_deleted_resources_are_not_included(client: httpx2.Client, mark: str) -> None:
    for id in ("gone", "kept"):
        client.put(f"/Patient/{mark}{id}", json={"resourceType": "Patient", "id": mark + id}, headers=FHIR)
        client.put(
            f"/Observation/{mark}o{id}", json=observation(f"{mark}o{id}", mark + id, "1-8"), headers=FHIR
        )
    assert client.delete(f"/Patient/{mark}gone").status_code < 300
    body = client.get(f"/Observation?_id={mark}ogone,{mark}okept&_include=Observation:patient").json()
    assert [e["resource"]["id"] for e in body["entry"] if e["search"]["mode"] == "include"] == [f"{mark}kept"]
    assert client.get(f"/Observation?patient.gender:missing=true&_id={mark}ogone").json()["total"] == 0
    assert client.get(f"/Observation?patient.gender:missing=true&_id={mark}okept").json()["total"] == 1


def test_what_does_not_fit_is_announced(
    client: httpx2.Client, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most, includes, limited in ((3, 3, False), (2, 2, True), (1, 1, True)):
        monkeypatch.setattr(include, "MOST", most)
        body = client.get(f"/Patient?_tag={mark}&_revinclude=Observation:patient").json()
        assert (body["total"], len(found(body, mark, "include"))) == (2, includes)
        outcomes = [e["resource"] for e in body["entry"] if e["search"]["mode"] == "outcome"]
        assert [o["issue"][0]["code"] for o in outcomes] == (["too-costly"] if limited else [])


@pytest.mark.parametrize(
    "query",
    [
        "Observation?_include=Observation:foo",
        "Observation?_include=Foo:patient",
        "Observation?_include=Patient:organization",
        "Observation?_include:recurse=Observation:patient",
        "Patient?_revinclude=Observation:encounter",
        "Patient?_has:Observation:patient:foo=1",
        "Patient?_has:Foo:patient:code=1",
        "Observation?patient.foo=1",
        "Observation?code.name=1",
    ],
)
def test_what_is_not_known_is_refused(client: httpx2.Client, query: str) -> None:
    answer = client.get("/" + query)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["details"]["text"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Observation?patient.family=Durand", ["O1", "O2"]),
        ("Observation?subject:Patient.family=durand,lefevre", ["O1", "O2", "O3"]),
        ("Observation?patient.family=durand&code=8480-6", ["O1"]),
        ("Observation?patient.general-practitioner:Practitioner.family=zoe", ["O1", "O2"]),
        ("Observation?patient.family=durand&patient.organization.name=Hôpital {m}", ["O1", "O2"]),
        ("Observation?patient.organization.name=Hôpital {m}", ["O1", "O2", "O3"]),
        ("Observation?patient.organization._id={m}-ch&_sort=_id&_count=2", ["O1", "O2"]),
        ("Observation?patient.family=durand&patient.family=lefevre", []),
        ("Observation?has-member.code=8480-6", ["O2"]),
        ("Observation?derived-from.has-member.performer:Practitioner.family=zoe", ["O3"]),
        ("Observation?patient.gender:not=female&_id={m}-1", []),
        ("Observation?patient={m}-a&performer:Practitioner.family=zoe", ["O1"]),
        ("Patient?_has:Observation:patient:code=8462-4", ["Pa"]),
        ("Patient?_has:Observation:patient:code=http://loinc.org|8480-6,1234-5", ["Pa", "Pb"]),
        ("Patient?_has:Observation:patient:code=8480-6&_has:Observation:patient:code=8462-4", ["Pa"]),
        ("Patient?_has:Observation:patient:_has:Provenance:target:agent={m}-zoe", ["Pa"]),
        ("Patient?_has:Observation:subject:performer:Practitioner.family=zoe", ["Pa"]),
        ("Practitioner?_has:Patient:general-practitioner:family=durand", ["Pzoe"]),
        ("Provenance?target:Observation.patient.family=durand", ["Pp"]),
        ("Patient?_list={m}-l", ["Pa"]),
        ("Observation?_list={m}-l,nothing", ["O3"]),
        ("Patient?_list={m}-l&gender=male", []),
        ("Patient?_list=nothing", []),
    ],
)  # fmt: skip
def test_chains(client: httpx2.Client, mark: str, query: str, expected: list[str]) -> None:
    # Other tests store such resources, too: a tag or the ids confine what is looked at.
    type = query.partition("?")[0]
    own = f"&_tag={mark}" if type == "Patient" else f"&_id={','.join(f'{mark}-{k}' for k in '123')}"
    own = f"&_id={mark}-p" if type == "Provenance" else own
    own = "" if type == "Practitioner" or "_id=" in query else own
    body = client.get("/" + query.format(m=mark) + own).json()
    assert found(body, mark) == expected, body
    counted = client.get("/" + query.format(m=mark) + own + "&_summary=count").json()
    assert counted["total"] == len(expected) or "_count=2" in query


def test_a_chain_that_matches_too_much_is_refused(
    client: httpx2.Client, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "MOST", 2)
    has, member = "Patient?_has:Observation:patient:status=final", "Observation?has-member.status=final"
    for query in (f"{has}&_sort=_id", f"{member}&_total=accurate", f"{member}&_summary=count"):
        answer = client.get(f"/{query}")
        assert answer.status_code == 422
        assert answer.json()["issue"][0]["code"] == "too-costly"
    # Without a sort, the newest are looked at first.
    assert set(found(client.get(f"/{has}").json(), mark)) >= {"Pa", "Pb"}
    assert set(found(client.get(f"/{member}").json(), mark)) >= {"O2"}
    # What the rest of the search finds is little: then the chain needs not look at all of them.
    confined = client.get(f"/{has}&_id={mark}-a&_sort=_id").json()
    assert found(confined, mark) == ["Pa"]
    confined = client.get(f"/{member}&_id={mark}-2,{mark}-3&_sort=_id").json()
    assert found(confined, mark) == ["O2"]


def test_pages_of_a_chain_that_matches_much(
    client: httpx2.Client, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chains, "MOST", 2)
    url, seen = "/Patient?_has:Observation:patient:status=final&_count=1", []
    while url:
        body = client.get(url).json()
        seen += [e["resource"]["id"] for e in body["entry"]]
        url = {link["relation"]: link["url"] for link in body["link"]}.get("next", "")
    assert len(set(seen)) == len(seen)
    assert {f"{mark}-a", f"{mark}-b"} <= set(seen)


def test_too_many_chains_are_refused(client: httpx2.Client) -> None:
    answer = client.get("/Observation?" + "&".join(["patient.name=x"] * 65))
    assert answer.status_code == 422
    assert "65 chains" in answer.json()["issue"][0]["details"]["text"]


@pytest.mark.parametrize(
    "value",
    ["$where", "{$gt:''}", '{"$ne":1}', "(" * 500, "\\", "a\\,b", "é|$,|", "%", "*", "'", '"', ".*", "\x1f"],
)
@pytest.mark.parametrize(
    "name",
    ["_filter", "_include", "_revinclude", "_list", "_has:Observation:patient:code", "organization.name"],
)
def test_hostile_values_are_refused_or_match_nothing(client: httpx2.Client, name: str, value: str) -> None:
    for written in (value, f"given co {value}", f'given ew "{value}"'):
        answer = client.get("/Patient", params={name: written, "_id": "nobody"})
        assert answer.status_code in (200, 400, 422), answer.text
        assert not answer.json().get("entry")


@pytest.mark.parametrize(
    "name",
    ["_has:" * 400, "_has:Patient", "patient." * 400, ".", "..name", "patient.", ":", "_has:a:b:c:d:e"],
)
def test_hostile_names_are_refused(client: httpx2.Client, name: str) -> None:
    answer = client.get("/Observation", params={name: "x"})
    assert answer.status_code in (400, 422), answer.text


def test_what_can_be_included_is_declared(client: httpx2.Client) -> None:
    resources = {r["type"]: r for r in client.get("/metadata").json()["rest"][0]["resource"]}
    observation = resources["Observation"]
    assert {"*", "Observation:patient", "Observation:has-member"} <= set(observation["searchInclude"])
    assert "Provenance:target" in observation["searchRevInclude"]
    for name, declared in (("_include", "searchInclude"), ("_revinclude", "searchRevInclude")):
        for value in observation[declared]:
            assert client.get(f"/Observation?_id=none&{name}={value}").status_code == 200, value
