"""Segments and fields, split only when looked at. HL7 v2.9 chapter 2.5"""

from collections.abc import Iterator
from typing import Final

from mappings.hl7v2.escapes import Delimiters, unescape

NULL: Final = '""'
"""HL7 null: the sender asks to delete the value (absent means no change)."""


class Field:
    """One repetition of a field, or one of its components or subcomponents: the same shape at every level.

    ``field[2]`` is its second component, ``field[2][1]`` that one's first subcomponent; what was not sent is
    empty. ``str(field)`` is the text of its first (sub)component, unescaped; null reads as empty.
    """

    __slots__ = ("_component", "_number", "_parts", "_segment", "_separator", "raw")

    def __init__(self, raw: str, segment: "Segment", number: int, component: int = 0, level: int = 0) -> None:
        self.raw = raw
        self._segment = segment
        self._number = number
        self._component = component
        self._separator = segment.separators[level]
        self._parts: list[Field] | None = None

    def __getitem__(self, number: int) -> "Field":
        parts = self.parts()
        if number <= len(parts):
            return parts[number - 1]
        return Field("", self._segment, self._number, self._component or number, 2)

    def __str__(self) -> str:
        raw = self.raw
        if not raw or raw == NULL:
            return ""
        component, subcomponent, _ = self._segment.separators
        if self._separator and (component in raw or subcomponent in raw):
            return str(self.parts()[0])
        return _unescaped(raw, self._segment)

    def __bool__(self) -> bool:
        """Whether it has content: not absent, not null, not only separators."""
        if not self.raw:
            return False
        return any(str(part) for part in self.parts()) if self._separator else bool(str(self))

    @property
    def is_null(self) -> bool:
        return self.raw == NULL

    @property
    def text(self) -> str:
        """All of it, unescaped, its separators taken literally: what free text is meant to be."""
        if self.raw == NULL:
            return ""
        return _unescaped(self.raw, self._segment)

    @property
    def location(self) -> str:
        """Where this is, as people write it: ``PID-3.4``, ``OBX[2]-5``."""
        where = f"{self._segment.location}-{self._number}"
        return f"{where}.{self._component}" if self._component else where

    def parts(self) -> list["Field"]:
        """The components of a field, the subcomponents of a component, itself below that."""
        if self._parts is None:
            if not self._separator:
                return [self]
            level = 2 if self._component else 1
            self._parts = [
                Field(part, self._segment, self._number, self._component or position, level)
                for position, part in enumerate(self.raw.split(self._separator), 1)
            ]
        return self._parts


class Segment:
    """One line of a message. ``segment[3]`` is PID-3's first repetition, ``segment.all(3)`` all of them.

    ``number`` counts the segments of the same name from 1. Looking at a field marks it as read.
    """

    __slots__ = ("_fields", "_read", "codec", "delimiters", "name", "number", "raw", "separators")

    def __init__(self, raw: str, number: int, delimiters: Delimiters, codec: str) -> None:
        self.raw = raw
        self.name = raw[:3]
        self.number = number
        self.delimiters = delimiters
        self.separators = (delimiters.component, delimiters.subcomponent, "")
        self.codec = codec
        self._fields: list[str] | None = None
        self._read: set[int] = set()

    def __getitem__(self, number: int) -> Field:
        raw = self._raw(number)
        repetition = self.delimiters.repetition
        if repetition and repetition in raw:
            raw = raw[: raw.index(repetition)]
        return Field(raw, self, number)

    def all(self, number: int) -> list[Field]:
        """The repetitions of a field that have content."""
        return [field for field in self.repetitions(number) if field]

    def repetitions(self, number: int) -> list[Field]:
        """The repetitions of a field as sent, empty and null ones too."""
        raw = self._raw(number)
        if not raw:
            return []
        repetition = self.delimiters.repetition
        parts = raw.split(repetition) if repetition else [raw]
        return [Field(part, self, number) for part in parts]

    def is_null(self, number: int) -> bool:
        """Whether the sender asks to delete this field: its only repetition is null."""
        return self._raw(number) == NULL

    @property
    def location(self) -> str:
        return self.name if self.number == 1 else f"{self.name}[{self.number}]"

    def mark_read(self, *numbers: int) -> None:
        """Say that these fields need no mapping (a set id, say)."""
        self._read.update(numbers)

    def unread(self) -> Iterator[str]:
        """Name the fields that were sent and never read."""
        for number, raw in enumerate(self._split()):
            if raw and number and number not in self._read and any(c not in self.delimiters for c in raw):
                yield f"{self.name}-{number}"

    def _raw(self, number: int) -> str:
        self._read.add(number)
        fields = self._split()
        return fields[number] if number < len(fields) else ""

    def _split(self) -> list[str]:
        if self._fields is None:
            separator = self.delimiters.field
            self._fields = self.raw.split(separator)
            if self.name == "MSH":  # its first field is the separator itself
                self._fields.insert(1, separator)
                self._read.update((1, 2))
        return self._fields


def _unescaped(raw: str, segment: Segment) -> str:
    """Without the spaces around it; nothing but white space is nothing, as in FHIR."""
    text = unescape(raw.strip(" "), segment.delimiters, segment.codec)
    return "" if text.isspace() else text
