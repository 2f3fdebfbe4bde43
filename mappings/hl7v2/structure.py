"""A message against its version's own definition: order of segments, required fields, types, tables.

The definitions are those of the library hl7apy. Only they are used: its parser drops segments that it cannot
place, and takes seconds for a large report. Segments beginning with Z are anybody's and stand anywhere.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from hl7apy import SUPPORTED_LIBRARIES, load_library

from mappings.core.result import Issue
from mappings.core.source import Source
from mappings.hl7v2.reader import Message, read
from mappings.hl7v2.segment import Field, Segment

MOST: Final = 50
"""So many issues are told of one message."""
OUT_OF_PLACE: Final = 10

_SHARED: Final = {
    "ADT_A01": ("A01", "A04", "A08", "A13"),
    "ADT_A05": ("A05", "A14", "A28", "A31"),
    "ADT_A06": ("A06", "A07"),
    "ADT_A09": ("A09", "A10", "A11"),
    "ADT_A21": ("A21", "A22", "A23", "A25", "A26", "A27", "A29", "A32", "A33"),
    "ADT_A30": ("A30", "A34", "A35", "A36", "A46", "A47", "A48", "A49"),
    "ADT_A39": ("A39", "A40", "A41", "A42"),
    "ADT_A43": ("A43", "A44"),
    "ADT_A50": ("A50", "A51"),
    "ADT_A52": ("A52", "A53"),
    "ADT_A54": ("A54", "A55"),
    "ADT_A61": ("A61", "A62"),
    "MDM_T01": ("T01", "T03", "T05", "T07", "T09", "T11"),
    "MDM_T02": ("T02", "T04", "T06", "T08", "T10"),
    "SIU_S12": tuple(f"S{number}" for number in range(12, 27)),
}
"""HL7 table 0354: message structures that several trigger events share."""
_STRUCTURE_OF: Final = {
    f"{structure[:4]}{event}": structure for structure, events in _SHARED.items() for event in events
}
_TYPES: Final = {
    "NM": (re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)\s*"), "a number"),
    "SI": (re.compile(r"\s*\d{1,4}\s*"), "a whole number"),
    "DT": (re.compile(r"\s*\d{4}(\d\d(\d\d)?)?\s*"), "a date"),
    "TM": (re.compile(r"\s*\d\d(\d\d(\d\d(\.\d{1,4})?)?)?([+-]\d{4})?\s*"), "a time"),
    "DTM": (re.compile(r"\s*\d{4}(\d\d){0,5}(\.\d{1,4})?([+-]\d{4})?\s*"), "a time"),
}

Elements = tuple[tuple[str, Any, tuple[int, int], str], ...]
"""Of a message, group or segment: (name, definition, (least, most; -1 for any number), kind)."""


def check_structure(raw: bytes) -> list[Issue]:
    """What is not as the version's definition has it; at most ``MOST`` issues. Severities are error.

    Raises:
        Unreadable: it is no message.
    """
    message = read(raw, Source())
    version = str(message.msh[12][1]) or "2.5"
    if version not in SUPPORTED_LIBRARIES:
        text = f"There is no definition of version {version[:20]!r} to check against"
        return [Issue("error", "not-supported", text, "MSH-12")]
    library = load_library(version)
    structure = _structure_of(message, library)
    if structure is None:
        text = f"Version {version} defines no structure of {message.event[:20]}"
        return [Issue("error", "not-supported", text, "MSH-9")]
    issues = [*_check_order(message, structure, library)]
    for segment in message.segments:
        if segment.name in library.SEGMENTS and len(issues) < MOST:
            issues += _check_segment(segment, library)
    return issues[:MOST]


def _structure_of(message: Message, library: Any) -> str | None:
    declared, event = str(message.msh[9][3]), message.event.replace("^", "_")
    for name in (declared, event, _STRUCTURE_OF.get(event, "")):
        if name in library.MESSAGES:
            return name
    return None


# --- segments


def _check_order(message: Message, structure: str, library: Any) -> Iterator[Issue]:
    """Walk through the definition with the segments, one look ahead; what fits nowhere is taken out."""
    segments = [segment for segment in message.segments if not segment.name.startswith("Z")]
    for _ in range(OUT_OF_PLACE):
        missing: list[Issue] = []
        end = _walk(library.MESSAGES[structure][1], segments, 0, missing)
        if end == len(segments):
            yield from missing
            return
        stray = segments.pop(end)
        text = f"{stray.name} is not expected here in {structure}"
        yield Issue("error", "structure", text, stray.location)


def _walk(elements: Elements, segments: list[Segment], position: int, missing: list[Issue]) -> int:
    """The position behind what the elements take; what is required and not there is told."""
    for name, definition, (least, most), kind in elements:
        count = 0
        while (
            count != most and position < len(segments) and _begins(name, definition, kind, segments[position])
        ):
            position = position + 1 if kind == "SEG" else _walk(definition[1], segments, position, missing)
            count += 1
        if count < least:
            text = f"There is no {name}" if kind == "SEG" else f"There is no group {name}"
            first = name if kind == "SEG" else min(_first(definition))
            missing.append(Issue("error", "structure", text, first))
    return position


def _begins(name: str, definition: Any, kind: str, segment: Segment) -> bool:
    return segment.name == name if kind == "SEG" else segment.name in _first(definition)


def _first(definition: Any) -> frozenset[str]:
    """The segments that a group may begin with."""
    key = id(definition)
    if key not in _firsts:
        names: set[str] = set()
        for name, inner, (least, _), kind in definition[1]:
            names |= {name} if kind == "SEG" else _first(inner)
            if least:
                break
        _firsts[key] = frozenset(names)
    return _firsts[key]


_firsts: dict[int, frozenset[str]] = {}
"""By the identity of a group's definition: the library keeps each for ever."""


