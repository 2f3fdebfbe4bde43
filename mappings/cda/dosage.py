"""How a medication is taken -> Dosage. IHE PCC Medications Entry; https://hl7.org/fhir/R4/dosage.html"""

from typing import Final

from mappings.cda.body import notes, related
from mappings.cda.context import Context
from mappings.cda.datatypes import cd_to_codeable_concept, ivl_ts_to_period, pq_to_quantity, ts_to_datetime
from mappings.cda.values import ratio
from mappings.cda.xml import Node, xsi_type
from mappings.core.bundle import prune
from mappings.core.result import Element

_UNITS: Final = frozenset({"s", "min", "h", "d", "wk", "mo", "a"})
"""UCUM units of time that Timing knows."""

_EVENTS: Final = frozenset(
    "HS WAKE C CM CD CV AC ACM ACD ACV PC PCM PCD PCV MORN AFT EVE NIGHT".split()  # noqa: SIM905  # a table
)
"""v3 TimingEvent codes that R4's event-timing has, too."""

_PATIENT_INSTRUCTION, _DISPENSER_INSTRUCTION = "PINSTRUCT", "FINSTRUCT"


def dosages(node: Node, labels: list[str], context: Context) -> list[Element]:
    """The dosage of an administration, then those of its parts in sequence (day 1 to 3, then ...).

    ``labels`` are the names of the medication: a text that only repeats one says nothing of the dosage.
    """
    found = [_dosage(node, labels, None, context)]
    for relationship in node.findall("entryRelationship"):
        for part in relationship.findall("substanceAdministration"):
            number = relationship.find("sequenceNumber")
            context.read.add(part)
            found.append(_dosage(part, labels, None if number is None else number.get("value"), context))
    return [dosage for dosage in found if dosage]


def remarks(node: Node, context: Context) -> list[Element]:
    """The comments on an administration, and what was written for the pharmacist."""
    texts = (context.text(act.find("text")) for act in related(node, _DISPENSER_INSTRUCTION, context))
    return notes(node, context) + [{"text": text} for text in texts if text.strip("-–. ")]


def _dosage(node: Node, labels: list[str], sequence: str | None, context: Context) -> Element | None:
    said = context.text(node.find("text")) or _start(node, context)
    for_patient = [context.text(act.find("text")) for act in related(node, _PATIENT_INSTRUCTION, context)]
    conditions = [context.text(text) for text in node.findall("precondition/criterion/text")]
    site = cd_to_codeable_concept(node.find("approachSiteCode"), context)
    maximum = node.find("maxDoseQuantity")
    dosage: Element = prune(
        {
            "text": said if said not in labels else None,
            "additionalInstruction": [{"text": text} for text in conditions if text],
            "patientInstruction": "\n".join(text for text in for_patient if text),
            "timing": _timing(node, context),
            "site": site,
            "route": cd_to_codeable_concept(node.find("routeCode"), context),
            "doseAndRate": [_dose_and_rate(node, context)],
            "maxDosePerPeriod": None if maximum is None else ratio(maximum, context),
        }
    )
    if dosage and sequence and sequence.isdecimal():
        dosage = {"sequence": int(sequence), **dosage}
    return dosage


def _start(node: Node, context: Context) -> str:
    """When a step begins that lasts so long: R4's Timing has room for one of the two."""
    for time in node.findall("effectiveTime/comp"):
        if time.find("width") is not None and (low := ts_to_datetime(time.find("low"), context)):
            return f"À partir du {low}"
    return ""


def _dose_and_rate(node: Node, context: Context) -> Element:
    return {
        **_quantity_or_range("dose", node.find("doseQuantity"), context),
        **_quantity_or_range("rate", node.find("rateQuantity"), context),
    }


def _quantity_or_range(name: str, node: Node | None, context: Context) -> Element:
    """One quantity where low and high are the same."""
    if node is None:
        return {}
    low, high = pq_to_quantity(node.find("low"), context), pq_to_quantity(node.find("high"), context)
    if low and high and low != high:
        return {f"{name}Range": {"low": low, "high": high}}
    return {f"{name}Quantity": low or high or pq_to_quantity(node, context)}


def _timing(node: Node, context: Context) -> Element:
    """The frequency and the meals; how long only for parts, because the whole has its own period."""
    repeat: Element = {}
    unknown: list[str] = []
    for time in _times(node):
        match xsi_type(time):
            case "PIVL_TS":
                repeat |= _frequency(time, unknown, context)
            case "EIVL_TS":
                event = time.find("event")
                code = "" if event is None else (event.get("code") or "")
                if code in _EVENTS:
                    repeat.setdefault("when", []).append(code)
                elif code:
                    unknown.append(code)
            case "IVL_TS" if time.tag == "comp":
                repeat |= _bounds(time, context)
    if unknown:
        context.warn(node, f"Not understood in the timing: {', '.join(unknown)}")
    return {"repeat": repeat}


def _times(node: Node) -> list[Node]:
    """effectiveTime elements, and the components of those that are expressions (SXPR_TS)."""
    times: list[Node] = []
    for time in node.findall("effectiveTime"):
        times += [time, *time.findall("comp")]
    return times


def _frequency(time: Node, unknown: list[str], context: Context) -> Element:
    """Once in every period; how often in words where the unit is none of UCUM's."""
    period = pq_to_quantity(time.find("period"), context)
    if period is None:
        return {}
    if (unit := period.get("unit", "")) not in _UNITS:
        unknown.append(f"{period['value']} {unit}")
        return {}
    return {"frequency": 1, "period": period["value"], "periodUnit": unit}


def _bounds(time: Node, context: Context) -> Element:
    width = pq_to_quantity(time.find("width"), context)
    period = ivl_ts_to_period(time, context)
    if period and "end" in period:
        return {"boundsPeriod": period}
    if width:
        return {"boundsDuration": width}
    return {"boundsPeriod": period} if period else {}
