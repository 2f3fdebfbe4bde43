"""What an input says about itself before it is mapped: who sent it, what and whose it is, and what is wrong
with it at first sight."""

import io
import re
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from typing import Final

from fhirserver.feeds.definition import Sender
from mappings import hl7v2
from mappings.core.result import Issue, Unreadable
from mappings.hl7v2.charset import decode, wide_codec

KINDS = ("hl7v2", "cda", "xdm", "xds", "xds-update", "mail", "fhir")
"""HL7v2 message, CDA document, XDM zip, XDS submission over SOAP, mail, FHIR resource (or NDJSON of them)."""

_NEEDS_EVENT: Final = frozenset({"ADT", "MDM", "SIU", "VXU"})
_NEEDS_PATIENT: Final = frozenset({"ADT", "MDM", "ORU", "VXU"})
_PROCESSING: Final = frozenset({"", "P", "T", "D"})
_METADATA_BYTES: Final = 4 * 1024 * 1024

_PATIENT_ROLE = re.compile(rb"<(?:\w+:)?patientRole\b(.*?)</(?:\w+:)?patientRole>", re.DOTALL)
_II = re.compile(rb"<(?:\w+:)?id\b([^>]*)>")
_ATTRIBUTE = re.compile(rb"\b(root|extension)\s*=\s*[\"']([^\"']*)[\"']")
_HEADER_BYTES: Final = 64 * 1024
_MAILBOX = re.compile(rb"([0-9]{5}(?:[0-9]{2}|2[ABab])[0-9]{8})@patient\.")
_CX = re.compile(rb"[\"'>]\s*([^\"'<>^]+)\^\^\^(?:[^\"'<>^&]*)(?:&amp;|&)([0-9.]+)(?:&amp;|&)ISO")


@dataclass(frozen=True, slots=True)
class Envelope:
    """``source`` is the sender's name, ``event`` what happened (``ADT^A01``), ``patients`` the keys whose
    inputs stay in order. ``refusal`` is the HL7v2 code (AE, AR) of what cannot be taken, ``held`` says that a
    person decides before it is processed, ``issues`` say why. ``sender`` is there once it is admitted."""

    kind: str
    source: str
    control_id: str = ""
    application: str = ""
    facility: str = ""
    event: str = ""
    patients: tuple[str, ...] = ()
    header: hl7v2.Header | None = None
    issues: tuple[Issue, ...] = field(default=())
    refusal: str = ""
    held: bool = False
    sender: Sender | None = None

    @property
    def identity(self) -> str:
        """What makes a resend the same input (with the same bytes); "" when the bytes alone do.

        What is refused does not count: the sender mends it and sends it under the same control id.
        """
        if not self.control_id or self.refusal:
            return ""
        return "\x1f".join(("hl7v2", self.application, self.facility, self.control_id))

    def of(self, sender: Sender) -> "Envelope":
        """The envelope of an input whose source is known; its answers are in the source's character set."""
        header = self.header
        if header is not None and sender.definition.charset and not header.charset:
            header = replace(header, codec=sender.definition.charset)
        return replace(self, source=sender.name, sender=sender, header=header)

    @property
    def is_acknowledgement(self) -> bool:
        """An answer must never be answered."""
        return self.event.partition("^")[0] in ("ACK", "NAK")


def open_envelope(kind: str, raw: bytes, channel: str) -> Envelope:
    """Look at an input without mapping it. Never raises: what is wrong is in ``issues``."""
    match kind:
        case "hl7v2":
            return _hl7v2(raw, channel)
        case "cda":
            return Envelope(kind, channel, event="ClinicalDocument", patients=_cda_patients(raw))
        case "xdm":
            return Envelope(kind, channel, event="submission", patients=_xdm_patients(raw))
        case "xds" | "xds-update":
            return Envelope(kind, channel, event="submission", patients=_cx_values(raw))
        case "mail":
            return Envelope(kind, channel, event="mail", patients=_mail_patients(raw))
        case _:
            # Files may build on each other: one after the other.
            return Envelope(kind, channel, event="resource", patients=(f"fhir|{channel}",))


def _hl7v2(raw: bytes, channel: str) -> Envelope:
    try:
        header = hl7v2.header(raw)
    except Unreadable as error:
        return Envelope("hl7v2", channel, issues=tuple(error.issues), refusal="AR")
    segments = _segments(raw, header)
    issues = _faults(header, segments)
    application, facility = header.sending_application.strip(), header.sending_facility.strip()
    return Envelope(
        "hl7v2",
        "/".join(filter(None, (application, facility))) or channel,
        header.control_id,
        application,
        facility,
        header.event,
        tuple(dict.fromkeys(key for segment in segments for key in _patient_keys(segment, header))),
        header,
        tuple(issues),
        _refusal(issues),
    )