# --- fields


def _check_segment(segment: Segment, library: Any) -> Iterator[Issue]:
    for number, (_, definition, (least, most), _) in enumerate(library.SEGMENTS[segment.name][1], 1):
        if segment.name == "MSH" and number < 3:
            continue
        where = f"{segment.location}-{number}"
        if least and not segment[number].raw:
            yield Issue("error", "required", f"{where} is required", where)
            continue
        sent = [field for field in segment.repetitions(number) if field.raw]
        if len(sent) > most > 0:
            yield Issue("error", "structure", f"{where} occurs {len(sent)} times, at most {most}", where)
        kind, table = definition[2], definition[4]
        for field in sent:
            yield from _check_value(field, kind, table, where, library)


def _check_value(field: Field, kind: str, table: str | None, where: str, library: Any) -> Iterator[Issue]:
    text = str(field)
    if not text:
        return
    # The first component of a time stamp is the time.
    pattern, called = _TYPES.get("DTM" if kind == "TS" else kind, (None, ""))
    if pattern is not None and not pattern.fullmatch(text):
        yield Issue("error", "value", f"{where} is not {called}", where)
    # Only tables of HL7's own are closed: those of data type ID.
    if kind == "ID" and table and (codes := _codes(library.__name__, table)) and text not in codes:
        yield Issue(
            "error", "code-invalid", f"{text[:20]!r} is not in table {table.removeprefix('HL7')}", where
        )


@lru_cache(maxsize=2048)
def _codes(library: str, table: str) -> frozenset[str]:
    """The codes of a table; empty where it is not known, or has others than those listed."""
    # The oldest versions come without tables.
    tables = getattr(load_library(library.rpartition("v")[2].replace("_", ".")), "TABLES", {})
    found = tables.get(table)
    codes = frozenset(found[1]) if found else frozenset()
    return frozenset() if any(len(code) > 12 or " " in code or "..." in code for code in codes) else codes
