"""Our server, held to everything it claims, by checks that know nothing of it."""

from collections.abc import Callable, Iterator

import pytest

import conformance.areas  # noqa: F401  # registers the checks
from conformance import report
from conformance.checks import CHECKS, Check, uncovered
from conformance.client import Client
from conformance.run import Result, run
from conformance.statement import Statement, fetch
from fhirserver.settings import Settings
from tests.live import free_port, serve


@pytest.fixture(scope="module")
def asked(make_settings: Callable[..., Settings]) -> Iterator[Client]:
    """A client of a server that has everything on."""
    settings = make_settings(http_port=free_port(), admin_operations=True, cors_origins="*")
    with serve(settings) as live, Client(live.base_url) as client:
        yield client


@pytest.fixture(scope="module")
def statement(asked: Client) -> Statement:
    return fetch(asked)


@pytest.fixture(scope="module")
def results(asked: Client, statement: Statement) -> dict[Check, list[Result]]:
    """Every check, run once."""
    return report.grouped(run(asked, statement, CHECKS, statement.types))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.area}: {check.title}")
def test_what_is_claimed_holds(results: dict[Check, list[Result]], check: Check) -> None:
    wrong = [result for result in results[check] if result.status in ("fail", "warning")]
    told = [f"{result.case.name if result.case else ''}: {result.reason}" for result in wrong]
    assert not told, "\n".join(told)


def test_every_claim_has_a_check(statement: Statement) -> None:
    missing = uncovered(statement, CHECKS, statement.types)
    assert not missing, f"without a check: {', '.join(missing)}"


def test_everything_claimed_was_asked(results: dict[Check, list[Result]], statement: Statement) -> None:
    """Every search parameter of every type was a case of its own."""
    everything = [result for own in results.values() for result in own]
    cases = {result.case.name for result in everything if result.case and result.status == "pass"}
    assert statement.parameters.keys() <= cases
