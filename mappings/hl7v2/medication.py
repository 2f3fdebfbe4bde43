"""ORC, RXO, RXE, RXR, RXC, TQ1[MedicationRequest]: treatments that were ordered.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-rxo-to-medicationrequest.html
"""

import re
from typing import Final

from mappings.core.bundle import change, prune, put
from mappings.core.codes import V3
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    cwe_to_codeable_concept,
    dr_to_period,
    dtm_to_date_time,
    ei_to_identifier,
    quantity,
)
from mappings.hl7v2.groups import Order
from mappings.hl7v2.observation import annotation
from mappings.hl7v2.order import (
    ORDER_CONTROL,
    ORDER_STATUS,
    dg1_to_concept,
    identifier_of_eip,
    order_identifiers,
    priority,
    security_of,
)
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners
from mappings.hl7v2.segment import Field, Segment

# request-status -> medicationrequest-status, where they differ
STATUS: Final = {"revoked": "cancelled"}
STOPPED: Final = frozenset({"DC", "OD", "DR", "RP", "RU", "RQ"})
"""ORC-1 and ORC-5 (tables 0119, 0038) of treatments that had begun."""

_REPLACES: Final = frozenset({"RO", "XO", "XX"})
_PATTERN: Final = re.compile(r"Q([0-9]{1,3})([SMHDWL])")
_UNITS: Final = {"S": "s", "M": "min", "H": "h", "D": "d", "W": "wk", "L": "mo"}
# 0335 Repeat Pattern -> so many times in how long
_TIMES: Final = {
    "BID": (2, 1, "d"),
    "TID": (3, 1, "d"),
    "QID": (4, 1, "d"),
    "QD": (1, 1, "d"),
    "QAM": (1, 1, "d"),
    "QPM": (1, 1, "d"),
    "QHS": (1, 1, "d"),
    "QOD": (1, 2, "d"),
    "QW": (1, 1, "wk"),
}
_ABBREVIATIONS: Final = {"BID": "BID", "TID": "TID", "QID": "QID", "QD": "QD", "QOD": "QOD"} | {
    "QAM": "AM",
    "QPM": "PM",
    "Q4H": "Q4H",
    "Q6H": "Q6H",
}
"""0335 Repeat Pattern -> v3-GTSAbbreviation."""


def add_medication_request(
    order: Order,
    subject: Subject,
    encounter: Element | None,
    information: list[Element],
    context: Context,
) -> Element:
    """Add the entry of a treatment that is ordered, or of what becomes of one, and give a reference to it.

    It is the same by the placer's number, else the filler's.
    """
    request = order_to_medication_request(order, subject, context)
    request |= prune({"encounter": encounter, "supportingInformation": information}) or {}
    stated = order.rxe or order.rxo
    identifiers = request.get("identifier", [])
    if identifiers:
        key = identifiers[0]
    else:
        medication = stated[2 if order.rxe else 1].raw if stated else ""
        key = context.derived("MedicationRequest", subject.key, medication, request.get("authoredOn", ""))
        request["identifier"] = [key]
    url = context.url("MedicationRequest", key["system"], key["value"])
    context.entries.append((put if stated else change)(url, request, key))
    return {"reference": url}


def order_to_medication_request(order: Order, subject: Subject, context: Context) -> Element:
    """RXE, what the pharmacy made of the order, counts before RXO, what was asked for."""
    orc, rxo, rxe = order.orc, order.rxo, order.rxe
    parent = identifier_of_eip(orc[8], context) if orc else None
    prescription = ei_to_identifier(rxe[15], context, "FILL") if rxe else None
    identifiers = order_identifiers(order, context)
    replaces = orc is not None and str(orc[1]).upper() in _REPLACES
    requesters = [
        *(practitioners(orc, 12, context) if orc else []),
        *(practitioners(rxe, 13, context) if rxe else []),
        *(practitioners(rxo, 14, context) if rxo else []),
    ]
    request: Element = prune(
        {
            "resourceType": "MedicationRequest",
            "meta": security_of(orc, context),
            "identifier": [*identifiers, *([prescription] if prescription not in identifiers else [])],
            "groupIdentifier": ei_to_identifier(orc[4], context) if orc else None,
            "basedOn": [{"type": "MedicationRequest", "identifier": parent}]
            if parent and not replaces
            else None,
            "priorPrescription": {"type": "MedicationRequest", "identifier": parent}
            if parent and replaces
            else None,
            **_status(orc, context),
            "intent": "order",
            **priority(order, context),
            "subject": subject.reference,
            "authoredOn": dtm_to_date_time(orc[9], context) if orc else None,
            "requester": next((who for who in requesters if who), None),
            "recorder": next(iter(practitioners(orc, 10, context)), None) if orc else None,
            "reasonCode": _reasons(order, context),
            "note": [annotation(order.notes, context), *_instructions(rxo, rxe)],
            "dosageInstruction": [_dosage(order, context)],
            "dispenseRequest": _dispense(rxo, rxe, context),
            "substitution": _substitution(str(rxe[9]) if rxe else str(rxo[9]) if rxo else ""),
        }
    )
    return request | _medication(order, context)


