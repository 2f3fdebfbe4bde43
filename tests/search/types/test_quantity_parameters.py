import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhirserver.errors import BadRequest

Finds = Callable[[dict[str, Any], str], bool]

UCUM = "http://unitsofmeasure.org"
MILLIGRAMS = {"value": Decimal("5.40"), "unit": "milligrammes", "system": UCUM, "code": "mg"}


@pytest.mark.parametrize(
    ("quantity", "asked", "found"),
    [
        (MILLIGRAMS, f"5.4|{UCUM}|mg", True),
        (MILLIGRAMS, f"5.4|{UCUM}|g", False),
        (MILLIGRAMS, "5.4|http://other|mg", False),
        (MILLIGRAMS, "5.4||mg", True),
        (MILLIGRAMS, "5.4||milligrammes", True),
        (MILLIGRAMS, "5.4||g", False),
        (MILLIGRAMS, "5.4", True),
        (MILLIGRAMS, "5.4||", True),
        (MILLIGRAMS, "5.3", False),
        (MILLIGRAMS, f"le5.4|{UCUM}|mg", True),
        (MILLIGRAMS, f"lt5.4|{UCUM}|mg", False),
        (MILLIGRAMS, f"ap5.6|{UCUM}|mg", True),
        (MILLIGRAMS, f"ap8|{UCUM}|mg", False),
        (MILLIGRAMS, f"gt5|{UCUM}|g", False),
        (MILLIGRAMS, f"0.0054|{UCUM}|g", True),
        (MILLIGRAMS, "ne5.4||mg", False),
        (MILLIGRAMS, "ne6||mg", True),
        (MILLIGRAMS, "ne6||g", False),
        (MILLIGRAMS, "5.3,5.4", True),
        ({"value": 5, "unit": "kg/m2"}, "5||kg/m2", True),
        ({"value": 5}, "5||kg", False),
        ({"value": 5}, "5", True),
        # A comparator says that the value is somewhere beyond.
        ({"value": 5, "comparator": "<"}, "lt0", True),
        ({"value": 5, "comparator": "<"}, "gt5", False),
        ({"value": 5, "comparator": "<"}, "5", False),
        ({"value": 5, "comparator": ">="}, "gt1000", True),
        ({"value": 5, "comparator": ">="}, "eb4", False),
        ({"unit": "kg"}, "ne5", False),
    ],
)
def test_quantity(finds: Finds, quantity: dict[str, Any], asked: str, found: bool) -> None:
    resource = {"resourceType": "Observation", "valueQuantity": quantity}
    assert finds(resource, f"value-quantity={asked}") is found
    assert finds(resource, f"combo-value-quantity={asked}") is found


@pytest.mark.parametrize(
    ("value", "code", "asked", "found"),
    [
        ("58", "g", "0.058|kg", True),
        ("58", "g", "0.058|mg", False),
        # What is asked is as exact as its digits: 0.058 kg is [57.5, 58.5) g, 0.06 kg [55, 65) g.
        ("57.5", "g", "0.058|kg", True),
        ("58.5", "g", "0.058|kg", False),
        ("58.49", "g", "0.058|kg", True),
        ("64.9", "g", "0.06|kg", True),
        ("57.9", "g", "0.0580|kg", False),
        ("58", "g", "gt0.0579|kg", True),
        ("58", "g", "lt0.058|kg", False),
        ("58", "g", "ge0.058|kg", True),
        ("58", "g", "ap0.06|kg", True),
        ("58", "g", "ne0.058|kg", False),
        ("58", "g", "ne0.058|L", False),
        ("5.5", "mmol/L", "5.5|mmol/L", True),
        ("5.5", "mmol/L", "5500|umol/L", True),
        ("99", "mg/dL", "0.99|g/L", True),
        ("4.5", "10*12/L", "4.5|10*6/uL", True),
        ("4.5", "10*12/L", "4500000|/uL", True),
        ("37", "Cel", "98.6|[degF]", True),
        ("36", "Cel", "98.6|[degF]", False),
        ("72", "/min", "1.2|Hz", True),
        ("72", "{beats}/min", "72|/min", True),
        ("180", "cm", "1.8|m", True),
        ("100", "[IU]/L", "100|[iU]/L", True),
        ("100", "[IU]/L", "100|U/L", False),
        # What is not UCUM is compared as it is written.
        ("3", "Stück", "3|Stück", True),
        ("3", "Stück", "3|stück", False),
    ],
)
def test_ucum_units_are_compared_in_base_units(
    finds: Finds, value: str, code: str, asked: str, found: bool
) -> None:
    quantity = {"value": Decimal(value), "system": UCUM, "code": code}
    number, unit = asked.split("|")
    for resource, parameter in (
        ({"resourceType": "Observation", "valueQuantity": quantity}, "value-quantity="),
        (
            {"resourceType": "Observation", "component": [{"valueQuantity": quantity}]},
            "combo-value-quantity=",
        ),
        (
            {
                "resourceType": "Observation",
                "code": {"coding": [{"code": "x"}]},
                "valueQuantity": quantity,
            },
            "code-value-quantity=x$",
        ),
    ):
        assert finds(resource, f"{parameter}{number}|{UCUM}|{unit}") is found


def test_a_unit_belongs_to_its_own_number(finds: Finds) -> None:
    quantities = ({"value": 5, "code": "mg", "system": UCUM}, {"value": 7, "code": "g", "system": UCUM})
    resource = {"resourceType": "Observation", "component": [{"valueQuantity": q} for q in quantities]}
    assert finds(resource, f"component-value-quantity=5|{UCUM}|mg")
    assert finds(resource, f"component-value-quantity=gt6|{UCUM}|g")
    assert finds(resource, f"component-value-quantity=gt6|{UCUM}|mg")
    assert not finds(resource, f"component-value-quantity=6|{UCUM}|mg")
    assert not finds(resource, f"component-value-quantity=gt8|{UCUM}|g")
    assert not finds(resource, f"component-value-quantity=gt1|{UCUM}|L")


def test_money_has_the_system_of_currencies(finds: Finds) -> None:
    resource = {"resourceType": "Invoice", "totalNet": {"value": Decimal("25.00"), "currency": "EUR"}}
    assert finds(resource, "totalnet=25|urn:iso:std:iso:4217|EUR")
    assert finds(resource, "totalnet=25||EUR")
    assert not finds(resource, "totalnet=25||USD")


@pytest.mark.parametrize("asked", ["5|mg", f"5|{UCUM}|", f"5|{UCUM}|mg|x", "mg", "|||"])
def test_refused(finds: Finds, asked: str) -> None:
    with pytest.raises(BadRequest, match=re.escape("value-quantity: ")):
        finds({"resourceType": "Observation"}, f"value-quantity={asked}")
