"""DocumentReference -> DocumentEntry. IHE MHD 4.2 (documentReference.fsh), IHE ITI TF-3 4.2.3.2"""

import hashlib
from collections.abc import Callable
from typing import Final

from mappings.core.bundle import full_url
from mappings.core.identity import is_ins
from mappings.core.result import Element, Issue
from mappings.xds import metadata
from mappings.xds.document_entry import IS_ARCHIVED
from mappings.xds.export import datatypes
from mappings.xds.export.ebrim import STABLE, Node, Registry

_STATUS: Final = {
    "current": "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved",
    "superseded": "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated",
    "entered-in-error": "urn:asip:ci-sis:2010:StatusType:Deleted",
}
_ARCHIVED: Final = "urn:asip:ci-sis:2010:StatusType:Archived"

Resolve = Callable[[str], Element | None]
"""The resource behind a literal reference; None when it is not known."""


def patient_of(reference: Element, resolve: Resolve) -> Element:
    """The Patient of a document; {} when it is not known."""
    subject = reference.get("subject", {})
    return resolve(subject.get("reference", "")) or {"identifier": [subject.get("identifier", {})]}


def patient_id(patient: Element) -> str:
    """The CX by which the submission's patient is known: an INS before all others."""
    identifiers = sorted(
        patient.get("identifier", ()), key=lambda i: (not is_ins(i), i.get("use") != "official")
    )
    return next((value for identifier in identifiers if (value := datatypes.cx(identifier))), "")


def unique_id(reference: Element) -> str:
    """masterIdentifier, else the logical id as a UUID of its own."""
    made = datatypes.unique_id(reference.get("masterIdentifier", {}))
    name = full_url("DocumentReference", "exported", str(reference.get("id", "")))
    return made or datatypes.unique_id({"system": datatypes.URI, "value": name})


def entry_id(reference: Element) -> str:
    """The entryUUID; the same one each time where the document came without."""
    return datatypes.entry_uuid(reference.get("identifier", [])) or full_url(
        "entryUUID", unique_id(reference)
    )


def reference_to_entry(
    reference: Element, content: bytes, uri: str, registry: Registry, resolve: Resolve, issues: list[Issue]
) -> None:
    """Add the ExtrinsicObject of a document whose bytes are in the file ``uri``."""
    first = reference["content"][0]
    attachment, context = first["attachment"], reference.get("context", {})
    patient = patient_of(reference, resolve)
    archived = any(
        e.get("url") == IS_ARCHIVED and e.get("valueBoolean") for e in reference.get("extension", ())
    )
    node = registry.object(
        "ExtrinsicObject",
        entry_id(reference),
        mimeType=attachment.get("contentType", "application/octet-stream"),
        objectType=STABLE,
        status=_ARCHIVED if archived else _STATUS.get(reference.get("status", ""), _STATUS["current"]),
    )
    period = context.get("period", {})
    slots = {
        "creationTime": [datatypes.dtm(attachment.get("creation") or reference.get("date", ""))],
        "languageCode": [attachment.get("language", "")],
        "legalAuthenticator": [_person(reference.get("authenticator", {}), resolve)[0]],
        "serviceStartTime": [datatypes.dtm(period.get("start", ""))],
        "serviceStopTime": [datatypes.dtm(period.get("end", ""))],
        "hash": [hashlib.sha1(content, usedforsecurity=False).hexdigest()],
        "size": [str(len(content))],
        "sourcePatientId": [_source_patient_id(reference, patient)],
        "sourcePatientInfo": _source_patient_info(reference, patient),
        "URI": [uri],
        "urn:ihe:iti:xds:2013:referenceIdList": _reference_ids(context),
    }
    for name, values in slots.items():
        registry.slot(node, name, values)
    registry.localized(node, "Name", attachment.get("title", ""))
    registry.localized(node, "Description", reference.get("description", ""))
    _classify(reference, node, registry, resolve)
    registry.identifier(node, metadata.ENTRY_PATIENT_ID, patient_id(patient), "XDSDocumentEntry.patientId")
    registry.identifier(node, metadata.ENTRY_UNIQUE_ID, unique_id(reference), "XDSDocumentEntry.uniqueId")
    if not patient_id(patient):
        issues.append(Issue("warning", "required", "The patient has no identifier with an OID", "patientId"))


