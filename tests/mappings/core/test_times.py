from zoneinfo import ZoneInfo

import pytest

from mappings.core.times import NotATime, parse, zone_of

PARIS = ZoneInfo("Europe/Paris")


@pytest.mark.parametrize(
    ("text", "date_time"),
    [
        ("2018", "2018"),
        ("201805", "2018-05"),
        ("20180512", "2018-05-12"),
        ("2018051211", "2018-05-12T11:00:00+02:00"),
        ("201805121104", "2018-05-12T11:04:00+02:00"),
        ("20180112110433", "2018-01-12T11:04:33+01:00"),
        ("20180112110433.1250", "2018-01-12T11:04:33.1250+01:00"),
        ("20180112110433-0330", "2018-01-12T11:04:33-03:30"),
        ("20240106113623+100", "2024-01-06T11:36:23+01:00"),
        ("20240106113623+02", "2024-01-06T11:36:23+02:00"),
        ("20180512+0200", "2018-05-12"),
        ("201812312400", "2019-01-01T00:00:00+01:00"),
        ("20161231235960+0000", "2016-12-31T23:59:60+00:00"),
        ("202410270230", "2024-10-27T02:30:00+02:00"),
        ("202403310230", "2024-03-31T02:30:00+01:00"),
        (" 20180512 ", "2018-05-12"),
    ],
)
def test_date_time(text: str, date_time: str) -> None:
    assert parse(text).in_zone(PARIS).date_time() == date_time


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0000",
        "00000000",
        "99991231",
        "20180012",
        "20181312",
        "20180230",
        "2018021",
        "201802101",
        "2018021024305",
        "201802102501",
        "201802102430",
        "201802101260",
        "2018-02-10",
        "2018021012+1500",
        "2018021012+0260",
        "hier",
        "２０１８",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(NotATime):
        parse(text)


def test_a_time_without_an_offset_is_only_its_date() -> None:
    assert parse("20180512110433").date_time() == "2018-05-12"
    assert parse("20180512110433").instant() is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("20180512", None),
        ("201805", None),
        ("201805121104+0200", "2018-05-12T11:04:00+02:00"),
    ],
)
def test_instant(text: str, instant: str | None) -> None:
    assert parse(text).instant() == instant


@pytest.mark.parametrize(
    ("text", "ambiguous"),
    [
        ("202410270230", True),
        ("202410270330", False),
        ("202403310230", False),  # this hour never was; it is not twice
        ("202410270230+0100", False),
        ("20241027", False),
    ],
)
def test_ambiguous(text: str, ambiguous: bool) -> None:
    assert parse(text).is_ambiguous_in(PARIS) is ambiguous


@pytest.mark.parametrize(
    ("one", "other", "after"),
    [
        ("20180512", "20180511", True),
        ("20180512", "2018", False),
        ("2019", "20180512", True),
        ("20180512120000+0200", "20180512103000+0000", False),
        ("20180512120000+0200", "20180512093000+0000", True),
        ("20180512120000", "20180512110000", False),  # without offsets only the days compare
    ],
)
def test_is_after(one: str, other: str, after: bool) -> None:
    assert parse(one).is_after(parse(other)) is after


def test_zone_of() -> None:
    assert zone_of("") is None
    assert (
        parse("201805121104").in_zone(zone_of("-03:30") or PARIS).date_time() == "2018-05-12T11:04:00-03:30"
    )
