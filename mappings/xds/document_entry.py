"""DocumentEntry -> DocumentReference. IHE MHD 4.2 (documentReference.fsh), PDSm 3.1"""

import base64
from typing import Final

from mappings.cda.context import Context
from mappings.cda.datatypes import URI
from mappings.cda.document_reference import unique
from mappings.core.bundle import prune
from mappings.core.identity import is_ins
from mappings.core.result import Element
from mappings.xds.datatypes import (
    author_to_reference,
    classification_to_coding,
    classification_to_concept,
    cx_to_identifier,
    dtm_to_datetime,
    source_patient_info,
    xcn_to_reference,
)
from mappings.xds.kept import as_sent, slot_extensions
from mappings.xds.metadata import (
    CLASS_CODE,
    CONFIDENTIALITY_CODE,
    EVENT_CODE,
    FACILITY_TYPE_CODE,
    FORMAT_CODE,
    PRACTICE_SETTING_CODE,
    TYPE_CODE,
    RegistryObject,
)

IS_ARCHIVED: Final = "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-is-archived"
READ_SLOTS: Final = frozenset(
    (
        *("URI", "size", "hash", "creationTime", "languageCode", "legalAuthenticator", "serviceStartTime"),
        *("serviceStopTime", "sourcePatientId", "sourcePatientInfo", "submissionTime", "intendedRecipient"),
        *("lastUpdateTime", "urn:ihe:iti:xds:2013:referenceIdList"),
    )
)
"""The slots that become elements."""
_OF_PACKAGES: Final = frozenset(("submissionTime", "intendedRecipient", "lastUpdateTime"))
"""Slots of submission sets and folders; real software writes them to entries, too."""
_PID: Final = frozenset(("PID-5", "PID-7", "PID-8", "PID-11"))
_STATUS: Final = {"Deprecated": "superseded", "Deleted": "entered-in-error"}
_ENCOUNTER_ID: Final = "urn:ihe:iti:xds:2015:encounterId"
SOURCE_PATIENT_ID: Final = "source-patient"
AT_SOURCE: Final = "PI"
"""The type (CX.5) of a sourcePatientId in France; IHE has none."""


def entry_to_reference(
    entry: RegistryObject, master: Element, attachment: Element, patient: Element, context: Context
) -> Element:
    """DocumentEntry -> DocumentReference whose content is this Attachment.

    ``patient`` has the identifiers of the submission's patient and its ``reference``.
    """
    location = f"DocumentEntry {entry.id!r}"
    created = dtm_to_datetime(entry.slot("creationTime"), location, context)
    attachment = attachment | {
        "language": entry.slot("languageCode"),
        "title": entry.title,
        "creation": created,
    }
    formats = [classification_to_coding(code) for code in entry.codes(FORMAT_CODE)]
    reference: Element = {
        "resourceType": "DocumentReference",
        "contained": _source_patient(entry, location, context),
        "extension": [
            *([{"url": IS_ARCHIVED, "valueBoolean": True}] if entry.status == "Archived" else []),
            *slot_extensions(entry.slots, _kept(entry, patient, context)),
        ],
        "masterIdentifier": master,
        "identifier": uuid_identifiers(entry),
        "status": _status(entry, location, context),
        "type": next((classification_to_concept(code) for code in entry.codes(TYPE_CODE)), None),
        "category": [classification_to_concept(code) for code in entry.codes(CLASS_CODE)],
        "subject": {"reference": patient["reference"]},
        "date": created if created and "T" in created else None,
        "author": unique(author_to_reference(slots, patient, context) for slots in entry.authors),
        "authenticator": _authenticator(entry, patient, context),
        "description": entry.comments,
        "securityLabel": security_labels(entry),
        "content": [{"attachment": attachment, "format": next(iter(formats), None)}],
        "context": _context(entry, location, context),
    }
    pruned: Element = prune(reference)
    return pruned


def elsewhere(entry: RegistryObject, master: Element) -> Element:
    """The Attachment of a document that another repository has: what it is, and its name there."""
    url = str(master["value"])
    return {
        "contentType": entry.mime_type,
        "url": url if url.startswith("urn:") else entry.entry_uuid,
        "size": int(entry.slot("size")),
        "hash": base64.b64encode(bytes.fromhex(entry.slot("hash"))).decode("ascii"),
    }


def uuid_identifiers(found: RegistryObject) -> list[Element]:
    """The entryUUID (use official, as in MHD), and the logicalId where it is another."""
    identifiers = []
    if uuid := found.entry_uuid:
        identifiers.append({"use": "official", "system": URI, "value": uuid})
    if found.logical_id.startswith("urn:uuid:") and found.logical_id.lower() != uuid:
        identifiers.append({"use": "secondary", "system": URI, "value": found.logical_id.lower()})
    return identifiers


