"""What an inbox and an acknowledgement need of a message: its MSH. HL7 v2.9 chapter 2.14.9"""

from dataclasses import dataclass
from typing import Final

from mappings.hl7v2.charset import decode, wide_codec
from mappings.hl7v2.escapes import Delimiters
from mappings.hl7v2.reader import FRAMING, delimiters_of, event_of

_FRAMING_BYTES: Final = b"\x0b\x1c\r\n \t"


@dataclass(frozen=True, slots=True)
class Header:
    """The MSH segment. Values are as sent: still escaped, with their components, in ``delimiters``.

    ``event`` is the message code and trigger event (``ADT^A01``), ``control_id`` MSH-10, ``processing_id``
    the P, T or D of MSH-11, ``version`` 2.5 and the like, ``time`` MSH-7, ``charset`` MSH-18.
    """

    delimiters: Delimiters
    codec: str
    fields: tuple[str, ...]
    event: str
    control_id: str
    processing_id: str
    version: str

    def __getitem__(self, number: int) -> str:
        """MSH-``number`` as sent, empty when absent."""
        return self.fields[number - 1] if number <= len(self.fields) else ""

    @property
    def sending_application(self) -> str:
        return self[3]

    @property
    def sending_facility(self) -> str:
        return self[4]

    @property
    def receiving_application(self) -> str:
        return self[5]

    @property
    def receiving_facility(self) -> str:
        return self[6]

    @property
    def time(self) -> str:
        return self[7]

    @property
    def accept_acknowledgement(self) -> str:
        return self[15]

    @property
    def application_acknowledgement(self) -> str:
        return self[16]

    @property
    def charset(self) -> str:
        return self[18]


def header(raw: bytes) -> Header:
    """Read the MSH segment of a message, framed or not.

    Raises:
        Unreadable: there is none, or its delimiters are unusable.
    """
    if wide_codec(raw) is None:
        raw = raw.removeprefix(b"\xef\xbb\xbf").lstrip(_FRAMING_BYTES).removeprefix(b"\xef\xbb\xbf")
        ends = [i for i in (raw.find(b"\r"), raw.find(b"\n")) if i >= 0]
        raw = raw[: min(ends)] if ends else raw
    text, codec, _ = decode(raw)
    line = text.strip(FRAMING).replace("\n", "\r").partition("\r")[0]
    delimiters = delimiters_of(line)
    fields = (delimiters.field, *line.split(delimiters.field)[1:])

    def component(number: int, position: int) -> str:
        value = fields[number - 1] if number <= len(fields) else ""
        parts = value.split(delimiters.component) if delimiters.component else [value]
        return parts[position - 1].strip() if position <= len(parts) else ""

    return Header(
        delimiters=delimiters,
        codec=codec,
        fields=fields,
        event=event_of(component(9, 1), component(9, 2), component(9, 3)),
        control_id=component(10, 1),
        processing_id=component(11, 1),
        version=component(12, 1),
    )
