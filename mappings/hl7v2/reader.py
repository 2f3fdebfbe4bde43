"""HL7v2 messages: bytes -> segments -> lazy fields. HL7 v2.9 chapter 2"""

import re
from functools import lru_cache
from typing import Final

from mappings.core.result import Issue, Unreadable
from mappings.core.source import Source
from mappings.hl7v2.charset import decode
from mappings.hl7v2.escapes import Delimiters
from mappings.hl7v2.segment import Segment

FRAMING: Final = "\x0b\x1c\r\n \t\ufeff"
"""What may surround a message: MLLP's block characters, blank lines, a byte order mark."""


_OF_ONE_EVENT: Final = frozenset({"ORU_R01", "ORM_O01", "OML_O21", "VXU_V04"})


class Message:
    """The segments of one message in order; nothing is dropped and nothing regrouped."""

    __slots__ = ("_first", "codec", "delimiters", "issues", "segments")

    def __init__(
        self, segments: list[Segment], delimiters: Delimiters, codec: str, issues: list[Issue]
    ) -> None:
        self.segments = segments
        self.delimiters = delimiters
        self.codec = codec
        self.issues = issues
        self._first: dict[str, Segment] = {}
        for segment in segments:
            self._first.setdefault(segment.name, segment)

    @property
    def msh(self) -> Segment:
        return self.segments[0]

    @property
    def event(self) -> str:
        """Message code and trigger event: ``ADT^A01``; the code alone when no event is given.

        Without an event in MSH-9.2 a structure in MSH-9.3 that is of one event only names it.
        """
        kind = self.msh[9]
        return event_of(str(kind[1]), str(kind[2]), str(kind[3]))

    @property
    def trigger(self) -> str:
        """The trigger event: ``A01``; empty when none is given."""
        return self.event.partition("^")[2]

    def find(self, name: str) -> Segment | None:
        """The first segment of this name, if there is one."""
        return self._first.get(name)

    def all(self, name: str) -> list[Segment]:
        return [segment for segment in self.segments if segment.name == name]

    def unread(self) -> list[str]:
        """Name the fields that were sent and never read (``PID-22``), each once."""
        return list(dict.fromkeys(name for segment in self.segments for name in segment.unread()))


def read(raw: bytes, source: Source) -> Message:
    """Read one message, framed or not, in any of the line endings that occur.

    A line that does not start a segment continues the one before it: long base64 arrives broken into lines.
    So does an ADD segment, whose content goes on where the segment before it ends (chapter 2.10.2).

    Raises:
        Unreadable: there is no MSH, its delimiters are unusable, or there is more than one message.
    """
    text, codec, issues = decode(raw, source.charset)
    text = text.strip(FRAMING)
    delimiters = delimiters_of(text)
    segments: list[Segment] = []
    counts: dict[str, int] = {}
    for line in _lines(text, delimiters, issues):
        name = line[:3]
        counts[name] = number = counts.get(name, 0) + 1
        segments.append(Segment(line, number, delimiters, codec))
    if counts["MSH"] > 1:
        raise Unreadable("More than one MSH: split the messages first", _refusal("Several messages in one"))
    return Message(segments, delimiters, codec, issues)


def event_of(code: str, trigger: str, structure: str) -> str:
    """Message code and trigger event of the components of MSH-9."""
    if not trigger and structure in _OF_ONE_EVENT:
        return structure.replace("_", "^")
    return f"{code}^{trigger}" if trigger else code


def delimiters_of(text: str) -> Delimiters:
    """Read MSH-1 and MSH-2.

    Raises:
        Unreadable: the text does not start with MSH, or its delimiters are letters, digits or not distinct.
    """
    if text[:3] != "MSH" or len(text) < 4:
        raise Unreadable("The message does not start with MSH", _refusal("No MSH segment"))
    field = text[3]
    end = min(i for i in (text.find(field, 4), text.find("\r", 4), text.find("\n", 4), len(text)) if i >= 0)
    declared = text[4:end]
    if len(declared) == 5 and declared[2] == declared[3]:  # a source that escaped its own backslash
        declared = declared[:3] + declared[4]
    return _delimiters(field, declared[:4])


@lru_cache(maxsize=256)
def _delimiters(field: str, declared: str) -> Delimiters:
    used = [field, *declared]
    if len(set(used)) != len(used) or any(c.isalnum() or c in ' \t\r\n".' for c in used):
        raise Unreadable("MSH-1 and MSH-2 are no usable delimiters", _refusal("Unusable delimiters"))
    for default in Delimiters()[len(used) :]:
        used.append("" if default in used else default)
    return Delimiters(*used)


def _lines(text: str, delimiters: Delimiters, issues: list[Issue]) -> list[str]:
    starts = _segment_start(delimiters.field).match
    lines: list[str] = []
    continued: dict[int, list[str]] = {}
    addendum, added = f"ADD{delimiters.field}", []
    for line in text.replace("\r", "\n").split("\n"):
        # Right behind MSH it continues another message.
        if line.startswith(addendum) and len(lines) > 1:
            added.append(lines[-1][:3])
            lines[-1] += line[len(addendum) :]
        elif starts(line) is not None:
            lines.append(line)
        elif line.strip():
            # Kept as a line break: base64 ignores it, in text it is what was sent.
            continued.setdefault(len(lines) - 1, []).append(line)
    for index, more in continued.items():
        lines[index] = "\n".join((lines[index], *more))
    if continued:
        count, first = sum(map(len, continued.values())), lines[next(iter(continued))][:3]
        issues.append(Issue("warning", "structure", f"{count} broken lines joined to their segments", first))
    if added:
        text = f"{len(added)} ADD segments joined to the segments that they continue"
        issues.append(Issue("information", "informational", text, added[0]))
    return lines


@lru_cache(maxsize=64)
def _segment_start(field: str) -> re.Pattern[str]:
    return re.compile(rf"[A-Z][A-Z0-9]{{2}}(?:{re.escape(field)}|\Z)")


def _refusal(text: str) -> Issue:
    return Issue("error", "structure", text, "MSH")
