"""``finds(resource, "name=value&...")``: index a resource, compile a search, and see whether it is found."""

from collections.abc import Callable
from typing import Any

import pytest

from fhirserver import search
from fhirserver.model.definitions import Definitions
from fhirserver.search.match import satisfies

BASE = "https://dossier.example/fhir"

Finds = Callable[[dict[str, Any], str], bool]


@pytest.fixture(scope="session")
def indexer(definitions: Definitions) -> search.Indexer:
    return search.Indexer(definitions, BASE, "Europe/Paris")


@pytest.fixture(scope="session")
def finds(indexer: search.Indexer) -> Finds:
    def find(resource: dict[str, Any], asked: str) -> bool:
        pairs = [(name, value) for name, _, value in (p.partition("=") for p in asked.split("&"))]
        query = search.compile(resource["resourceType"], pairs, indexer=indexer)
        return satisfies(indexer.index(resource), resource.get("id", "1"), 0, query.condition)

    return find
