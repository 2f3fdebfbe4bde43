"""``fhirserver check``: what a file is, what would be stored of it, and every issue. Nothing is stored."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape as plain

from fhirserver.errors import FHIRError
from fhirserver.feeds.envelope import open_envelope
from fhirserver.feeds.mapping import map_now, source_of
from fhirserver.feeds.resources import PERFORMED, inside
from fhirserver.feeds.sniff import members, sniff
from fhirserver.model import json, xml
from fhirserver.model.definitions import Definitions
from fhirserver.model.json import Resource
from fhirserver.settings import Settings
from fhirserver.validation import Validator
from mappings import hl7v2
from mappings.core.result import Held, Issue, MappingError

TITLES = {
    "hl7v2": "an HL7v2 message",
    "cda": "a CDA document",
    "xdm": "an XDM submission",
    "ebrim": "XDS metadata without its documents",
    "zip": "a zip of files",
    "json": "a FHIR resource (JSON)",
    "xml": "a FHIR resource (XML)",
    "ndjson": "FHIR resources (NDJSON)",
    "": "nothing that is taken in here",
}


@dataclass(slots=True)
class Report:
    """What one input would come to: ``status`` as in the inbox, or ``unknown``; ``entries`` what is asked for
    and of which resource."""

    name: str
    what: str
    status: str = "processed"
    entries: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def conclude(self) -> "Report":
        """Let the issues decide the status where nothing has."""
        severities = {issue.severity for issue in self.issues}
        if self.status == "processed" and severities - {"information"}:
            self.status = "failed" if "error" in severities else "warnings"
        return self


class Checker:
    """Checks inputs with the definitions alone: no database."""

    def __init__(self, definitions: Definitions, settings: Settings) -> None:
        self._definitions = definitions
        self._validator = Validator(definitions)
        self._settings = settings

    def check_bytes(self, name: str, raw: bytes) -> list[Report]:
        """The reports of a file: one, or one for each message in it or file in a zip. Never raises."""
        kind = sniff(raw)
        what = TITLES[kind]
        match kind:
            case "hl7v2":
                batch = hl7v2.split(raw)
                messages = batch.messages or [raw]
                names = [f"{name} [{n}]" if len(messages) > 1 else name for n in range(1, len(messages) + 1)]
                found = [self._message(*named) for named in zip(names, messages, strict=True)]
                if batch.messages:
                    found[0].issues[:0] = batch.issues
                return [report.conclude() for report in found]
            case "cda" | "xdm":
                return [self._mapped(Report(name, what), kind, raw, "file").conclude()]
            case "json" | "xml" | "ndjson":
                return [self._fhir(Report(name, what), kind, raw).conclude()]
            case "zip":
                return self._zip(name, raw)
            case _:
                return [Report(name, what, "unknown")]

    def _zip(self, name: str, raw: bytes) -> list[Report]:
        try:
            inner = [(f"{name}/{member}", content) for member, content in members(raw)]
        except FHIRError as error:
            return [Report(name, TITLES["zip"], "failed", issues=_issues(error))]
        reports = []
        for path, content in inner:
            if sniff(content) == "zip":
                reports.append(Report(path, "a zip inside a zip", "unknown"))
            else:
                reports += self.check_bytes(path, content)
        return reports

    def _message(self, name: str, raw: bytes) -> Report:
        envelope = open_envelope("hl7v2", raw, "file")
        report = Report(name, f"{TITLES['hl7v2']} {envelope.event}".strip(), issues=list(envelope.issues))
        if envelope.refusal:
            report.status = "failed"
            return report
        return self._mapped(report, "hl7v2", raw, envelope.source)

    def _mapped(self, report: Report, kind: str, raw: bytes, source: str) -> Report:
        try:
            mapped = map_now(kind, raw, source_of(source, self._settings))
        except MappingError as error:
            report.status = "held" if isinstance(error, Held) else "failed"
            report.issues += error.issues
            return report
        report.issues += mapped.issues
        report.unread = mapped.unread
        self._bundle(report, mapped.bundle)
        return report

    def _fhir(self, report: Report, kind: str, raw: bytes) -> Report:
        try:
            if kind == "ndjson":
                found = [json.parse_resource(line) for line in raw.splitlines() if line.strip()]
            else:
                found = [xml.parse(raw, self._definitions) if kind == "xml" else json.parse_resource(raw)]
        except FHIRError as error:
            report.status = "failed"
            report.issues += _issues(error)
            return report
        for resource in found:
            if resource["resourceType"] == "Bundle" and resource.get("type") in PERFORMED:
                self._bundle(report, resource)
                continue
            report.issues += self._validate(resource)
            whole = resource["resourceType"] != "Bundle" or resource.get("type") == "document"
            parts = [resource] if whole else list(inside(resource))
            report.entries += [f"PUT {_label(part)}" for part in parts]
        return report

    def _bundle(self, report: Report, bundle: Resource) -> None:
        report.issues += self._validate(bundle)
        entries = bundle.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            request = entry.get("request", {}) if isinstance(entry, dict) else {}
            resource = entry.get("resource", {}) if isinstance(entry, dict) else {}
            if isinstance(request, dict) and isinstance(resource, dict):
                when = "if unknown " if request.get("ifNoneExist") else ""
                report.entries.append(f"{request.get('method', '?')} {when}{_label(resource)}")

    def _validate(self, resource: Resource) -> list[Issue]:
        return [
            Issue(i.severity if i.severity != "fatal" else "error", i.code, i.text, i.expression)
            for i in self._validator.validate(resource)
        ]


def check_file(file: Path, definitions: Definitions, settings: Settings, console: Console) -> int:
    """Print what a file would come to; 0: it would be stored, 1: held or failed, 2: nothing known."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        console.print(f"{plain(str(file))} cannot be read: {error.strerror}", soft_wrap=True)
        return 2
    reports = Checker(definitions, settings).check_bytes(str(file), raw)
    for report in reports:
        _print(report, console)
    statuses = {report.status for report in reports}
    if statuses <= {"unknown"}:
        return 2
    return int(bool(statuses & {"held", "failed"}))


def _print(report: Report, console: Console) -> None:
    console.print(
        f"{plain(report.name)}: {plain(report.what)}, would be [bold]{report.status}[/]", soft_wrap=True
    )
    for entry in report.entries:
        console.print(f"  {plain(entry)}", soft_wrap=True)
    for issue in report.issues:
        where = f"{issue.location}: " if issue.location else ""
        console.print(f"  {issue.severity}: {plain(where)}{plain(issue.text)}", soft_wrap=True)
    if report.unread:
        console.print(f"  sent and not read: {plain(', '.join(report.unread))}", soft_wrap=True)


def _label(resource: Resource) -> str:
    """The type and what it is, in a few words; no person's name."""
    for name in ("code", "vaccineCode", "type", "class"):
        concept = resource.get(name)
        for one in concept if isinstance(concept, list) else [concept]:
            if isinstance(one, dict) and (text := _text(one)):
                return f"{resource.get('resourceType')} ({text})"
    return str(resource.get("resourceType", "?"))


def _text(concept: Resource) -> str:
    codings = concept.get("coding")
    first = codings[0] if isinstance(codings, list) and codings and isinstance(codings[0], dict) else {}
    text = concept.get("text") or first.get("display") or first.get("code") or concept.get("code") or ""
    return str(text)[:60]


def _issues(error: FHIRError) -> list[Issue]:
    return [Issue("error", issue.code, issue.text, issue.expression) for issue in error.issues]
