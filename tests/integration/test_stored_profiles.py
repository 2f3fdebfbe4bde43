"""Profiles that clients store: the next write is validated with them, in every process."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from fhirserver.served_types import SERVED_TYPES
from fhirserver.settings import Settings
from fhirserver.stored_profiles import StoredProfiles
from tests.live import Live, free_port, serve

FHIR = {"Content-Type": "application/fhir+json"}
URL = "https://example.org/profiles/stored"


def profile(id: str, url: str = URL, least: int = 1) -> dict[str, Any]:
    return {
        "resourceType": "StructureDefinition",
        "id": id,
        "url": url,
        "name": "Stored",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Patient",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "derivation": "constraint",
        "differential": {"element": [{"id": "Patient.birthDate", "path": "Patient.birthDate", "min": least}]},
    }


@pytest.fixture(scope="module")
def server(make_settings: Callable[..., Settings]) -> Iterator[Live]:
    types = (*SERVED_TYPES, "StructureDefinition")
    with serve(make_settings(resource_types=types, http_port=free_port())) as live:
        yield live


@pytest.fixture
def api(server: Live) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.base_url, timeout=30, headers=FHIR) as client:
        yield client


def rules(api: httpx2.Client) -> list[str]:
    asked = api.post("/Patient/$validate", params={"profile": URL}, json={"resourceType": "Patient"})
    return [i["details"]["coding"][0]["code"] for i in asked.json()["issue"] if "coding" in i["details"]]


def test_a_stored_profile_counts_until_it_is_deleted(api: httpx2.Client) -> None:
    assert rules(api) == ["profile-unknown"]
    assert api.put("/StructureDefinition/one", json=profile("one")).status_code == 201
    assert rules(api) == ["profile-min"]
    claimed = {"resourceType": "Patient", "meta": {"profile": [URL]}}
    assert api.post("/Patient", json=claimed).status_code == 400
    assert api.put("/StructureDefinition/one", json=profile("one", least=0)).status_code == 200
    assert rules(api) == []
    assert api.delete("/StructureDefinition/one").status_code == 204
    assert rules(api) == ["profile-unknown"]


def test_in_a_transaction(api: httpx2.Client) -> None:
    entry = {
        "resource": profile("two", url=URL),
        "request": {"method": "PUT", "url": "StructureDefinition/two"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = api.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    assert rules(api) == ["profile-min"]
    assert api.delete("/StructureDefinition/two").status_code == 204


class Stored:
    """What a database would answer."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[int, dict[str, Any]]] = {}

    async def versions(self) -> dict[str, int]:
        return {id: version for id, (version, _) in self.rows.items()}

    async def read(self, ids: list[str]) -> dict[str, tuple[int, dict[str, Any]]]:
        return {id: self.rows[id] for id in ids}


class Known(dict[str, str]):
    def put(self, resource: dict[str, Any]) -> None:
        self[resource["url"]] = resource["id"]

    def remove(self, url: str, version: str | None = None) -> None:
        del self[url]


def test_what_another_process_stores_is_taken_in() -> None:
    async def run() -> list[dict[str, str]]:
        stored, known, seen = Stored(), Known(), []
        profiles = StoredProfiles(stored, known)  # type: ignore[arg-type]  # Stored and Known answer as the database and the validator do
        for rows in (
            {"a": (1, profile("a", "urn:1"))},
            {"a": (2, profile("a", "urn:2")), "b": (1, {"resourceType": "StructureDefinition"})},
            {"c": (1, profile("c", "urn:2"))},
            {},
        ):
            stored.rows = rows
            await profiles.refresh()
            seen.append(dict(known))
        return seen

    assert asyncio.run(run()) == [{"urn:1": "a"}, {"urn:2": "a"}, {"urn:2": "c"}, {}]