def _faults(header: hl7v2.Header, segments: list[str]) -> list[Issue]:
    """What a receiver refuses at once: HL7 table 0357 codes 101, 200 to 203."""
    issues = []
    code, _, trigger = header.event.partition("^")
    if not re.fullmatch(r"[A-Z0-9]{3}", code):
        issues.append(Issue("error", "not-supported", "MSH-9 names no type of message", "MSH-9"))
    elif code in _NEEDS_EVENT and not trigger:
        issues.append(Issue("error", "not-supported", f"{code} without a trigger event", "MSH-9.2"))
    if not header.control_id:
        issues.append(Issue("error", "required", "There is no control id", "MSH-10"))
    if header.processing_id.upper() not in _PROCESSING:
        text = f"Processing id {header.processing_id[:20]!r} is none of P, T, D"
        issues.append(Issue("error", "not-supported", text, "MSH-11"))
    if header.version and not re.match(r"2(\.|\Z)", header.version):
        text = f"Version {header.version[:20]!r} is not HL7 version 2"
        issues.append(Issue("error", "not-supported", text, "MSH-12"))
    # A part of a message (MSH-14) need not name whom the whole is about: it is held.
    continues = bool(header[14])
    if code in _NEEDS_PATIENT and not continues and not any(s.startswith("PID") for s in segments):
        issues.append(Issue("error", "required", "There is no PID segment: no patient", "PID"))
    return issues


def _refusal(issues: list[Issue]) -> str:
    """AR: the message cannot be taken, whatever it says. AE: what it says is at fault."""
    if any(issue.location.startswith("MSH") for issue in issues):
        return "AR"
    return "AE" if issues else ""


def _segments(raw: bytes, header: hl7v2.Header) -> list[str]:
    """The PID and MRG segments, found without reading the rest (which may be megabytes of base64)."""
    if wide_codec(raw) is not None:
        text, codec = decode(raw)[0], "utf-8"
        raw = text.encode()
    else:
        codec = header.codec
    separator = re.escape(header.delimiters.field.encode(codec, "replace"))
    found = re.finditer(
        rb"(?:\A|[\r\n])[ \t]*((?:PID|MRG)(?:" + separator + rb"[^\r\n]*)?)(?=[\r\n]|\Z)", raw
    )
    # Only keys for the order are made of it: a character that cannot be decoded is no matter.
    return [match[1].decode(codec, "replace") for match in found]


def _patient_keys(segment: str, header: hl7v2.Header) -> list[str]:
    """``id|authority`` of each identifier in PID-3 or MRG-1; where PID-3 is empty, in PID-2."""
    marks = header.delimiters
    fields = [*segment.split(marks.field), "", "", ""]
    value = (fields[3] or fields[2]) if segment.startswith("PID") else fields[1]
    keys = []
    for repetition in value.split(marks.repetition) if marks.repetition else [value]:
        components = repetition.split(marks.component)
        id, authority = components[0].strip(), components[3] if len(components) > 3 else ""
        parts = authority.split(marks.subcomponent) if marks.subcomponent else [authority]
        if id:
            keys.append(f"{id}|{(parts[1] if len(parts) > 1 and parts[1] else parts[0]).strip()}")
    return keys


def _cda_patients(raw: bytes) -> tuple[str, ...]:
    role = _PATIENT_ROLE.search(raw)
    keys = []
    for element in _II.finditer(role[1] if role else b""):
        values = dict(_ATTRIBUTE.findall(element[1]))
        if values.get(b"extension"):
            keys.append(values[b"extension"] + b"|" + values.get(b"root", b""))
    return tuple(key.decode("utf-8", "replace") for key in dict.fromkeys(keys))


def _mail_patients(raw: bytes) -> tuple[str, ...]:
    """The INS of each mailbox of a patient in the headers."""
    headers = re.split(rb"\r?\n\r?\n", raw[:_HEADER_BYTES], maxsplit=1)[0]
    return tuple(dict.fromkeys(f"{ins.decode().upper()}|" for ins in _MAILBOX.findall(headers)))


def _xdm_patients(raw: bytes) -> tuple[str, ...]:
    """The CX values of the metadata; what cannot be opened has none (the mapping will say why)."""
    keys: dict[str, None] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for info in archive.infolist()[:2000]:
                name = info.filename.upper()
                if name.endswith("METADATA.XML") and info.file_size <= _METADATA_BYTES:
                    keys |= dict.fromkeys(_cx_values(archive.read(info)))
    # zipfile raises NotImplementedError for a compression or version that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError, RuntimeError):
        return ()
    return tuple(keys)


def _cx_values(raw: bytes) -> tuple[str, ...]:
    """``id|oid`` of each CX in metadata."""
    found = (match[1] + b"|" + match[2] for match in _CX.finditer(raw))
    return tuple(dict.fromkeys(key.decode("utf-8", "replace") for key in found))
