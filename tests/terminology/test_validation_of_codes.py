"""Resources are held to value sets of the store: the validator asks the terminology."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from fhirserver.model.json import Resource
from fhirserver.served_types import SERVED_TYPES
from fhirserver.settings import Settings
from tests.terminology.running import Running, running
from tests.terminology.synthetic import ANIMALS, animals, listed, part, value_set

PROFILE = "http://example.org/StructureDefinition/pet"
UNKNOWN = "http://example.org/StructureDefinition/unknown"


def profile(url: str, set: str) -> Resource:
    """An Observation whose code is of a value set."""
    element = {
        "id": "Observation.code",
        "path": "Observation.code",
        "binding": {"strength": "required", "valueSet": f"http://example.org/ValueSet/{set}"},
    }
    return {
        "resourceType": "StructureDefinition",
        "id": url.rpartition("/")[2],
        "url": url,
        "name": "Pet",
        "status": "active",
        "fhirVersion": "4.0.1",
        "kind": "resource",
        "abstract": False,
        "type": "Observation",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "derivation": "constraint",
        "differential": {"element": [element]},
    }


@pytest.fixture(scope="module")
def server(make_settings: Callable[..., Settings]) -> Iterator[Running]:
    types = ",".join((*SERVED_TYPES, "StructureDefinition"))
    with running(make_settings(resource_types=types)) as server:
        for resource in (
            animals(),
            value_set("mammals", part("is-a", "concept", "mammal")),
            value_set("unknown", listed("x"), {"system": "http://example.org/none"}),
            profile(PROFILE, "mammals"),
            profile(UNKNOWN, "unknown"),
        ):
            path = f"{resource['resourceType']}/{resource['id']}"
            status, body = server.perform("PUT", path, {}, resource)
            assert status == 201, body
        server.runner.run(asyncio.sleep(2.5))  # both are noticed in the background
        yield server


@pytest.mark.parametrize(
    ("url", "system", "code", "severities"),
    [
        (PROFILE, ANIMALS, "dog", set()),
        (PROFILE, ANIMALS, "bird", {"error"}),
        (PROFILE, ANIMALS, "zebra", {"error"}),
        (PROFILE, "http://example.org/none", "dog", {"error"}),
        (UNKNOWN, ANIMALS, "x", {"error"}),  # in the value set, and none of the system
        (UNKNOWN, ANIMALS, "dog", {"error"}),
        (UNKNOWN, "http://example.org/none", "dog", {"warning"}),
    ],
)
def test_codes_of_a_profile(server: Running, url: str, system: str, code: str, severities: set[str]) -> None:
    resource = {
        "resourceType": "Observation",
        "meta": {"profile": [url]},
        "status": "final",
        "code": {"coding": [{"system": system, "code": code}]},
    }
    status, body = server.perform("POST", "Observation/$validate", {}, resource)
    assert status == 200, body
    found = {issue["severity"] for issue in body["issue"] if "code" in str(issue.get("expression", ""))}
    assert found - {"information"} == severities, body


def test_another_process_notices(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    with running(settings) as one, running(settings) as other:
        terminology = other.parts.server.terminology
        other.runner.run(asyncio.sleep(0.5))
        assert terminology.validate(ANIMALS, "dog") == "cannot tell"
        assert one.perform("PUT", "CodeSystem/animals", {}, animals())[0] == 201
        other.runner.run(asyncio.sleep(2.5))
        assert terminology.validate(ANIMALS, "dog") == "known"
        assert one.perform("GET", "CodeSystem/animals", {})[0] == 200
