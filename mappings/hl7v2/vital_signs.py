"""Vital signs as their FHIR profiles want them: category, time, units, and blood pressure in one Observation.

https://hl7.org/fhir/R4/observation-vitalsigns.html: the LOINC code alone makes an Observation a vital sign.
"""

import re
from decimal import Decimal
from typing import Final

from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import DATA_ABSENT, LOINC, UCUM, quantity
from mappings.hl7v2.segment import Segment
from mappings.hl7v2.tables import TERMINOLOGY

SYSTOLIC, DIASTOLIC = "8480-6", "8462-4"
PANEL: Final = "85354-9"

_CATEGORY: Final = {"coding": [{"system": f"{TERMINOLOGY}observation-category", "code": "vital-signs"}]}
_UNKNOWN: Final = {"coding": [{"system": f"{TERMINOLOGY}data-absent-reason", "code": "unknown"}]}

UNITS: Final = {
    "9279-1": ("/min",),
    "8867-4": ("/min",),
    "2708-6": ("%",),
    "8310-5": ("Cel", "[degF]"),
    "8302-2": ("cm", "[in_i]"),
    "9843-4": ("cm", "[in_i]"),
    "29463-7": ("kg", "g", "[lb_av]"),
    "39156-5": ("kg/m2",),
    SYSTOLIC: ("mm[Hg]",),
    DIASTOLIC: ("mm[Hg]",),
    "8478-0": ("mm[Hg]",),
    PANEL: ("mm[Hg]",),
    "85353-1": (),
}
"""LOINC code of a vital sign -> the UCUM units it may be in."""

_PAIRS: Final = (
    (SYSTOLIC, DIASTOLIC),
    ("8459-0", "8453-3"),  # sitting
    ("8460-8", "8454-1"),  # standing
    ("8461-6", "8455-8"),  # supine
    ("76534-7", "76535-4"),  # without a needle
)
_PARTNER: Final = {one: other for pair in _PAIRS for one, other in (pair, pair[::-1])}
_SYSTOLICS: Final = frozenset(systolic for systolic, _ in _PAIRS)

_GENERAL: Final = (
    dict.fromkeys(("59408-5", "20564-1"), "2708-6")
    | dict.fromkeys(("3141-9", "3142-7", "75292-3"), "29463-7")
    | dict.fromkeys(("8306-3", "8308-9"), "8302-2")
    | {"8287-5": "9843-4"}
    | dict.fromkeys(("8889-8", "8893-0"), "8867-4")
    | dict.fromkeys(("8328-7", "8329-5", "8331-1", "8332-9", "8333-7"), "8310-5")
    | dict.fromkeys(("35094-2", "55284-4"), PANEL)
    | {systolic: SYSTOLIC for systolic, _ in _PAIRS[1:]}
    | {diastolic: DIASTOLIC for _, diastolic in _PAIRS[1:]}
)
"""The code of a way of measuring -> that of the vital sign, which its profile wants beside it."""

_BOTH: Final = re.compile(r"([0-9]{2,3})\s*/\s*([0-9]{2,3})")

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
    loinc = (c.get("code", "") for c in codings if c.get("system") == LOINC)
    return next((code for code in loinc if code in UNITS or code in _GENERAL), "")


def is_pressure(code: str) -> bool:
    """Whether it is one of the two blood pressures."""
    return code in _PARTNER


def conform(code: str, observation: Element, obx: Segment, context: Context) -> Element:
    """The Observation with the category, time, code and units that the profile of ``code`` asks for."""
    made = {**observation, "category": [_CATEGORY, *observation.get("category", ())]}
    if code in _GENERAL and not is_pressure(code):
        made["code"] = _with_general(observation["code"], code)
    time = made.get("effectiveDateTime", "")
    if not time:  # a dateTime without a value would not be precise to the day (vs-1)
        made["effectivePeriod"] = {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}
    elif len(time) < len("2024-01-01"):  # the profile wants a day, or a period
        del made["effectiveDateTime"]
        made["effectivePeriod"] = {"start": time, "end": time}
    if "valueQuantity" in made:
        made["valueQuantity"] = _in_ucum(code, made["valueQuantity"], obx, context)
    elif _GENERAL.get(code, code) == PANEL and (both := _BOTH.fullmatch(made.get("valueString", ""))):
        del made["valueString"]
        made["component"] = [
            {"code": _code(part), "valueQuantity": _in_ucum(part, number, obx, context)}
            for part, text in ((SYSTOLIC, both[1]), (DIASTOLIC, both[2]))
            if (number := quantity(text, obx[6], context))
        ]
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
                position = 0 if code in _SYSTOLICS else 1
                panel["component"][position] = _component(code, observation)
                notes = [*panel.get("note", ()), *observation.get("note", ())]
                panel |= {"note": notes} if notes else {}
                self._open.remove(begun)
                return True
        return False

    def begin(self, code: str, observation: Element) -> None:
        """Turn the Observation of a pressure into one of both, in place."""
        missing = _PARTNER[code]
        absent = {"code": _with_general(_code(missing), missing), "dataAbsentReason": _UNKNOWN}
        components = [_component(code, observation), absent]
        for name in _OF_COMPONENT:
            observation.pop(name, None)
        observation["code"] = _code(PANEL)
        observation["component"] = components if code in _SYSTOLICS else components[::-1]
        self._open.append((missing, observation))


_OF_COMPONENT: Final = (
    *("valueQuantity", "valueString", "valueCodeableConcept", "dataAbsentReason"),
    *("interpretation", "referenceRange"),
)
_OF_ONE: Final = {"identifier", "code", "component", "note", "extension", *_OF_COMPONENT}
"""What of two pressures may differ though they are one measurement."""


def _component(code: str, observation: Element) -> Element:
    values: Element = {name: observation[name] for name in _OF_COMPONENT if name in observation}
    return {"code": _with_general(observation["code"], code), **values}


def _code(loinc: str) -> Element:
    return {"coding": [{"system": LOINC, "code": loinc}]}


def _with_general(concept: Element, code: str) -> Element:
    if code not in _GENERAL:
        return concept
    return {**concept, "coding": [*concept["coding"], {"system": LOINC, "code": _GENERAL[code]}]}


def _rest(observation: Element) -> Element:
    return {name: value for name, value in observation.items() if name not in _OF_ONE}


def _in_ucum(code: str, sent_as: Element, obx: Segment, context: Context) -> Element:
    sent = str(sent_as.get("code") or sent_as.get("unit", ""))
    allowed = UNITS[_GENERAL.get(code, code)]
    written = sent if sent in allowed else _UCUM_OF.get(" ".join(sent.lower().split()), "")
    if written in allowed:
        return {**sent_as, "unit": sent_as.get("unit", sent), "system": UCUM, "code": written}
    unit, places = _OTHER_SCALES.get(sent.lower(), ("", 0))
    if unit in allowed:
        text = f"In {sent}: kept in {unit}, as vital signs are"
        context.issue("information", "informational", text, obx[6].location)
        moved = Decimal(sent_as["value"]).scaleb(places)
        value = moved.quantize(Decimal(1)) if int(moved.as_tuple().exponent) > 0 else moved
        return {**sent_as, "value": value, "unit": unit, "system": UCUM, "code": unit}
    if allowed:
        context.issue("information", "value", "Not in a unit that this vital sign has", obx[6].location)
    return sent_as
