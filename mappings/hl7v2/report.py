"""OBR[DiagnosticReport] and the groups of an ORU.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-obr-to-diagnosticreport.html
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mappings.core.bundle import prune, put
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    cwe_to_codeable_concept,
    dr_to_period,
    dtm_to_date_time,
    dtm_to_instant,
    ei_to_identifier,
)
from mappings.hl7v2.document import add_document_of_result, visibility_of
from mappings.hl7v2.observation import ObservationEntries, comments, is_document, is_metadata
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.specimen import add_specimen
from mappings.hl7v2.tables import OBSERVATION_CATEGORY, REPORT_STATUS, TERMINOLOGY

REPORT_NOTE: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DiagnosticReport.note"


@dataclass(slots=True)
class Order:
    """One order with its results: ORC, OBR, NTE, OBX with their NTE, SPM. Any part may be missing."""

    orc: Segment | None = None
    obr: Segment | None = None
    notes: list[Segment] = field(default_factory=list)
    results: list[tuple[Segment, list[Segment]]] = field(default_factory=list)
    specimens: list[Segment] = field(default_factory=list)


@dataclass(slots=True)
class PatientResult:
    """The segments of one patient: PID, PD1, PV1 and the orders."""

    pid: Segment
    pd1: Segment | None = None
    pv1: Segment | None = None
    orders: list[Order] = field(default_factory=list)


def patient_results(segments: Iterable[Segment]) -> Iterator[PatientResult]:
    """Group by PID: whatever follows one, up to the next, is that patient's and nobody else's."""
    group: PatientResult | None = None
    pending: list[Segment] = []
    for segment in segments:
        if segment.name == "PID":
            if group is not None:
                group.orders = list(orders(pending))
                yield group
            group, pending = PatientResult(segment), []
        elif group is None:
            continue
        elif segment.name == "PD1":
            group.pd1 = segment
        elif segment.name == "PV1":
            group.pv1 = segment
        else:
            pending.append(segment)
    if group is not None:
        group.orders = list(orders(pending))
        yield group


def orders(segments: Iterable[Segment]) -> Iterator[Order]:
    """Group by OBR; an ORC belongs to the OBR after it, an NTE to the OBR or OBX before it."""
    order = Order()
    notes: list[Segment] = []
    for segment in segments:
        match segment.name:
            case "ORC" | "OBR":
                if order.obr is not None or order.results or (segment.name == "ORC" and order.orc):
                    yield order
                    order = Order()
                if segment.name == "ORC":
                    order.orc = segment
                else:
                    order.obr = segment
                    notes = order.notes
            case "OBX":
                notes = []
                order.results.append((segment, notes))
            case "SPM":
                order.specimens.append(segment)
                notes = []
            case "NTE":
                notes.append(segment)
    if order.obr is not None or order.orc is not None or order.results:
        yield order


def add_report(
    order: Order, rank: int, subject: Subject, encounter: Element | None, context: Context
) -> None:
    """Add what one order holds: Specimens, Observations, documents and, for an OBR, the DiagnosticReport.

    ``rank`` tells orders with the same number and service apart.
    """
    key = order_key(order, rank, subject, context)
    specimens = [add_specimen(spm, subject, context, *key) for spm in order.specimens]
    inherited = _inherited(order, encounter, specimens, context)
    observations = ObservationEntries(subject, context, *key)
    visibility = visibility_of([obx for obx, _ in order.results], context)
    results: list[Element | None] = []
    forms: list[Element] = []
    for obx, notes in order.results:
        if is_metadata(obx):
            continue
        if is_document(obx):
            forms += add_document_of_result(obx, order.orc, subject, encounter, visibility, context, *key)
        else:
            results.append(observations.add(obx, notes, inherited))
    if order.obr is None:
        return
    report = obr_to_diagnostic_report(order, subject, context)
    if forms and visibility.codings:  # what presents a hidden document is hidden as well
        report["meta"] = {"security": visibility.codings}
    identifier = context.derived("DiagnosticReport", *key)
    report["identifier"] = [identifier, *report.get("identifier", [])]
    report |= (
        prune({"encounter": encounter, "specimen": specimens, "result": results, "presentedForm": forms})
        or {}
    )
    url = context.url("DiagnosticReport", identifier["system"], identifier["value"])
    context.entries.append(put(url, report, identifier))


def order_key(order: Order, rank: int, subject: Subject, context: Context) -> tuple[str, ...]:
    """What a report is the same by: filler's number, else placer's, else patient and time; and service."""
    obr, orc = order.obr, order.orc
    again = [str(rank)] if rank > 1 else []
    service = f"{obr[4][1]}^{obr[4][3]}" if obr and str(obr[4][1]) else obr[4].text if obr else ""
    for number in (3, 2):
        for segment in (obr, orc):
            identifier = ei_to_identifier(segment[number], context) if segment else None
            if identifier is not None:
                return (identifier["system"], identifier["value"], service, *again)
    return (subject.key, service, str(obr[7]) if obr else "", *again)


def obr_to_diagnostic_report(order: Order, subject: Subject, context: Context) -> Element:
    obr, orc = order.obr, order.orc
    assert obr is not None
    obr.mark_read(1)
    if orc is not None:
        orc.mark_read(1, 2, 3)
    placer = ei_to_identifier(obr[2], context, "PLAC") or (orc and ei_to_identifier(orc[2], context, "PLAC"))
    filler = ei_to_identifier(obr[3], context, "FILL") or (orc and ei_to_identifier(orc[3], context, "FILL"))
    period = dr_to_period(obr[7], obr[8], context) or {}
    note = comments(order.notes)
    report: Element = prune(
        {
            "resourceType": "DiagnosticReport",
            "extension": [{"url": REPORT_NOTE, "valueAnnotation": {"text": note}}] if note else None,
            "identifier": [filler, placer],
            "basedOn": [{"type": "ServiceRequest", "identifier": placer}] if placer else None,
            **context.code("status", obr[25], REPORT_STATUS, "0123", "unknown"),
            "category": [cwe_to_codeable_concept(obr[24], context, "0074")],
            "code": cwe_to_codeable_concept(obr[4], context) or {"text": "?"},
            "subject": subject.reference,
            "effectivePeriod": period if "end" in period else None,
            "effectiveDateTime": None if "end" in period else period.get("start"),
            "issued": dtm_to_instant(obr[22], context),
            "resultsInterpreter": practitioners_of_ndl(obr, 32),
        }
    )
    return report


def practitioners_of_ndl(obr: Segment, number: int) -> list[Element]:
    """References (by name only) to the people of an NDL: its first component is a CNN, in subcomponents."""
    names = (
        " ".join(filter(None, (str(ndl[1][6]), str(ndl[1][3]), str(ndl[1][2])))) for ndl in obr.all(number)
    )
    return [{"display": name} for name in names if name]


def _inherited(
    order: Order, encounter: Element | None, specimens: list[Element], context: Context
) -> Element:
    """What an OBR says of every observation under it."""
    obr = order.obr
    if obr is None:
        return prune({"encounter": encounter}) or {}
    category = OBSERVATION_CATEGORY.get(str(obr[24]).upper())
    coding = {"system": f"{TERMINOLOGY}observation-category", "code": category}
    inherited: Element | None = prune(
        {
            "category": [{"coding": [coding]}] if category else None,
            "encounter": encounter,
            "effectiveDateTime": dtm_to_date_time(obr[7], context),
            "issued": dtm_to_instant(obr[22], context),
            "specimen": specimens[0] if len(specimens) == 1 else None,
        }
    )
    return inherited or {}
