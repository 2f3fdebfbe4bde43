"""The header -> DocumentReference, with what of XDS metadata can be derived from CDA.

CI-SIS volet Transmission d'un document CDA en HL7v2, table of XDS metadata; IHE MHD 4.2; PDSm 3.1.
"""

import hashlib
from collections.abc import Iterable

import pybase64

from mappings.cda.context import Context
from mappings.cda.datatypes import (
    URI,
    cd_to_codeable_concept,
    cd_to_coding,
    data_absent,
    ii_to_identifier,
    ii_to_identifiers,
    ivl_ts_to_period,
    ts_to_datetime,
    ts_to_instant,
)
from mappings.cda.document import ClinicalDocument
from mappings.cda.formats import class_of, format_of
from mappings.cda.participants import assigned_to_reference, organization_to_reference
from mappings.cda.patient import source_patient
from mappings.cda.xml import Node
from mappings.core.bundle import full_url, post, prune
from mappings.core.result import Element
from mappings.core.versions import SET_ID_TYPE, VERSION_NUMBER

_ORDER = "urn:ihe:iti:xds:2013:order"
_ACCESSION = "urn:ihe:iti:xds:2013:accession"
_STUDY = "urn:ihe:iti:xds:2016:studyInstanceUID"
_ACCESSION_NUMBER = "{urn:dicom-org:ps3-20}accessionNumber"
_DICOM_CODES = "1.2.840.10008.2.16.4"


def document_to_reference(
    document: ClinicalDocument, patient: Element, patient_url: str, context: Context
) -> tuple[Element, list[Element]]:
    """ClinicalDocument -> DocumentReference and the Binary entries of its contents (POST, by fullUrl).

    ``patient`` is the Patient as the document knows it; it is contained as the source's view.
    """
    root = document.root
    author_patient = {**patient, "reference": patient_url}
    contents, binaries = _contents(document, context)
    reference: Element = {
        "resourceType": "DocumentReference",
        "contained": [source_patient(patient)],
        "masterIdentifier": document.unique_identifier,
        "identifier": [set_identifier(document)],
        "status": "current",
        "type": cd_to_codeable_concept(root.find("code"), context),
        "category": [class_of(document.code)],
        "subject": {"reference": patient_url},
        "date": ts_to_instant(root.find("effectiveTime"), context),
        "author": unique(
            assigned_to_reference(node, context, patient=author_patient)
            for node in root.findall("author/assignedAuthor")
        ),
        "authenticator": _authenticator(document, author_patient, context),
        "custodian": custodian(document, context),
        "relatesTo": relates_to(document),
        "securityLabel": [
            cd_to_codeable_concept(node, context) for node in root.findall("confidentialityCode")
        ],
        "content": contents,
        "context": _context(document, patient_url, context),
    }
    return prune(reference), binaries


def set_identifier(document: ClinicalDocument) -> Element | None:
    """The setId as a secondary identifier that says which version this is; what versions are linked by."""
    if document.set_id is None:
        return None
    identifier = {"use": "secondary", "type": SET_ID_TYPE, **document.set_id}
    if document.version_number is not None:
        identifier["extension"] = [{"url": VERSION_NUMBER, "valueInteger": document.version_number}]
    return identifier


def relates_to(document: ClinicalDocument) -> list[Element]:
    """relatedDocument -> relatesTo; the parents are named by identifier, for who stores this to resolve."""
    relations = {
        "replaces": document.replaces,
        "appends": document.appends,
        "transforms": document.transforms,
    }
    return [
        {"code": code, "target": {"type": "DocumentReference", "identifier": parent}}
        for code, parents in relations.items()
        for parent in parents
    ]


def custodian(document: ClinicalDocument, context: Context) -> Element | None:
    node = document.root.find("custodian/assignedCustodian/representedCustodianOrganization")
    return organization_to_reference(node, context)


def embedded_content(document: ClinicalDocument) -> tuple[Element, Element] | None:
    """The file inside a level 1 document: its DocumentReference.content and its Binary entry."""
    if document.content is None:
        return None
    entry = binary(document.content.data, document.content.media_type, document.unique_identifier, "embedded")
    attachment = {**attachment_of(entry, document.content.data), "title": document.title}
    return {"attachment": attachment}, entry


def binary(data: bytes, content_type: str, identifier: Element, part: str) -> Element:
    """The Binary entry of one part of the document so identified, to be read by who may read the document."""
    document_url = full_url("DocumentReference", identifier["system"], identifier["value"])
    resource = {
        "resourceType": "Binary",
        "contentType": content_type,
        "securityContext": {"reference": document_url},
        "data": pybase64.b64encode_as_string(data),
    }
    return post(full_url("Binary", identifier["system"], identifier["value"], part), resource)


def attachment_of(entry: Element, data: bytes) -> Element:
    """The Attachment that points to a Binary entry holding these bytes."""
    return {
        "contentType": entry["resource"]["contentType"],
        "url": entry["fullUrl"],
        "size": len(data),
        "hash": pybase64.b64encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode("ascii"),
    }


