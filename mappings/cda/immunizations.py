"""Vaccination entries -> Immunization. CI-SIS FR-Vaccination, IHE PCC Immunizations."""

from mappings.cda.body import Identities, is_negated, notes, related, statements
from mappings.cda.context import Context
from mappings.cda.datatypes import (
    cd_to_codeable_concept,
    data_absent,
    pq_to_quantity,
    ts_to_date,
    ts_to_datetime,
)
from mappings.cda.document import ClinicalDocument
from mappings.cda.participants import assigned_to_reference
from mappings.cda.xml import Node, text_of
from mappings.core.bundle import derived_identifier, full_url, prune, put
from mappings.core.result import Element

ELEMENTS = frozenset(
    {
        *("identifier", "status", "statusReason", "vaccineCode", "patient", "occurrenceDateTime", "recorded"),
        *("primarySource", "lotNumber", "expirationDate", "site", "route", "doseQuantity", "performer"),
        *("note", "reaction", "protocolApplied"),
    }
)
"""The elements this mapping fills; one it leaves out is not there any more."""

TEMPLATES = frozenset({"1.2.250.1.213.1.1.3.45", "1.3.6.1.4.1.19376.1.5.3.1.4.12"})
_SUPPLY = frozenset({"1.2.250.1.213.1.1.3.44"})
_ABSENT_UNKNOWN = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
_CIS = "https://smt.esante.gouv.fr/terminologie-bdpm"
_DOSE_NUMBER = "30973-2"
_SERIES = frozenset({"INITIMMUNIZ", "BOOSTER"})
"""v3 ActCode of an administration that is part of a series; IMMUNIZ says nothing about one."""

_STATUS = {"aborted": "not-done", "cancelled": "not-done", "nullified": "entered-in-error"}
_NOTHING_SEEN = {"", "-", "ras", "néant", "aucune", "aucun", "non"}


def immunizations(
    document: ClinicalDocument, patient: str, identities: Identities, context: Context
) -> list[Element]:
    """The vaccination entries of a document (PUT), then those of the reactions to them."""
    birth = ts_to_date(document.root.find("recordTarget/patientRole/patient/birthTime"), context)
    entries: list[Element] = []
    reactions: list[Element] = []
    for node in statements(document, "substanceAdministration", TEMPLATES, context):
        identifiers = identities.identify("immunization", node)
        immunization = _administration_to_immunization(node, birth, context)
        if immunization is None:
            continue
        observations = _reactions(node, patient, identifiers[0], context)
        reactions += observations
        resource = prune(
            {"resourceType": "Immunization", "identifier": identifiers, **immunization}
            | {
                "patient": {"reference": patient},
                "reaction": [
                    {
                        "date": entry["resource"].get("effectiveDateTime"),
                        "detail": {"reference": entry["fullUrl"]},
                    }
                    for entry in observations
                ],
            }
        )
        entries.append(put(full_url("Immunization", identifiers[0]["value"]), resource, identifiers[0]))
    return entries + reactions


def _administration_to_immunization(node: Node, birth: str | None, context: Context) -> Element | None:
    code = cd_to_codeable_concept(node.find("code"), context) or {}
    vaccine = _vaccine(node, context)
    for coding in [*code.get("coding", []), *(vaccine or {}).get("coding", [])]:
        if coding.get("system") == _ABSENT_UNKNOWN:
            context.inform(node, f"{coding['code']}: no vaccination is asserted")
            return None
    if vaccine is None:
        context.warn(node, "The vaccine is not given", "incomplete")
    material = node.find("consumable/manufacturedProduct/manufacturedMaterial")
    remarks = notes(node, context)
    dispensed = _dispensed(node, context)
    occurrence = _occurrence(node, context)
    if "occurrenceDateTime" not in occurrence and dispensed:
        remarks.append({"text": f"Délivré le {dispensed}, date de vaccination inconnue"})
    if _precedes(occurrence.get("occurrenceDateTime"), birth):
        context.warn(node, "The vaccination is dated before the patient's birth; kept as sent")
    author = node.find("author/time")
    return {
        **_status(node),
        "vaccineCode": vaccine or data_absent("UNK"),
        **occurrence,
        "recorded": ts_to_datetime(author, context),
        "primarySource": False if _is_second_hand(node, occurrence, dispensed) else None,
        "lotNumber": _text(material, "lotNumberText"),
        "expirationDate": None if material is None else ts_to_date(material.find("expirationTime"), context),
        "site": cd_to_codeable_concept(node.find("approachSiteCode"), context),
        "route": cd_to_codeable_concept(node.find("routeCode"), context),
        "doseQuantity": pq_to_quantity(node.find("doseQuantity"), context),
        "performer": _performers(node, context),
        "note": remarks,
        "protocolApplied": _protocol(node, code, context),
    }


