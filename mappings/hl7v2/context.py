"""What mapping a message needs besides its segments, and what it collects."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from urllib.parse import quote
from zoneinfo import ZoneInfo

from mappings.core import times, translation
from mappings.core.bundle import derived_identifier, full_url
from mappings.core.effects import Effects
from mappings.core.result import Element, Issue, Severity, Unmapped
from mappings.core.source import Source
from mappings.hl7v2 import table_codes
from mappings.hl7v2.reader import Message
from mappings.hl7v2.segment import Field
from mappings.hl7v2.tables import TERMINOLOGY

ALTERNATE_CODES = translation.ALTERNATE_CODES


@dataclass(slots=True)
class Context:
    """The message, its source, and the entries, issues and cleared elements so far.

    ``date`` is the message's own (MSH-7), empty when it has none.
    """

    message: Message
    source: Source
    zone: tzinfo
    date: str = ""
    entries: list[Element] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    cleared: dict[str, set[str]] = field(default_factory=dict)
    effects: Effects = field(default_factory=Effects)
    unmapped: list[Unmapped] = field(default_factory=list)

    def url(self, *parts: str) -> str:
        """The fullUrl of what these parts identify in this source."""
        return full_url("hl7v2", self.source.name, *parts)

    def derived(self, kind: str, *parts: str) -> Element:
        return derived_identifier(self.source.name, kind, *parts)

    @property
    def default_system(self) -> str:
        """System of identifiers sent without an assigning authority."""
        return self.source.authorities.get("", f"urn:x-hl7v2:{quote(self.source.name, safe='')}")

    @property
    def source_uri(self) -> str:
        """The source as a URI: ``meta.source`` of what only it may take back."""
        return f"urn:x-hl7v2:{quote(self.source.name, safe='')}"

    def issue(self, severity: Severity, code: str, text: str, location: str) -> None:
        self.issues.append(Issue(severity, code, text, location))

    def warn(self, text: str, value: Field, code: str = "value") -> None:
        self.issues.append(Issue("warning", code, text, value.location))

    def time(self, value: Field) -> times.HL7Time | None:
        """Read a time; one that is none is an issue, one without an offset gets the message's or source's."""
        text = str(value)
        if not text:
            return None
        try:
            time = times.parse(text)
        except times.NotATime as error:
            self.warn(f"{error}: left out", value)
            return None
        if time.is_ambiguous_in(self.zone):
            self.issue("information", "value", "The hour occurs twice: taken as the first", value.location)
        return time.in_zone(self.zone)

    def own_system(self, name: str) -> str:
        """The URI of a coding system that only this source knows."""
        return f"{translation.LOCAL}{quote(self.source.name, safe='')}:{quote(name, safe='')}"

    def table_coding(self, number: str, code: str) -> Element:
        """Coding of a code of an HL7 table; one that the table lacks is the source's own."""
        system = f"{TERMINOLOGY}v2-{number}"
        if (system, code) in self.source.codes:
            return {"system": system, "code": code}
        if (known := table_codes.find(number, code)) is not None:
            return {"system": system, "code": known}
        return {"system": self.own_system(f"HL7{number}"), "code": code}

    def table_concept(self, number: str, code: str) -> Element:
        """CodeableConcept of what only the program reads; a code that the table lacks is its text."""
        coding = self.table_coding(number, code)
        own = coding["system"].startswith(translation.LOCAL)
        return {"text": code} if own else {"coding": [coding]}

    def code(
        self, element: str, value: Field, table: Mapping[str, str], number: str, default: str | None = None
    ) -> Element:
        """Map a code of an HL7 table to the code element of that name; the source's code map comes first.

        What both lack becomes ``default``, with an issue, and the code as sent stays as an extension. FHIR
        allows none without a value: without a default nothing is said, and the code is listed as unmapped.
        """
        sent = str(value)
        if not sent:
            return {element: default}
        coding = self.table_coding(number, " ".join(sent.split()))
        if (own := self.source.codes.get((coding["system"], coding["code"]))) is not None:
            return {element: own.code}
        if (mapped := table.get(sent.upper())) is not None:
            return {element: mapped}
        self.warn(f"Code {sent[:40]!r} of table {number} has no mapping", value, "code-invalid")
        if default is None:
            self.unmapped.append(
                Unmapped(coding["system"], coding["code"], location=value.location, told=True)
            )
            return {element: None}
        kept = {"url": ALTERNATE_CODES, "valueCodeableConcept": {"coding": [coding]}}
        return {element: default, f"_{element}": {"extension": [kept]}}

    def boolean(self, value: Field) -> bool | None:
        """Table 0136: Y and N (also 1 and 0); others are an issue."""
        sent = str(value).upper()
        if sent in {"Y", "1"}:
            return True
        if sent in {"N", "0"}:
            return False
        if sent:
            self.warn("Neither Y nor N: left out", value, "code-invalid")
        return None


def context_of(message: Message, source: Source) -> Context:
    """Start mapping a message: times without an offset are in MSH-7's, else in the source's zone."""
    context = Context(message, source, ZoneInfo(source.timezone), issues=list(message.issues))
    if (time := context.time(message.msh[7])) is not None:
        context.date = time.date
        if message.msh[7].raw.rstrip("0123456789 ")[-1:] in {"+", "-"}:
            context.zone = times.zone_of(time.offset) or context.zone
    return context
