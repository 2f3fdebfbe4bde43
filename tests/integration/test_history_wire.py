"""History of a resource, a type, everything. https://hl7.org/fhir/R4/http.html#history"""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from fhirserver.settings import Settings
from tests.live import free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}

# What is done, in order; the letter and the number say which version of which resource it makes.
STEPS = (
    ("POST", "Patient", "a1"),
    ("PUT", "Patient", "b1"),
    ("PUT", "Observation", "c1"),
    ("PUT", "Patient", "a2"),
    ("DELETE", "Patient", "b2"),
    ("PUT", "Observation", "c2"),
    ("PUT", "Patient", "b3"),
    ("PUT", "Patient", "a3"),
)
ALL = "a1 b1 c1 a2 b2 c2 b3 a3"


class Record:
    """A server of its own where these steps were done; ids by letter, instants by version."""

    def __init__(self, client: httpx2.Client) -> None:
        self.client = client
        self.ids = {letter: str(uuid4()) for letter in "abc"}
        self.instants: dict[str, str] = {}
        for method, type, version in STEPS:
            self._do(method, type, version)

    def _do(self, method: str, type: str, version: str) -> None:
        id = self.ids[version[0]]
        body: dict[str, Any] = {"resourceType": type, "id": id}
        if type == "Observation":
            body |= {"status": "final", "code": {"text": version}}
        else:
            body |= {"name": [{"family": version}]}
        time.sleep(0.005)
        url = f"/{type}" if method == "POST" else f"/{type}/{id}"
        sent = None if method == "DELETE" else body
        answer = self.client.request(method, url, json=sent, headers=FHIR)
        assert answer.status_code < 300, answer.text
        if method == "POST":
            self.ids[version[0]] = answer.json()["id"]

    def versions(self, url: str) -> str:
        """The versions on all pages of a history, in order."""
        found = []
        while url:
            body = self.client.get(url).json()
            found += [self.version(entry) for entry in body.get("entry", ())]
            url = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")
        return " ".join(found)

    def version(self, entry: dict[str, Any]) -> str:
        letters = {id: letter for letter, id in self.ids.items()}
        version: str = letters[entry["fullUrl"].rpartition("/")[2]] + entry["response"]["etag"][3:-1]
        self.instants[version] = entry["response"]["lastModified"]
        return version


@pytest.fixture(scope="module")
def record(make_settings: Callable[..., Settings], definitions: Any) -> Iterator[Record]:
    settings = make_settings(http_port=free_port())
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as client:
        made = Record(client)
        made.versions("/_history")
        yield made


def newest(versions: str) -> str:
    return " ".join(reversed(versions.split()))


@pytest.mark.parametrize("count", [1, 2, 3, 50])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/_history", ALL),
        ("/Patient/_history", "a1 b1 a2 b2 b3 a3"),
        ("/Observation/_history", "c1 c2"),
        ("/Encounter/_history", ""),
        ("/Patient/{a}/_history", "a1 a2 a3"),
        ("/Patient/{b}/_history", "b1 b2 b3"),
    ],
)
def test_every_version_once_page_by_page(record: Record, path: str, expected: str, count: int) -> None:
    url = path.format(**record.ids)
    assert record.versions(f"{url}?_count={count}") == newest(expected)
    assert record.versions(f"{url}?_count={count}&_sort=-_lastUpdated") == newest(expected)
    assert record.versions(f"{url}?_count={count}&_sort=_lastUpdated") == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("_since={a2}", "a2 b2 c2 b3 a3"),
        ("_since={a3}", "a3"),
        ("_since=2999-01-01T00:00:00Z", ""),
        ("_since=2020-01-01", ALL),
        ("_at={b2}", "c1 a2 b2"),
        ("_at={c1}", "a1 b1 c1"),
        ("_at=2020", ""),
        ("_at=2999", "a3 b3 c2"),
        ("_since={c1}&_at={b2}", "c1 a2 b2"),
    ],
)
@pytest.mark.parametrize("count", [2, 50])
def test_since_and_at(record: Record, query: str, expected: str, count: int) -> None:
    asked = query.format(**record.instants) + f"&_count={count}&_sort=_lastUpdated"
    found = record.versions(f"/_history?{asked}").split()
    assert sorted(found) == sorted(expected.split())
    for letter, type in (("a", "Patient"), ("b", "Patient"), ("c", "Observation")):
        own = " ".join(v for v in expected.split() if v[0] == letter)
        versions = " ".join(sorted(own.split()))
        assert record.versions(f"/{type}/{record.ids[letter]}/_history?{asked}") == versions
    typed = sorted(record.versions(f"/Patient/_history?{asked}").split())
    assert typed == sorted(v for v in expected.split() if v[0] != "c")


def test_an_entry_has_what_was_asked_and_what_was_answered(record: Record) -> None:
    entries = {record.version(e): e for e in record.client.get("/_history").json()["entry"]}
    for method, type, version in STEPS:
        entry = entries[version]
        reference = f"{type}/{record.ids[version[0]]}"
        assert entry["request"] == {"method": method, "url": type if method == "POST" else reference}
        created = version in ("a1", "b1", "c1", "b3")
        status = "204" if method == "DELETE" else "201" if created else "200"
        assert entry["response"]["status"] == status
        assert entry["fullUrl"].endswith(f"/fhir/{reference}")
        assert ("resource" in entry) is (method != "DELETE")
        if method != "DELETE":
            assert entry["resource"]["meta"]["lastUpdated"] == entry["response"]["lastModified"]
    assert record.client.get("/_history").json()["total"] == len(STEPS)


