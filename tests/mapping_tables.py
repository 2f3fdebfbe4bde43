"""Write ``docs/mappings``: what the fields of messages become in FHIR. ``python -m tests.mapping_tables``

The tables are found, not written: each field of each message in ``tests/cases/hl7v2`` is left out, the rest
is mapped, and what the Bundle then lacks or says otherwise is what the field becomes.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hl7apy import load_library

from mappings.core.bundle import KEY_SYSTEM
from mappings.core.result import MappingError
from mappings.core.source import Source
from mappings.hl7v2 import EVENTS, alert, appointment, medication, order, problem, read, tables, to_bundle

ROOT: Final = Path(__file__).parents[1]
CASES: Final = ROOT / "tests" / "cases" / "hl7v2"
PAGES: Final = ROOT / "docs" / "mappings"
SOURCE: Final = Source("chu-nord")

KINDS: Final = {
    "adt": ("ADT: patients and visits", ("ADT",)),
    "results": ("ORU, OUL: results and alerts", ("ORU", "OUL")),
    "orders": ("ORM, OML, OMG, OMP, RDE: orders", ("ORM", "OML", "OMG", "OMP", "RDE")),
    "documents": ("MDM: documents", ("MDM",)),
    "vaccinations": ("VXU, RSP: vaccinations", ("VXU", "RSP")),
    "problems": ("PPR: problems", ("PPR",)),
    "appointments": ("SIU: appointments", ("SIU",)),
    "deliveries": ("ZAM: what became of a mail (CI-SIS)", ("ZAM",)),
}
"""Page -> its title and the message codes on it."""

CODES: Final[tuple[tuple[str, str, Mapping[str, str]], ...]] = (
    ("0001 Administrative sex", "Patient.gender", tables.GENDER),
    ("0002 Marital status", "Patient.maritalStatus", tables.MARITAL_STATUS),
    ("0004 Patient class", "Encounter.class", tables.ENCOUNTER_CLASS),
    ("0038 Order status", "ServiceRequest.status", order.ORDER_STATUS),
    ("0038, 0119, of a treatment that was revoked", "MedicationRequest.status", medication.STATUS),
    ("0119 Order control (what decides)", "ServiceRequest.status", order.ORDER_CONTROL),
    ("0485 Priority", "ServiceRequest.priority", order.PRIORITY),
    ("0063 Relationship", "RelatedPerson.relationship", tables.RELATIONSHIP),
    ("0074 Diagnostic service section", "Observation.category", tables.OBSERVATION_CATEGORY),
    ("0085 Observation result status", "Observation.status", tables.OBSERVATION_STATUS),
    ("0085, of a document", "DocumentReference.docStatus", tables.DOCUMENT_STATUS_OF_OBSERVATION),
    ("0123 Result status", "DiagnosticReport.status", tables.REPORT_STATUS),
    ("0127 Allergen type", "AllergyIntolerance.category", tables.ALLERGY_CATEGORY),
    ("0128 Allergy severity", "AllergyIntolerance.reaction.severity", tables.REACTION_SEVERITY),
    ("0162 Route of administration", "Immunization.route", tables.ROUTE),
    ("0270 Document type", "DocumentReference.type (LOINC)", tables.DOCUMENT_TYPE),
    ("0271 Document completion status", "DocumentReference.docStatus", tables.DOCUMENT_COMPLETION),
    ("0272 Document confidentiality status", "DocumentReference.securityLabel", tables.CONFIDENTIALITY),
    ("0273 Document availability status", "DocumentReference.status", tables.DOCUMENT_AVAILABILITY),
    ("PRB-14 Life cycle status, as it is written", "Condition.clinicalStatus", problem.CLINICAL),
    ("PRB-13 Confirmation status, as it is written", "Condition.verificationStatus", problem.VERIFICATION),
    ("0278 Filler status codes", "Appointment.status", appointment.FILLER_STATUS),
    ("0278, of one participant", "Appointment.participant.status", appointment.PARTICIPATION_STATUS),
    ("0322 Completion status", "Immunization.status", tables.COMPLETION_STATUS),
    ("MDC_ATTR_EVENT_PHASE", "Communication.status", alert.STATUS_OF_PHASE),
    ("MDC_ATTR_ALARM_PRIORITY", "Communication.priority", alert.URGENCY),
    ("MetaDMPMSS (CI-SIS)", "DocumentReference.securityLabel", tables.VISIBILITY),
)
"""Title, element and table."""

PATIENT: Final = ("MSH", "EVN", "PID", "PD1", "NK1", "PV1", "PV2", "AL1", "IAM", "IAR")
"""Segments that are the same in all messages: they are on the page of ADT."""

_TRIES: Final = 3
"""In so many messages a field is left out."""
_DEEP: Final = frozenset(
    ("collection", "participant", "content", "context", "hospitalization", "performer", "reaction", "payload",
     "education", "protocolApplied", "contact", "location", "container", "provision", "link")
)  # fmt: skip
"""Elements of which the tables name the parts."""
_ACTORS: Final = ("Practitioner", "Organization")
_CHOICE: Final = re.compile(r"^(value|effective|occurrence|onset|deceased|multipleBirth)(?=[A-Z]).*$")
_LIBRARIES: Final = (load_library("2.8.2"), load_library("2.5.1"))
_FRENCH: Final = {
    "ZBE": "movement (IHE PAM France)",
    "ZFA": "status of the shared record (IHE PAM France)",
    "ZFD": "identity (IHE PAM France)",
    "ZFM": "mode of stay (IHE PAM France)",
    "ZFP": "activity (IHE PAM France)",
    "ZFV": "movement, more (IHE PAM France)",
}


@dataclass(slots=True)
class Page:
    """What the messages of one kind become: the elements of each field, what is not read, the events."""

    elements: dict[tuple[str, int], set[str]] = field(default_factory=lambda: defaultdict(set))
    tries: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))
    unread: set[str] = field(default_factory=set)
    events: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    order: list[str] = field(default_factory=list)


def pages() -> dict[str, str]:
    """The name and the text of each page."""
    found = {name: _page(codes) for name, (_, codes) in KINDS.items()}
    texts = {name: _format(name, page) for name, page in found.items()}
    lines = ["# How HL7v2 becomes FHIR", "", *_ABOUT, ""]
    lines += [f"- [{title}]({name}.md)" for name, (title, _) in KINDS.items()]
    lines += ["- [Codes](codes.md)"]
    return {"README": "\n".join(lines) + "\n", "codes": _codes(), **texts}


def _codes() -> str:
    """The tables of codes, those that are required in FHIR and so cannot stay as they are sent."""
    lines = [
        "# Codes",
        "",
        "Written by `python -m tests.mapping_tables`. HL7 tables whose codes FHIR has others for. What a",
        "table lacks is an issue of the message and stays as an extension; the code map of a source comes",
        "first (`docs/sources.md`).",
    ]
    for title, element, table in CODES:
        lines += ["", f"## {title}", "", f"To `{element}`: " + ", ".join(_pairs(table)) + "."]
    return "\n".join(lines) + "\n"


def _pairs(table: Mapping[str, str]) -> Iterator[str]:
    """The codes that become one, by that one."""
    sent: dict[str, list[str]] = defaultdict(list)
    for code, becomes in table.items():
        sent[becomes].append(code)
    for becomes, codes in sent.items():
        yield f"{' '.join(codes)} → {becomes}"


_ABOUT: Final = (
    "Written by `python -m tests.mapping_tables`: each field of each message in `tests/cases/hl7v2` is left",
    "out, and what the Bundle then lacks is what the field becomes. Provenance, which names the message, is",
    "left out here. What a message sends beyond this is named in its outcome in the inbox.",
)


def _page(codes: tuple[str, ...]) -> Page:
    page = Page()
    for path in sorted(CASES.glob("*/message.hl7")):
        raw = path.read_bytes()
        message = read(raw, SOURCE)
        if message.event.partition("^")[0] not in codes:
            continue
        try:
            mapped = to_bundle(message, SOURCE)
        except MappingError:
            continue
        page.unread.update(mapped.unread)
        resources = _resources(mapped.bundle)
        page.events[message.event] |= resources.keys() - {"Provenance"}
        for line in message.segments:
            if line.name not in page.order:
                page.order.append(line.name)
        lines = [segment.raw for segment in message.segments]
        for position, line in enumerate(message.segments):
            if line.name in PATIENT and "ADT" not in codes:
                continue
            _leave_out(page, lines, position, line.name, resources, raw)
    return page


def _leave_out(
    page: Page, lines: list[str], position: int, name: str, resources: dict[str, list[Any]], raw: bytes
) -> None:
    """Try each field of one segment; the message is otherwise as it was."""
    separator = lines[0][3]
    fields = lines[position].split(separator)
    first = 2 if name == "MSH" else 1
    for index in range(first, len(fields)):
        number = index + 1 if name == "MSH" else index
        key = (name, number)
        if not fields[index].strip('^~&"') or page.tries[key] >= _TRIES:
            continue
        changed = [*fields[:index], "", *fields[index + 1 :]]
        text = "\r".join([*lines[:position], separator.join(changed), *lines[position + 1 :]])
        try:
            mapped = to_bundle(read(text.encode(), SOURCE), SOURCE)
        except MappingError:
            page.elements[key].add("held without it")
            continue
        if found := set(_differences(resources, _resources(mapped.bundle))):
            page.elements[key] |= found
            page.tries[key] += 1


def _resources(bundle: Any) -> dict[str, list[Any]]:
    """The resources by type, in order, without what only names them."""
    entries = bundle.get("entry", [])
    counts: dict[str, int] = defaultdict(int)
    names: dict[str, str] = {}
    for entry in entries:
        resource = entry["resource"]
        kind = resource["resourceType"]
        counts[kind] += 1
        # People and organizations go by their number: one more of them is no change of the others.
        number = resource["identifier"][0]["value"] if kind in _ACTORS else counts[kind]
        names[entry["fullUrl"]] = f"{kind} {number}"
    found: dict[str, list[Any]] = defaultdict(list)
    for entry in entries:
        found[entry["resource"]["resourceType"]].append(_named(entry["resource"], names))
    return found


def _named(value: Any, names: dict[str, str]) -> Any:
    match value:
        case {"system": str(system), "value": _} if system.startswith(KEY_SYSTEM):
            return None
        case dict():
            return {name: _named(part, names) for name, part in value.items() if name != "id"}
        case list():
            return [_named(part, names) for part in value]
        case str():
            return names.get(value, value)
        case _:
            return value


def _differences(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> Iterator[str]:
    for kind, resources in before.items():
        if kind == "Provenance":
            continue
        others = after.get(kind, [])
        if len(others) != len(resources):
            yield kind
            continue
        for one, other in zip(resources, others, strict=True):
            for name in one.keys() | other.keys():
                if one.get(name) != other.get(name) and not name.startswith("_"):
                    yield from (f"{kind}.{path}" for path in _paths(name, one.get(name), other.get(name)))


def _paths(name: str, one: Any, other: Any) -> Iterable[str]:
    shown = _choice(name)
    if name not in _DEEP:
        return [shown]
    parts, others = _parts(one), _parts(other)
    changed = {part for part in parts.keys() | others.keys() if parts.get(part) != others.get(part)}
    return [f"{shown}.{_choice(part)}" for part in sorted(changed)] if changed else [shown]


def _choice(name: str) -> str:
    """The element of a property: ``value[x]`` of ``valueString``."""
    return _CHOICE.sub(r"\1[x]", name)


def _parts(value: Any) -> dict[str, list[Any]]:
    """The parts of an element or of all in a list, by name; a reference has none."""
    parts: dict[str, list[Any]] = defaultdict(list)
    for item in value if isinstance(value, list) else [value]:
        if not isinstance(item, dict) or item.keys() & {"reference", "display"}:
            continue
        for name, part in item.items():
            parts[name].append(part)
    return parts


def _format(name: str, page: Page) -> str:
    title, codes = KINDS[name]
    lines = [f"# {title}", "", *_ABOUT, "", "| event | becomes |", "|---|---|"]
    for event in EVENTS:
        if event.partition("^")[0] in codes:
            kinds = sorted(page.events.get(event, ())) or ["" if name != "deliveries" else "an issue only"]
            lines.append(f"| {event.replace('^', ' ')} | {', '.join(kinds)} |")
    if name != "adt":
        lines += ["", f"{', '.join(PATIENT[:-1])} are read as [in ADT](adt.md)."]
    for segment in page.order:
        numbers = sorted(number for known, number in page.elements if known == segment)
        if not numbers:
            continue
        lines += ["", f"## {_segment_name(segment)}", "", "| field | name | FHIR |", "|---|---|---|"]
        for number in numbers:
            elements = ", ".join(
                f"`{element}`" if "." in element else element for element in _sorted(page, segment, number)
            )
            lines.append(f"| {segment}-{number} | {_field_name(segment, number)} | {elements} |")
    rest = sorted((u for u in page.unread if name == "adt" or u[:3] not in PATIENT), key=_number)
    if rest:
        lines += ["", "## Not read", "", f"Sent in the cases and named in the outcome: {', '.join(rest)}."]
    return "\n".join(lines) + "\n"


def _sorted(page: Page, segment: str, number: int) -> list[str]:
    """Whole resources last, because something must remain to be said of a field that also decides on them."""
    return sorted(page.elements[(segment, number)], key=lambda element: ("." not in element, element))


def _number(field_name: str) -> tuple[str, int]:
    segment, _, number = field_name.partition("-")
    return segment, int(number)


def _segment_name(segment: str) -> str:
    known = _FRENCH.get(segment)
    return f"{segment}: {known}" if known else segment


def _field_name(segment: str, number: int) -> str:
    """The field's name in HL7 v2.8.2, or in 2.5.1 where it was withdrawn; empty for what neither has."""
    for library in _LIBRARIES:
        for name, reference, *_ in library.SEGMENTS.get(segment, (None, ()))[1]:
            if name == f"{segment}_{number}" and reference[3]:
                return str(reference[3]).replace("_", " ").capitalize()
    return ""


def main() -> int:
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (PAGES / f"{name}.md").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