def author_slots(author: Element, resolve: Resolve) -> dict[str, list[str]]:
    """DocumentReference.author -> the slots of an author; {} when nothing is known of it."""
    person, institution, role = _person(author, resolve)
    slots = {"authorPerson": [person], "authorInstitution": [institution], "authorSpecialty": [role]}
    return {name: values for name, values in slots.items() if values[0]}


def _classify(reference: Element, node: Node, registry: Registry, resolve: Resolve) -> None:
    context = reference.get("context", {})
    for author in reference.get("author", ()):
        if slots := author_slots(author, resolve):
            registry.author(node, metadata.ENTRY_AUTHOR, slots)
    concepts = [
        *((metadata.CLASS_CODE, concept) for concept in reference.get("category", ())),
        (metadata.TYPE_CODE, reference.get("type")),
        *((metadata.CONFIDENTIALITY_CODE, label) for label in reference.get("securityLabel", ())),
        *(
            (metadata.FORMAT_CODE, {"coding": [c["format"]]})
            for c in reference["content"][:1]
            if "format" in c
        ),
        *((metadata.EVENT_CODE, event) for event in context.get("event", ())),
        (metadata.FACILITY_TYPE_CODE, context.get("facilityType")),
        (metadata.PRACTICE_SETTING_CODE, context.get("practiceSetting")),
    ]
    for scheme, concept in concepts:
        if concept:
            registry.code(node, scheme, next(iter(concept.get("coding", ())), {}), concept.get("text", ""))


def _person(who: Element, resolve: Resolve) -> tuple[str, str, str]:
    """XCN, XON and role of somebody who is referred to: a person, a role, an organization, a device."""
    found = resolve(who.get("reference", "")) if who.get("reference") else None
    if found is None:
        if identifier := who.get("identifier"):
            return (
                datatypes.xcn({"identifier": [identifier], "name": [{"family": who.get("display", "")}]}),
                "",
                "",
            )
        return (datatypes.xcn({"name": [{"family": who["display"]}]}) if who.get("display") else ""), "", ""
    match found["resourceType"]:
        case "Organization":
            return "", datatypes.xon(found), ""
        case "Device":
            owner = resolve(found.get("owner", {}).get("reference", ""))
            return datatypes.xcn_of_device(found), datatypes.xon(owner) if owner else "", ""
        case "PractitionerRole":
            person = resolve(found.get("practitioner", {}).get("reference", ""))
            owner = resolve(found.get("organization", {}).get("reference", ""))
            roles = [*found.get("specialty", ()), *found.get("code", ())]
            return (
                datatypes.xcn(person) if person else "",
                datatypes.xon(owner) if owner else "",
                datatypes.ce(roles[0]) if roles else "",
            )
        case _:
            return datatypes.xcn(found), "", ""


def _source(reference: Element, patient: Element) -> Element:
    """The patient as the source knows it: contained, else the registry's."""
    name = reference.get("context", {}).get("sourcePatientInfo", {}).get("reference", "")
    contained = (c for c in reference.get("contained", ()) if name == f"#{c.get('id')}")
    return next(contained, patient)


def _source_patient_id(reference: Element, patient: Element) -> str:
    identifiers = _source(reference, patient).get("identifier", ())
    local = [i for i in identifiers if not is_ins(i)] or list(identifiers)
    return next((value for identifier in local if (value := datatypes.cx(identifier))), "")


def _source_patient_info(reference: Element, patient: Element) -> list[str]:
    source = _source(reference, patient)
    names = "~".join(datatypes.xpn(name) for name in source.get("name", ()))
    addresses = "~".join(datatypes.xad(address) for address in source.get("address", ())[:1])
    fields = {
        "PID-5": names,
        "PID-7": datatypes.local_date(source.get("birthDate", "")),
        "PID-8": datatypes.gender(source.get("gender", "")),
        "PID-11": addresses,
    }
    return [f"{name}|{value}" for name, value in fields.items() if value]


def _reference_ids(context: Element) -> list[str]:
    related = [*context.get("encounter", ()), *context.get("related", ())]
    return [datatypes.reference_id(r["identifier"]) for r in related if r.get("identifier", {}).get("value")]
