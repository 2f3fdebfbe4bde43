from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirserver.model.temporal import MAX, MIN, NotTemporal, bound, interval, microseconds, period, timing

PARIS = ZoneInfo("Europe/Paris")


def filled(text: str) -> str:
    return text + "2000-01-01T00:00:00.000000"[len(text) :] if text not in (MIN, MAX) else text


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        # Dates are in the zone of the server: Paris is UTC+1 in winter, UTC+2 in summer.
        ("2013", "2012-12-31T23", "2013-12-31T23"),
        ("2013-02", "2013-01-31T23", "2013-02-28T23"),
        ("2012-02", "2012-01-31T23", "2012-02-29T23"),
        ("2013-12", "2013-11-30T23", "2013-12-31T23"),
        ("2013-01-14", "2013-01-13T23", "2013-01-14T23"),
        ("2013-07-14", "2013-07-13T22", "2013-07-14T22"),
        ("2024-03-31", "2024-03-30T23", "2024-03-31T22"),  # 23 hours long
        ("2024-10-27", "2024-10-26T22", "2024-10-27T23"),  # 25 hours long
        ("1900-01-01", "1899-12-31T23:50:39", "1900-01-01T23:50:39"),  # Paris mean time
        # Times with a zone say it themselves, others are in the zone of the server.
        ("2013-01-14T10:00", "2013-01-14T09:00", "2013-01-14T09:01"),
        ("2013-01-14T10:00Z", "2013-01-14T10:00", "2013-01-14T10:01"),
        ("2013-01-14T10:00:00+02:00", "2013-01-14T08:00:00", "2013-01-14T08:00:01"),
        ("2013-01-14T23:30:00-05:00", "2013-01-15T04:30:00", "2013-01-15T04:30:01"),
        ("2013-01-14T10:00:00.5Z", "2013-01-14T10:00:00.5", "2013-01-14T10:00:00.6"),
        ("2013-01-14T10:00:00.123Z", "2013-01-14T10:00:00.123", "2013-01-14T10:00:00.124"),
        ("2013-01-14T10:00:00.999999Z", "2013-01-14T10:00:00.999999", "2013-01-14T10:00:01"),
        ("2013-01-14T10:00:00.123456789012Z", "2013-01-14T10:00:00.123456", "2013-01-14T10:00:00.123457"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00", "2017-01-01T00:00:01"),
        # The ends of the calendar.
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00", "0001-01-01T00:00:01"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00", "0001-01-01T00:00:01"),
        ("9999", "9998-12-31T23", MAX),
        ("9999-12-31", "9999-12-30T23", MAX),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59", MAX),
    ],
)
def test_interval(text: str, low: str, high: str) -> None:
    assert interval(text, PARIS) == (filled(low), filled(high))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "13",
        "2013-1",
        "2013-13",
        "2013-02-29",
        "2013-02-30T10:00:00Z",
        "2013-01-14T10",
        "2013-01-14T",
        "2013-01-14T24:00:00Z",
        "2013-01-14T10:60Z",
        "2013-01-14T10:00:61Z",
        "2013-01-14T10:00:00+1",
        "2013-01-14T10:00:00+15:00",
        "2013-01-14T10:00:00+02:60",
        "2013-01-14 10:00",
        "2013-01-14Z",
        "20130114",
        "14/01/2013",
        "0000-01-01",
        "2013-01-14\n",
        "٢٠١٣",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(NotTemporal):
        interval(text, PARIS)


@pytest.mark.parametrize(
    ("element", "low", "high"),
    [
        ({"start": "2013-01-21"}, "2013-01-20T23", MAX),
        ({"end": "2013-01-21"}, MIN, "2013-01-21T23"),
        ({"start": "2013-01-21", "end": "2013-02"}, "2013-01-20T23", "2013-02-28T23"),
        ({}, MIN, MAX),
    ],
)
def test_period(element: dict[str, str], low: str, high: str) -> None:
    assert period(element, PARIS) == (filled(low), filled(high))


@pytest.mark.parametrize(
    ("element", "expected"),
    [
        ({"event": ["2013-03-24T10:00Z", None, "2013-01-31"]}, ("2013-01-30T23", "2013-03-24T10:01")),
        (
            {"repeat": {"boundsPeriod": {"start": "2013-01-31", "end": "2013-03-24"}}},
            ("2013-01-30T23", "2013-03-24T23"),
        ),
        ({"repeat": {"boundsPeriod": {"start": "2013-01-31"}, "frequency": 2}}, ("2013-01-30T23", MAX)),
        ({"event": ["2012"], "repeat": {"boundsPeriod": {"end": "2013"}}}, (MIN, "2013-12-31T23")),
        ({"repeat": {"frequency": 2, "boundsDuration": {"value": 3}}}, None),
        ({"code": {"text": "matin et soir"}}, None),
    ],
)
def test_timing(element: dict[str, object], expected: tuple[str, str] | None) -> None:
    assert timing(element, PARIS) == (expected and (filled(expected[0]), filled(expected[1])))


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
    st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)),
)
def test_text_compares_as_time_does(one: datetime, other: datetime) -> None:
    a, b = (interval(d.isoformat(timespec="microseconds") + "Z", UTC).low for d in (one, other))
    assert (a < b) == (one < other)
    assert MIN < a < MAX


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31)), st.integers(-14 * 60, 14 * 60))
def test_an_offset_changes_nothing_of_the_instant(instant: datetime, minutes: int) -> None:
    local = (instant + timedelta(minutes=minutes)).isoformat(timespec="microseconds")
    sign, rest = ("-" if minutes < 0 else "+"), divmod(abs(minutes), 60)
    with_offset = f"{local}{sign}{rest[0]:02}:{rest[1]:02}"
    assert interval(with_offset, PARIS) == interval(instant.isoformat(timespec="microseconds") + "Z", PARIS)


@given(st.datetimes())
def test_microseconds_and_back(instant: datetime) -> None:
    text = instant.isoformat(timespec="microseconds")
    assert bound(microseconds(text)) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00.000000", 0),
        ("1970-01-01T00:00:01.000001", 1_000_001),
        ("1969-12-31T23:59:59.000000", -1_000_000),
    ],
)
def test_microseconds_since_1970(text: str, expected: int) -> None:
    assert microseconds(text) == expected


@pytest.mark.parametrize(("count", "expected"), [(-(10**18), MIN), (10**18, MAX)])
def test_beyond_the_calendar_there_is_no_bound(count: int, expected: str) -> None:
    assert bound(count) == expected
    assert microseconds(MIN) < microseconds(MAX)
