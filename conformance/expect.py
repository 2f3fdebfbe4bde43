"""What a check expects, and how it says that it was disappointed."""

from collections.abc import Collection, Iterable
from typing import Any

from conformance.client import Answer, Resource

SEVERITIES = frozenset(("fatal", "error", "warning", "information"))
# fmt: off
ISSUE_CODES = frozenset((
    "invalid", "structure", "required", "value", "invariant", "security", "login", "unknown", "expired",
    "forbidden", "suppressed", "processing", "not-supported", "duplicate", "multiple-matches",
    "not-found", "deleted", "too-long", "code-invalid", "extension", "too-costly", "business-rule",
    "conflict", "transient", "lock-error", "no-store", "exception", "timeout", "incomplete", "throttled",
    "informational",
))
# fmt: on
"""https://hl7.org/fhir/R4/valueset-issue-type.html"""


class Failed(Exception):
    """The server did not do what the specification says; the text says what was expected and what came."""


class NotOffered(Exception):
    """What the check is about is not offered here: neither good nor bad."""


def require(condition: object, text: str) -> None:
    if not condition:
        raise Failed(text)


def equal(what: str, actual: object, expected: object) -> None:
    if actual != expected:
        raise Failed(f"{what}: expected {expected!r}, got {actual!r}"[:500])


def status(answer: Answer, *expected: int) -> None:
    if answer.status not in expected:
        wanted = " or ".join(map(str, expected))
        raise Failed(
            f"{answer.method} {answer.path}: expected {wanted}, got {answer.status}{_reason(answer)}"
        )


def resource(answer: Answer, type: str, *statuses: int) -> Resource:
    """The body as a resource of a type; the status is 200 where nothing else is said."""
    status(answer, *(statuses or (200,)))
    body = answer.json()
    require(
        isinstance(body, dict) and body.get("resourceType") == type,
        f"{answer.method} {answer.path}: the body is no {type} in JSON ({answer.media_type})",
    )
    found: Resource = body
    return found


def bundle(answer: Answer, type: str) -> Resource:
    """The body as a Bundle of a type; its entries are a list, which may be empty."""
    body = resource(answer, "Bundle")
    equal(f"{answer.method} {answer.path}: Bundle.type", body.get("type"), type)
    require(body.get("entry", [0]) != [], f"{answer.path}: an empty array is not allowed in JSON")
    body.setdefault("entry", [])
    return body


def outcome(answer: Answer, *statuses: int) -> Resource:
    """The body as an OperationOutcome whose issues have severities and codes of the specification."""
    body = resource(answer, "OperationOutcome", *statuses)
    issues = body.get("issue", [])
    require(issues, f"{answer.method} {answer.path}: the OperationOutcome has no issue")
    for issue in issues:
        require(issue.get("severity") in SEVERITIES, f"{answer.path}: severity {issue.get('severity')!r}")
        require(issue.get("code") in ISSUE_CODES, f"{answer.path}: issue code {issue.get('code')!r}")
    return body


def refused(answer: Answer, *statuses: int) -> None:
    """Refused with one of the statuses, any 4xx where none is given."""
    if statuses:
        status(answer, *statuses)
    elif not 400 <= answer.status < 500:
        raise Failed(f"{answer.method} {answer.path}: expected 4xx, got {answer.status}{_reason(answer)}")


def header(answer: Answer, name: str) -> str:
    value = answer.headers.get(name.lower(), "")
    require(value, f"{answer.method} {answer.path} ({answer.status}): no {name} header")
    return value


def link(body: Resource, relation: str) -> str:
    """The URL of a Bundle's link, "" when there is none."""
    found = (each["url"] for each in body.get("link", ()) if each.get("relation") == relation)
    return next(found, "")


def resources(body: Resource, mode: str = "match") -> list[Resource]:
    """The resources of a searchset; one without search mode is a match."""
    return [
        entry["resource"]
        for entry in body["entry"]
        if "resource" in entry and entry.get("search", {}).get("mode", "match") == mode
    ]


def same(what: str, actual: Iterable[Any], expected: Collection[Any]) -> None:
    """The same members in any order, none twice."""
    found = list(actual)
    if sorted(found) != sorted(expected):
        raise Failed(f"{what}: expected {sorted(expected)}, got {sorted(found)}"[:500])


def _reason(answer: Answer) -> str:
    """What the server says for itself, cut short."""
    body = answer.json()
    if not isinstance(body, dict) or body.get("resourceType") != "OperationOutcome":
        return ""
    told = (
        issue.get("details", {}).get("text") or issue.get("diagnostics") for issue in body.get("issue", ())
    )
    return f": {'; '.join(filter(None, told))}"[:300]
