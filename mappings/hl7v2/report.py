"""OBR[DiagnosticReport].

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-obr-to-diagnosticreport.html
"""

from collections import Counter
from typing import Final, NamedTuple

from mappings.core.bundle import prune, put
from mappings.core.codes import V3
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    cwe_to_codeable_concept,
    dr_to_period,
    dtm_to_date_time,
    dtm_to_instant,
    ei_to_identifier,
)
from mappings.hl7v2.document import ResultDocument, add_document_of_result
from mappings.hl7v2.groups import Order, PatientGroup
from mappings.hl7v2.metadata import is_metadata, visibility_of
from mappings.hl7v2.observation import ObservationEntries, comments, is_document
from mappings.hl7v2.order import ServiceRequests, order_identifiers, security_of
from mappings.hl7v2.participation import participants, references_of
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.specimen import add_specimens
from mappings.hl7v2.tables import OBSERVATION_CATEGORY, REPORT_STATUS, TERMINOLOGY

REPORT_NOTE: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-DiagnosticReport.note"
PERFORMER_FUNCTION: Final = "http://hl7.org/fhir/StructureDefinition/event-performerFunction"

PERFORMERS: Final = {33: "SPRF", 34: "SPRF", 35: "TRANS"}
"""OBR field -> v3-ParticipationType: assistant interpreter, technician, transcriptionist."""


class Added(NamedTuple):
    """References to the documents and the report that were added for an order."""

    documents: list[Element]
    report: Element | None = None


class Reports:
    """Adds what the orders of one patient hold: Specimens, Observations, documents, DiagnosticReports."""

    def __init__(
        self, group: PatientGroup, subject: Subject, encounter: Element | None, context: Context
    ) -> None:
        self._group = group
        self._subject = subject
        self._encounter = encounter
        self._context = context
        self._requests = ServiceRequests(group.orders, context, assert_it=False)
        self._seen: Counter[tuple[str, ...]] = Counter()
        self._parents: dict[tuple[str, str, str], Element] = {}

    def add(self, order: Order) -> Added:
        """Add one order's entries."""
        subject, context = self._subject, self._context
        self._seen[order_key(order, 1, subject, context)] += 1
        key = order_key(order, self._seen[order_key(order, 1, subject, context)], subject, context)
        specimens = add_specimens(order, subject, context, *key)
        several = len(self._group.orders) > 1
        inherited = _inherited(order, self._encounter, specimens, context)
        if parent := self._parent(order):
            inherited["derivedFrom"] = [parent]
        observations = ObservationEntries(subject, context, *key)
        visibility = visibility_of([result.obx for result in order.results], context)
        results: list[Element] = []
        documents: list[ResultDocument] = []
        for result in order.results:
            if is_metadata(result.obx):
                continue
            if is_document(result.obx):
                document = add_document_of_result(
                    result, order, subject, self._encounter, visibility, context, *key
                )
                documents += [document] if document else []
            elif reference := observations.add(result, inherited):
                results.append(reference)
                if several:
                    self._remember(order, result.obx, reference)
        references = [document.reference for document in documents]
        if order.obr is None:
            return Added(references)
        request = self._requests.add(order, subject, self._encounter, [], [])
        report = obr_to_diagnostic_report(order, subject, context)
        if documents and visibility.codings:  # what presents a hidden document is hidden as well
            security = report.get("meta", {}).get("security", [])
            report["meta"] = {"security": [*security, *visibility.codings]}
        identifier = context.derived("DiagnosticReport", *key)
        report["identifier"] = [identifier, *report.get("identifier", [])]
        stated = {
            "basedOn": [request] if request else None,
            "encounter": self._encounter,
            "specimen": specimens,
            "result": results,
            "presentedForm": [form for document in documents for form in document.attachments],
        }
        report |= prune(stated) or {}
        url = context.url("DiagnosticReport", identifier["system"], identifier["value"])
        if documents and all(document.deleted for document in documents):
            context.cleared.setdefault(url, set()).add("presentedForm")
            if not results:  # it was nothing but what is deleted
                report["status"] = "entered-in-error"
        context.entries.append(put(url, report, identifier))
        return Added(references, {"reference": url})

    def _remember(self, order: Order, obx: Segment, reference: Element) -> None:
        """Know a result by its order and OBX-3 and 4: so do the results that follow from it name it."""
        for identifier in order_identifiers(order, self._context):
            self._parents[(identifier["value"], str(obx[3][1]), obx[4].text)] = reference

    def _parent(self, order: Order) -> Element | None:
        """The Observation that this order's results follow from: OBR-26 of the order in OBR-29."""
        if order.obr is None or not (order.obr[26] and order.obr[29]):
            return None
        parent, number = order.obr[26], order.obr[29]
        code, sub_id = str(parent[1][1]), parent[2].text
        for part in (number[2], number[1]):
            if found := self._parents.get((str(part[1]), code, sub_id)):
                return found
        text = "The parent result is not in this message: not linked"
        self._context.issue("information", "informational", text, parent.location)
        return None


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
        orc.mark_read(1)
    period = dr_to_period(obr[7], obr[8], context) or {}
    note = comments(order.notes)
    interpreters = [who for _, who in participants(order.participations, ("RI", "PI"), context)]
    report: Element = prune(
        {
            "resourceType": "DiagnosticReport",
            "meta": security_of(orc, context),
            "extension": [{"url": REPORT_NOTE, "valueAnnotation": {"text": note}}] if note else None,
            "identifier": list(reversed(order_identifiers(order, context))),
            **context.code("status", obr[25], REPORT_STATUS, "0123", "unknown"),
            "category": [cwe_to_codeable_concept(obr[24], context, "0074")],
            "code": cwe_to_codeable_concept(obr[4], context) or {"text": "?"},
            "subject": subject.reference,
            "effectivePeriod": period if "end" in period else None,
            "effectiveDateTime": None if "end" in period else period.get("start"),
            "issued": dtm_to_instant(obr[22], context),
            "performer": [
                *(who for _, who in participants(order.participations, ("PO", "RO", "MDIR"), context)),
                *(who for number in PERFORMERS for who in _performers(obr, number, context)),
            ],
            "resultsInterpreter": references_of(obr, 32, context) + interpreters,
        }
    )
    return report


def _performers(obr: Segment, number: int, context: Context) -> list[Element]:
    coding = {"system": f"{V3}ParticipationType", "code": PERFORMERS[number]}
    function = {"url": PERFORMER_FUNCTION, "valueCodeableConcept": {"coding": [coding]}}
    return [{**reference, "extension": [function]} for reference in references_of(obr, number, context)]


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
