"""Vital signs and laboratory results of a synthetic person."""

import random
from collections.abc import Iterator
from decimal import Decimal

from benchmarks.codes import CBC, HL7, LOINC, UCUM, Element, concept
from benchmarks.identity import at, past, practitioner, subject
from benchmarks.people import HOSPITAL_OID, Person

_VITAL_SIGNS = concept(f"{HL7}/observation-category", "vital-signs", "Vital Signs")
_LABORATORY = concept(f"{HL7}/observation-category", "laboratory", "Laboratory")


def measures(person: Person) -> Iterator[Element]:
    """Weight, height and blood pressure of most; for some a blood report with its results."""
    chance = person.random("measures")
    if chance.random() < 0.7:
        yield from _vital_signs(person, chance)
    if chance.random() < 0.4:
        yield from blood_report(person, chance)


def blood_report(person: Person, chance: random.Random) -> Iterator[Element]:
    """Observations and then the DiagnosticReport that has them as results."""
    when = at(past(person, chance.randrange(700)), 8)
    about: Element = {"subject": subject(person), "effectiveDateTime": when}
    results = []
    for number, (code, name, unit, mean, deviation, low, high, digits) in enumerate(CBC):
        value = decimal(chance.gauss(mean, deviation), digits)
        flag = "L" if value < decimal(low, digits) else "H" if value > decimal(high, digits) else "N"
        reference: Element = {
            "low": _quantity(decimal(low, digits), unit),
            "high": _quantity(decimal(high, digits), unit),
        }
        results.append({"reference": f"Observation/{person.id}-lab{number}"})
        yield {
            "resourceType": "Observation",
            "id": f"{person.id}-lab{number}",
            "status": "final",
            "category": [_LABORATORY],
            "code": concept(LOINC, code, text=name),
            **about,
            "valueQuantity": _quantity(value, unit),
            "interpretation": [concept(f"{HL7}/v3-ObservationInterpretation", flag)],
            "referenceRange": [reference],
        }
    yield {
        "resourceType": "DiagnosticReport",
        "id": f"{person.id}-rep0",
        "identifier": [{"system": f"urn:oid:{HOSPITAL_OID}.2", "value": f"B{person.ipp}"}],
        "status": "final",
        "category": [concept(f"{HL7}/v2-0074", "HM", "Hematology")],
        "code": concept(LOINC, "58410-2", text="Hémogramme"),
        **about,
        "performer": [practitioner(person)],
        "result": results,
    }


def decimal(value: float, digits: int) -> Decimal:
    """The number with exactly so many digits after the point: 4.50 is not 4.5."""
    return Decimal(f"{value:.{digits}f}")


def _vital_signs(person: Person, chance: random.Random) -> Iterator[Element]:
    grown = min(1.0, (person.age + 4) / 22)
    height = chance.gauss(176 if person.sex == "male" else 163, 7) * (0.28 + 0.72 * grown)
    weight = chance.gauss(24.5, 3) * (height / 100) ** 2
    systolic = chance.gauss(100 + person.age * 0.4, 9)
    when = at(past(person, chance.randrange(900)), 10)
    about: Element = {"category": [_VITAL_SIGNS], "subject": subject(person), "effectiveDateTime": when}
    signs: dict[str, tuple[str, Element]] = {
        "8302-2": ("Taille", {"valueQuantity": _quantity(decimal(height, 0), "cm")}),
        "29463-7": ("Poids", {"valueQuantity": _quantity(decimal(weight, 1), "kg")}),
        "85354-9": (
            "Pression artérielle",
            {
                "component": [
                    _component("8480-6", "Systolique", decimal(systolic, 0), "mm[Hg]"),
                    _component("8462-4", "Diastolique", decimal(systolic * 0.62, 0), "mm[Hg]"),
                ]
            },
        ),
    }
    for number, (code, (name, value)) in enumerate(signs.items()):
        yield {
            "resourceType": "Observation",
            "id": f"{person.id}-vit{number}",
            "status": "final",
            "code": concept(LOINC, code, text=name),
            **about,
            **value,
        }


def _component(code: str, name: str, value: Decimal, unit: str) -> Element:
    return {"code": concept(LOINC, code, text=name), "valueQuantity": _quantity(value, unit)}


def _quantity(value: Decimal, unit: str) -> Element:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}
