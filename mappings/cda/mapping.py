"""A CDA document -> the transaction Bundle of what it asserts."""

from collections.abc import Iterable

from mappings.cda import (
    allergies,
    conditions,
    immunizations,
    laboratory,
    medications,
    observations,
    procedures,
    recipients,
)
from mappings.cda.body import Identities, report_unread
from mappings.cda.context import Context, referenced
from mappings.cda.document import ClinicalDocument, read
from mappings.cda.document_reference import document_to_reference
from mappings.cda.patient import (
    disagreeing_traits,
    patient_identifier,
    patient_role_to_patient,
    record_target,
)
from mappings.cda.provenance import document_to_provenance
from mappings.cda.relatives import relatives
from mappings.core.bundle import full_url, mention, transaction
from mappings.core.result import Element, Held, Issue, Mapped
from mappings.core.source import Source

_RECORD_TARGET = "/ClinicalDocument/recordTarget"
_ELEMENTS = {
    "AllergyIntolerance": allergies.ELEMENTS,
    "Immunization": immunizations.ELEMENTS,
    "Observation": observations.ELEMENTS,
    "DiagnosticReport": laboratory.REPORT_ELEMENTS,
    "Specimen": laboratory.SPECIMEN_ELEMENTS,
    "Condition": conditions.ELEMENTS,
    "Procedure": procedures.ELEMENTS,
    "MedicationStatement": medications.ELEMENTS,
    "Communication": recipients.ELEMENTS,
}
_UNREAD_HEADER = ("participant", "authorization")


def to_bundle(raw: bytes, source: Source) -> Mapped:
    """Map a CDA document of level 1 or 3.

    The Patient, the DocumentReference and who acted are created when unknown, else left as they are: a
    document does not change, and a copy of it that arrives later must not undo what happened to it since
    (superseded, masked). Allergies and immunizations are put in place of what the last version asserted.

    Raises:
        Unreadable: no safe, well-formed CDA document.
        Held: it is not about exactly one patient, or no identifier finds the patient.
    """
    document = read(raw)
    context = Context(source, document.narrative)
    role = record_target(document)
    identifier = patient_identifier(document.patient_identifiers, _RECORD_TARGET, context)
    patient = patient_role_to_patient(role, context)
    for trait in disagreeing_traits(patient):
        context.warn(role, f"{trait} disagrees with the digits of the INS", "business-rule")
    patient_url = full_url("Patient", identifier["system"], identifier["value"])
    reference, binaries = document_to_reference(document, patient, patient_url, context)
    if (document.version_number or 1) > 1 and not reference.get("relatesTo"):
        context.warn(document.root, "A later version that names no document it replaces", "incomplete")
    master = document.unique_identifier
    document_url = full_url("DocumentReference", master["system"], master["value"])
    clinical, unread = _clinical(document, patient_url, identifier, context)
    clinical += recipients.communications(
        document,
        patient=patient_url,
        document_reference=document_url,
        labels=reference.get("securityLabel", ()),
        context=context,
    )
    targets = [document_url, *(entry["fullUrl"] for entry in clinical)]
    signed = {**patient, "reference": patient_url}
    provenance = document_to_provenance(document, targets, document_url, signed, context)
    asserted = [mention(document_url, reference, master), *binaries, *clinical, provenance]
    entries = [
        mention(patient_url, patient, identifier),
        *relatives(document, patient_url, context),
        *referenced(context.mentioned, asserted),
        *asserted,
    ]
    return Mapped(
        bundle=transaction(entries),
        issues=list(dict.fromkeys(context.issues)),
        unread=[*_unread_header(document), *unread],
        cleared=cleared(clinical),
        patient=f"{identifier['system']}|{identifier['value']}",
    )


def clinical_entries(
    document: ClinicalDocument,
    *,
    patient: str,
    document_reference: str,
    source: Source,
    labels: Iterable[Element] | None = None,
) -> tuple[list[Element], list[Issue]]:
    """The coded content of a document whose Patient and DocumentReference come from elsewhere.

    ``patient`` and ``document_reference`` are the fullUrls of their entries. The entries are the allergies,
    immunizations and reactions (PUT), who performed or recorded them, and the Provenance of them all; none
    when the document has no such content. Give the PUT entries to ``cleared`` for ``Mapped.cleared``.
    With ``labels``, the document's security labels, also what is sent to its recipients; without, the channel
    says itself to whom it goes.
    """
    context = Context(source, document.narrative)
    clinical, _ = _clinical(document, patient, _identity(document), context)
    if labels is not None:
        clinical += recipients.communications(
            document,
            patient=patient,
            document_reference=document_reference,
            labels=labels,
            context=context,
        )
    if not clinical:
        return [], list(dict.fromkeys(context.issues))
    targets = [entry["fullUrl"] for entry in clinical]
    signed = {"identifier": document.patient_identifiers, "reference": patient}
    provenance = document_to_provenance(document, targets, document_reference, signed, context)
    entries = relatives(document, patient, context)
    entries += [*referenced(context.mentioned, [*clinical, provenance]), *clinical, provenance]
    return entries, list(dict.fromkeys(context.issues))


def cleared(entries: list[Element]) -> dict[str, set[str]]:
    """The elements that PUT entries of this mapping leave out and that must go from what is stored."""
    return {
        entry["fullUrl"]: left_out
        for entry in entries
        if entry["request"]["method"] == "PUT"
        and (left_out := set(_ELEMENTS[entry["resource"]["resourceType"]]) - _present(entry["resource"]))
    }


def _clinical(
    document: ClinicalDocument, patient_url: str, identifier: Element | None, context: Context
) -> tuple[list[Element], list[str]]:
    """The clinical entries, and the names of those that nobody read."""
    identities = Identities(document, identifier)
    # Allergies and vaccinations come first: they read the problems that are their reactions.
    entries = [
        *allergies.allergies(document, patient_url, identities, context),
        *immunizations.immunizations(document, patient_url, identities, context),
        *conditions.conditions(document, patient_url, identities, context),
        *medications.medications(document, patient_url, identities, context),
        *procedures.procedures(document, patient_url, identities, context),
        *laboratory.laboratory(document, patient_url, identities, context),
        *observations.observations(document, patient_url, identities, context),
    ]
    # Files are no statements: the document's page shows or links them.
    context.read.update(n for n in document.root.iter("observationMedia") if n.find("value") is not None)
    return entries, report_unread(document, context)


def _identity(document: ClinicalDocument) -> Element | None:
    """The identifier ``to_bundle`` would find the patient by, so that either way entries are the same."""
    try:
        return patient_identifier(document.patient_identifiers, _RECORD_TARGET, Context(Source()))
    except Held:  # whoever calls knows the patient by other means
        return None


def _present(resource: Element) -> set[str]:
    return {name.removeprefix("_") for name in resource}


def _unread_header(document: ClinicalDocument) -> list[str]:
    return [name for name in _UNREAD_HEADER if document.root.find(name) is not None]
