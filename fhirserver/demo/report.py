"""What the demonstration prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape as plain
from rich.table import Table

from fhirserver.demo.record import Record, Resource
from fhirserver.demo.samples import Sample

__all__ = ["Delivery", "changes", "delivery", "held", "plain", "record"]

_COLOURS = {"held": "yellow", "failed": "red", "duplicate": "cyan"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A sample that was sent: the door, its answer, the status in the inbox, what it touched, the remarks."""

    sample: Sample
    door: str
    answer: str
    status: str
    resources: list[str]
    issues: list[dict[str, Any]]

    @property
    def as_meant(self) -> bool:
        meant = ("held", "duplicate") if self.sample.held else ("processed", "warnings", "duplicate")
        return self.status in meant


def delivery(console: Console, sent: Delivery) -> None:
    """One line per sample, as it happens."""
    colour = _COLOURS.get(sent.status, "green")
    touched = ", ".join(f"{n} {type}" for type, n in _count(sent.resources).items())
    console.print(
        f"[bold]{plain(sent.sample.name):<20}[/bold] {plain(sent.sample.title)}\n"
        f"{'':<20} {plain(sent.door)} → {plain(sent.answer)} → [{colour}]{plain(sent.status)}[/{colour}]"
        + (f": {plain(touched)}" if touched else "")
    )


def record(console: Console, found: Record) -> None:
    """The record as a person would read it."""
    patient = found.resources["Patient"][0]
    console.print()
    _table(console, "Identity", ("", ""), _identity(patient))
    columns = ("Date", "Document", "From", "Content", "Labels")
    documents = found.resources["DocumentReference"]
    _table(
        console,
        "Documents",
        columns,
        [_document(d, found.contents[d["id"]]) for d in _sorted(documents, "date")],
    )
    allergies = found.resources["AllergyIntolerance"]
    _table(
        console,
        "Allergies",
        ("Since", "Substance", "Reaction", "Status"),
        [
            (_date(a, "onset"), _text(a.get("code")), _reactions(a), _text(a.get("clinicalStatus")))
            for a in allergies
        ],
    )
    _table(
        console,
        "Immunizations",
        ("Date", "Vaccine", "Lot", "Status"),
        [
            (_date(i, "occurrence"), _text(i["vaccineCode"]), i.get("lotNumber", ""), _done(i))
            for i in _sorted(found.resources["Immunization"], "occurrenceDateTime")
        ],
    )
    reports = [
        (_date(r, "effective"), _text(r["code"]), f"{r['status']}, {len(r.get('result', []))} results", "")
        for r in found.resources["DiagnosticReport"]
    ]
    results = [
        (_date(o, "effective"), _text(o["code"]), _value(o), _flag(o))
        for o in _sorted(found.resources["Observation"], "effectiveDateTime")
    ]
    _table(console, "Results", ("Date", "What", "Value", "Flag"), reports + results)
    _table(
        console,
        "Messages",
        ("Sent", "Text"),
        [(m.get("sent", "")[:10], _payload(m)) for m in _sorted(found.resources["Communication"], "sent")],
    )
    _table(
        console,
        "Stays and submissions",
        ("Date", "What"),
        [
            (e.get("period", {}).get("start", "")[:10], f"Stay ({e['class'].get('code', '')}), {e['status']}")
            for e in found.resources["Encounter"]
        ]
        + [
            (s.get("date", "")[:10], f"{s.get('title', 'Submission')}, {s['status']}")
            for s in found.resources["List"]
        ],
    )


def held(console: Console, deliveries: list[Delivery]) -> None:
    """What waits for a person, and what the mappings had to say."""
    rows = [
        (
            sent.sample.name,
            sent.status,
            f"{issue.get('severity', '')}: {issue.get('text', '')}",
            issue.get("location", ""),
        )
        for sent in deliveries
        for issue in sent.issues
    ]
    _table(console, "Held, and remarks", ("Sample", "Status", "Remark", "Where"), rows)


