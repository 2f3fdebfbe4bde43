"""Vital signs as their FHIR profiles want them: category, time, units, and blood pressure in one Observation.

https://hl7.org/fhir/R4/observation-vitalsigns.html: the LOINC code alone makes an Observation a vital sign.
"""

from decimal import Decimal
from typing import Final

from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import DATA_ABSENT, LOINC, UCUM
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.tables import TERMINOLOGY

SYSTOLIC, DIASTOLIC = "8480-6", "8462-4"
PANEL: Final = "85354-9"
SATURATION: Final = "2708-6"
"""What the profile of oxygen saturation wants beside the code for the way of measuring it."""

_CATEGORY: Final = {"coding": [{"system": f"{TERMINOLOGY}observation-category", "code": "vital-signs"}]}
_UNKNOWN: Final = {"coding": [{"system": f"{TERMINOLOGY}data-absent-reason", "code": "unknown"}]}

_LENGTH: Final = ("cm", "[in_i]")
_WEIGHT: Final = ("kg", "g", "[lb_av]")
UNITS: Final = {
    "9279-1": ("/min",),
    "8867-4": ("/min",),
    SATURATION: ("%",),
    "59408-5": ("%",),
    "8310-5": ("Cel", "[degF]"),
    "8302-2": _LENGTH,
    "8306-3": _LENGTH,
    "9843-4": _LENGTH,
    "8287-5": _LENGTH,
    "29463-7": _WEIGHT,
    "3141-9": _WEIGHT,
    "39156-5": ("kg/m2",),
    SYSTOLIC: ("mm[Hg]",),
    DIASTOLIC: ("mm[Hg]",),
    "8478-0": ("mm[Hg]",),
    PANEL: (),
    "85353-1": (),
}
"""LOINC code of a vital sign -> the UCUM units it may be in."""

_WRITTEN: Final = {
    "/min": ("1/min", "bpm", "b/min", "beats/min", "{beats}/min", "beats/minute", "batt/min", "bat/min",
             "/mn", "min-1", "rpm", "resp/min", "breaths/min", "{breaths}/min", "br/min", "mvt/min", "c/min"),
    "%": ("percent", "%{hemoglobinsaturation}", "%{hemoglobin}", "% spo2"),
    "Cel": ("c", "°c", "degc", "deg c", "celsius", "deg_c"),
    "[degF]": ("f", "°f", "degf", "deg f", "fahrenheit"),
    "[in_i]": ("in", "inch", "inches", "[in_us]", "[in_br]"),
    "kg": ("kgs", "kilogram", "kilograms", "kilogramme"),
    "g": ("gr", "gram", "grams", "gramme"),
    "[lb_av]": ("lb", "lbs", "pound", "pounds"),
    "kg/m2": ("kg/m²", "kg/m^2", "kg/m**2", "kg/(m2)", "kg/m*2"),
    "mm[Hg]": ("mmhg", "mm hg", "mm(hg)", "mm/hg"),
}  # fmt: skip
_UCUM_OF: Final = {name: code for code, names in _WRITTEN.items() for name in (code.lower(), *names)} | {
    "cm": "cm"
}
_OTHER_SCALES: Final = {"m": ("cm", 2), "mm": ("cm", -1)}
"""Unit -> the profile's, and how many places the decimal point moves."""


def vital_sign_of(observation: Element) -> str:
    """The LOINC code that makes an Observation a vital sign; empty when it is none."""
    codings = observation["code"].get("coding", ())
    return next((c["code"] for c in codings if c.get("system") == LOINC and c.get("code") in UNITS), "")


def conform(code: str, observation: Element, obx: Segment, context: Context) -> Element:
    """The Observation with the category, time, code and units that the profile of ``code`` asks for."""
    made = {**observation, "category": [_CATEGORY, *observation.get("category", ())]}
    if code == "59408-5":
        codings = observation["code"]["coding"]
        made["code"] = {**observation["code"], "coding": [*codings, {"system": LOINC, "code": SATURATION}]}
    if "effectiveDateTime" not in made:
        made["_effectiveDateTime"] = {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}
    if "valueQuantity" in made:
        made["valueQuantity"] = _in_ucum(code, made["valueQuantity"], obx, context)
    return made


class BloodPressures:
    """Makes of each systolic and diastolic pressure of one time one Observation with two components.

    A pressure whose other one is not sent has it as unknown.
    """

    def __init__(self) -> None:
        self._open: list[tuple[str, Element]] = []

    def complete(self, code: str, observation: Element) -> bool:
        """Put a pressure into the Observation begun with its other one; False when there is none."""
        for begun in self._open:
            missing, panel = begun
            if missing == code and _rest(panel) == _rest(observation):
                position = (SYSTOLIC, DIASTOLIC).index(code)
                panel["component"][position] = _component(observation)
                notes = [*panel.get("note", ()), *observation.get("note", ())]
                panel |= {"note": notes} if notes else {}
                self._open.remove(begun)
                return True
        return False

    def begin(self, code: str, observation: Element) -> None:
        """Turn the Observation of a pressure into one of both, in place."""
        missing = DIASTOLIC if code == SYSTOLIC else SYSTOLIC
        absent = {"code": {"coding": [{"system": LOINC, "code": missing}]}, "dataAbsentReason": _UNKNOWN}
        components = [_component(observation), absent]
        for name in _OF_COMPONENT:
            observation.pop(name, None)
        observation["code"] = {"coding": [{"system": LOINC, "code": PANEL}]}
        observation["component"] = components if code == SYSTOLIC else components[::-1]
        self._open.append((missing, observation))


_OF_COMPONENT: Final = (
    *("valueQuantity", "valueString", "valueCodeableConcept", "dataAbsentReason"),
    *("interpretation", "referenceRange"),
)
_OF_ONE: Final = {"identifier", "code", "component", "note", "extension", *_OF_COMPONENT}
"""What of two pressures may differ though they are one measurement."""


def _component(observation: Element) -> Element:
    return {name: observation[name] for name in ("code", *_OF_COMPONENT) if name in observation}


def _rest(observation: Element) -> Element:
    return {name: value for name, value in observation.items() if name not in _OF_ONE}


def _in_ucum(code: str, quantity: Element, obx: Segment, context: Context) -> Element:
    sent = str(quantity.get("code") or quantity.get("unit", ""))
    allowed = UNITS[code]
    written = sent if sent in allowed else _UCUM_OF.get(" ".join(sent.lower().split()), "")
    if written in allowed:
        return {**quantity, "unit": quantity.get("unit", sent), "system": UCUM, "code": written}
    unit, places = _OTHER_SCALES.get(sent.lower(), ("", 0))
    if unit in allowed:
        text = f"In {sent}: kept in {unit}, as vital signs are"
        context.issue("information", "informational", text, obx[6].location)
        moved = Decimal(quantity["value"]).scaleb(places)
        value = moved.quantize(Decimal(1)) if int(moved.as_tuple().exponent) > 0 else moved
        return {**quantity, "value": value, "unit": unit, "system": UCUM, "code": unit}
    if allowed:
        context.issue("information", "value", "Not in a unit that this vital sign has", obx[6].location)
    return quantity
