"""Messages about results, orders, documents, vaccinations and appointments -> entries.

https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html
"""

from collections.abc import Callable
from typing import Final

from mappings.core.result import Element, Held, Issue
from mappings.hl7v2.alert import add_alert
from mappings.hl7v2.allergy import add_allergies
from mappings.hl7v2.appointment import add_appointment
from mappings.hl7v2.communication import Sent, add_copies, add_dispatches
from mappings.hl7v2.context import Context
from mappings.hl7v2.delivery import add_delivery
from mappings.hl7v2.encounter import add_encounter
from mappings.hl7v2.groups import RESULTS, Layout, Order, PatientGroup, orders, patient_groups
from mappings.hl7v2.immunization import add_immunizations, vaccinations
from mappings.hl7v2.medication import add_medication_request
from mappings.hl7v2.metadata import dispatch_of, is_metadata, visibility_of
from mappings.hl7v2.observation import ObservationEntries
from mappings.hl7v2.order import ServiceRequests, changes_status
from mappings.hl7v2.patient import Subject, add_patient, the_pid
from mappings.hl7v2.problem import add_problems, problems
from mappings.hl7v2.reader import Message
from mappings.hl7v2.related import add_next_of_kin
from mappings.hl7v2.report import Reports, order_key
from mappings.hl7v2.specimen import add_specimens
from mappings.hl7v2.transcription import add_document

LAYOUTS: Final = {
    "OUL^R22": Layout(specimen_first=True, order_after=True),
    "OUL^R23": Layout(specimen_first=True, order_after=True),
    "OUL^R24": Layout(order_after=True),
    "OML^O33": Layout(specimen_first=True),
}


TREATMENTS: Final = ("OMP^O09", "RDE^O01", "RDE^O11", "RDE^O25")
"""Orders of treatments; RDE is what a pharmacy makes of them."""


def result_to_entries(message: Message, context: Context) -> Subject:
    """Per patient: Patient, Encounter and per order DiagnosticReport, Observation, Specimen, ServiceRequest,
    documents and whom they are sent to."""
    subjects = []
    for group in _groups(message):
        subject, encounter = _patient(group, context)
        reports = Reports(group, subject, encounter, context)
        for order in group.orders:
            added = reports.add(order)
            _add_communications(order, added.documents, subject, encounter, context)
            if added.report is not None:
                sent = Sent([added.report], subject, encounter, _hidden(order, context))
                add_copies(order.obr, 28, "unknown", sent, context)
        subjects.append(subject)
    return subjects[0]


def alert_to_entries(message: Message, context: Context) -> Subject:
    """Patient, Encounter and per alert Communication and Observation."""
    subjects = []
    for group in _groups(message):
        subject, encounter = _patient(group, context)
        for order in group.orders:
            add_alert(order, subject, encounter, context)
        subjects.append(subject)
    return subjects[0]


def order_to_entries(message: Message, context: Context) -> Subject:
    """Per patient Patient, Encounter, AllergyIntolerance; per order ServiceRequest or MedicationRequest,
    Specimen, Observation."""
    subjects = []
    for group in _groups(message):
        subject, encounter = _patient(group, context)
        add_allergies(group.allergies, subject, context, listed=False)
        requests = ServiceRequests(group.orders, context, assert_it=True)
        for order in group.orders:
            key = order_key(order, 1, subject, context)
            specimens = add_specimens(order, subject, context, *key)
            observations = ObservationEntries(subject, context, *key)
            stated: Element = {"encounter": encounter} if encounter else {}
            found = (observations.add(result, stated) for result in order.results)
            information = [one for one in found if one]
            if order.rxo or order.rxe or (message.event in TREATMENTS and changes_status(order)):
                add_medication_request(order, subject, encounter, information, context)
            else:
                requests.add(order, subject, encounter, specimens, information)
            for segment in (order.orc, order.obr):
                if segment is not None:
                    segment.mark_read(1)
        subjects.append(subject)
    return subjects[0]


def document_to_entries(message: Message, context: Context) -> Subject:
    """Patient, Encounter, DocumentReference and Binary, and whom the document is sent to."""
    subject = add_patient(the_pid(message), context, assert_it=context.source.demographics)
    encounter = add_encounter(message.find("PV1"), subject, context, assert_it=False)
    txa = message.find("TXA")
    if txa is None:
        issue = Issue("error", "required", "There is no TXA segment", "TXA")
        raise Held(issue.text, issue)
    order = _everything(message)
    document = add_document(txa, order, subject, encounter, context)
    sent = Sent([document], subject, encounter, _hidden(order, context))
    add_copies(txa, 23, "completed", sent, context)
    _add_communications(order, [document], subject, encounter, context)
    return subject


