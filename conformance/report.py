"""What is shown: a table for people, JSON for programs, a TestReport for FHIR."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from conformance.checks import Check
from conformance.client import Resource
from conformance.run import Result, Status

SPECIFICATION = "https://hl7.org/fhir/R4/"
SHOWN = 5
"""Failures of one check that the table names; the JSON has all."""

ASSERTS: dict[Status, str] = {"pass": "pass", "fail": "fail", "warning": "warning", "not claimed": "skip"}
"""https://hl7.org/fhir/R4/valueset-report-action-result-codes.html"""


def grouped(results: Iterable[Result]) -> dict[Check, list[Result]]:
    """The results by check, in their order."""
    groups: dict[Check, list[Result]] = {}
    for result in results:
        groups.setdefault(result.check, []).append(result)
    return groups


def verdict(results: Sequence[Result]) -> Status:
    """The worst of a check's cases."""
    statuses = {result.status for result in results}
    order: tuple[Status, ...] = ("fail", "warning", "pass", "not claimed")
    return next(status for status in order if status in statuses)


def table(results: Sequence[Result]) -> str:
    """A line for every check: verdict, cases that pass, what it is, its paragraph; failures below it."""
    lines = []
    area = ""
    for check, own in grouped(results).items():
        if check.area != area:
            area = check.area
            lines.append(f"\n{area}")
        passed = sum(result.status == "pass" for result in own)
        asked = sum(result.status != "not claimed" for result in own)
        cases = f"{passed}/{asked}" if asked else ""
        lines.append(f"  {verdict(own):<11}  {cases:>7}  {check.title:<74}  {check.spec}")
        bad = [result for result in own if result.status in ("fail", "warning")]
        for result in bad[:SHOWN]:
            named = f"{result.case.name}: " if result.case and result.case.name else ""
            lines += textwrap.wrap(
                named + result.reason, 120, initial_indent=" " * 24, subsequent_indent=" " * 26
            )
        if len(bad) > SHOWN:
            lines.append(f"{' ' * 24}... and {len(bad) - SHOWN} more")
    return "\n".join(lines).lstrip("\n")


def summary(results: Sequence[Result], missing: Sequence[str]) -> str:
    """A line of numbers, and the claims that no check covers."""
    counts = Counter(verdict(own) for own in grouped(results).values())
    cases = sum(result.status != "not claimed" for result in results)
    text = (
        f"{sum(counts.values())} checks, {cases} cases: {counts['pass']} pass, {counts['fail']} fail, "
        f"{counts['warning']} warn (a SHOULD), {counts['not claimed']} not claimed"
    )
    if not missing:
        return text
    claims = f"claimed, but not checked: {', '.join(missing)}"
    return "\n".join([text, *textwrap.wrap(claims, 120, subsequent_indent="  ", break_on_hyphens=False)])


def as_json(base_url: str, results: Sequence[Result], missing: Sequence[str]) -> dict[str, Any]:
    """Every case; ``seconds`` is what it took."""
    return {
        "baseUrl": base_url,
        "unchecked": list(missing),
        "results": [
            {
                "area": result.check.area,
                "title": result.check.title,
                "specification": _url(result.check),
                "case": result.case.name if result.case else "",
                "status": result.status,
                "reason": result.reason,
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
    }


def test_report(base_url: str, results: Sequence[Result], software: str) -> Resource:
    """https://hl7.org/fhir/R4/testreport.html: a test for every check, an assertion for every case."""
    groups = grouped(results)
    claimed = [own for own in groups.values() if verdict(own) != "not claimed"]
    failed = sum(verdict(own) == "fail" for own in claimed)
    score = round(100 * (len(claimed) - failed) / len(claimed), 2) if claimed else 0
    return {
        "resourceType": "TestReport",
        "name": "conformance",
        "status": "completed",
        "testScript": {"display": "python -m conformance"},
        "result": "fail" if failed else "pass",
        "score": score,
        "issued": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "participant": [
            {"type": "server", "uri": base_url, **({"display": software} if software else {})},
            {"type": "test-engine", "uri": "urn:conformance", "display": "conformance"},
        ],
        "test": [_test(check, own) for check, own in groups.items()],
    }


def _test(check: Check, results: Sequence[Result]) -> dict[str, Any]:
    return {
        "name": f"{check.area}: {check.title}",
        "description": f"{'SHOULD' if check.should else 'SHALL'}, {_url(check)}",
        "action": [{"assert": _assertion(result)} for result in results],
    }


def _assertion(result: Result) -> dict[str, Any]:
    parts = [result.case.name if result.case else "", result.reason]
    message = ": ".join(filter(None, parts)) or ("" if result.case else "not claimed")
    told = {"message": message} if message else {}
    return {"result": ASSERTS[result.status], **told, "detail": _url(result.check)}


def _url(check: Check) -> str:
    return check.spec if "://" in check.spec else f"{SPECIFICATION}{check.spec}"
