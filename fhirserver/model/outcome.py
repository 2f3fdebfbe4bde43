"""OperationOutcome: https://hl7.org/fhir/R4/operationoutcome.html"""

from collections.abc import Iterable

from fhirserver.errors import Issue
from fhirserver.model import json
from fhirserver.model.json import Resource

LINE = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-line"
COLUMN = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-col"


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
    if issue.rule:
        entry["details"] = {"coding": [{"system": issue.url, "code": issue.rule}], "text": issue.text}
    if issue.expression:
        entry["expression"] = [issue.expression]
    if issue.line:
        entry["extension"] = [
            {"url": LINE, "valueInteger": issue.line},
            {"url": COLUMN, "valueInteger": issue.column},
        ]
    return entry
