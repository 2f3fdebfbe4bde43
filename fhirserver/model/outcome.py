"""OperationOutcome: https://hl7.org/fhir/R4/operationoutcome.html"""

from collections.abc import Iterable

from fhirserver.errors import Issue
from fhirserver.model import json
from fhirserver.model.json import Resource


def outcome(issues: Iterable[Issue]) -> Resource:
    """The resource that says these things; with nothing to say, that all went well."""
    entries = [_issue(issue) for issue in issues]
    entries = entries or [_issue(Issue("information", "informational", "All OK"))]
    return {"resourceType": "OperationOutcome", "issue": entries}


def body(issues: Iterable[Issue]) -> bytes:
    return json.format(outcome(issues))


def _issue(issue: Issue) -> Resource:
    entry: Resource = {
        "severity": issue.severity,
        "code": issue.code,
        "details": {"text": issue.text},
        "diagnostics": issue.text,
    }
    if issue.expression:
        entry["expression"] = [issue.expression]
    return entry
