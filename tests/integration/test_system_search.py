"""Searches of several types, of compartments, as streams, and of parts of resources, over the wire."""

import json
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import httpx2
import pytest

FHIR = {"Content-Type": "application/fhir+json"}
NDJSON = {"Accept": "application/fhir+ndjson"}


@pytest.fixture(scope="module")
def mark(live: Any) -> str:
    """A patient with a record of four resources, and two that are somebody else's; all carry the tag."""
    mark = uuid4().hex
    own, other = {"reference": f"Patient/{mark}-p"}, {"reference": "Patient/someone-else"}
    resources: list[dict[str, Any]] = [
        {"resourceType": "Patient", "id": f"{mark}-p", "name": [{"family": "Durand"}], "active": True},
        {"resourceType": "Patient", "id": f"{mark}-l", "link": [{"type": "seealso", "other": own}]},
        {
            "resourceType": "Observation",
            "id": f"{mark}-o",
            "subject": own,
            "status": "final",
            "code": {"text": "x"},
        },
        {
            "resourceType": "Observation",
            "id": f"{mark}-f",
            "subject": other,
            "performer": [own],
            "status": "amended",
            "code": {"text": "y"},
        },
        {
            "resourceType": "Observation",
            "id": f"{mark}-x",
            "subject": other,
            "status": "final",
            "code": {"text": "z"},
        },
        {
            "resourceType": "Encounter",
            "id": f"{mark}-e",
            "subject": own,
            "status": "finished",
            "class": {"code": "AMB"},
        },
        {"resourceType": "Organization", "id": f"{mark}-g", "name": "Hôpital"},
    ]
    with httpx2.Client(base_url=live.base_url) as client:
        for resource in resources:
            resource["meta"] = {"tag": [{"system": "urn:tag", "code": mark}]}
            answer = client.put(f"/{resource['resourceType']}/{resource['id']}", json=resource, headers=FHIR)
            assert answer.status_code == 201, answer.text
    return mark


def found(body: dict[str, Any]) -> str:
    return "".join(e["resource"]["id"][-1] for e in body.get("entry", ()))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/?_tag={mark}", "gexfolp"),
        ("/?_tag={mark}&_type=Patient,Observation", "xfolp"),
        ("/?_tag={mark}&_type=Organization", "g"),
        ("/?_tag={mark}&_sort=_id&_type=Patient,Observation,Encounter", "eflopx"),
        ("/?_tag={mark}&_sort=-_id&_type=Patient,Observation,Encounter", "xpolfe"),
        ("/?_tag={mark}&_sort=_lastUpdated", "plofxeg"),
        ("/?_type=Observation,Encounter&patient={mark}-p", "eo"),
        ("/?_type=Observation,Encounter&patient={mark}-p&_sort=date", "eo"),
        ("/Patient/{mark}-p/Observation", "fo"),
        ("/Patient/{mark}-p/Observation?status=final", "o"),
        ("/Patient/{mark}-p/Observation?subject=Patient/{mark}-p", "o"),
        ("/Patient/{mark}-p/Encounter", "e"),
        ("/Patient/{mark}-p/Patient", "lp"),
        ("/Patient/{mark}-p/*", "efolp"),
        ("/Patient/{mark}-p/*?_type=Observation,Patient", "folp"),
        ("/Patient/{mark}-p/*?_sort=_id", "eflop"),
        ("/Patient/nobody-here/*", ""),
        ("/Patient/{mark}-p/Immunization", ""),
    ],
)
@pytest.mark.parametrize("count", [2, 50])
def test_finds_page_by_page_and_by_post(
    client: httpx2.Client, mark: str, url: str, expected: str, count: int
) -> None:
    path, _, query = url.format(mark=mark).partition("?")
    query += f"&_count={count}"
    first = client.get(f"{path}?{query}").json()
    assert ("total" in first) is (len(expected) <= count)
    body, got = first, found(first)
    while following := [link["url"] for link in body["link"] if link["relation"] == "next"]:
        body = client.get(following[0]).json()
        assert body["entry"], "no page is empty"
        got += found(body)
    if "_sort=date" in query:
        assert sorted(got) == sorted(expected)
    else:
        assert got == expected
    posted = client.post(f"{path.rstrip('/')}/_search", data=dict(parse_qsl(query))).json()
    assert (posted.get("entry"), posted.get("total")) == (first.get("entry"), first.get("total"))


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/?_type=Patient,Nonsense", 400),
        ("/?_type=Patient&_type=Observation", 400),
        ("/?_type=Patient,Observation&family=x", 400),
        ("/?_type=Patient&family=x", 200),
        ("/Patient/1/Nonsense", 404),
        ("/Patient/1/Organization", 400),
        ("/Patient/1/Organization/_search", 404),
        ("/Observation/1/Patient", 404),
        ("/Patient/a_b/Observation", 400),
        ("/Patient/1/Observation?unknown=1", 400),
        ("/Patient/1/Observation?_type=Observation", 400),
        ("/Patient/1/*?_type=Organization", 400),
        ("/?_page=x", 400),
        ("/Patient/1/*?_page=x", 400),
    ],
)
def test_refuses(client: httpx2.Client, url: str, status: int) -> None:
    answer = client.get(url)
    if url.endswith("/_search"):
        answer = client.post(url, data={})
        status = 400
    assert answer.status_code == status, answer.text