def _status(orc: Segment | None, context: Context) -> Element:
    if orc is None:
        return {"status": "active"}
    control, state = str(orc[1]).upper(), str(orc[5]).upper()
    if control in STOPPED or (control not in ORDER_CONTROL and state in STOPPED):
        orc.mark_read(5)
        return {"status": "stopped"}
    if control in ORDER_CONTROL:
        orc.mark_read(5)
        status = ORDER_CONTROL[control]
        return {"status": STATUS.get(status, status)}
    made = context.code("status", orc[5], ORDER_STATUS, "0038", "active")
    return {**made, "status": STATUS.get(made["status"], made["status"])}


def _medication(order: Order, context: Context) -> Element:
    """What is given; a compound's parts (RXC) are the ingredients of a contained Medication."""
    rxo, rxe = order.rxo, order.rxe
    given = [rxe[2]] if rxe else []
    asked = [rxo[1], rxo[10]] if rxo else []
    concepts = [made for cwe in (*given, *asked) if (made := cwe_to_codeable_concept(cwe, context))]
    concept = concepts[0] if concepts else None
    forms = [*([rxe[6]] if rxe else []), *([rxo[5]] if rxo else [])]
    form = next((made for cwe in forms if (made := cwe_to_codeable_concept(cwe, context))), None)
    ingredients = [_ingredient(rxc, context) for rxc in order.components]
    if not (ingredients or form):
        if concept is None and (rxo or rxe):
            context.issue("warning", "required", "A treatment without what is given", "RXO-1")
            concept = {"text": "?"}
        return {"medicationCodeableConcept": concept} if concept else {}
    medication = prune(
        {
            "resourceType": "Medication",
            "id": "medication",
            "code": concept,
            "form": form,
            "ingredient": ingredients,
        }
    )
    display = (concept or {}).get("text") or next(
        (c["display"] for c in (concept or {}).get("coding", ()) if "display" in c), ""
    )
    reference = prune({"reference": "#medication", "display": display})
    return {"contained": [medication], "medicationReference": reference}


def _ingredient(rxc: Segment, context: Context) -> Element | None:
    """RXC: a base (B) or additive (A) with its amount."""
    concept = cwe_to_codeable_concept(rxc[2], context)
    if concept is None:
        return None
    amount, strength = quantity(rxc[3].text, rxc[4], context), quantity(rxc[5].text, rxc[6], context)
    one = {"value": 1}
    numerator = strength or amount
    return {
        "itemCodeableConcept": concept,
        "isActive": {"A": True, "B": False}.get(str(rxc[1]).upper()),
        "strength": {"numerator": numerator, "denominator": one} if numerator else None,
    }


def _reasons(order: Order, context: Context) -> list[Element | None]:
    fields = [
        *(order.orc.all(16) if order.orc else []),
        *(order.rxo.all(20) if order.rxo else []),
        *(order.rxe.all(27) if order.rxe else []),
    ]
    diagnoses = [dg1_to_concept(dg1, context) for dg1 in order.diagnoses]
    return [*(cwe_to_codeable_concept(cwe, context) for cwe in fields), *diagnoses]


def _instructions(rxo: Segment | None, rxe: Segment | None) -> list[Element | None]:
    """What the pharmacy is told: RXO-6, RXE-21."""
    fields = [*(rxo.all(6) if rxo else []), *(rxe.all(21) if rxe else [])]
    return [{"text": _words(cwe)} for cwe in fields]