def changes(console: Console, before: Record, after: Record) -> None:
    """Compare versions: what this run created, updated, left."""
    old, new = before.versions, after.versions
    created = sum(name not in old for name in new)
    updated = sum(name in old and old[name] != version for name, version in new.items())
    if old and not created and not updated:
        console.print(f"[green]Nothing changed: all {len(new)} resources are as they were.[/green]")
        return
    unchanged = len(new) - created - updated
    console.print(f"[green]{created} resources created, {updated} updated, {unchanged} unchanged.[/green]")


def _table(console: Console, title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    if not rows:
        return
    table = Table(
        title=title, title_justify="left", title_style="bold", show_header=any(columns), expand=False
    )
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console.print(table)


def _identity(patient: Resource) -> list[tuple[str, str]]:
    rows = [
        (f"Name ({name.get('use', '')})", f"{name.get('family', '')} {' '.join(name.get('given', []))}")
        for name in patient["name"]
    ]
    places = [
        e["valueAddress"] for e in patient.get("extension", []) if e["url"].endswith("/patient-birthPlace")
    ]
    born = " in ".join([patient.get("birthDate", ""), *(place.get("city", "") for place in places)])
    rows.append(("Born, sex", f"{born}, {patient.get('gender', '')}"))
    for identifier in patient["identifier"]:
        kind = _text(identifier.get("type")) or "Identifier"
        rows.append((kind, f"{identifier['value']} ({identifier.get('system', '')})"))
    for address in patient.get("address", []):
        line = ", ".join(address.get("line", []))
        rows.append(
            (
                f"Address ({address.get('use', '')})",
                f"{line} {address.get('postalCode', '')} {address.get('city', '')}",
            )
        )
    rows += [(t.get("system", ""), t.get("value", "")) for t in patient.get("telecom", [])]
    return rows


def _document(document: Resource, intact: bool | None) -> tuple[str, ...]:
    attachment = document["content"][0]["attachment"]
    title = attachment.get("title") or document.get("description") or _text(document.get("type"))
    verdict = {True: "as promised", False: "DIFFERS", None: "inside"}[intact]
    size = f"{attachment['size']} bytes, " if "size" in attachment else ""
    labels = " ".join(
        c["code"] for label in document.get("securityLabel", []) for c in label.get("coding", [])
    )
    author = next((a["display"] for a in document.get("author", []) if "display" in a), "")
    return (
        document.get("date", "")[:10],
        title,
        author,
        f"{attachment.get('contentType', '')}, {size}{verdict}",
        labels,
    )


def _count(references: list[str]) -> dict[str, int]:
    counted: dict[str, int] = {}
    for reference in references:
        type = reference.partition("/")[0]
        counted[type] = counted.get(type, 0) + 1
    return counted


def _sorted(resources: list[Resource], element: str) -> list[Resource]:
    """Oldest first; of the same time, what was stored first (a search gives the newest first)."""
    ordered = list(reversed(resources))
    ordered.sort(key=lambda resource: str(resource.get(element, "")))
    return ordered


def _text(concept: Resource | None) -> str:
    """The text of a CodeableConcept, else its first display or code."""
    concept = concept or {}
    coding: Resource = next(iter(concept.get("coding", [])), {})
    return str(concept.get("text") or coding.get("display") or coding.get("code") or "")


def _date(resource: Resource, choice: str) -> str:
    return str(resource.get(f"{choice}DateTime") or resource.get(f"{choice}Period", {}).get("start", ""))[:10]


def _reactions(allergy: Resource) -> str:
    return ", ".join(_text(m) for reaction in allergy.get("reaction", []) for m in reaction["manifestation"])


def _done(immunization: Resource) -> str:
    reason = _text(immunization.get("statusReason"))
    return f"{immunization['status']} ({reason})" if reason else str(immunization["status"])


def _value(observation: Resource) -> str:
    quantity = observation.get("valueQuantity")
    if quantity:
        return f"{quantity.get('comparator', '')}{quantity['value']} {quantity.get('unit', '')}"
    return str(observation.get("valueString", "")) or _text(observation.get("valueCodeableConcept"))


def _flag(observation: Resource) -> str:
    return " ".join(_text(flag) for flag in observation.get("interpretation", []))


def _payload(message: Resource) -> str:
    return " ".join(p["contentString"] for p in message.get("payload", []) if "contentString" in p)