@pytest.mark.parametrize(
    ("path", "total"),
    [
        ("/_history?_count=0", 8),
        ("/_history?_summary=count", 8),
        ("/_history?_total=accurate&_count=3", 8),
        ("/Patient/_history?_count=0", 6),
        ("/Patient/_history?_count=0&_since={b2}", 3),
        ("/_history?_count=0&_at={b2}", 3),
        ("/Patient/{a}/_history?_count=1", 3),
        ("/Patient/{a}/_history?_count=0", 3),
        ("/Patient/{a}/_history?_since={a2}&_count=1", 2),
    ],
)
def test_totals(record: Record, path: str, total: int) -> None:
    body = record.client.get(path.format(**record.ids, **record.instants)).json()
    assert body["total"] == total
    if "_count=0" in path or "_summary" in path:
        assert "entry" not in body


@pytest.mark.parametrize("path", ["/_history", "/Patient/_history", "/Patient/{a}/_history"])
def test_parts_and_formats(record: Record, path: str) -> None:
    url = path.format(**record.ids)
    for entry in record.client.get(f"{url}?_elements=active").json()["entry"]:
        assert set(entry.get("resource", {})) <= {"resourceType", "id", "meta", "status", "code"}
    answer = record.client.get(f"{url}?_format=xml&_count=1")
    assert answer.headers["content-type"].startswith("application/fhir+xml")
    assert "_format=xml" in answer.text.partition('relation value="next"')[2]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("unknown=1", 400),
        ("_since=yesterday", 400),
        ("_since=2020-01-01&_since=2021-01-01", 400),
        ("_at=2020-13", 400),
        ("_count=-1", 400),
        ("_count=x", 400),
        ("_sort=name", 400),
        ("_before=2020-01-01", 400),
        ("_list=1", 400),
        ("_total=perhaps", 400),
        ("_page=forged", 400),
        ("_elements=nickname", 400),
        ("_since=2020-01-01T00:00:00%2B02:00", 200),
        ("_since=2020-01-01T00:00:00+02:00", 200),
    ],
)
@pytest.mark.parametrize("path", ["/_history", "/Patient/_history", "/Patient/{a}/_history"])
def test_parameters(record: Record, path: str, query: str, status: int) -> None:
    answer = record.client.get(f"{path.format(**record.ids)}?{query}")
    assert answer.status_code == status, answer.text


def test_a_page_belongs_to_its_history(record: Record) -> None:
    body = record.client.get("/Patient/_history?_count=1").json()
    token = body["link"][1]["url"].partition("?")[2]
    for path in ("/_history", "/Observation/_history", f"/Patient/{record.ids['a']}/_history"):
        assert record.client.get(f"{path}?{token}").status_code == 400
    assert record.client.get(f"/Patient/_history?{token}&_count=2").status_code == 400


def test_pages_are_stable_while_writes_go_on(client: httpx2.Client) -> None:
    ids = [str(uuid4()) for _ in range(4)]

    def put(id: str, n: int) -> None:
        body = {"resourceType": "Organization", "id": id, "name": f"n{n}"}
        assert client.put(f"/Organization/{id}", json=body, headers=FHIR).status_code < 300

    for id in ids:
        put(id, 0)
    for order in ("", "&_sort=_lastUpdated"):
        before = versions_of(client, f"/Organization/_history?_count=50{order}", ids)
        found: list[str] = []
        url, n = f"/Organization/_history?_count=1{order}", 1
        first = f"/Organization/{ids[0]}/_history?_count=1"
        while url and len(found) < len(before):
            body = client.get(url).json()
            found += shown(body, ids)
            url = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")
            put(ids[n % 4], n)  # what is listed becomes an earlier version meanwhile
            n += 1
        assert found == before
        body = client.get(first).json()
        total = body["total"]
        put(ids[0], 1000 + n)
        following = next(link["url"] for link in body["link"] if link["relation"] == "next")
        assert client.get(following).json()["total"] == total


def versions_of(client: httpx2.Client, url: str, ids: list[str]) -> list[str]:
    return shown(client.get(url).json(), ids)


def shown(body: dict[str, Any], ids: list[str]) -> list[str]:
    versions = (e["fullUrl"].rpartition("/")[2] + e["response"]["etag"] for e in body.get("entry", ()))
    return [version for version in versions if version[:36] in ids]


def test_many_versions_of_one_instant(client: httpx2.Client) -> None:
    """A transaction's versions may have one instant: the reference decides their order, page by page."""
    mark = uuid4().hex[:8]
    references = {f"{type}/{mark}-{n}" for n in range(5) for type in ("Device", "Location", "Patient")}
    entries = [
        {
            "resource": {"resourceType": reference.partition("/")[0], "id": reference.partition("/")[2]},
            "request": {"method": "PUT", "url": reference},
        }
        for reference in sorted(references)
    ]
    since = now()
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("/", json=bundle, headers=FHIR).status_code == 200
    for sort in ("_lastUpdated", "-_lastUpdated"):
        found: list[str] = []
        url = f"/_history?_count=4&_sort={sort}&_since={since}"
        while url:
            body = client.get(url).json()
            found += [e["fullUrl"].partition("/fhir/")[2] for e in body["entry"]]
            url = next((link["url"] for link in body["link"] if link["relation"] == "next"), "")
        own = [reference for reference in found if mark in reference]
        assert len(own) == len(set(own))
        assert set(own) == references


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
