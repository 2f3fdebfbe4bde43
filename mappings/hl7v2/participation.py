"""PRT: who takes part in an order, a result or a document, and how. HL7 v2.9 chapter 7.4.4, table 0912"""

from collections.abc import Iterable, Iterator
from typing import Final

from mappings.core.bundle import prune
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import URI_SYSTEM
from mappings.hl7v2.people import practitioner_reference, xon_to_reference
from mappings.hl7v2.segment import Field, Segment

RECIPIENT: Final = "RCT"
"""Table 0912: result copies to."""


def participation_of(prt: Segment) -> str:
    """How somebody takes part: the code in PRT-4."""
    return str(prt[4][1]).upper()


def participants(
    segments: Iterable[Segment], kinds: Iterable[str], context: Context
) -> Iterator[tuple[Segment, Element]]:
    """The PRT segments of these kinds, each with a reference to the person, else the organization."""
    wanted = frozenset(kinds)
    for prt in segments:
        if participation_of(prt) in wanted and (reference := prt_to_reference(prt, context)):
            yield prt, reference


def prt_to_reference(prt: Segment, context: Context) -> Element | None:
    """Reference to who takes part; the mail address it names becomes its identifier."""
    prt.mark_read(1, 2, 3, 4)
    person = practitioner_reference(prt[5], context)
    organization = xon_to_reference(prt[8], context)
    address = prt_to_address(prt)
    identifier = {"system": URI_SYSTEM, "value": f"mailto:{address}"} if address else None
    reference: Element | None = prune({**(person or organization or {}), "identifier": identifier})
    return reference


def prt_to_address(prt: Segment) -> str:
    """The mail address in PRT-15, lower case; empty without one."""
    for xtn in prt.all(15):
        address = str(xtn[4]) or str(xtn[1])
        if "@" in address:
            return address.casefold()
    return ""


def references_of(segment: Segment, number: int, context: Context) -> list[Element]:
    """References to the people of an NDL (OBR-32 to 35)."""
    references = (ndl_to_reference(ndl, segment, number, context) for ndl in segment.all(number))
    return [reference for reference in references if reference]


def ndl_to_reference(ndl: Field, segment: Segment, number: int, context: Context) -> Element | None:
    """An NDL's first component is a CNN, in subcomponents; some senders write an XCN instead."""
    delimiters = segment.delimiters
    if delimiters.subcomponent in ndl[1].raw or not ndl[2] or str(ndl[2])[:4].isdecimal():
        parts = ndl[1].raw.split(delimiters.subcomponent)
        authority = delimiters.subcomponent.join(parts[8:11])
        ndl = Field(delimiters.component.join([*parts[:8], authority]), segment, number)
    return practitioner_reference(ndl, context)
