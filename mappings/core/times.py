"""HL7 times (v2 DTM, v3 TS) as FHIR date, dateTime and instant. https://hl7.org/fhir/R4/datatypes.html#dateTime"""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Final

_PATTERN: Final = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(\.[0-9]+)?)?)?)?)?)?"
    r"([+-][0-9]{2,4})?"
)


class NotATime(ValueError):
    """The text is no HL7 time, or one that never was (month 00, 30 February)."""


@dataclass(frozen=True, slots=True)
class HL7Time:
    """A time as precise as it was sent: ``date`` 2018, 2018-05 or 2018-05-12; ``clock`` 11:04:00 or empty;
    ``offset`` +02:00 or empty."""

    date: str
    clock: str = ""
    offset: str = ""

    def in_zone(self, zone: tzinfo) -> "HL7Time":
        """The same time, with the zone's offset where it has none of its own."""
        if not self.clock or self.offset:
            return self
        return HL7Time(self.date, self.clock, _offset(self._local().replace(tzinfo=zone)))

    def is_ambiguous_in(self, zone: tzinfo) -> bool:
        """Whether the clock showed this time twice that day; ``in_zone`` takes the first."""
        if not self.clock or self.offset:
            return False
        local = self._local()
        first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
        # Two offsets also surround the hour that is skipped in spring; there the second is the larger.
        return first is not None and second is not None and first > second

    def is_after(self, other: "HL7Time") -> bool:
        """Whether this is later for certain, at the precision both have."""
        if self.clock and self.offset and other.clock and other.offset:
            one, two = (t._local().replace(tzinfo=zone_of(t.offset)) for t in (self, other))
            return one > two
        length = min(len(self.date), len(other.date))
        return self.date[:length] > other.date[:length]

    def date_time(self) -> str:
        """As FHIR dateTime; only the date without an offset, because FHIR forbids a time without one."""
        return f"{self.date}T{self.clock}{self.offset}" if self.clock and self.offset else self.date

    def instant(self) -> str | None:
        """As FHIR instant; None unless it is precise to the day and has a clock time with an offset."""
        return self.date_time() if self.clock and self.offset else None

    def _local(self) -> datetime:
        hour, minute, second = self.clock[:2], self.clock[3:5], self.clock[6:8]
        return datetime.fromisoformat(f"{self.date}T{hour}:{minute}:{min(int(second), 59):02}")


def parse(text: str) -> HL7Time:
    """Read ``YYYY[MM[DD[HH[MM[SS[.S]]]]]][+/-ZZZZ]``; hour 24 is the next day's midnight.

    Raises:
        NotATime: it has another form, is no calendar date, or is a placeholder (year 0000 or 9999).
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise NotATime("Not an HL7 time")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    if year in {"0000", "9999"}:
        raise NotATime("A placeholder, not a time")
    if month and not 1 <= int(month) <= 12:
        raise NotATime("No such month")
    if day and not 1 <= int(day) <= monthrange(int(year), int(month))[1]:
        raise NotATime("No such day")
    date = "-".join(part for part in (year, month, day) if part)
    if hour is None:
        return HL7Time(date)
    if int(minute or 0) > 59 or int(second or 0) > 60:
        raise NotATime("No such clock time")
    if hour == "24" and not int(minute or 0) and not int(second or 0):
        next_day = datetime.fromisoformat(date) + timedelta(days=1)
        date, hour = next_day.date().isoformat(), "00"
    if int(hour) > 23:
        raise NotATime("No such clock time")
    clock = f"{hour}:{minute or '00'}:{second or '00'}{fraction or ''}"
    return HL7Time(date, clock, _zone(zone) if zone else "")


def zone_of(offset: str) -> tzinfo | None:
    """The fixed zone of an offset like ``+02:00``; None for an empty one."""
    if not offset:
        return None
    sign = -1 if offset[0] == "-" else 1
    return timezone(sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6])))


def _zone(zone: str) -> str:
    """``+0200`` (also ``+02`` and the defective ``+200``) -> ``+02:00``."""
    digits = zone[1:] + "00" if len(zone) == 3 else zone[1:].zfill(4)
    hours, minutes = int(digits[:2]), int(digits[2:])
    if minutes > 59 or hours * 60 + minutes > 14 * 60:
        raise NotATime("No such offset from UTC")
    return f"{zone[0]}{hours:02}:{minutes:02}"


def _offset(moment: datetime) -> str:
    offset = moment.utcoffset() or timedelta()
    sign, offset = ("-", -offset) if offset < timedelta() else ("+", offset)
    minutes = round(offset.total_seconds() / 60)
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}"
