"""Claims of MHD profiles, where the operator has brought the guide's own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import free_port, serve

URL = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.DocumentReference"
THEIRS = {
    "resourceType": "StructureDefinition",
    "url": URL,
    "name": "Minimal",
    "status": "active",
    "fhirVersion": "4.0.1",
    "kind": "resource",
    "abstract": False,
    "type": "DocumentReference",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/DocumentReference",
    "derivation": "constraint",
    "differential": {
        "element": [
            {"id": "DocumentReference", "path": "DocumentReference"},
            {"id": "DocumentReference.description", "path": "DocumentReference.description", "min": 1},
        ]
    },
}
"""A profile that wants what ours does not, and not what ours wants."""
DOCUMENT = {
    "resourceType": "DocumentReference",
    "meta": {"profile": [URL, "urn:x:another"]},
    "status": "current",
    "content": [{"attachment": {"url": "https://example.org/document"}}],
}


@pytest.fixture(scope="module")
def client(make_settings: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    directory: Path = tmp_path_factory.mktemp("profiles")
    (directory / "minimal.json").write_text(json.dumps(THEIRS))
    settings = make_settings(http_port=free_port(), profiles_dir=directory)
    with serve(settings) as live, httpx2.Client(base_url=live.base_url, timeout=30) as client:
        yield client


@pytest.mark.parametrize(
    ("elements", "claimed"),
    [({}, ["urn:x:another"]), ({"description": "Une lettre"}, [URL, "urn:x:another"])],
)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_guides_own_profile_counts(
    client: httpx2.Client, elements: dict[str, str], claimed: list[str], method: str
) -> None:
    id = f"claims-{len(elements)}"
    path = "/DocumentReference" if method == "POST" else f"/DocumentReference/{id}"
    answer = client.request(method, path, json={**DOCUMENT, "id": id, **elements})
    assert answer.status_code in (200, 201), answer.text
    assert answer.json()["meta"]["profile"] == claimed


def test_it_is_supported_once(client: httpx2.Client) -> None:
    [rest] = client.get("/metadata").json()["rest"]
    [type] = [resource for resource in rest["resource"] if resource["type"] == "DocumentReference"]
    assert type["supportedProfile"].count(URL) == 1
