"""Authors, custodian and the like -> Practitioner, PractitionerRole, Organization, Device."""

from mappings.cda.context import Context
from mappings.cda.datatypes import (
    ad_to_addresses,
    cd_to_codeable_concept,
    en_to_human_name,
    ii_to_identifiers,
    tel_to_telecom,
)
from mappings.cda.xml import Node, text_of
from mappings.core.bundle import derived_identifier, prune
from mappings.core.identity import (
    FR_IDENTIFIER_TYPE_SYSTEM,
    PROFESSIONAL_OID,
    STRUCTURE_OID,
    is_ins,
)
from mappings.core.result import Element

_TYPE = {f"urn:oid:{PROFESSIONAL_OID}": "IDNPS", f"urn:oid:{STRUCTURE_OID}": "IDNST"}


def assigned_to_reference(
    assigned: Node | None, context: Context, *, patient: Element | None = None
) -> Element | None:
    """assignedAuthor/assignedEntity -> Reference to who acted; None when nothing says who.

    ``patient`` is the document's Patient (its identifiers) and the fullUrl of its entry under ``reference``:
    documents written by the patient name it by its INS, which never becomes a Practitioner.
    """
    if assigned is None:
        return None
    identifiers = ii_to_identifiers(assigned.findall("id"))
    organization = organization_to_reference(assigned.find("representedOrganization"), context)
    name = _name(assigned)
    if any(is_ins(identifier) for identifier in identifiers):
        return _person_with_ins(identifiers, name, patient)
    if (device := assigned.find("assignedAuthoringDevice")) is not None:
        return _device(device, assigned, identifiers, organization, context)
    if not identifiers and not name:
        return organization
    return practitioner_to_reference(
        identifiers=identifiers,
        name=name,
        telecom=tel_to_telecom(assigned.findall("telecom")),
        address=ad_to_addresses(assigned.findall("addr")),
        organization=organization,
        code=cd_to_codeable_concept(assigned.find("code"), context),
        context=context,
    )


def practitioner_to_reference(
    *,
    identifiers: list[Element],
    name: Element | None,
    telecom: list[Element],
    address: list[Element],
    organization: Element | None,
    code: Element | None,
    context: Context,
) -> Element:
    """Mention a Practitioner and, when an organization or a code says in what role, a PractitionerRole.

    Without an identifier a person is identified by name and organization, for this source only.
    """
    display = _display(name)
    employer = (organization or {}).get("reference", "")
    key = identifiers[0] if identifiers else None
    if key is None:
        key = derived_identifier(context.source.name, "practitioner", display, employer)
    practitioner = {
        "resourceType": "Practitioner",
        "identifier": _typed(identifiers) or [key],
        "name": [name],
        "telecom": telecom,
        "address": address,
    }
    reference = _reference(context.mention(prune(practitioner), key), display)
    if not organization and not code:
        return reference
    coding = (code or {}).get("coding", [{}])[0]
    role_key = derived_identifier(
        "", "practitioner-role", key["system"], key["value"], employer, coding.get("code", "")
    )
    role = {
        "resourceType": "PractitionerRole",
        "identifier": [role_key],
        "practitioner": reference,
        "organization": organization,
        "code": [code],
    }
    return _reference(context.mention(prune(role), role_key), display)


def organization_to_reference(node: Node | None, context: Context) -> Element | None:
    """representedOrganization -> Reference to an Organization; None when it has neither id nor name."""
    if node is None:
        return None
    return organization_reference(
        identifiers=ii_to_identifiers(node.findall("id")),
        name=text_of(node.find("name")),
        telecom=tel_to_telecom(node.findall("telecom")),
        address=ad_to_addresses(node.findall("addr")),
        context=context,
    )


def organization_reference(
    *,
    identifiers: list[Element],
    name: str,
    context: Context,
    telecom: list[Element] | None = None,
    address: list[Element] | None = None,
) -> Element | None:
    """Mention an Organization; without an identifier it is identified by its name, for this source only."""
    if not identifiers and not name:
        return None
    identifiers = _typed(identifiers) or [derived_identifier(context.source.name, "organization", name)]
    organization = {
        "resourceType": "Organization",
        "identifier": identifiers,
        "name": name,
        "telecom": telecom,
        "address": address,
    }
    return _reference(context.mention(prune(organization), identifiers[0]), name)


def _reference(url: str, display: str) -> Element:
    return {"reference": url, "display": display} if display else {"reference": url}


def _typed(identifiers: list[Element]) -> list[Element]:
    """Add the French identifier type to those of professionals and structures."""
    typed = []
    for identifier in identifiers:
        if code := _TYPE.get(identifier["system"]):
            kind = {"coding": [{"system": FR_IDENTIFIER_TYPE_SYSTEM, "code": code}]}
            identifier = {"type": kind, **identifier}
        typed.append(identifier)
    return typed


def _name(assigned: Node) -> Element | None:
    nodes = assigned.findall("assignedPerson/name")
    return next((name for node in nodes if (name := en_to_human_name(node))), None)


def _display(name: Element | None) -> str:
    if not name:
        return ""
    return name.get("text") or " ".join([*name.get("given", []), name.get("family", "")]).strip()


def _person_with_ins(identifiers: list[Element], name: Element | None, patient: Element | None) -> Element:
    ins = next(identifier for identifier in identifiers if is_ins(identifier))
    same = [i for i in (patient or {}).get("identifier", []) if i["system"] == ins["system"]]
    if patient is not None and any(i["value"] == ins["value"] for i in same):
        return {"reference": patient["reference"]}
    display = _display(name)
    return {"type": "Patient", "identifier": ins} | ({"display": display} if display else {})


def _device(
    node: Node, assigned: Node, identifiers: list[Element], organization: Element | None, context: Context
) -> Element:
    software, model = text_of(node.find("softwareName")), text_of(node.find("manufacturerModelName"))
    model = "" if model == "." else model  # what is written where the standard wants something
    owner = (organization or {}).get("reference", "")
    key = identifiers[0] if identifiers else None
    if key is None:
        key = derived_identifier(context.source.name, "device", software, model, owner)
    device = {
        "resourceType": "Device",
        "identifier": identifiers or [key],
        "deviceName": [
            {"name": software, "type": "user-friendly-name"} if software else None,
            {"name": model, "type": "model-name"} if model else None,
        ],
        "type": cd_to_codeable_concept(assigned.find("code"), context),
        "owner": organization,
    }
    return _reference(context.mention(prune(device), key), software or model)
