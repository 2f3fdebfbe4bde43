"""The validator with the files of ``profiles/``, as the server has it."""

from pathlib import Path

import pytest

from fhirserver.model.definitions import Definitions, operators
from fhirserver.validation import Validator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def french(definitions: Definitions, tmp_path_factory: pytest.TempPathFactory) -> Validator:
    directory, cache = ROOT / "profiles", tmp_path_factory.mktemp("cache")
    return Validator(definitions, operators(directory, directory / "packages", cache))
