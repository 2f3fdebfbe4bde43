"""Treatments -> MedicationStatement. CI-SIS FR-Traitement and FR-Traitement-prescrit; IHE PCC Medications."""

from typing import Final

from mappings.cda.body import Identities, happened, has_template, is_negated, reasons
from mappings.cda.context import Context
from mappings.cda.datatypes import (
    cd_to_codeable_concept,
    data_absent,
    ivl_ts_to_period,
    ts_to_date,
    ts_to_datetime,
)
from mappings.cda.document import ClinicalDocument
from mappings.cda.dosage import dosages, remarks
from mappings.cda.participants import assigned_to_reference
from mappings.cda.values import status_of
from mappings.cda.xml import Node, text_of, xsi_type
from mappings.core.bundle import full_url, prune, put
from mappings.core.result import Element

ELEMENTS: Final = frozenset(
    {
        *("identifier", "status", "medicationCodeableConcept", "subject", "effectiveDateTime"),
        *("effectivePeriod", "dateAsserted", "informationSource", "reasonCode", "note", "dosage"),
    }
)
"""The elements this mapping fills; one it leaves out is not there any more."""

TEMPLATES: Final = frozenset(
    {"1.2.250.1.213.1.1.3.42", "1.2.250.1.213.1.1.3.83", "1.3.6.1.4.1.19376.1.5.3.1.4.7"}
)
_MOODS: Final = frozenset({"EVN", "INT"})
"""A treatment that is taken, or one that is prescribed: R4 calls that one intended."""

_ABSENT_UNKNOWN: Final = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
_STATUS: Final = {
    "active": "active",
    "aborted": "stopped",
    "cancelled": "stopped",
    "suspended": "on-hold",
    "held": "on-hold",
    "nullified": "entered-in-error",
}
"""v3 ActStatus -> medication-statement-status, "completed" apart."""


def medications(
    document: ClinicalDocument, patient: str, identities: Identities, context: Context
) -> list[Element]:
    """The treatments of a document: taken, or prescribed as intended (PUT)."""
    entries = []
    for node in document.root.iter("substanceAdministration"):
        if not has_template(node, TEMPLATES) or node in context.read or _is_part(node):
            continue
        if not happened(node, context, _MOODS):
            continue
        identifiers = identities.identify("medication-statement", node)
        if statement := _administration_to_statement(node, document, context):
            resource = prune(
                {"resourceType": "MedicationStatement", "identifier": identifiers, **statement}
                | {"subject": {"reference": patient}}
            )
            url = full_url("MedicationStatement", identifiers[0]["value"])
            entries.append(put(url, resource, identifiers[0]))
    return entries


def _administration_to_statement(node: Node, document: ClinicalDocument, context: Context) -> Element | None:
    asserted = ts_to_datetime(document.root.find("effectiveTime"), context)
    code = cd_to_codeable_concept(node.find("code"), context) or {}
    medication = _medication(node, context)
    for coding in [*code.get("coding", []), *(medication or {}).get("coding", [])]:
        if coding.get("system") == _ABSENT_UNKNOWN:
            return _none_known(node, coding, asserted, context)
    said = context.text(node.find("text"))
    if medication is None and not said:
        context.warn(node, "The medication is neither coded nor named: nothing is asserted", "incomplete")
        return None
    medication = medication or {"text": said}
    period = _effective(node, context)
    labels = [medication.get("text", ""), *(c.get("display", "") for c in medication.get("coding", []))]
    author = node.find("author/assignedAuthor")
    source = None if author is None else assigned_to_reference(author, context)
    return {
        "status": _status(node, period, document, context),
        "medicationCodeableConcept": medication,
        **period,
        "dateAsserted": asserted,
        "informationSource": source if source and "reference" in source else None,
        "reasonCode": reasons(node, context),
        "note": remarks(node, context),
        "dosage": dosages(node, labels, context),
    }


def _none_known(node: Node, coding: Element, asserted: str | None, context: Context) -> Element | None:
    """An assertion that no medication is taken; None when it only says that nothing is known."""
    if is_negated(node) or coding["code"] != "no-known-medications":
        context.inform(node, f"{coding['code']}: there is no information, so nothing is asserted")
        return None
    return {
        "status": "active",
        "medicationCodeableConcept": {"coding": [coding]},
        "dateAsserted": asserted,
    }


def _medication(node: Node, context: Context) -> Element | None:
    """All codes of the product and its name; a class or ingredient is no product."""
    product = node.find("consumable/manufacturedProduct")
    if product is None:
        return None
    material = product.find("manufacturedMaterial")
    material = product.find("manufacturedLabeledDrug") if material is None else material
    if material is None:
        return None
    concept = cd_to_codeable_concept(material.find("code"), context) or {}
    if name := text_of(material.find("name")):
        concept.setdefault("text", name)
    return concept or None


def _effective(node: Node, context: Context) -> Element:
    """The first interval; other times are how often."""
    for time in node.findall("effectiveTime"):
        if xsi_type(time) not in ("", "IVL_TS", "TS"):
            continue
        period = ivl_ts_to_period(time, context)
        if period and time.get("value"):
            return {"effectiveDateTime": period["start"]}
        if period:
            return {"effectivePeriod": period}
        if flavor := time.get("nullFlavor"):
            return {"_effectiveDateTime": data_absent(flavor)}
    return {}


def _status(node: Node, period: Element, document: ClinicalDocument, context: Context) -> str:
    """Lists of treatments write "completed" on those that go on: only an end before the document ends one."""
    if is_negated(node):
        return "not-taken"
    if node.get("moodCode") == "INT":
        return "intended"
    if (sent := status_of(node)) in _STATUS:
        return _STATUS[sent]
    end = period.get("effectivePeriod", {}).get("end", "")[:10]
    written = ts_to_date(document.root.find("effectiveTime"), context) or ""
    return "completed" if end and end < written[: len(end)] else "active"


def _is_part(node: Node) -> bool:
    """Whether it is a step of another administration's dosage."""
    return any(parent.tag == "substanceAdministration" for parent in node.iterancestors())
