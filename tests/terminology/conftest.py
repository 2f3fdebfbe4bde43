"""A server with the invented terminology of ``synthetic``."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.terminology.synthetic import ANIMALS, animals, concept_map, listed, part, value_set

if TYPE_CHECKING:
    from tests.live import Live

FHIR = {"Content-Type": "application/fhir+json"}
BREEDS = "http://example.org/CodeSystem/breeds"
RESOURCES: tuple[dict[str, Any], ...] = (
    animals(),
    value_set("mammals", part("is-a", "concept", "mammal"), name="Mammals", version="2"),
    value_set("pets", listed("dog", "cat")),
    value_set("mixed", listed("dog"), listed("poodle", system=BREEDS)),
    value_set("unknown-system", {"system": "http://example.org/unknown"}),
    concept_map(
        "breeds",
        {
            "source": ANIMALS,
            "target": BREEDS,
            "element": [
                {
                    "code": "dog",
                    "target": [
                        {"code": "poodle", "display": "Poodle", "equivalence": "wider"},
                        {
                            "code": "husky",
                            "equivalence": "wider",
                            "dependsOn": [{"property": "http://example.org/climate", "value": "cold"}],
                            "product": [
                                {
                                    "property": "http://example.org/coat",
                                    "system": "http://c.test",
                                    "value": "thick",
                                }
                            ],
                        },
                    ],
                },
                {"code": "cat", "target": [{"equivalence": "unmatched", "comment": "not yet"}]},
            ],
            "unmapped": {"mode": "fixed", "code": "mongrel", "display": "Of no breed"},
        },
        sourceUri="http://example.org/ValueSet/pets",
        targetUri="http://example.org/ValueSet/breeds",
    ),
)


@pytest.fixture(scope="session")
def terms(live: "Live") -> "Live":
    """The server of the run, with the resources above."""
    with httpx2.Client(base_url=live.base_url, timeout=30) as client:
        for resource in RESOURCES:
            path = f"/{resource['resourceType']}/{resource['id']}"
            answer = client.put(path, json=resource, headers=FHIR)
            assert answer.status_code in (200, 201), answer.text
    return live


@pytest.fixture
def api(terms: "Live") -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=terms.base_url, timeout=30, headers=FHIR) as client:
        yield client
