"""Pre-mappings: a sender's variant of HL7v2 made into what the mappings read; message -> message, by name.

A source lists the names of those its messages go through, in that order. Others than those here are found by
the entry point group ``fhirserver.premappings`` of installed packages: name -> function.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Final

from mappings.core.result import Issue, Unreadable
from mappings.core.source import Source
from mappings.hl7v2.reader import Message
from mappings.hl7v2.segment import NULL, Segment

Premapping = Callable[[Message], Message]

GROUP: Final = "fhirserver.premappings"


def premap(message: Message, source: Source) -> Message:
    """The message after the pre-mappings of its source.

    Raises:
        Unreadable: one of them is not installed here, or fails; the issue says which.
    """
    for name in source.premappings:
        premapping = premappings().get(name)
        if premapping is None:
            text = f"There is no pre-mapping {name}"
            raise Unreadable(text, Issue("error", "not-supported", text))
        try:
            message = premapping(message)
        except Exception as error:
            # It is the operator's code: whatever it raises is this message's outcome. Its text may quote.
            text = f"The pre-mapping {name} failed ({type(error).__name__})"
            raise Unreadable(text, Issue("error", "exception", text)) from error
    return message


@lru_cache(maxsize=1)
def premappings() -> dict[str, Premapping]:
    """All that there are, by name."""
    installed = {point.name: point.load() for point in entry_points(group=GROUP)}
    return installed | PREMAPPINGS


def with_field(segment: Segment, number: int, raw: str) -> Segment:
    """The segment with another value, as sent (escaped, with its repetitions), in a field from 1 on (of MSH
    from 3 on)."""
    separator = segment.delimiters.field
    fields = segment.raw.split(separator)
    position = number - 1 if segment.name == "MSH" else number
    fields += [""] * (position + 1 - len(fields))
    fields[position] = raw
    return Segment(separator.join(fields), segment.number, segment.delimiters, segment.codec)


def with_segments(message: Message, segments: Iterable[Segment]) -> Message:
    """The message with other segments, numbered again; the first must be its MSH."""
    counts: dict[str, int] = {}
    numbered = []
    for segment in segments:
        counts[segment.name] = number = counts.get(segment.name, 0) + 1
        numbered.append(Segment(segment.raw, number, segment.delimiters, segment.codec))
    return Message(numbered, message.delimiters, message.codec, message.issues)


def pid_2_as_pid_3(message: Message) -> Message:
    """Senders of versions up to 2.2: where PID-3 is empty, the number is in PID-2, else in PID-4."""

    def moved(segment: Segment) -> Segment:
        if segment.name != "PID" or segment[3]:
            return segment
        for number in (2, 4):
            if values := segment.repetitions(number):
                raw = message.delimiters.repetition.join(value.raw for value in values)
                return with_field(with_field(segment, 3, raw), number, "")
        return segment

    return with_segments(message, map(moved, message.segments))


def null_is_absent(message: Message) -> Message:
    """Senders that write ``""`` for whatever they do not know: it deletes nothing."""

    def emptied(segment: Segment) -> Segment:
        if NULL not in segment.raw:
            return segment
        separator = segment.delimiters.field
        raw = separator.join("" if field == NULL else field for field in segment.raw.split(separator))
        return Segment(raw, segment.number, segment.delimiters, segment.codec)

    return with_segments(message, map(emptied, message.segments))


def obx_11_final(message: Message) -> Message:
    """Laboratories that send final results without a status: an empty OBX-11 is F."""

    def stated(segment: Segment) -> Segment:
        return with_field(segment, 11, "F") if segment.name == "OBX" and not segment[11] else segment

    return with_segments(message, map(stated, message.segments))


PREMAPPINGS: Final[dict[str, Premapping]] = {
    "pid-2-as-pid-3": pid_2_as_pid_3,
    "null-is-absent": null_is_absent,
    "obx-11-final": obx_11_final,
}
