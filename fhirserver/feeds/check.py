"""``fhirserver check``: what a file is, what would be stored of it, and every issue. Nothing is stored."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from fhirserver import errors
from fhirserver.errors import FHIRError, Severity
from fhirserver.feeds.definition import SourceDefinition
from fhirserver.feeds.envelope import open_envelope
from fhirserver.feeds.mapping import map_now, source_of
from fhirserver.feeds.origin import Origin
from fhirserver.feeds.resources import PERFORMED, inside
from fhirserver.feeds.senders import TRUSTED, Senders, domain_of
from fhirserver.feeds.sniff import members, sniff
from fhirserver.model import json, xml
from fhirserver.model.definitions import Definitions
from fhirserver.model.json import Resource
from fhirserver.settings import Settings
from fhirserver.validation import Language, Validator, located
from mappings import hl7v2
from mappings.core.result import Held, Issue, MappingError
from mappings.core.source import Source
from mappings.hl7v2.structure import check_structure

TITLES = {
    "hl7v2": "an HL7v2 message",
    "cda": "a CDA document",
    "xdm": "an XDM submission",
    "xds": "a submission over SOAP (XDS)",
    "mail": "a mail",
    "ebrim": "XDS metadata without its documents",
    "zip": "a zip of files",
    "json": "a FHIR resource (JSON)",
    "xml": "a FHIR resource (XML)",
    "ndjson": "FHIR resources (NDJSON)",
    "": "nothing that is taken in here",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to say about an input; ``location`` is in the input's own terms, a FHIRPath for FHIR; line
    and column are those of the file (0: not known)."""

    severity: Severity
    code: str
    text: str
    location: str = ""
    rule: str = ""
    url: str = ""
    line: int = 0
    column: int = 0


@dataclass(slots=True)
class Report:
    """What one input would come to: ``status`` as in the inbox, or ``unknown``; ``entries`` what is asked for
    and of which resource."""

    name: str
    what: str
    status: str = "processed"
    entries: list[str] = field(default_factory=list)
    issues: list[Finding] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def conclude(self) -> "Report":
        """Let the issues decide the status where nothing has."""
        severities = {issue.severity for issue in self.issues}
        if self.status == "processed" and severities - {"information"}:
            self.status = "failed" if severities & {"error", "fatal"} else "warnings"
        return self


@dataclass(frozen=True, slots=True)
class Asked:
    """How FHIR content is validated: in which language, whether extensible bindings and best practices are
    told as well, and which profiles it has to conform to beside those it claims."""

    language: Language = "en"
    advice: bool = False
    profiles: tuple[str, ...] = ()


