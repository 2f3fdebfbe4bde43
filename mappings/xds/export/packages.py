"""List -> SubmissionSet or Folder. IHE MHD 4.2 (submissionSet.fsh, folder.fsh), IHE ITI TF-3 4.2.3"""

from typing import Final

from mappings.core.result import Element
from mappings.xds import metadata
from mappings.xds.export import datatypes
from mappings.xds.export.document_entry import (
    UNKNOWN,
    Register,
    Resolve,
    author_slots,
    own_patient_id,
    patient_id,
    patient_of,
    status,
    within,
)
from mappings.xds.export.ebrim import Node, Registry
from mappings.xds.export.identity import entry_id, logical_id, unique_id, version
from mappings.xds.kept import kept_slots, sent_slots

LIST_TYPES: Final = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes"
EXTENSION: Final = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/"
_RECIPIENTS: Final = (
    f"{EXTENSION}ihe-intendedRecipient",
    "https://interop.esante.gouv.fr/ig/fhir/pdsm/StructureDefinition/pdsm-ext-intended-recipient",
)


def kind_of(resource: Element) -> metadata.Kind | None:
    """What a resource is in a document registry; None when it is nothing there."""
    if resource.get("resourceType") == "DocumentReference":
        return "DocumentEntry"
    codes = {
        coding.get("code")
        for coding in resource.get("code", {}).get("coding", ())
        if coding.get("system") == LIST_TYPES
    }
    if resource.get("resourceType") != "List" or not codes:
        return None
    return "SubmissionSet" if "submissionset" in codes else "Folder" if "folder" in codes else None


def list_to_package(found: Element, registry: Registry, resolve: Resolve, register: Register) -> Node:
    """Add the RegistryPackage of a List that is a submission set or folder; its members are associations."""
    is_set = kind_of(found) == "SubmissionSet"
    resolve = within(found, resolve)
    node = registry.object("RegistryPackage", entry_id(found), lid=logical_id(found), status=status(found))
    for name, values in _slots(found, is_set, resolve).items():
        registry.slot(node, name, values)
    registry.localized(node, "Name", found.get("title", ""))
    notes = (note.get("text", "") for note in found.get("note", ()))
    registry.localized(node, "Description", "\n".join(text for text in notes if text))
    registry.version(node, version(found))
    if is_set:
        for slots in package_authors(found, resolve):
            registry.author(node, metadata.SET_AUTHOR, slots)
    concepts = [
        e.get("valueCodeableConcept", {}) for e in _extensions(found, f"{EXTENSION}ihe-designationType")
    ]
    for concept in concepts or [{"coding": [UNKNOWN]}]:
        coding: Element = next(iter(concept.get("coding", ())), {})
        scheme = metadata.CONTENT_TYPE_CODE if is_set else metadata.FOLDER_CODE
        registry.code(node, scheme, coding, concept.get("text", ""))
    registry.kind(node, metadata.SUBMISSION_SET_NODE if is_set else metadata.FOLDER_NODE)
    name = "XDSSubmissionSet" if is_set else "XDSFolder"
    number = patient_id(patient_of(found, resolve)) or own_patient_id(found, register)
    registry.identifier(
        node,
        metadata.SET_PATIENT_ID if is_set else metadata.FOLDER_PATIENT_ID,
        number,
        f"{name}.patientId",
    )
    if is_set:
        registry.identifier(node, metadata.SOURCE_ID, source_id(found, register), f"{name}.sourceId")
    scheme = metadata.SET_UNIQUE_ID if is_set else metadata.FOLDER_UNIQUE_ID
    registry.identifier(node, scheme, unique_id(found), f"{name}.uniqueId")
    return node


def package_authors(found: Element, resolve: Resolve) -> list[metadata.Slots]:
    """The authors of a submission set, each as its slots."""
    named = [found["source"]] if found.get("source") else []
    named += [
        e["valueReference"]
        for e in _extensions(found, f"{EXTENSION}ihe-authorOrg")
        if isinstance(e.get("valueReference"), dict)
    ]
    slots = [author_slots(each, resolve) for each in named]
    return [each for each in (*slots, *sent_slots(found)) if each]


def source_id(found: Element, register: Register) -> str:
    """The OID (or what was sent as that) of who submitted; this server's own where it is not said."""
    sources = (e.get("valueIdentifier", {}) for e in _extensions(found, f"{EXTENSION}ihe-sourceId"))
    told = (datatypes.unique_id(source) or _bare(source) for source in sources)
    return next((oid for oid in told if oid), register.authority)


def _bare(identifier: Element) -> str:
    """The value of an identifier of no system."""
    value = "" if "system" in identifier else str(identifier.get("value", ""))
    return value.removeprefix("urn:oid:")


def _slots(found: Element, is_set: bool, resolve: Resolve) -> metadata.Slots:
    date = datatypes.dtm(found.get("date") or found.get("meta", {}).get("lastUpdated", ""))
    if not is_set:
        return {**kept_slots(found), "lastUpdateTime": [date]}
    recipients = [_recipient(e, resolve) for url in _RECIPIENTS for e in _extensions(found, url)]
    return {**kept_slots(found), "submissionTime": [date], "intendedRecipient": recipients}


def _recipient(extension: Element, resolve: Resolve) -> str:
    """``XON|XCN``, as it was sent."""
    reference: Element = extension.get("valueReference", {})
    if sent := sent_slots(reference):
        return next(iter(sent[0].get("intendedRecipient", ())), "")
    slots = author_slots(reference, resolve)
    person = next(iter(slots.get("authorPerson", ())), "")
    organization = next(iter(slots.get("authorInstitution", ())), "")
    return f"{organization}|{person}".rstrip("|")


def _extensions(resource: Element, url: str) -> list[Element]:
    return [e for e in resource.get("extension", ()) if e.get("url") == url]
