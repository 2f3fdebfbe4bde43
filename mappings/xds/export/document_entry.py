"""DocumentReference -> DocumentEntry. IHE MHD 4.2 (documentReference.fsh), IHE ITI TF-3 4.2.3.2"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mappings.core.codes import SYSTEM_OF_OID, V3
from mappings.core.identity import is_ins
from mappings.core.result import Element, Issue
from mappings.xds import metadata
from mappings.xds.document_entry import AT_SOURCE, IS_ARCHIVED
from mappings.xds.export import datatypes
from mappings.xds.export.ebrim import APPROVED, ARCHIVED, DELETED, DEPRECATED, STABLE, Node, Registry
from mappings.xds.export.identity import entry_id, logical_id, unique_id, version
from mappings.xds.kept import kept_slots, sent_slots
from mappings.xds.metadata import Slots

UNKNOWN: Final = {"system": f"{V3}NullFlavor", "code": "UNK", "display": "unknown"}
_DEFAULTS: Final = {
    metadata.CLASS_CODE: UNKNOWN,
    metadata.TYPE_CODE: UNKNOWN,
    metadata.CONFIDENTIALITY_CODE: {"system": f"{V3}Confidentiality", "code": "N", "display": "normal"},
    metadata.FORMAT_CODE: {
        "system": SYSTEM_OF_OID["1.3.6.1.4.1.19376.1.2.3"],
        "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
        "display": "mimeType Sufficient",
    },
    metadata.FACILITY_TYPE_CODE: UNKNOWN,
    metadata.PRACTICE_SETTING_CODE: UNKNOWN,
}
"""What XDS requires of an entry, where a document does not say it."""

Resolve = Callable[[str], Element | None]
"""The resource behind a literal reference; None when it is not known."""


def within(resource: Element, resolve: Resolve) -> Resolve:
    """As ``resolve``, also for what the resource contains (``#x``)."""
    contained = {f"#{each.get('id', '')}": each for each in resource.get("contained", ())}
    return lambda name: contained.get(name) or resolve(name)


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


@dataclass(frozen=True, slots=True)
class File:
    """What is known of a document's bytes; ``sha1`` in hexadecimals, ``uri`` where it is beside these."""

    size: int
    sha1: str
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Register:
    """The OIDs of the registry and its repository. With these, attributes that XDS requires of every object
    and a resource does not have get a default."""

    authority: str
    repository: str


def status(resource: Element) -> str:
    """The availabilityStatus, also France's."""
    if resource.get("status") == "entered-in-error":
        return DELETED
    extensions = resource.get("extension", ())
    if any(e.get("url") == IS_ARCHIVED and e.get("valueBoolean") is True for e in extensions):
        return ARCHIVED
    return DEPRECATED if resource.get("status") in ("superseded", "retired") else APPROVED


def reference_to_entry(
    reference: Element,
    file: File,
    registry: Registry,
    resolve: Resolve,
    issues: list[Issue],
    register: Register | None = None,
) -> Node:
    """Add the ExtrinsicObject of a document."""
    attachment = _attachment(reference)
    resolve = within(reference, resolve)
    patient = patient_of(reference, resolve)
    node = registry.object(
        "ExtrinsicObject",
        entry_id(reference),
        lid=logical_id(reference),
        mimeType=attachment.get("contentType", "application/octet-stream"),
        isOpaque="false",
        objectType=STABLE,
        status=status(reference),
    )
    number = patient_id(patient) or (own_patient_id(reference, register) if register else "")
    for name, values in _slots(reference, file, patient, number, resolve, register).items():
        registry.slot(node, name, values)
    registry.localized(node, "Name", attachment.get("title", ""))
    registry.localized(node, "Description", reference.get("description", ""))
    registry.version(node, version(reference))
    _classify(reference, node, registry, resolve, register)
    registry.identifier(node, metadata.ENTRY_PATIENT_ID, number, "XDSDocumentEntry.patientId")
    registry.identifier(node, metadata.ENTRY_UNIQUE_ID, unique_id(reference), "XDSDocumentEntry.uniqueId")
    if not number:
        issues.append(Issue("warning", "required", "The patient has no identifier with an OID", "patientId"))
    return node


def _attachment(reference: Element) -> Element:
    content: Element = next(iter(reference.get("content", ())), {})
    attachment: Element = content.get("attachment", {})
    return attachment


def own_patient_id(resource: Element, register: Register) -> str:
    """The CX of a patient who has no identifier with an OID: the logical id here."""
    id = str(resource.get("subject", {}).get("reference", "")).rpartition("/")[2]
    return f"{id}^^^&{register.authority}&ISO" if id else ""


def _slots(
    reference: Element, file: File, patient: Element, number: str, resolve: Resolve, register: Register | None
) -> Slots:
    attachment = _attachment(reference)
    context = reference.get("context", {})
    period = context.get("period", {})
    authenticator = reference.get("authenticator", {})
    named: Slots = next(iter(sent_slots(authenticator)), {})
    created = attachment.get("creation") or reference.get("date", "")
    source = _source_patient_id(reference, patient)
    if register:
        created = created or reference.get("meta", {}).get("lastUpdated", "")
        source = source or number
    slots = {
        "creationTime": [datatypes.dtm(created)],
        "languageCode": [attachment.get("language", "") or ("fr-FR" if register else "")],
        "legalAuthenticator": named.get("legalAuthenticator") or [_person(authenticator, resolve)[0]],
        "serviceStartTime": [datatypes.dtm(period.get("start", ""))],
        "serviceStopTime": [datatypes.dtm(period.get("end", ""))],
        "hash": [file.sha1],
        "size": [str(file.size)],
        "sourcePatientId": [source],
        "sourcePatientInfo": _source_patient_info(reference, patient),
        "URI": [file.uri],
        "urn:ihe:iti:xds:2013:referenceIdList": reference_ids(reference),
        **kept_slots(reference),
    }
    if register:
        # A document that is kept elsewhere was registered with the repository where it is.
        elsewhere = [] if "Binary/" in attachment.get("url", "") else slots.get("repositoryUniqueId", [])
        slots["repositoryUniqueId"] = elsewhere or [register.repository]
        slots["documentAvailability"] = ["urn:ihe:iti:2010:DocumentAvailability:Online"]
    return slots


def author_slots(author: Element, resolve: Resolve) -> dict[str, list[str]]:
    """DocumentReference.author -> the slots of an author, as sent; {} when nothing is known of it."""
    if sent := sent_slots(author):
        return sent[0]
    person, institution, role = _person(author, resolve)
    slots = {"authorPerson": [person], "authorInstitution": [institution], "authorSpecialty": [role]}
    return {name: values for name, values in slots.items() if values[0]}


def _classify(
    reference: Element, node: Node, registry: Registry, resolve: Resolve, register: Register | None
) -> None:
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
            for c in reference.get("content", [])[:1]
            if "format" in c
        ),
        *((metadata.EVENT_CODE, event) for event in context.get("event", ())),
        (metadata.FACILITY_TYPE_CODE, context.get("facilityType")),
        (metadata.PRACTICE_SETTING_CODE, context.get("practiceSetting")),
    ]
    if register:
        said = {scheme for scheme, concept in concepts if concept}
        missing = ((scheme, code) for scheme, code in _DEFAULTS.items() if scheme not in said)
        concepts += [(scheme, {"coding": [code]}) for scheme, code in missing]
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
    kinds = ((identifier, "" if is_ins(identifier) else AT_SOURCE) for identifier in local)
    return next((value for identifier, kind in kinds if (value := datatypes.cx(identifier, kind))), "")


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


def reference_ids(reference: Element) -> list[str]:
    """The referenceIdList, as CXi."""
    context = reference.get("context", {})
    related = [*context.get("encounter", ()), *context.get("related", ())]
    return [datatypes.reference_id(r["identifier"]) for r in related if r.get("identifier", {}).get("value")]
