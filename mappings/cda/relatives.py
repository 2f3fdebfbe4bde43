"""guardian and informant/relatedEntity -> RelatedPerson. CI-SIS volet Structuration minimale.

They are also contacts of a Patient that is new; a RelatedPerson can be there for a patient who is known.
"""

from mappings.cda.context import Context
from mappings.cda.datatypes import (
    ad_to_addresses,
    cd_to_codeable_concept,
    en_to_human_name,
    ii_to_identifiers,
    tel_to_telecom,
)
from mappings.cda.document import ClinicalDocument
from mappings.cda.document_reference import unique
from mappings.cda.xml import Node
from mappings.core.bundle import derived_identifier, full_url, mention, prune
from mappings.core.codes import V3
from mappings.core.result import Element


def relatives(document: ClinicalDocument, patient: str, context: Context) -> list[Element]:
    """The entries of the relatives who have a name; ``patient`` is the fullUrl of the patient's entry.

    Who is a guardian and an informant, too, is one person: the same patient, the same name.
    """
    found: dict[str, Element] = {}
    guardians = document.root.findall("recordTarget/patientRole/patient/guardian")
    made = [_entry(node, "guardianPerson/name", "GUARD", document, patient, context) for node in guardians]
    made += [
        _entry(node, "relatedPerson/name", node.get("classCode") or "", document, patient, context)
        for node in document.root.findall("informant/relatedEntity")
    ]
    for entry in filter(None, made):
        known = found.setdefault(entry["fullUrl"], entry)["resource"]
        if known is not entry["resource"]:
            both = [*known.get("relationship", []), *entry["resource"].get("relationship", [])]
            known["relationship"] = unique(both)
    return list(found.values())


def relative_to_reference(
    node: Node, document: ClinicalDocument, patient: str, context: Context
) -> Element | None:
    """An informant/relatedEntity -> Reference to the RelatedPerson; None for one without a name."""
    entry = _entry(node, "relatedPerson/name", node.get("classCode") or "", document, patient, context)
    return {"reference": entry["fullUrl"]} if entry else None


def _entry(
    node: Node, path: str, role: str, document: ClinicalDocument, patient: str, context: Context
) -> Element | None:
    names = [name for found in node.findall(path) if (name := en_to_human_name(found))]
    if not names:
        return None
    relation = cd_to_codeable_concept(node.find("code"), context)
    own = ii_to_identifiers(node.findall("id"))
    key = own[0] if own else _key(names[0], document)
    resource = prune(
        {
            "resourceType": "RelatedPerson",
            "identifier": own or [key],
            "patient": {"reference": patient},
            "relationship": [
                {"coding": [{"system": V3 + "RoleClass", "code": role}]} if role else None,
                relation,
            ],
            "name": names,
            "telecom": tel_to_telecom(node.findall("telecom")),
            "address": ad_to_addresses(node.findall("addr")),
        }
    )
    url = full_url("RelatedPerson", key["system"], key["value"])
    return mention(url, resource, key)


def _key(name: Element, document: ClinicalDocument) -> Element:
    """A relative without an identifier is known by the patient's first identifier and the name."""
    first: Element = next(iter(document.patient_identifiers), {})
    said = " ".join([*name.get("given", []), name.get("family", ""), name.get("text", "")]).upper()
    return derived_identifier("", "relative", first.get("system", ""), first.get("value", ""), said)
