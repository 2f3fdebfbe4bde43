"""While others write, every match that nobody touches is on exactly one page, whichever server is asked."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from fhirserver.settings import Settings
from tests.live import Live, free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}
COUNT = 45


@pytest.fixture(scope="module")
def servers(make_settings: Callable[..., Settings]) -> Iterator[tuple[Live, Live]]:
    """Two servers on one database, which share nothing else."""
    settings = make_settings(http_port=free_port(), database="paging_law")
    other = make_settings(http_port=free_port(), database="paging_law")
    with serve(settings) as one, serve(other) as two:
        yield one, two


def patient(id: str, number: int, tag: str) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id,
        "meta": {"tag": [{"system": "urn:tag", "code": tag}]},
        "name": [{"family": f"Durand{number % 7}", "given": ["Zoé"]}],
        # Some have no value to sort by.
        **({"birthDate": f"19{number % 40 + 50}-05-01"} if number % 5 else {}),
    }


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 7),
        ("", 16),
        ("&_sort=birthdate", 7),
        ("&_sort=-birthdate,_id", 7),
        ("&_sort=-_lastUpdated", 7),
        ("&name=dur", 7),
        ("&name=zoe&_sort=family", 7),
    ],
)
def test_what_stays_is_seen_once(servers: tuple[Live, Live], query: str, count: int) -> None:
    tag = uuid4().hex[:12]
    ids = [f"{tag}-{n}" for n in range(COUNT)]
    with httpx2.Client(base_url=servers[0].base_url, timeout=60) as client:
        entry = [
            {"resource": patient(id, n, tag), "request": {"method": "PUT", "url": f"Patient/{id}"}}
            for n, id in enumerate(ids)
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
        assert client.post("", json=bundle, headers=FHIR).status_code == 200
    touched = set(random.Random(query).sample(ids, 15))
    with httpx2.Client(base_url=servers[1].base_url, timeout=60) as client:
        writer = Writer(client, tag, sorted(touched))
        seen, pages = walk(servers, f"/Patient?_tag={tag}&_count={count}{query}", writer)
    assert pages > 2
    assert {id: seen[id] for id in ids if id not in touched and seen[id] != 1} == {}


@dataclass
class Writer:
    """Changes, deletes and adds, three resources at a time, while something else happens."""

    client: httpx2.Client
    tag: str
    todo: list[str]
    number: int = 0

    def write(self) -> None:
        for _ in range(3):
            self.number += 1
            if self.todo and self.number % 3 == 0:
                answer = self.client.delete(f"/Patient/{self.todo.pop()}")
            else:
                other = self.todo and self.number % 3 == 1
                id = self.todo.pop() if other else f"{self.tag}-new{self.number}"
                body = patient(id, self.number, self.tag)
                answer = self.client.put(f"/Patient/{id}", json=body, headers=FHIR)
            assert answer.status_code in (200, 201, 204)


@pytest.mark.parametrize("query", ["", "&_sort=birthdate", "&name=dur", "&_sort=-_lastUpdated"])
def test_an_exact_last_page_is_the_last(servers: tuple[Live, Live], query: str) -> None:
    tag = uuid4().hex[:12]
    with httpx2.Client(base_url=servers[0].base_url, timeout=60) as client:
        for n in range(6):
            client.put(f"/Patient/{tag}-{n}", json=patient(f"{tag}-{n}", n, tag), headers=FHIR)
    for count in (1, 2, 3, 6):
        seen, pages = walk(servers, f"/Patient?_tag={tag}&_count={count}{query}")
        assert (len(seen), set(seen.values()), pages) == (6, {1}, 6 // count)


def walk(servers: tuple[Live, Live], path: str, writer: Writer | None = None) -> tuple[Counter[str], int]:
    """Fetch all pages, each from the other server; how often each resource was there."""
    seen: Counter[str] = Counter()
    pages, following = 0, servers[0].base_url + path
    with httpx2.Client(timeout=60) as client, ThreadPoolExecutor() as threads:
        while following:
            writing = threads.submit(writer.write) if writer and pages < 12 else None
            body = client.get(following).json()
            assert body.get("entry"), "no page is empty"
            seen.update(e["resource"]["id"] for e in body["entry"])
            if writing:
                writing.result()
            links = {link["relation"]: link["url"] for link in body["link"]}
            pages += 1
            this, next = servers[pages % 2 - 1], servers[pages % 2]
            following = links.get("next", "").replace(this.base_url, next.base_url)
            assert pages < 100
    return seen, pages
