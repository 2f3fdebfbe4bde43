"""What ``fhirserver check`` prints: text for people, JSON for programs, SARIF for CI.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import fhirserver
from fhirserver.feeds.check import Finding, Report

LEVELS = {"fatal": "error", "error": "error", "warning": "warning", "information": "note"}
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def text(reports: Sequence[Report]) -> str:
    lines = []
    for report in reports:
        lines.append(f"{report.name}: {report.what}, would be {report.status}")
        lines += [f"  {entry}" for entry in report.entries]
        lines += [f"  {_line(issue)}" for issue in report.issues]
        if report.unread:
            lines.append(f"  sent and not read: {', '.join(report.unread)}")
    return "\n".join(lines)


def _line(issue: Finding) -> str:
    place = f"{issue.line}:{issue.column}: " if issue.line else ""
    where = f"{issue.location}: " if issue.location else ""
    rule = f" [{issue.rule}]" if issue.rule and not issue.text.startswith(issue.rule) else ""
    return f"{place}{issue.severity}: {where}{issue.text}{rule}"


def as_json(reports: Sequence[Report]) -> str:
    return json.dumps([asdict(report) for report in reports], ensure_ascii=False, indent=2)


def sarif(reports: Sequence[Report]) -> str:
    """One run; every issue is a result, with its place as far as it is known."""
    rules: dict[str, dict[str, Any]] = {}
    results = []
    for report in reports:
        for issue in report.issues:
            id = issue.rule or issue.code
            rules.setdefault(id, {"id": id, **({"helpUri": issue.url} if issue.url else {})})
            results.append(_result(report, issue, id))
    driver = {
        "name": "fhirserver",
        "version": fhirserver.__version__,
        "rules": list(rules.values()),
    }
    run = {"tool": {"driver": driver}, "results": results}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=2)


def _result(report: Report, issue: Finding, rule: str) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": report.name}}
    if issue.line:
        physical["region"] = {"startLine": issue.line, "startColumn": max(issue.column, 1)}
    location: dict[str, Any] = {"physicalLocation": physical}
    if issue.location:
        location["logicalLocations"] = [{"fullyQualifiedName": issue.location}]
    return {
        "ruleId": rule,
        "level": LEVELS[issue.severity],
        "message": {"text": issue.text},
        "locations": [location],
    }


FORMATS: dict[str, Callable[[Sequence[Report]], str]] = {"text": text, "json": as_json, "sarif": sarif}


def exit_code(reports: Sequence[Report], *, strict: bool = False) -> int:
    """0: all would be stored; 1: something is held, failed or (``strict``) has warnings; 2: none is known."""
    statuses = {report.status for report in reports}
    if statuses <= {"unknown"}:
        return 2
    bad = {"held", "failed", "warnings"} if strict else {"held", "failed"}
    return int(bool(statuses & bad))