def security_labels(entry: RegistryObject) -> list[Element]:
    """Every confidentiality and visibility code, each once and as a label of its own."""
    return unique(classification_to_concept(code) for code in entry.codes(CONFIDENTIALITY_CODE))


def _status(entry: RegistryObject, location: str, context: Context) -> str:
    if entry.status == "Deleted":
        context.warn_at(location, "A deleted document; FHIR has no status but entered-in-error", "value")
    return _STATUS.get(entry.status, "current")


def _authenticator(entry: RegistryObject, patient: Element, context: Context) -> Element | None:
    """legalAuthenticator; a patient cannot be DocumentReference.authenticator."""
    value = entry.slot("legalAuthenticator")
    reference = xcn_to_reference(value, None, None, patient, context) if value else None
    if reference is None or _is_patient(reference, patient):
        return None
    return as_sent(reference, {"legalAuthenticator": entry.slots["legalAuthenticator"]})


def _is_patient(reference: Element, patient: Element) -> bool:
    return reference.get("type") == "Patient" or reference == {"reference": patient["reference"]}


def _kept(entry: RegistryObject, patient: Element, context: Context) -> set[str]:
    """The slots that no element says, or not all of."""
    kept = {name for name in entry.slots if name not in READ_SLOTS or name in _OF_PACKAGES}
    if (sent := entry.slot("sourcePatientId")) and not _is_told(sent):
        kept.add("sourcePatientId")
    if entry.slot("legalAuthenticator") and _authenticator(entry, patient, context) is None:
        kept.add("legalAuthenticator")
    fields = {value.partition("|")[0].strip() for value in entry.slots.get("sourcePatientInfo", [])}
    return kept | ({"sourcePatientInfo"} if fields - _PID else set())


def _is_told(source_patient_id: str) -> bool:
    """Whether the identifier at the source says all of it, also its type."""
    identifier = cx_to_identifier(source_patient_id)
    expected = "NH" if identifier and is_ins(identifier) else AT_SOURCE
    return identifier is not None and source_patient_id.split("^")[4:] == [expected]


def _source_patient(entry: RegistryObject, location: str, context: Context) -> list[Element]:
    identifier = cx_to_identifier(entry.slot("sourcePatientId"))
    traits = source_patient_info(entry.slots.get("sourcePatientInfo", []), location, context)
    if not identifier and not prune(traits):
        return []
    return [{"resourceType": "Patient", "id": SOURCE_PATIENT_ID, "identifier": [identifier], **traits}]


def _context(entry: RegistryObject, location: str, context: Context) -> Element:
    related = [_related(value) for value in entry.slots.get("urn:ihe:iti:xds:2013:referenceIdList", [])]
    encounters = [r for r in related if r and _kind(r) == _ENCOUNTER_ID]
    facility, setting = entry.codes(FACILITY_TYPE_CODE), entry.codes(PRACTICE_SETTING_CODE)
    return {
        "encounter": [{"type": "Encounter", "identifier": r["identifier"]} for r in encounters],
        "event": [classification_to_concept(code) for code in entry.codes(EVENT_CODE)],
        "period": {
            "start": dtm_to_datetime(entry.slot("serviceStartTime"), location, context),
            "end": dtm_to_datetime(entry.slot("serviceStopTime"), location, context),
        },
        "facilityType": classification_to_concept(facility[0]) if facility else None,
        "practiceSetting": classification_to_concept(setting[0]) if setting else None,
        "sourcePatientInfo": (
            {"reference": f"#{SOURCE_PATIENT_ID}"}
            if entry.slots.get("sourcePatientInfo") or entry.slot("sourcePatientId")
            else None
        ),
        "related": [r for r in related if r and r not in encounters],
    }


def _related(value: str) -> Element | None:
    """CXi ``id^^^&oid&ISO^type`` -> related; CXi.5 says what kind of identifier it is."""
    identifier = cx_to_identifier(value)
    if identifier is None:
        number = value.partition("^")[0].strip()
        identifier = {"value": number} if number else None
    kind = [*value.split("^"), "", "", "", "", ""][4].strip()
    if identifier is None:
        return None
    typed = {"type": {"coding": [{"system": URI, "code": kind}]}} if kind else {}
    return {"identifier": typed | identifier}


def _kind(related: Element) -> str:
    codings = related["identifier"].get("type", {}).get("coding", [{}])
    return str(codings[0].get("code", ""))