def test_a_page_belongs_to_its_search(client: httpx2.Client, mark: str) -> None:
    body = client.get(f"/Patient/{mark}-p/*?_count=1").json()
    following = next(link["url"] for link in body["link"] if link["relation"] == "next")
    token = following.partition("?")[2]
    assert client.get(f"/Patient/{mark}-l/*?{token}").status_code == 400
    assert client.get(f"{following}&status=final").status_code == 400


@pytest.mark.parametrize(
    ("query", "total"),
    [("_type=Patient,Observation&_summary=count", 5), ("_count=0", 7), ("_total=accurate&_count=2", 7)],
)
def test_totals_count_all_types(client: httpx2.Client, mark: str, query: str, total: int) -> None:
    assert client.get(f"/?_tag={mark}&{query}").json()["total"] == total


def test_lenient_says_what_was_left_out_of_any_type(client: httpx2.Client, mark: str) -> None:
    headers = {"Prefer": "handling=lenient"}
    body = client.get(f"/?_tag={mark}&family=durand&_type=Patient,Observation", headers=headers).json()
    assert "family" in json.dumps([e for e in body["entry"] if e["search"]["mode"] == "outcome"])
    assert "family" not in body["link"][0]["url"]


# --- streams


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/Patient?_tag={mark}", "lp"),
        ("/?_tag={mark}&_count=2", "gexfolp"),
        ("/Patient/{mark}-p/*?_count=1", "efolp"),
        ("/Patient?_tag=none-such", ""),
        ("/?_tag={mark}&_sort=_id&_count=3&_type=Patient,Observation", "flopx"),
    ],
)
def test_a_stream_has_every_match_one_a_line(
    client: httpx2.Client, mark: str, url: str, expected: str
) -> None:
    answer = client.get(url.format(mark=mark), headers=NDJSON)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/fhir+ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert "".join(line["id"][-1] for line in lines) == expected
    assert client.get(url.format(mark=mark) + "&_format=ndjson").text == answer.text


def test_a_packed_stream(client: httpx2.Client, mark: str) -> None:
    plain = client.get(f"/?_tag={mark}", headers=NDJSON | {"Accept-Encoding": "identity"})
    packed = client.get(f"/?_tag={mark}", headers=NDJSON | {"Accept-Encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content


def test_a_stream_is_refused_before_it_begins(client: httpx2.Client) -> None:
    answer = client.get("/Patient?unknown=1", headers=NDJSON)
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")


def test_head_of_a_stream(client: httpx2.Client, mark: str) -> None:
    answer = client.head(f"/?_tag={mark}", headers=NDJSON)
    assert (answer.status_code, answer.content) == (200, b"")


# --- parts


@pytest.mark.parametrize(
    ("query", "present", "absent"),
    [
        ("_summary=true", {"name", "active"}, {"text"}),
        ("_summary=data", {"name", "active"}, {"text"}),
        ("_summary=text", set(), {"name", "active"}),
        ("_elements=name", {"name"}, {"active"}),
        ("_elements=active,birthDate", {"active"}, {"name"}),
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "/Patient/{mark}-p",
        "/Patient/{mark}-p/_history/1",
        "/Patient?_id={mark}-p",
        "/Patient/{mark}-p/_history",
    ],
)
def test_parts(
    client: httpx2.Client, mark: str, path: str, query: str, present: set[str], absent: set[str]
) -> None:
    url = path.format(mark=mark)
    answer = client.get(f"{url}{'&' if '?' in url else '?'}{query}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    part = body["entry"][0]["resource"] if body["resourceType"] == "Bundle" else body
    assert present <= set(part)
    assert not absent & set(part)
    assert "SUBSETTED" in [tag["code"] for tag in part["meta"]["tag"]]
    assert client.put(f"/Patient/{mark}-p", json=part, headers=FHIR).status_code == 400
    assert client.post("/Patient", json=part, headers=FHIR).json()["issue"][0]["expression"] == [
        "Patient.meta.tag"
    ]


def test_the_whole_carries_no_tag(client: httpx2.Client, mark: str) -> None:
    body = client.get(f"/Patient/{mark}-p?_summary=false").json()
    assert [tag["code"] for tag in body["meta"]["tag"]] == [mark]


@pytest.mark.parametrize(
    "query",
    ["_summary=maybe", "_summary=count", "_elements=nickname", "unknown=1", "_summary=true&_summary=text"],
)
@pytest.mark.parametrize("suffix", ["", "/_history/1"])
def test_a_read_refuses(client: httpx2.Client, mark: str, query: str, suffix: str) -> None:
    assert client.get(f"/Patient/{mark}-p{suffix}?{query}").status_code == 400


def test_elements_of_several_types(client: httpx2.Client, mark: str) -> None:
    body = client.get(f"/?_tag={mark}&_type=Patient,Observation&_elements=active,note").json()
    for entry in body["entry"]:
        assert set(entry["resource"]) <= {"resourceType", "id", "meta", "active", "status", "code"}
    assert client.get(f"/?_tag={mark}&_type=Patient,Observation&_elements=nickname").status_code == 400
