"""Vital signs, social history and pregnancy -> Observation. CI-SIS FR-Signe-vital, FR-Habitus-Mode-de-vie,
FR-Observation-sur-la-grossesse; https://hl7.org/fhir/R4/observation-vitalsigns.html"""

from collections import defaultdict
from decimal import Decimal
from typing import Final

from mappings.cda.body import Identities, is_negated, notes, statements
from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, ts_to_date
from mappings.cda.document import ClinicalDocument
from mappings.cda.participants import assigned_to_reference
from mappings.cda.values import (
    STATUS,
    effective,
    interpretations,
    number_of,
    observation_value,
    reference_ranges,
    status_of,
)
from mappings.cda.xml import Node
from mappings.core.bundle import full_url, prune, put
from mappings.core.result import Element

ELEMENTS: Final = frozenset(
    {
        *("identifier", "status", "category", "code", "subject", "effectiveDateTime", "effectivePeriod"),
        *("performer", "valueQuantity", "valueCodeableConcept", "valueString", "valueBoolean"),
        *("valueInteger", "valueRange", "valueRatio", "valueDateTime", "valuePeriod", "dataAbsentReason"),
        *("interpretation", "note", "bodySite", "method", "specimen", "referenceRange", "hasMember"),
        "component",
    }
)
"""The elements this mapping fills; one it leaves out is not there any more."""

VITAL_SIGN: Final = frozenset({"1.2.250.1.213.1.1.3.50", "1.3.6.1.4.1.19376.1.5.3.1.4.13.2"})
SOCIAL_HISTORY: Final = frozenset({"1.2.250.1.213.1.1.3.52", "1.3.6.1.4.1.19376.1.5.3.1.4.13.4"})
PREGNANCY: Final = frozenset({"1.2.250.1.213.1.1.3.53", "1.3.6.1.4.1.19376.1.5.3.1.4.13.5"})
CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
LOINC: Final = "http://loinc.org"
_SYSTOLIC, _DIASTOLIC = "8480-6", "8462-4"
_BLOOD_PRESSURE: Final = {
    "coding": [
        {"system": LOINC, "code": "85354-9", "display": "Blood pressure panel with all children optional"}
    ]
}

_ONE: Final = Decimal(1)
_MASS: Final = {"kg": Decimal(1000), "g": _ONE}
_LENGTH: Final = {"m": Decimal(100), "cm": _ONE, "mm": Decimal("0.1")}
_PLAUSIBLE: Final = {
    "29463-7": (200, 500_000, _MASS),
    "3141-9": (200, 500_000, _MASS),
    "8302-2": (20, 260, _LENGTH),
    "8306-3": (20, 260, _LENGTH),
    "8287-5": (15, 80, _LENGTH),
    "9843-4": (15, 80, _LENGTH),
    "8280-0": (20, 250, _LENGTH),
    "39156-5": (5, 120, {"kg/m2": _ONE}),
    "8310-5": (25, 45, {"Cel": _ONE}),
    "8867-4": (10, 350, {"/min": _ONE}),
    "9279-1": (2, 150, {"/min": _ONE}),
    _SYSTOLIC: (20, 350, {"mm[Hg]": _ONE}),
    _DIASTOLIC: (5, 250, {"mm[Hg]": _ONE}),
    "20564-1": (1, 100, {"%": _ONE}),
    "2708-6": (1, 100, {"%": _ONE}),
    "59408-5": (1, 100, {"%": _ONE}),
}
"""LOINC code of a vital sign -> the least and most a person can have, and the units that this is told of."""


def observations(
    document: ClinicalDocument, patient: str, identities: Identities, context: Context
) -> list[Element]:
    """The vital signs, then social history and pregnancy (PUT)."""
    birth = ts_to_date(document.root.find("recordTarget/patientRole/patient/birthTime"), context)
    entries = _vital_signs(document, patient, identities, birth, context)
    for templates, category in ((SOCIAL_HISTORY, "social-history"), (PREGNANCY, "")):
        for node in statements(document, "observation", templates, context):
            if _loinc(node) in _PLAUSIBLE:
                context.inform(
                    node, "Not mapped: a measure outside of vital signs is not a current one", "not-supported"
                )
            elif resource := observation(node, [], context, category=category):
                entries.append(entry(resource, identities.identify("observation", node), patient))
    return entries


