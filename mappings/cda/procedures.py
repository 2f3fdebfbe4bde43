"""Procedures -> Procedure. CI-SIS FR-Acte, IHE PCC Procedure Entry."""

from typing import Final

from mappings.cda.body import Identities, is_negated, notes, reasons, statements
from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, data_absent, ivl_ts_to_period, ts_to_datetime
from mappings.cda.document import ClinicalDocument
from mappings.cda.participants import assigned_to_reference
from mappings.cda.values import status_of
from mappings.cda.xml import Node
from mappings.core.bundle import full_url, prune, put
from mappings.core.result import Element

ELEMENTS: Final = frozenset(
    {
        *("identifier", "status", "code", "subject", "performedDateTime", "performedPeriod", "recorder"),
        *("performer", "reasonCode", "bodySite", "note"),
    }
)
"""The elements this mapping fills; one it leaves out is not there any more."""

TEMPLATES: Final = frozenset({"1.2.250.1.213.1.1.3.62", "1.3.6.1.4.1.19376.1.5.3.1.4.19"})
_ABSENT_UNKNOWN: Final = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
_STATUS: Final = {
    "completed": "completed",
    "active": "in-progress",
    "aborted": "stopped",
    "suspended": "on-hold",
    "held": "on-hold",
    "cancelled": "not-done",
    "nullified": "entered-in-error",
}
"""v3 ActStatus -> event-status."""


def procedures(
    document: ClinicalDocument, patient: str, identities: Identities, context: Context
) -> list[Element]:
    """The procedures of a document that were done, or that it says were not (PUT)."""
    entries = []
    for node in statements(document, "procedure", TEMPLATES, context):
        identifiers = identities.identify("procedure", node)
        if procedure := _procedure(node, context):
            resource = prune(
                {"resourceType": "Procedure", "identifier": identifiers, **procedure}
                | {"subject": {"reference": patient}}
            )
            entries.append(put(full_url("Procedure", identifiers[0]["value"]), resource, identifiers[0]))
    return entries


def _procedure(node: Node, context: Context) -> Element | None:
    code = cd_to_codeable_concept(node.find("code"), context)
    said = context.text(node.find("text"))
    for coding in (code or {}).get("coding", []):
        if coding.get("system") == _ABSENT_UNKNOWN:
            context.inform(node, f"{coding['code']}: no procedure is asserted")
            return None
    if code is None and not said:
        context.warn(node, "The procedure is neither coded nor described: nothing is asserted", "incomplete")
        return None
    author = node.find("author/assignedAuthor")
    sites = [cd_to_codeable_concept(site, context) for site in node.findall("targetSiteCode")]
    performers = [assigned_to_reference(p, context) for p in node.findall("performer/assignedEntity")]
    return {
        "status": "not-done" if is_negated(node) else _STATUS.get(status_of(node), "unknown"),
        "code": code or {"text": said},
        **_performed(node, context),
        "recorder": _known(assigned_to_reference(author, context)),
        "performer": [{"actor": actor} for actor in performers if _known(actor)],
        "reasonCode": reasons(node, context),
        "bodySite": [site for site in sites if site],
        "note": notes(node, context),
    }


def _performed(node: Node, context: Context) -> Element:
    time = node.find("effectiveTime")
    if time is None:
        return {}
    if moment := ts_to_datetime(time, context):
        return {"performedDateTime": moment}
    if period := ivl_ts_to_period(time, context):
        return {"performedPeriod": period}
    return {"_performedDateTime": data_absent(time.get("nullFlavor"))} if time.get("nullFlavor") else {}


def _known(reference: Element | None) -> Element | None:
    return reference if reference and "reference" in reference else None