def _dosage(order: Order, context: Context) -> Element:
    dose: Element = {}
    words: list[str] = []
    if rxe := order.rxe:
        dose = _dose(rxe[3], rxe[4], rxe[5], context)
        dose["rateQuantity"] = quantity(rxe[23].text, rxe[24], context)
        words = [_words(cwe) for cwe in rxe.all(7)]
    elif rxo := order.rxo:
        dose = _dose(rxo[2], rxo[3], rxo[4], context)
        words = [_words(cwe) for cwe in rxo.all(7)]
    timing, texts, needed = _timing(order, context)
    route = order.routes[0] if order.routes else None
    return {
        "text": "; ".join(dict.fromkeys(filter(None, [*words, *texts]))),
        "timing": timing,
        "asNeededBoolean": True if needed else None,
        "site": cwe_to_codeable_concept(route[2], context, "0163") if route else None,
        "route": cwe_to_codeable_concept(route[1], context, "0162") if route else None,
        "method": cwe_to_codeable_concept(route[4], context, "0165") if route else None,
        "doseAndRate": [dose],
    }


def _dose(low: Field, high: Field, units: Field, context: Context) -> Element:
    least, most = quantity(low.text, units, context), quantity(high.text, units, context)
    return {"doseRange": {"low": least, "high": most}} if most else {"doseQuantity": least}


def _timing(order: Order, context: Context) -> tuple[Element, list[str], bool]:
    """Timing of TQ1, else of the quantity and timing of earlier versions; the words; whether as needed."""
    if order.timings:
        tq1 = order.timings[-1]
        for other in order.timings:
            other.mark_read(1, 2)
        patterns = [str(pattern[1][1]) or pattern[1].text for pattern in tq1.all(3)]
        period = dr_to_period(tq1[7], tq1[8], context)
        texts = [tq1[10].text, tq1[11].text]
    else:
        old = next((f for f in (*_old(order.rxe, 1), *_old(order.orc, 7)) if f), None)
        if old is None:
            return {}, [], False
        patterns = [str(old[2][1]) or old[2].text]
        period = dr_to_period(old[4], old[5], context)
        texts = [old[7].text, old[8].text]
    patterns = [pattern.strip() for pattern in patterns if pattern.strip()]
    codes = [pattern.upper() for pattern in patterns]
    needed = any(code.startswith("PRN") for code in codes)
    known = next((code for code in codes if code in _TIMES or _PATTERN.fullmatch(code)), "")
    if not known:
        texts = [*(p for p, code in zip(patterns, codes, strict=True) if code != "PRN"), *texts]
    timing = {
        "repeat": {"boundsPeriod": period, **_repeat(known)},
        "code": {
            "coding": [{"system": f"{V3}GTSAbbreviation", "code": _ABBREVIATIONS.get(known)}]
            if known in _ABBREVIATIONS
            else None,
            "text": known,
        },
    }
    return timing, texts, needed


def _repeat(code: str) -> Element:
    if code in _TIMES:
        frequency, length, unit = _TIMES[code]
        return {"frequency": frequency, "period": length, "periodUnit": unit}
    if (every := _PATTERN.fullmatch(code)) is not None and int(every[1]):
        return {"frequency": 1, "period": int(every[1]), "periodUnit": _UNITS[every[2]]}
    return {}


def _old(segment: Segment | None, number: int) -> list[Field]:
    return [segment[number]] if segment else []


def _dispense(rxo: Segment | None, rxe: Segment | None, context: Context) -> Element:
    if rxe and rxe[10]:
        amount, units, repeats = rxe[10], rxe[11], str(rxe[12])
    elif rxo:
        amount, units, repeats = rxo[11], rxo[12], str(rxo[13])
    else:
        return {}
    return {
        "numberOfRepeatsAllowed": int(repeats) if re.fullmatch(r"[0-9]{1,5}", repeats) else None,
        "quantity": quantity(amount.text, units, context),
    }


def _substitution(allowed: str) -> Element | None:
    """Table 0161: N substitution is not authorized, G generic, T therapeutic; Cerner sends 0."""
    flag = {"N": False, "0": False, "G": True, "T": True, "Y": True, "1": True}.get(allowed.upper())
    return None if flag is None else {"allowedBoolean": flag}


def _words(cwe: Field) -> str:
    return cwe[2].text or cwe[9].text or cwe.text
