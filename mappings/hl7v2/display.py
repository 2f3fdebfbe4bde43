"""A message as people read it: segment by segment, each field with its number, unescaped."""

from dataclasses import dataclass

from mappings.core.result import Unreadable
from mappings.core.source import Source
from mappings.hl7v2.reader import read

LONGEST = 200
"""So many characters are shown of a value: documents in base64 are not for reading."""


@dataclass(frozen=True, slots=True)
class ShownSegment:
    """``fields`` are (``PID-3``, value as sent but unescaped), without those that were not sent."""

    name: str
    fields: list[tuple[str, str]]


def display(raw: bytes, charset: str = "") -> list[ShownSegment]:
    """The segments of a message; of one that cannot be read its lines, each as a segment without a name."""
    try:
        message = read(raw, Source(charset=charset))
    except Unreadable:
        lines = raw.decode("utf-8", "replace").replace("\r", "\n").split("\n")
        return [ShownSegment("", [("", _short(line))]) for line in lines if line.strip()]
    shown = []
    for segment in message.segments:
        count = segment.raw.count(message.delimiters.field) + 2
        fields = []
        for number in range(3 if segment.name == "MSH" else 1, count):
            values = [field.text if field.raw != '""' else '""' for field in segment.repetitions(number)]
            if any(values):
                fields.append((f"{segment.location}-{number}", _short(" ~ ".join(values))))
        shown.append(ShownSegment(segment.name, fields))
    return shown


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"
