"""The command line of ``python -m conformance``."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import conformance.areas  # noqa: F401  # importing it registers the checks
from conformance import report
from conformance.checks import CHECKS, Check, uncovered
from conformance.client import Client
from conformance.run import Result, run
from conformance.statement import NotAServer, Statement, fetch

PASSED, FAILED, NO_SERVER = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """0: all that is claimed passes; 1: something fails; 2: no R4 server answers, or it cannot be asked."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        headers = dict(_header(text) for text in options.header)
        if options.token:
            headers["Authorization"] = f"Bearer {options.token}"
        client = Client(options.base_url, headers, options.timeout)
    except ValueError as error:
        parser.error(str(error))
    with client:
        try:
            statement = fetch(client)
            types = _types(statement, options.type)
        except NotAServer as error:
            print(error, file=sys.stderr)
            return NO_SERVER
        checks = [check for check in CHECKS if not options.area or check.area in options.area]
        results = list(run(client, statement, checks, types, options.jobs))
    return _show(options, statement, checks, types, results)


def _show(
    options: argparse.Namespace,
    statement: Statement,
    checks: list[Check],
    types: tuple[str, ...],
    results: list[Result],
) -> int:
    # Which claims have no check is a question to all checks, so it is not asked of some areas.
    missing = [] if options.area else uncovered(statement, checks, types)
    if options.report:
        resource = report.test_report(options.base_url, results, statement.software)
        options.report.write_text(json.dumps(resource, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if options.json:
        found = report.as_json(options.base_url, results, missing)
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        print(f"{options.base_url} {statement.software}\n".lstrip())
        print(report.table(results))
        print(f"\n{report.summary(results, missing)}")
    return FAILED if any(result.status == "fail" for result in results) else PASSED


def _types(statement: Statement, asked: list[str]) -> tuple[str, ...]:
    if unknown := set(asked) - set(statement.types):
        served = ", ".join(sorted(statement.types))
        raise NotAServer(f"{', '.join(sorted(unknown))} is not served; served are {served}")
    return tuple(dict.fromkeys(asked)) or tuple(dict.fromkeys(statement.types))


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"{text!r} is not a header such as 'X-Key: value'")
    return name.strip(), value.strip()


def _parser() -> argparse.ArgumentParser:
    areas = list(dict.fromkeys(check.area for check in CHECKS))
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Check a FHIR R4 server against what it claims in its CapabilityStatement. It creates "
        "and deletes invented resources: use a server for tests.",
    )
    parser.add_argument("--base-url", required=True, help="the FHIR base, such as http://localhost:8080/fhir")
    parser.add_argument(
        "--area", action="append", default=[], choices=areas, metavar="AREA",
        help=f"check only this area (may be repeated): {', '.join(areas)}",
    )  # fmt: skip
    parser.add_argument(
        "--type", action="append", default=[], metavar="TYPE",
        help="use only this resource type (may be repeated); default: all that are served",
    )  # fmt: skip
    parser.add_argument("--token", help="bearer token for the Authorization header")
    parser.add_argument("--header", action="append", default=[], help="another header, 'Name: value'")
    parser.add_argument("--jobs", type=int, default=8, help="checks at a time (default 8)")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds for a request (default 30)")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a FHIR TestReport resource")
    return parser
