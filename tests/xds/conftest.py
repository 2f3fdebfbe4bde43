"""A registry with something in it."""

from collections.abc import Callable, Iterator

import pytest

from fhirserver.settings import Settings
from tests.live import Live, free_port, serve
from tests.xds.stock import stock


@pytest.fixture(scope="session")
def stocked(make_settings: Callable[..., Settings]) -> Iterator[Live]:
    """A server with the stock; tests only ask it."""
    with serve(make_settings(http_port=free_port(), xds_results_max=20)) as live:
        stock(live)
        yield live


@pytest.fixture(scope="session")
def writable(make_settings: Callable[..., Settings]) -> Iterator[Live]:
    """A server of the tests that publish and update; each with documents of its own."""
    with serve(make_settings(http_port=free_port())) as live:
        yield live