class Checker:
    """Checks inputs without a database; HL7v2 as ``sources`` define its senders."""

    def __init__(
        self,
        definitions: Definitions,
        settings: Settings,
        validator: Validator | None = None,
        asked: Asked | None = None,
        sources: Mapping[str, SourceDefinition] | None = None,
    ) -> None:
        self._definitions = definitions
        self._validator = validator or Validator(definitions)
        self._settings = settings
        self._asked = asked or Asked()
        self._senders = Senders(sources or {}, settings)

    def check_file(self, file: Path) -> list[Report]:
        """As ``check_bytes``, of a file; one that cannot be read is unknown."""
        try:
            raw = file.read_bytes()
        except OSError as error:
            return [Report(str(file), f"a file that cannot be read ({error.strerror})", "unknown")]
        return self.check_bytes(str(file), raw)

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
                    found[0].issues[:0] = _remarks(batch.issues)
                return [report.conclude() for report in found]
            case "cda" | "xdm" | "xds" | "mail":
                return [
                    self._mapped(Report(name, what), kind, raw, source_of("file", self._settings)).conclude()
                ]
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
            return [Report(name, TITLES["zip"], "failed", issues=_findings(error.issues, b"", 1))]
        reports = []
        for path, content in inner:
            if sniff(content) == "zip":
                reports.append(Report(path, "a zip inside a zip", "unknown"))
            else:
                reports += self.check_bytes(path, content)
        return reports

    def _message(self, name: str, raw: bytes) -> Report:
        envelope = open_envelope("hl7v2", raw, "file")
        report = Report(name, f"{TITLES['hl7v2']} {envelope.event}".strip(), issues=_remarks(envelope.issues))
        if envelope.refusal:
            report.status = "failed"
            return report
        sender = self._senders.identify(envelope, Origin(TRUSTED))
        if sender.known:
            report.what += f" of the source {sender.name}"
        definition = sender.definition
        name = domain_of(envelope.application, envelope.facility, envelope.source)
        if definition.structure != "off":
            issues = [replace(issue, severity="warning") for issue in check_structure(raw)]
            report.issues += _remarks(issues)
            if issues and definition.structure == "refuse":
                report.status = "failed"
                return report
        self._mapped(report, "hl7v2", raw, definition.source(name, {}))
        return report

    def _mapped(self, report: Report, kind: str, raw: bytes, source: Source) -> Report:
        try:
            mapped = map_now(kind, raw, source)
        except MappingError as error:
            report.status = "held" if isinstance(error, Held) else "failed"
            report.issues += _remarks(error.issues)
            return report
        report.issues += _remarks(mapped.issues)
        report.unread = mapped.unread
        self._bundle(report, mapped.bundle)
        return report

    def _fhir(self, report: Report, kind: str, raw: bytes) -> Report:
        bodies = [(raw, 1)]
        if kind == "ndjson":
            bodies = [(line, n) for n, line in enumerate(raw.splitlines(), 1) if line.strip()]
        for body, line in bodies:
            try:
                resource = xml.parse(body, self._definitions) if kind == "xml" else json.parse_resource(body)
            except FHIRError as error:
                report.status = "failed"
                report.issues += _findings(error.issues, body, line)
                continue
            self._resource(report, resource, body, line)
        return report

    def _resource(self, report: Report, resource: Resource, body: bytes, line: int) -> None:
        if resource["resourceType"] == "Bundle" and resource.get("type") in PERFORMED:
            self._bundle(report, resource, body, line)
            return
        report.issues += self._validate(resource, body, line)
        whole = resource["resourceType"] != "Bundle" or resource.get("type") == "document"
        parts = [resource] if whole else list(inside(resource))
        report.entries += [f"PUT {_label(part)}" for part in parts]

    def _bundle(self, report: Report, bundle: Resource, body: bytes = b"", line: int = 1) -> None:
        report.issues += self._validate(bundle, body, line)
        entries = bundle.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            request = entry.get("request", {}) if isinstance(entry, dict) else {}
            resource = entry.get("resource", {}) if isinstance(entry, dict) else {}
            if isinstance(request, dict) and isinstance(resource, dict):
                when = "if unknown " if request.get("ifNoneExist") else ""
                report.entries.append(f"{request.get('method', '?')} {when}{_label(resource)}")

    def _validate(self, resource: Resource, body: bytes, line: int) -> list[Finding]:
        """The validator's issues; of what a mapping has made (no body) without a place in the input."""
        advice = self._asked.advice and bool(body)
        issues = self._validator.validate(
            resource,
            language=self._asked.language,
            advice=advice,
            practices=advice,
            profiles=self._asked.profiles if body else (),
        )
        return _findings(issues, body, line)


def _remarks(issues: Iterable[Issue]) -> list[Finding]:
    """What a mapping says."""
    return [Finding(i.severity, i.code, i.text, i.location) for i in issues]


def _findings(issues: Iterable[errors.Issue], body: bytes, line: int) -> list[Finding]:
    """``line`` is where the body begins in its file."""
    return [
        Finding(
            i.severity,
            i.code,
            i.text,
            i.expression,
            i.rule,
            i.url,
            i.line + line - 1 if i.line else 0,
            i.column,
        )
        for i in located(issues, body)
    ]


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
