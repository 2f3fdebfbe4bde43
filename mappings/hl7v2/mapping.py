"""Messages to Bundles: which trigger event maps how. https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from mappings.core.bundle import transaction
from mappings.core.result import Element, Held, Issue, Mapped, NoMapping
from mappings.core.source import Source
from mappings.hl7v2.adt import ADT_EVENTS
from mappings.hl7v2.clearing import cleared
from mappings.hl7v2.context import Context, context_of
from mappings.hl7v2.document import add_document
from mappings.hl7v2.encounter import add_encounter
from mappings.hl7v2.immunization import add_immunizations, vaccinations
from mappings.hl7v2.patient import Subject, add_patient, the_pid
from mappings.hl7v2.provenance import add_provenance
from mappings.hl7v2.reader import Message
from mappings.hl7v2.related import add_next_of_kin
from mappings.hl7v2.report import add_report, order_key, patient_results

_ENVELOPE: Final = (5, 6, 8, 9, 11, 12, 13, 15, 16, 17, 18, 19, 21)
"""MSH fields that are about the transport, not about anyone's health."""


def to_bundle(message: Message, source: Source) -> Mapped:
    """Map a message to a transaction Bundle; the same message always gives the same Bundle.

    Raises:
        NoMapping: its trigger event has none.
        Held: a person must decide: nobody or another person is identified, or content cannot be read.
    """
    event = message.event
    mapping = EVENTS.get(event)
    if mapping is None:
        where = (
            "MSH-9.2"
            if any(known.partition("^")[0] == event.partition("^")[0] for known in EVENTS)
            else "MSH-9"
        )
        text = f"There is no mapping for {event[:20] or 'a message without MSH-9'}"
        raise NoMapping(text, Issue("error", "not-supported", text, where))
    context = context_of(message, source)
    subject = mapping(message, context)
    add_provenance(context)
    _report_repetitions(context)
    bundle = transaction(context.entries)
    for entry in bundle["entry"]:
        if entry["request"]["method"] == "PUT" and (names := cleared(entry["resource"])):
            context.cleared.setdefault(entry["fullUrl"], set()).update(names)
    message.msh.mark_read(*_ENVELOPE)
    return Mapped(
        bundle=bundle,
        issues=list(dict.fromkeys(context.issues)),
        unread=message.unread(),
        cleared=context.cleared,
        patient=subject.key,
        effects=context.effects,
    )


def oru_to_entries(message: Message, context: Context) -> Subject:
    """Per patient: Patient, Encounter and per order DiagnosticReport, Observation, Specimen, documents."""
    the_pid(message)
    subjects = []
    for group in patient_results(message.segments):
        subject = add_patient(group.pid, context, assert_it=context.source.demographics, pd1=group.pd1)
        encounter = add_encounter(group.pv1, subject, context, assert_it=False)
        seen: Counter[tuple[str, ...]] = Counter()
        for order in group.orders:
            key = order_key(order, 1, subject, context)
            seen[key] += 1
            add_report(order, seen[key], subject, encounter, context)
        subjects.append(subject)
    return subjects[0]


def mdm_to_entries(message: Message, context: Context) -> Subject:
    """Patient, Encounter, DocumentReference and Binary."""
    subject = add_patient(the_pid(message), context, assert_it=context.source.demographics)
    encounter = add_encounter(message.find("PV1"), subject, context, assert_it=False)
    txa = message.find("TXA")
    if txa is None:
        issue = Issue("error", "required", "There is no TXA segment", "TXA")
        raise Held(issue.text, issue)
    add_document(txa, message.all("OBX"), subject, encounter, context)
    return subject


def vxu_to_entries(message: Message, context: Context) -> Subject:
    """Patient, RelatedPerson, Immunization."""
    subject = add_patient(the_pid(message), context, assert_it=True, pd1=message.find("PD1"))
    add_next_of_kin(message.all("NK1"), subject, context)
    add_immunizations(list(vaccinations(message.segments)), subject, context)
    return subject


EVENTS: Final[dict[str, Callable[[Message, Context], Subject]]] = {
    **ADT_EVENTS,
    "MDM^T02": mdm_to_entries,
    "ORU^R01": oru_to_entries,
    "VXU^V04": vxu_to_entries,
}
"""Message code and trigger event -> how its entries are made."""


def _report_repetitions(context: Context) -> None:
    """Say where a message states the same thing twice, differently: the first is kept."""
    first: dict[str, Element] = {}
    for entry in context.entries:
        kept = first.setdefault(entry["fullUrl"], entry)
        if kept["resource"] != entry["resource"] and entry["request"]["method"] == "PUT":
            text = f"The same {entry['resource']['resourceType']} twice, differently: the first is kept"
            context.issue("warning", "duplicate", text, "")
