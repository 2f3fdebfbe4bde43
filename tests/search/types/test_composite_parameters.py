import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhirserver.errors import BadRequest

Finds = Callable[[dict[str, Any], str], bool]

LOINC = "http://loinc.org"


def concept(code: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code}]}


PRESSURE = {
    "resourceType": "Observation",
    "code": concept("85354-9"),
    "component": [
        {"code": concept("8480-6"), "valueQuantity": {"value": 140, "unit": "mmHg"}},
        {"code": concept("8462-4"), "valueQuantity": {"value": Decimal("55.0"), "unit": "mmHg"}},
    ],
}
RESULTS: dict[str, dict[str, Any]] = {
    "quantity": {
        "valueQuantity": {"value": Decimal("5.4"), "system": "http://unitsofmeasure.org", "code": "mmol/L"}
    },
    "concept": {"valueCodeableConcept": concept("POS")},
    "date": {"valueDateTime": "2013-01-14"},
    "string": {"valueString": "Très Positif"},
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (f"component-code-value-quantity={LOINC}|8480-6$gt130", True),
        ("component-code-value-quantity=8480-6$140||mmHg", True),
        ("component-code-value-quantity=8480-6$140||kPa", False),
        # Both have to be of the same component.
        ("component-code-value-quantity=8480-6$lt60", False),
        ("component-code-value-quantity=8462-4$lt60", True),
        ("component-code-value-quantity=8480-6$lt60,8462-4$55", True),
        ("combo-code-value-quantity=8480-6$140", True),
        ("combo-code-value-quantity=85354-9$140", False),
        ("code-value-quantity=85354-9$140", False),
    ],
)
def test_components(finds: Finds, asked: str, found: bool) -> None:
    assert finds(PRESSURE, asked) is found


@pytest.mark.parametrize(
    ("value", "asked", "found"),
    [
        ("quantity", f"code-value-quantity={LOINC}|2823-3$gt5.3|http://unitsofmeasure.org|mmol/L", True),
        ("quantity", f"code-value-quantity={LOINC}|2823-3$gt5.4|http://unitsofmeasure.org|mmol/L", False),
        ("quantity", "code-value-quantity=2823-3$5.4", True),
        ("quantity", "code-value-quantity=|2823-3$5.4", False),
        ("quantity", "code-value-quantity=1-1$5.4", False),
        ("concept", "code-value-concept=2823-3$POS", True),
        ("concept", f"code-value-concept=2823-3${LOINC}|POS", True),
        ("concept", "code-value-concept=2823-3$NEG", False),
        ("date", "code-value-date=2823-3$2013", True),
        ("date", "code-value-date=2823-3$gt2013", False),
        ("string", "code-value-string=2823-3$tres", True),
        ("string", "code-value-string=2823-3$positif", True),
        ("string", "code-value-string=2823-3$negatif", False),
    ],
)
def test_a_code_and_its_value(finds: Finds, value: str, asked: str, found: bool) -> None:
    resource = {"resourceType": "Observation", "code": concept("2823-3"), **RESULTS[value]}
    assert finds(resource, asked) is found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("relationship=replaces$DocumentReference/old", True),
        ("relationship=replaces$old", True),
        ("relationship=appends$DocumentReference/old", False),
        ("relationship=appends$DocumentReference/other", True),
        ("relationship=appends$DocumentReference/old,replaces$DocumentReference/old", True),
        ("relationship=http://hl7.org/fhir/document-relationship-type|replaces$old", True),
        ("relationship=http://x|replaces$old", False),
    ],
)
def test_a_code_and_its_reference(finds: Finds, asked: str, found: bool) -> None:
    relations = (("replaces", "old"), ("appends", "other"))
    resource = {
        "resourceType": "DocumentReference",
        "relatesTo": [{"code": c, "target": {"reference": f"DocumentReference/{id}"}} for c, id in relations],
    }
    assert finds(resource, asked) is found


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("code-value-quantity=2823-3", "is not the code$value-quantity"),
        ("code-value-quantity=2823-3$", "is not the code$value-quantity"),
        ("code-value-quantity=a$1$2", "is not the code$value-quantity"),
        ("code-value-quantity=2823-3$x", "unknown prefix"),
        (f"code-value-concept={LOINC}|$POS", "does not name one code"),
        ("code-value-quantity:missing=true", "it has none"),
    ],
)
def test_refused(finds: Finds, asked: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)):
        finds(PRESSURE, asked)


SEQUENCE = {
    "resourceType": "MolecularSequence",
    "referenceSeq": {"chromosome": concept("7"), "windowStart": 50, "windowEnd": 200},
    "variant": [{"start": 100, "end": 120}, {"start": 300, "end": 310}],
}


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("chromosome-window-coordinate=7$50$200", True),
        ("chromosome-window-coordinate=7$le60$ge150", True),
        ("chromosome-window-coordinate=7$gt50$200", False),
        ("chromosome-window-coordinate=8$50$200", False),
        ("chromosome-window-coordinate=7$ne50$200", False),
        ("chromosome-window-coordinate=7$ne51$ne1", True),
        # The chromosome is the sequence's, start and end are of the same variant.
        ("chromosome-variant-coordinate=7$100$120", True),
        ("chromosome-variant-coordinate=7$100$310", False),
        ("chromosome-variant-coordinate=7$gt100$lt400", True),
        (f"chromosome-variant-coordinate={LOINC}|7$300$310,8$1$2", True),
    ],
)
def test_three_parts(finds: Finds, asked: str, found: bool) -> None:
    assert finds(SEQUENCE, asked) is found


def test_three_parts_are_needed(finds: Finds) -> None:
    with pytest.raises(BadRequest, match=r"chromosome\$window-start\$window-end that"):
        finds(SEQUENCE, "chromosome-window-coordinate=7$50")