def vaccination_to_entries(message: Message, context: Context) -> Subject:
    """Patient, RelatedPerson, Immunization, Observation."""
    subject = add_patient(the_pid(message), context, assert_it=True, pd1=message.find("PD1"))
    add_next_of_kin(message.all("NK1"), subject, context)
    add_immunizations(list(vaccinations(message.segments)), subject, context)
    return subject


def history_to_entries(message: Message, context: Context) -> Subject:
    """Patient, Immunization, Observation of a registry's answer with one patient's history (profile Z32).

    Raises:
        Held: it is another answer: several candidates, none, a forecast.
    """
    pid = the_pid(message)
    count = len(message.all("PID"))
    if count > 1:
        issue = Issue("error", "multiple-matches", f"The answer names {count} patients", "PID")
        raise Held(issue.text, issue)
    if not str(message.msh[21][1]).upper().startswith("Z32"):
        issue = Issue("error", "not-supported", "The answer is no vaccination history (Z32)", "MSH-21")
        raise Held(issue.text, issue)
    subject = add_patient(pid, context, assert_it=context.source.demographics, pd1=message.find("PD1"))
    add_immunizations(list(vaccinations(message.segments)), subject, context)
    return subject


def appointment_to_entries(message: Message, context: Context) -> Subject:
    """Patient, Encounter, Appointment."""
    the_pid(message)
    subjects = []
    for group in patient_groups(message.segments):
        subject, _ = _patient(group, context)
        subjects.append(subject)
    add_appointment(message.segments, subjects, context)
    return subjects[0]


def problem_to_entries(message: Message, context: Context) -> Subject:
    """Patient, Encounter, Condition, Observation."""
    subject = add_patient(the_pid(message), context, assert_it=context.source.demographics)
    encounter = add_encounter(message.find("PV1"), subject, context, assert_it=False)
    add_problems(problems(message.segments), subject, encounter, context)
    return subject


def delivery_to_entries(message: Message, context: Context) -> None:
    """Communication, as far as it was delivered or read."""
    add_delivery(context)


def _groups(message: Message) -> list[PatientGroup]:
    the_pid(message)
    return list(patient_groups(message.segments, LAYOUTS.get(message.event, RESULTS)))


def _patient(group: PatientGroup, context: Context) -> tuple[Subject, Element | None]:
    subject = add_patient(group.pid, context, assert_it=context.source.demographics, pd1=group.pd1)
    return subject, add_encounter(group.pv1, subject, context, assert_it=False)


def _everything(message: Message) -> Order:
    """The segments around TXA as one order: the first ORC and OBR, all results and participants."""
    order = Order(orc=message.find("ORC"), obr=message.find("OBR"))
    for part in orders(message.segments):
        order.results += part.results
        order.participations += part.participations
        order.notes += part.notes
    return order


def _add_communications(
    order: Order, documents: list[Element], subject: Subject, encounter: Element | None, context: Context
) -> None:
    metadata = [result.obx for result in order.results if is_metadata(result.obx)]
    participations = [
        prt
        for group in (order.participations, *(result.participations for result in order.results))
        for prt in group
    ]
    if documents and (metadata or participations):
        sent = Sent(documents, subject, encounter, _hidden(order, context))
        add_dispatches(participations, dispatch_of(metadata, context), sent, context)


def _hidden(order: Order, context: Context) -> list[Element]:
    return visibility_of([result.obx for result in order.results], context).codings


CLINICAL_EVENTS: Final[dict[str, Callable[[Message, Context], Subject | None]]] = {
    **dict.fromkeys(
        ("ORU^R01", "ORU^R30", "ORU^R31", "ORU^R32", "OUL^R22", "OUL^R23", "OUL^R24"), result_to_entries
    ),
    "ORU^R40": alert_to_entries,
    **dict.fromkeys(("ORM^O01", "OML^O21", "OML^O33", "OMG^O19", *TREATMENTS), order_to_entries),
    **dict.fromkeys((f"MDM^T{number:02}" for number in range(1, 12)), document_to_entries),
    "VXU^V04": vaccination_to_entries,
    "RSP^K11": history_to_entries,
    **dict.fromkeys(("PPR^PC1", "PPR^PC2", "PPR^PC3"), problem_to_entries),
    **dict.fromkeys((f"SIU^S{number}" for number in (*range(12, 25), 26)), appointment_to_entries),
    **dict.fromkeys(("ZAM^Z01", "ZAM^Z02", "ZAM^Z03"), delivery_to_entries),
}
"""Message code and trigger event -> how its entries are made; a message about no patient gives no subject."""
