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


def test_a_unit_belongs_to_its_own_number(finds: Finds) -> None:
    quantities = ({"value": 5, "code": "mg", "system": UCUM}, {"value": 7, "code": "g", "system": UCUM})
    resource = {"resourceType": "Observation", "component": [{"valueQuantity": q} for q in quantities]}
    assert finds(resource, f"component-value-quantity=5|{UCUM}|mg")
    assert finds(resource, f"component-value-quantity=gt6|{UCUM}|g")
    assert not finds(resource, f"component-value-quantity=gt6|{UCUM}|mg")


def test_money_has_the_system_of_currencies(finds: Finds) -> None:
    resource = {"resourceType": "Invoice", "totalNet": {"value": Decimal("25.00"), "currency": "EUR"}}
    assert finds(resource, "totalnet=25|urn:iso:std:iso:4217|EUR")
    assert finds(resource, "totalnet=25||EUR")
    assert not finds(resource, "totalnet=25||USD")


@pytest.mark.parametrize("asked", ["5|mg", f"5|{UCUM}|", f"5|{UCUM}|mg|x", "mg", "|||"])
def test_refused(finds: Finds, asked: str) -> None:
    with pytest.raises(BadRequest, match=re.escape("value-quantity: ")):
        finds({"resourceType": "Observation"}, f"value-quantity={asked}")
