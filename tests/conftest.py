"""Fixtures for the whole test suite."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from fhirserver import logs
from fhirserver.model.definitions import Definitions, download, load
from fhirserver.settings import Settings
from fhirserver.settings import load as load_settings
from fhirserver.storage.embedded import EmbeddedEngine
from fhirserver.validation import Validator

if TYPE_CHECKING:
    from tests.live import Live

ROOT = Path(__file__).parents[1]

# How long a busy machine takes for a value says nothing about the code.
hypothesis_settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    """The official R4 definitions; the first run on a machine downloads and compiles them."""
    return load(download(ROOT / "profiles" / "packages"), ROOT / ".cache")


@pytest.fixture(scope="session")
def validator(definitions: Definitions) -> Validator:
    """The validator of the R4 definitions."""
    return Validator(definitions)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    """The embedded engine, one for the whole run; every test or module takes a database of its own."""
    # The databases of all tests are in it at once, and it stands still when a fifth of its cache waits to be
    # written (docs/decisions/0021).
    engine = EmbeddedEngine(tmp_path_factory.mktemp("engine"), cache="8G")
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture(scope="session")
def make_settings(engine: EmbeddedEngine) -> Callable[..., Settings]:
    """Settings on the engine, each time with another database unless one is named."""
    numbers = itertools.count()

    def make(**options: Any) -> Settings:
        defaults = {
            "mongodb_uri": engine.uri,
            "embedded": True,
            "database": f"test{next(numbers)}",
            "http_port": 0,
            "mllp_port": -1,
            "log_level": "error",
            "packages_dir": ROOT / "profiles" / "packages",
        }
        return load_settings(defaults | options, {})

    return make


@pytest.fixture(scope="session")
def live(make_settings: Callable[..., Settings], definitions: Definitions) -> "Iterator[Live]":
    """A server that listens on HTTP and MLLP, in a thread of this process; one for the whole run."""
    from tests.live import free_port, serve

    with serve(make_settings(mllp_port=free_port(), http_port=free_port())) as live:
        yield live


@pytest.fixture
def client(live: "Live") -> Iterator[httpx2.Client]:
    """An HTTP client at the FHIR base."""
    with httpx2.Client(base_url=live.base_url, timeout=30) as client:
        yield client


@pytest.fixture(scope="session", autouse=True)
def _quiet() -> None:
    """Servers in this process log errors only."""
    logs.configure("error")
