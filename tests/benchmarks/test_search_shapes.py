"""The searches that are measured are searches that the server understands."""

import itertools
from urllib.parse import parse_qsl

import pytest

from benchmarks.people import patients
from benchmarks.search_shapes import SHAPES, Shape
from fhirserver import search
from fhirserver.model.definitions import Definitions


@pytest.fixture(scope="module")
def indexer(definitions: Definitions) -> search.Indexer:
    return search.Indexer(definitions)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_shape_is_understood(indexer: search.Indexer, shape: Shape) -> None:
    for someone in itertools.islice(patients(1), 3):
        type, _, query = shape.query(someone).partition("?")
        search.compile(type, parse_qsl(query), indexer=indexer)