def observation(node: Node, around: list[Node], context: Context, *, category: str = "") -> Element | None:
    """An observation -> Observation without identifier and subject; None when it asserts nothing.

    ``around`` are the statements it is part of, whose time and performer it has where it has none itself.
    """
    if is_negated(node):
        context.inform(node, "Not mapped: it is negated, so nothing was observed", "not-supported")
        return None
    value = observation_value(node, context)
    status = STATUS.get(status_of(node), "final")
    if not value and status not in ("cancelled", "registered", "entered-in-error"):
        context.inform(node, "Not mapped: it has no value", "not-supported")
        return None
    code = cd_to_codeable_concept(node.find("code"), context)
    if code is None and not (said := context.text(node.find("text"))):
        context.warn(node, "What was observed is not said: it is left out", "required")
        return None
    return {
        "resourceType": "Observation",
        "status": status,
        "category": [{"coding": [{"system": CATEGORY, "code": category}]}] if category else None,
        "code": code or {"text": said},
        **effective([node, *around], context),
        "performer": performers([node, *around], context),
        **value,
        "interpretation": interpretations(node, context),
        "note": notes(node, context) + _translations(node),
        "bodySite": cd_to_codeable_concept(node.find("targetSiteCode"), context),
        "method": cd_to_codeable_concept(node.find("methodCode"), context),
        "referenceRange": reference_ranges(node, context),
    }


def performers(nodes: list[Node], context: Context) -> list[Element]:
    """Who observed: the performers of the first of the nodes that has some, else its authors."""
    for node in nodes:
        for role in ("performer/assignedEntity", "author/assignedAuthor"):
            found = [assigned_to_reference(assigned, context) for assigned in node.findall(role)]
            if known := [who for who in found if who and "reference" in who]:
                return known
    return []


def entry(resource: Element, identifiers: list[Element], patient: str) -> Element:
    """The entry (PUT) of an Observation or report about the patient."""
    resource = prune({**resource, "identifier": identifiers, "subject": {"reference": patient}})
    return put(full_url(resource["resourceType"], identifiers[0]["value"]), resource, identifiers[0])


def _vital_signs(
    document: ClinicalDocument, patient: str, identities: Identities, birth: str | None, context: Context
) -> list[Element]:
    groups: dict[Node | None, list[Node]] = defaultdict(list)
    for node in statements(document, "observation", VITAL_SIGN, context):
        groups[_organizer(node)].append(node)
    entries = []
    for organizer, nodes in groups.items():
        around = [] if organizer is None else [organizer]
        context.read.update(around)
        made: dict[Node, Element] = {}
        for node in nodes:
            if resource := observation(node, around, context, category="vital-signs"):
                _flag(node, resource, birth, context)
                made[node] = resource
        made = _blood_pressure(made) if organizer is not None else made
        entries += [entry(r, identities.identify("observation", n), patient) for n, r in made.items()]
    return entries


def _blood_pressure(made: dict[Node, Element]) -> dict[Node, Element]:
    """One systolic and one diastolic pressure of an organizer are one measurement with two components."""
    of_code = {code: [n for n in made if _loinc(n) == code] for code in (_SYSTOLIC, _DIASTOLIC)}
    if any(len(nodes) != 1 for nodes in of_code.values()):
        return made
    (systolic,), (diastolic,) = of_code.values()
    parts = [made[systolic], made[diastolic]]
    own = ("code", "valueQuantity", "valueInteger", "dataAbsentReason", "interpretation", "referenceRange")
    shared = {name: value for name, value in parts[0].items() if name not in own}
    other = {name: value for name, value in parts[1].items() if name not in own}
    if prune({**shared, "note": None}) != prune({**other, "note": None}):
        return made
    panel = {
        **shared,
        "code": _BLOOD_PRESSURE,
        "note": [note for part in parts for note in part["note"]],
        "component": [{name: part[name] for name in own if part.get(name)} for part in parts],
    }
    return {n: panel if n is systolic else r for n, r in made.items() if n is not diastolic}


def _organizer(node: Node) -> Node | None:
    return next(node.iterancestors("organizer"), None)


def _loinc(node: Node) -> str:
    code = node.find("code")
    return "" if code is None else (code.get("code") or "").strip()


def _flag(node: Node, resource: Element, birth: str | None, context: Context) -> None:
    """Remarks on what can hardly be; it is kept as it was sent."""
    quantity = resource.get("valueQuantity")
    value, limits = number_of(quantity), _PLAUSIBLE.get(_loinc(node))
    if quantity is not None and value is not None and limits is not None:
        least, most, units = limits
        factor = units.get(quantity.get("unit", ""))
        if factor is not None and not least <= value * factor <= most:
            context.warn(
                node, f"{value} {quantity.get('unit', '')} is implausible; kept as sent".replace("  ", " ")
            )
    when = resource.get("effectiveDateTime", "")
    if when and birth and when[: min(len(when[:10]), len(birth))] < birth[: min(len(when[:10]), len(birth))]:
        context.warn(node, "The measure is dated before the patient's birth; kept as sent")


def _translations(node: Node) -> list[Element]:
    """The same value in other units, which R4 has no element for."""
    return [
        {"text": f"Également : {value} {unit}"}
        for translation in node.findall("value/translation")
        if (value := translation.get("value"))
        and (unit := translation.get("code") or translation.get("unit"))
    ]
