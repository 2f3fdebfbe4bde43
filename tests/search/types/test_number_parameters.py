import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.errors import BadRequest
from fhirserver.search.types.number import HIGHEST, LOWEST, sortable

Finds = Callable[[dict[str, Any], str], bool]


def risk(**probability: Any) -> dict[str, Any]:
    return {"resourceType": "RiskAssessment", "prediction": [probability]}


@pytest.mark.parametrize(
    ("value", "asked", "found"),
    [
        # The table of search.html#number: half a unit of the last digit on either side.
        ("100", "100", True),
        ("99.5", "100", True),
        ("99.49", "100", False),
        ("100.499", "100", True),
        ("100.5", "100", False),
        ("99.995", "100.00", True),
        ("99.99", "100.00", False),
        ("100.005", "100.00", False),
        ("60", "1e2", True),
        ("149", "1e2", True),
        ("150", "1e2", False),
        ("99.6", "1.00e2", True),
        ("99.4", "1.00e2", False),
        ("100", "eq100", True),
        ("100", "ne100", False),
        ("100.4", "ne100", False),
        ("100.5", "ne100", True),
        ("99", "ne100", True),
        ("99.99999", "lt100", True),
        ("100", "lt100", False),
        ("100", "le100", True),
        ("100.0001", "le100", False),
        ("100", "gt100", False),
        ("100.0001", "gt100", True),
        ("100", "ge100", True),
        ("99.9999", "ge100", False),
        ("100.0001", "sa100", True),
        ("100", "sa100", False),
        ("99.9999", "eb100", True),
        ("100", "eb100", False),
        ("91", "ap100", True),
        ("89", "ap100", False),
        ("110", "ap100", True),
        ("-5", "-5", True),
        ("-5", "lt0", True),
        ("-5.4", "gt-5.5", True),
        ("-5.4", "gt-5.4", False),
        ("-95", "ap-100", True),
        ("0", "0", True),
        ("0.4", "0", True),
        ("-0.5", "0", True),
        ("0.5", "0", False),
        ("0.0054", "5.40e-3", True),
        ("5.4", "5.40", True),
        ("5.40", "5.4", True),
        ("1e2", "100", True),
        ("100", "1,100", True),
    ],
)
def test_number(finds: Finds, value: str, asked: str, found: bool) -> None:
    assert finds(risk(probabilityDecimal=Decimal(value)), f"probability={asked}") is found


@pytest.mark.parametrize(
    ("low", "high", "asked", "found"),
    [
        ("10", "20", "15", False),
        ("14.6", "15.4", "15", True),
        ("10", "20", "ne15", True),
        ("10", "20", "gt15", True),
        ("10", "20", "lt15", True),
        ("10", "20", "gt20", False),
        ("10", "20", "ge20", True),
        ("10", "20", "sa9", True),
        ("10", "20", "sa10", False),
        ("10", "20", "eb21", True),
        ("10", "20", "eb20", False),
        ("10", "20", "ap15", True),
        ("10", "20", "ap25", False),
        (None, "20", "lt-1000", True),
        ("10", None, "gt1000", True),
        ("10", None, "eb1000", False),
    ],
)
def test_a_range_is_compared_by_its_bounds(
    finds: Finds, low: str | None, high: str | None, asked: str, found: bool
) -> None:
    bounds = {name: {"value": Decimal(v)} for name, v in (("low", low), ("high", high)) if v is not None}
    assert finds(risk(probabilityRange=bounds), f"probability={asked}") is found


@given(st.decimals(allow_nan=False, allow_infinity=False), st.decimals(allow_nan=False, allow_infinity=False))
def test_text_sorts_as_numbers_do(one: Decimal, other: Decimal) -> None:
    a, b = sortable(one), sortable(other)
    assert LOWEST < a < HIGHEST
    if one == other:
        assert a == b
    elif max(len(n.as_tuple().digits) for n in (one, other)) <= 40 and all(
        abs(n.adjusted()) < 9999 for n in (one, other)
    ):
        assert (a < b) is (one < other)


@pytest.mark.parametrize(
    "asked", ["cent", "1,x", "0x10", "1_000", "NaN", "Infinity", "gt", "1 000", "１", "1e9999", "1" * 200]
)
def test_what_is_no_number_is_refused(finds: Finds, asked: str) -> None:
    with pytest.raises(BadRequest, match=re.escape("probability")):
        finds(risk(), f"probability={asked}")
