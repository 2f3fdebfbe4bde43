"""What an observation found -> value[x], interpretation, reference range, and when. HL7 v3 data types R1."""

from decimal import Decimal
from typing import Final

from mappings.cda.context import Context
from mappings.cda.datatypes import (
    cd_to_codeable_concept,
    data_absent,
    ivl_ts_to_period,
    pq_to_quantity,
    ts_to_datetime,
)
from mappings.cda.xml import Node, text_of, xsi_type
from mappings.core.bundle import prune
from mappings.core.result import Element

STATUS: Final = {
    "completed": "final",
    "active": "preliminary",
    "new": "registered",
    "held": "registered",
    "suspended": "registered",
    "aborted": "cancelled",
    "cancelled": "cancelled",
    "nullified": "entered-in-error",
}
"""v3 ActStatus -> observation-status."""

_ABSENT: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
_RANGE_MEANING: Final = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"
_TYPE_OF_CONTENT: Final = (("code", "CD"), ("unit", "PQ"), ("value", "ST"))


def status_of(node: Node) -> str:
    """The status code of a statement; most senders write "completed", some nothing."""
    code = node.find("statusCode")
    return "" if code is None else (code.get("code") or "").strip()


def observation_value(node: Node, context: Context) -> Element:
    """observation/value -> value[x], or dataAbsentReason with what its nullFlavor says; {} without one."""
    values = node.findall("value")
    if len(values) > 1:
        context.warn(
            node, f"{len(values)} values in one observation; only the first is mapped", "not-supported"
        )
    for value in values[:1]:
        if found := _value(value, context):
            return found
        flavor = value.get("nullFlavor")
        return {"dataAbsentReason": absent_reason(flavor)} if flavor else {}
    return {}


def absent_reason(null_flavor: str | None) -> Element:
    """A nullFlavor as a CodeableConcept."""
    code = data_absent(null_flavor)["extension"][0]["valueCode"]
    return {"coding": [{"system": _ABSENT, "code": code}]}


def effective(nodes: list[Node], context: Context) -> Element:
    """When: of the first of the nodes (the statement, then what it is part of) that says so.

    Vital signs are timed by their organizer alone; what says why there is no time is kept.
    """
    flavor = None
    for node in nodes:
        time = node.find("effectiveTime")
        if time is None:
            continue
        if moment := ts_to_datetime(time, context):
            return {"effectiveDateTime": moment}
        period = ivl_ts_to_period(time, context) or {}
        if set(period) == {"start"} and time.find("high") is None:
            return {"effectiveDateTime": period["start"]}
        if period:
            return {"effectivePeriod": period}
        flavor = flavor or time.get("nullFlavor")
    return {"_effectiveDateTime": data_absent(flavor)} if flavor else {}


def interpretations(node: Node, context: Context) -> list[Element]:
    found = (cd_to_codeable_concept(code, context) for code in node.findall("interpretationCode"))
    return [concept for concept in found if concept]


def reference_ranges(node: Node, context: Context) -> list[Element]:
    """referenceRange/observationRange -> Observation.referenceRange; one that says nothing is left out."""
    ranges = []
    for found in node.findall("referenceRange/observationRange"):
        value = found.find("value")
        low, high = _bounds(value, context) if value is not None else (None, None)
        said = context.text(found.find("text"))
        if value is not None and not (low or high):
            said = said or text_of(value) or _label(cd_to_codeable_concept(value, context))
        meaning = found.find("interpretationCode")
        code = "" if meaning is None else (meaning.get("code") or "")
        normal = {"coding": [{"system": _RANGE_MEANING, "code": "normal"}]}
        kind = normal if code == "N" else cd_to_codeable_concept(meaning, context)
        criterion = found.find("precondition/criterion")
        applies = (
            None if criterion is None else _label(cd_to_codeable_concept(criterion.find("value"), context))
        )
        said = "; ".join(text for text in (said, applies) if text)
        if low or high or said:
            ranges.append(prune({"low": low, "high": high, "type": kind, "text": said}))
    return ranges


def _value(node: Node, context: Context) -> Element:
    match xsi_type(node) or _guess(node):
        case "PQ" | "REAL" | "MO":
            return _element("valueQuantity", pq_to_quantity(node, context))
        case "INT":
            sent = (node.get("value") or "").strip()
            if sent.lstrip("+-").isdecimal() and len(sent) < 10:
                return {"valueInteger": int(sent)}
            return _element("valueQuantity", pq_to_quantity(node, context))
        case "BL":
            sent = (node.get("value") or "").strip().lower()
            return {"valueBoolean": sent == "true"} if sent in ("true", "false") else {}
        case "CD" | "CE" | "CO" | "CV" | "CS" | "SC":
            return _element("valueCodeableConcept", cd_to_codeable_concept(node, context))
        case "TS":
            return _element("valueDateTime", ts_to_datetime(node, context))
        case "IVL_TS":
            return _element("valuePeriod", ivl_ts_to_period(node, context))
        case "IVL_PQ" | "IVL_INT" | "IVL_REAL":
            return _interval(node, context)
        case "RTO" | "RTO_PQ_PQ" | "RTO_QTY_QTY":
            return _element("valueRatio", ratio(node, context))
        case _:
            return _element("valueString", context.text(node) or (node.get("value") or "").strip())


def ratio(node: Node, context: Context) -> Element | None:
    """RTO -> Ratio; both parts or nothing, as R4 asks."""
    parts = (
        pq_to_quantity(node.find("numerator"), context),
        pq_to_quantity(node.find("denominator"), context),
    )
    return {"numerator": parts[0], "denominator": parts[1]} if all(parts) else None


def _interval(node: Node, context: Context) -> Element:
    """A bound alone is a comparison ("< 1.0 mg/L"); both are a range."""
    low, high = _bounds(node, context)
    if low and high:
        return {"valueRange": {"low": low, "high": high}}
    for bound, quantity, inclusive, exclusive in (("low", low, ">=", ">"), ("high", high, "<=", "<")):
        if quantity:
            edge = node.find(bound)
            closed = edge is None or (edge.get("inclusive") or "true") != "false"
            value = {"value": quantity.pop("value"), "comparator": inclusive if closed else exclusive}
            return {"valueQuantity": {**value, **quantity}}
    return _element("valueQuantity", pq_to_quantity(node.find("center"), context))


def _bounds(node: Node, context: Context) -> tuple[Element | None, Element | None]:
    return pq_to_quantity(node.find("low"), context), pq_to_quantity(node.find("high"), context)


def number_of(quantity: Element | None) -> Decimal | None:
    """The value of a Quantity as sent."""
    return None if quantity is None else quantity.get("value")


def _guess(node: Node) -> str:
    """The type of a value that names none."""
    if node.find("low") is not None or node.find("high") is not None:
        return "IVL_PQ"
    return next((type for name, type in _TYPE_OF_CONTENT if node.get(name)), "ST")


def _element(name: str, value: object) -> Element:
    return {name: value} if value not in (None, "", {}) else {}


def _label(concept: Element | None) -> str:
    if not concept:
        return ""
    coding: Element = next(iter(concept.get("coding", [])), {})
    return str(concept.get("text") or coding.get("display") or coding.get("code", ""))
