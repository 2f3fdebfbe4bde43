"""Fixtures for the whole test suite."""

from pathlib import Path

import pytest

from fhirserver.model.definitions import Definitions, download, load
from fhirserver.validation import Validator

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """The official R4 definitions; the first run on a machine downloads and compiles them."""
    return load(download(ROOT / "profiles" / "packages"), ROOT / ".cache")


@pytest.fixture(scope="session")
def validator(definitions: Definitions) -> Validator:
    """The validator of the R4 definitions."""
    return Validator(definitions)
