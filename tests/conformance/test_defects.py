"""Checks can fail: a tiny server with one defect fails the checks of what it does wrong, and no others pass.

https://hl7.org/fhir/R4/http.html; the server is in ``tiny.py``.
"""

import pytest

import conformance.areas  # noqa: F401  # registers the checks
from conformance.checks import CHECKS
from conformance.client import Client
from conformance.run import Result, run
from conformance.statement import fetch
from tests.conformance.tiny import serving

AREAS = ("read", "vread", "create", "update", "delete", "history", "conditional", "search", "paging")


def results(base_url: str, areas: tuple[str, ...] = AREAS) -> list[Result]:
    with Client(base_url, timeout=10) as client:
        statement = fetch(client)
        checks = [check for check in CHECKS if check.area in areas]
        return list(run(client, statement, checks, statement.types))


def failing(base_url: str, areas: tuple[str, ...] = AREAS) -> dict[str, str]:
    """Reasons by area and title."""
    return {
        f"{result.check.area}: {result.check.title}": result.reason
        for result in results(base_url, areas)
        if result.status == "fail"
    }


@pytest.fixture(scope="module")
def without_defect() -> set[str]:
    """What the tiny server fails at its best: it is tiny."""
    with serving() as base_url:
        return set(failing(base_url))


@pytest.mark.parametrize(
    ("defect", "expected", "reason"),
    [
        ("unknown is 200", "read: What never was is 404", "expected 404, got 200"),
        ("deleted is 404", "read: What was deleted is 410", "expected 410, got 404"),
        ("ETag is strong and wrong", "read: The resource with its id, ETag, Last-Modified", "ETag"),
        ("every version is the last", "vread: An earlier version is what it was", "it has changed"),
        ("no Location", "create: 201 with Location, ETag, Last-Modified", "no Location header"),
        (
            "the client's id is taken",
            "create: id, versionId and lastUpdated are the server's",
            "id was taken",
        ),
        ("any id is updated", "update: A body without the URL's id is 400", "expected 400, got 20"),
        (
            "If-Match is ignored",
            "update: versioned-update: If-Match with the current version only",
            "expected 409 or 412, got 200",
        ),
        ("update answers and forgets", "update: 200 and a new version", "it has not changed"),
        ("delete does nothing", "delete: 200, 202 or 204, and again", "expected 404 or 410, got 200"),
        ("search finds deleted", "delete: Search does not find what was deleted", "after: expected 0, got 1"),
        ("history is oldest first", "history: Every version of a resource, newest first", "methods"),
        (
            "conditional create creates",
            "conditional: create: no match 201, one 200, several 412",
            "expected 200, got 201",
        ),
        (
            "searchset is a collection",
            "search: A searchset with self link, fullUrls and search modes",
            "type",
        ),
        ("search ignores its parameters", "search: Nothing found is 200 with no entry", "entries"),
        ("modifiers are ignored", "search: An unknown modifier is refused", "expected 400, got 200"),
        (
            "_count is exceeded",
            "paging: Every resource once, by next links; no page exceeds _count",
            "expected",
        ),
        (
            "pages overlap",
            "paging: Every resource once, by next links; no page exceeds _count",
            "expected",
        ),
        (
            "no next link",
            "paging: Every resource once, by next links; no page exceeds _count",
            "expected",
        ),
        ("errors are HTML", "read: What never was is 404", "no OperationOutcome in JSON (text/html)"),
        ("issue codes are invented", "read: What never was is 404", "issue code 'oops'"),
        (
            "answers are cut short",
            "create: 201 with Location, ETag, Last-Modified",
            "before its Content-Length",
        ),
    ],
)
def test_a_defect_is_found(without_defect: set[str], defect: str, expected: str, reason: str) -> None:
    with serving(defect) as base_url:
        found = failing(base_url)
    assert expected not in without_defect
    assert reason in found[expected]


def test_a_self_link_without_the_parameter_says_that_it_was_not_used() -> None:
    with serving("self shows nothing") as base_url:
        found = results(base_url, ("search parameters",))
    wrong = {result.case.name for result in found if result.case and result.status == "fail"}
    assert wrong == {"Patient?_id", "Patient?_tag"}


def test_malformed_bodies_that_crash_a_server_are_found() -> None:
    with serving("malformed is 500") as base_url:
        found = failing(base_url, ("errors",))
    assert "half an object is 500" in found["errors: What is malformed is 400"]


def test_what_a_check_creates_it_deletes() -> None:
    with serving() as base_url, Client(base_url) as client:
        results(base_url, ("read", "create", "update"))
        assert client.request("GET", "Patient").json()["total"] == 0