def _status(node: Node) -> Element:
    code = node.find("statusCode")
    status = _STATUS.get("" if code is None else code.get("code") or "", "completed")
    if is_negated(node) and status == "completed":
        status = "not-done"
    if status != "not-done":
        return {"status": status}
    unknown = {"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"}
    return {"status": status, "statusReason": {"coding": [unknown]}}


def _vaccine(node: Node, context: Context) -> Element | None:
    """All codes of the product: the main one may be absent and only a translation there."""
    material = node.find("consumable/manufacturedProduct/manufacturedMaterial")
    if material is None:
        return None
    code = material.find("code")
    concept = cd_to_codeable_concept(code, context) or {}
    if name := _text(material, "name"):
        concept.setdefault("text", name)
    for coding in concept.get("coding", []):
        if coding.get("system") == _CIS and len(coding["code"]) == 13:
            context.warn(material, "A code of 13 digits is a CIP, not a CIS; kept as sent", "code-invalid")
    return concept or None


def _occurrence(node: Node, context: Context) -> Element:
    times = node.findall("effectiveTime")
    for time in times:
        if moment := ts_to_datetime(time, context) or ts_to_datetime(time.find("low"), context):
            return {"occurrenceDateTime": moment}
    return {"_occurrenceDateTime": data_absent(times[0].get("nullFlavor") if times else None)}


def _dispensed(node: Node, context: Context) -> str | None:
    """When the vaccine was handed out: all that the reimbursement history knows."""
    for supply in node.findall("entryRelationship/supply"):
        if any(template.get("root") in _SUPPLY for template in supply.findall("templateId")):
            context.read.add(supply)
            for performer in supply.findall("performer"):
                if time := ts_to_datetime(performer.find("time"), context) or ts_to_datetime(
                    performer.find("time/low"), context
                ):
                    return time
    return None


def _is_second_hand(node: Node, occurrence: Element, dispensed: str | None) -> bool:
    """Told by a relative or the patient, or deduced from a dispensation."""
    told = node.find("informant/relatedEntity") is not None
    return told or (dispensed is not None and "occurrenceDateTime" not in occurrence)


def _performers(node: Node, context: Context) -> list[Element]:
    performers = []
    for performer in node.findall("performer"):
        actor = assigned_to_reference(performer.find("assignedEntity"), context)
        if actor and "reference" in actor:
            function = {"system": "http://terminology.hl7.org/CodeSystem/v2-0443", "code": "AP"}
            performers.append({"function": {"coding": [function]}, "actor": actor})
    return performers


def _protocol(node: Node, code: Element, context: Context) -> list[Element]:
    """The rank of the dose and the series; R4 wants a dose number wherever there is a series."""
    coding: Element = next(iter(code.get("coding", [])), {})
    series = code.get("text") or coding["code"] if coding.get("code") in _SERIES else None
    number: Element = {}
    for observation in related(node, _DOSE_NUMBER, context):
        value = observation.find("value")
        sent = "" if value is None else (value.get("value") or "").strip()
        if sent.isdecimal() and int(sent) > 0:
            number = {"doseNumberPositiveInt": int(sent)}
        elif sent:
            context.warn(observation, f"{sent!r} is no dose number; it is left out")
    if not series and not number:
        return []
    absent = {"_doseNumberPositiveInt": data_absent("UNK")}
    return [{"series": series, **(number or absent)}]


def _reactions(node: Node, patient: str, identifier: Element, context: Context) -> list[Element]:
    """CAUS observations -> Observation entries (PUT); "none" and "-" in words are no reaction."""
    entries = []
    caused = [r for r in node.findall("entryRelationship") if r.get("typeCode") == "CAUS"]
    for rank, observation in enumerate(o for r in caused for o in r.findall("observation")):
        context.read.add(observation)
        value = cd_to_codeable_concept(observation.find("value"), context)
        text = context.text(observation.find("text"))
        if is_negated(observation):
            context.warn(observation, "A reaction that is negated is left out")
            continue
        words = (value or {}).get("text", "") or text
        if not (value or {}).get("coding") and words.strip().lower() in _NOTHING_SEEN:
            continue
        own = derived_identifier("", "immunization-reaction", identifier["value"], str(rank))
        low = observation.find("effectiveTime/low")
        resource = {
            "resourceType": "Observation",
            "identifier": [own],
            "status": "final",
            "code": cd_to_codeable_concept(observation.find("code"), context) or {"text": "Réaction"},
            "subject": {"reference": patient},
            "effectiveDateTime": ts_to_datetime(low, context),
            "valueCodeableConcept": value or {"text": text},
            "note": notes(observation, context),
        }
        entries.append(put(full_url("Observation", own["value"]), prune(resource), own))
    return entries


def _precedes(occurrence: str | None, birth: str | None) -> bool:
    """Whether a date is before birth, as far as both are precise."""
    if not occurrence or not birth:
        return False
    length = min(len(occurrence[:10]), len(birth))
    return occurrence[:length] < birth[:length]


def _text(node: Node | None, tag: str) -> str:
    return "" if node is None else text_of(node.find(tag))