def unique(references: Iterable[Element | None]) -> list[Element]:
    """The references that are, each once."""
    found: list[Element] = []
    for reference in references:
        if reference and reference not in found:
            found.append(reference)
    return found


def _contents(document: ClinicalDocument, context: Context) -> tuple[list[Element], list[Element]]:
    """The CDA itself first; then the file it embeds, so that who cannot read CDA can read that."""
    entry = binary(document.raw, document.media_type, document.unique_identifier, "document")
    shared = {
        "language": document.language,
        "title": document.title,
        "creation": ts_to_datetime(document.root.find("effectiveTime"), context),
    }
    media_type = document.content.media_type if document.content else ""
    contents: list[Element] = [
        {
            "attachment": {**attachment_of(entry, document.raw), **shared},
            "format": format_of(document.template_ids, media_type),
        }
    ]
    entries = [entry]
    if embedded := embedded_content(document):
        content, embedded_entry = embedded
        content["attachment"] |= shared
        contents.append(content)
        entries.append(embedded_entry)
    elif document.level == 1:
        node = document.root.find("component/nonXMLBody/text")
        assert node is not None  # that is what level 1 means
        context.warn(node, "The embedded file is only referred to; it was not sent", "not-found")
    return contents, entries


def _authenticator(document: ClinicalDocument, patient: Element, context: Context) -> Element | None:
    node = document.root.find("legalAuthenticator/assignedEntity")
    reference = assigned_to_reference(node, context, patient=patient)
    if reference is None or node is None:
        return None
    if reference.get("type") == "Patient" or reference.get("reference") == patient["reference"]:
        context.inform(node, "The legal authenticator is a patient; only Provenance can say so")
        return None
    return reference


def _context(document: ClinicalDocument, patient_url: str, context: Context) -> Element:
    root = document.root
    services = root.findall("documentationOf/serviceEvent")
    encounter = root.find("componentOf/encompassingEncounter")
    periods = [ivl_ts_to_period(node.find("effectiveTime"), context) for node in services]
    stay = None if encounter is None else ivl_ts_to_period(encounter.find("effectiveTime"), context)
    setting = root.find(
        "documentationOf/serviceEvent/performer/assignedEntity/representedOrganization/standardIndustryClassCode"
    )
    facility = root.find("componentOf/encompassingEncounter/location/healthCareFacility/code")
    return {
        "encounter": [_encounter(encounter, stay, patient_url, context)],
        "event": [event for service in services for event in _events(service, context)],
        # The first service event is the principal one; without its time, the stay's.
        "period": next((period for period in [*periods[:1], stay] if period), None),
        "facilityType": cd_to_codeable_concept(facility, context),
        "practiceSetting": cd_to_codeable_concept(setting, context),
        "sourcePatientInfo": {"reference": "#source-patient"},
        "related": _related(root, services),
    }


def _encounter(
    node: Node | None, period: Element | None, patient_url: str, context: Context
) -> Element | None:
    """An Encounter is only mentioned when it has an identifier."""
    identifiers = [] if node is None else ii_to_identifiers(node.findall("id"))
    if node is None or not identifiers:
        return None
    code = node.find("code")
    encounter = {
        "resourceType": "Encounter",
        "identifier": identifiers,
        "status": "finished" if period and "end" in period else "unknown",
        "class": (cd_to_coding(code, context) if code is not None else None) or data_absent("UNK"),
        "subject": {"reference": patient_url},
        "period": period,
    }
    return {"reference": context.mention(prune(encounter), identifiers[0])}


def _events(service: Node, context: Context) -> list[Element]:
    """A service event's code; translations with a qualifier (modality, region) are codes of their own."""
    code = service.find("code")
    if code is None:
        return []
    qualified = [node for node in code.findall("translation") if node.find("qualifier") is not None]
    others = [coding for node in qualified if (coding := cd_to_coding(node, context))]
    concept = cd_to_codeable_concept(code, context)
    if concept and others:
        concept["coding"] = [coding for coding in concept.get("coding", []) if coding not in others]
    return [event for event in [concept, *({"coding": [coding]} for coding in others)] if event]


def _related(root: Node, services: list[Node]) -> list[Element]:
    """Orders, accession numbers and imaging studies -> related.identifier, typed as XDS's referenceIdList."""
    typed: list[tuple[str, Node]] = []
    for order in root.findall("inFulfillmentOf/order"):
        typed += [(_ORDER, node) for node in order.findall("id")]
        typed += [(_ACCESSION, node) for node in order.findall(_ACCESSION_NUMBER)]
    for service in services:
        # Only imaging identifies a service by its study: it says the modality as a DICOM code.
        if any(node.get("codeSystem") == _DICOM_CODES for node in service.iterfind("code/translation")):
            typed += [(_STUDY, node) for node in service.findall("id")]
    return [
        {"identifier": {"type": {"coding": [{"system": URI, "code": kind}]}, **identifier}}
        for kind, node in typed
        if (identifier := ii_to_identifier(node))
    ]
