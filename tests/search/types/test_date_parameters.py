"""The table of prefixes in https://hl7.org/fhir/R4/search.html#date, and zones, periods and timings."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from fhirserver.errors import BadRequest

Finds = Callable[[dict[str, Any], str], bool]


def observation(effective: str | dict[str, Any]) -> dict[str, Any]:
    """An Observation with effectiveDateTime, effectivePeriod or effectiveTiming."""
    if isinstance(effective, str):
        return {"resourceType": "Observation", "effectiveDateTime": effective}
    name = "effectivePeriod" if effective.keys() <= {"start", "end"} else "effectiveTiming"
    return {"resourceType": "Observation", name: effective}


FROM_15_MARCH = {"start": "2013-03-15"}
FROM_21_JANUARY = {"start": "2013-01-21"}
TO_21_JANUARY = {"end": "2013-01-21"}
OVER_14_MARCH = {"start": "2013-03-10", "end": "2013-03-20"}


@pytest.mark.parametrize(
    ("effective", "asked", "found"),
    [
        # The examples of the specification.
        ("2013-01-14T00:00:00+01:00", "date=eq2013-01-14", True),
        ("2013-01-14T10:00:00+01:00", "date=eq2013-01-14", True),
        ("2013-01-15T00:00:00+01:00", "date=eq2013-01-14", False),
        ("2013-01-15T00:00:00+01:00", "date=ne2013-01-14", True),
        ("2013-01-14T00:00:00+01:00", "date=ne2013-01-14", False),
        ("2013-01-14T10:00:00+01:00", "date=ne2013-01-14", False),
        ("2013-01-14", "date=lt2013-01-14T10:00", True),
        ("2013-01-14", "date=gt2013-01-14T10:00", True),
        (FROM_21_JANUARY, "date=ge2013-03-14", True),
        (FROM_21_JANUARY, "date=le2013-03-14", True),
        (FROM_15_MARCH, "date=sa2013-03-14", True),
        (FROM_21_JANUARY, "date=sa2013-03-14", False),
        (TO_21_JANUARY, "date=sa2013-03-14", False),
        (FROM_15_MARCH, "date=eb2013-03-14", False),
        (FROM_21_JANUARY, "date=eb2013-03-14", False),
        (TO_21_JANUARY, "date=eb2013-03-14", True),
        ("2013-03-14", "date=ap2013-03-14", True),
        # Precision: a year contains its days, not the other way round.
        ("2013-01-14", "date=2013", True),
        ("2013-01-14", "date=2013-01", True),
        ("2013-01-14", "date=2013-01-14", True),
        ("2013", "date=2013", True),
        ("2013", "date=2013-01", False),
        ("2013-01", "date=2013-01-14", False),
        ("2013-01-14", "date=2013-01-14T00:00", False),
        ("2013", "date=ne2013-01", True),
        ("2013-01-14T10:00:30Z", "date=2013-01-14T10:00Z", True),
        ("2013-01-14T10:00:00.123Z", "date=2013-01-14T10:00:00Z", True),
        ("2013-01-14T10:00:00.123456789Z", "date=2013-01-14T10:00:00.123Z", True),
        ("2013-01-14T10:00:00Z", "date=2013-01-14T10:00:00.000Z", False),
        # gt and lt are about reaching beyond the searched value, ge and le may lie in it as well.
        ("2013-01-14", "date=gt2013-01-14", False),
        ("2013-01-14", "date=gt2013-01-13", True),
        ("2013-01", "date=gt2013-01-14", True),
        ("2013-01-14", "date=gt2013-01", False),
        ("2013-01-14", "date=lt2013-01-14", False),
        ("2013-01-14", "date=lt2013-01-15", True),
        ("2013-01", "date=lt2013-01-14", True),
        ("2013-01-14", "date=ge2013-01-14", True),
        ("2013-01-14", "date=ge2013-01-15", False),
        ("2013-01-14", "date=ge2013", True),
        ("2013-01-14", "date=le2013-01-14", True),
        ("2013-01-14", "date=le2013-01-13", False),
        ("2013-01-14", "date=le2013", True),
        ("2013-01-14", "date=sa2013-01-13", True),
        ("2013-01-14", "date=sa2013-01-14", False),
        ("2013-01-14", "date=eb2013-01-15", True),
        ("2013-01-14", "date=eb2013-01-14", False),
        # Periods that reach over the searched value.
        (OVER_14_MARCH, "date=eq2013-03-14", False),
        (OVER_14_MARCH, "date=ne2013-03-14", True),
        (OVER_14_MARCH, "date=gt2013-03-14", True),
        (OVER_14_MARCH, "date=lt2013-03-14", True),
        (OVER_14_MARCH, "date=ge2013-03-14", True),
        (OVER_14_MARCH, "date=le2013-03-14", True),
        (OVER_14_MARCH, "date=sa2013-03-14", False),
        (OVER_14_MARCH, "date=eb2013-03-14", False),
        (OVER_14_MARCH, "date=ap2013-03-14", True),
        (OVER_14_MARCH, "date=2013-03", True),
        (FROM_21_JANUARY, "date=2013", False),
        (FROM_21_JANUARY, "date=gt2999", True),
        (FROM_21_JANUARY, "date=lt2013-01-21", False),
        (TO_21_JANUARY, "date=lt1900", True),
        (TO_21_JANUARY, "date=gt2013-01-21", False),
        (TO_21_JANUARY, "date=ge2013-01-21", True),
        # Zones: those that are written count; what has none is in Paris, on both sides.
        ("2013-01-14T23:30:00-05:00", "date=2013-01-15", True),
        ("2013-01-14T23:30:00-05:00", "date=2013-01-14", False),
        ("2013-01-14T23:30:00Z", "date=2013-01-15", True),
        ("2013-07-14T22:30:00Z", "date=2013-07-15", True),
        ("2013-07-14T21:30:00Z", "date=2013-07-15", False),
        ("2013-01-14T10:00:00Z", "date=2013-01-14T11:00:00", True),
        ("2013-01-14T10:00:00Z", "date=2013-01-14T11:00:00+01:00", True),
        ("2013-01-14T10:00:00Z", "date=2013-01-14T10:00:00", False),
        # A Timing is what lies between its outer limits.
        ({"event": ["2013-01-31", "2013-03-24"]}, "date=2013", True),
        ({"event": ["2013-01-31", "2013-03-24"]}, "date=gt2013-02-01", True),
        ({"event": ["2013-01-31", "2013-03-24"]}, "date=2013-01-31", False),
        ({"repeat": {"boundsPeriod": {"start": "2013-01-31"}}}, "date=sa2013-01-30", True),
        ({"repeat": {"frequency": 2}}, "date:missing=true", True),
        # Or, and, presence.
        ("2013-01-14", "date=2012,2013", True),
        ("2013-01-14", "date=2011,2012", False),
        ("2013-01-14", "date=ge2013&date=lt2014", True),
        ("2013-01-14", "date=ge2013&date=lt2013", False),
        ("2013-01-14", "date:missing=false", True),
        ("2013-01-14", "value-date:missing=true", True),
        ("2013-01-14", "value-date=ne2000", False),
    ],
)
def test_date(finds: Finds, effective: str | dict[str, Any], asked: str, found: bool) -> None:
    assert finds(observation(effective), asked) is found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        # Each bound may be met by another value, both bounds of eq only by the same.
        ("date=2013", True),
        ("date=2014", False),
        ("date=2015", True),
        ("date=2013,2014", True),
        ("date=gt2014&date=lt2014", True),
        ("date=2013&date=2015", True),
    ],
)
def test_of_several_values_one_must_meet_it(finds: Finds, asked: str, found: bool) -> None:
    stays = [("2013-05", "2013-06"), ("2015", "2015")]
    resource = {
        "resourceType": "Encounter",
        "location": [{"period": {"start": start, "end": end}} for start, end in stays],
    }
    assert finds(resource, asked.replace("date=", "location-period=")) is found


@pytest.mark.parametrize(("days", "found"), [(0, True), (-95, True), (-120, False), (95, True), (120, False)])
def test_approximately_is_a_tenth_of_the_time_until_now(finds: Finds, days: int, found: bool) -> None:
    asked = date.today() - timedelta(days=1000)
    assert finds(observation(str(asked + timedelta(days=days))), f"date=ap{asked}") is found


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("date=14/01/2013", "is not a date"),
        ("date=2013-02-30", "does not exist"),
        ("date=2013-01-14T10", "is not a date"),
        ("date=23 May 2009", "is not a date"),
        ("date=2013-01-14T10:00:00 01:00", "%2B"),
        ("date=>2013", "is not a date"),
        ("date=xx2013", "unknown prefix 'xx'"),
        ("date=ge", "is not a date"),
        ("date:exact=2013", "known are :missing"),
    ],
)
def test_refused(finds: Finds, asked: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)):
        finds(observation("2013"), asked)
