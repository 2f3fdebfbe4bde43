"""Acknowledgements: MSH, MSA, ERR. HL7 v2.9 chapters 2.9 (processing rules) and 2.14.2, 2.14.5, 2.14.8"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from mappings.core.result import Issue
from mappings.hl7v2.escapes import Delimiters, escape
from mappings.hl7v2.header import Header

Mode = Literal["original", "enhanced"]

CONDITION_OF_ISSUE: Final = {
    "structure": "100",
    "required": "101",
    "value": "102",
    "invalid": "102",
    "code-invalid": "103",
    "not-found": "204",
    "duplicate": "205",
    "conflict": "205",
    "lock-error": "206",
}
"""FHIR IssueType -> HL7 table 0357 (message error condition); all others are 207."""

UNSUPPORTED: Final = {"MSH-9": "200", "MSH-9.2": "201", "MSH-11": "202", "MSH-12": "203"}
"""Where something not supported is said -> HL7 table 0357."""

CONDITION_TEXT: Final = {
    "100": "Segment sequence error",
    "101": "Required field missing",
    "102": "Data type error",
    "103": "Table value not found",
    "200": "Unsupported message type",
    "201": "Unsupported event code",
    "202": "Unsupported processing id",
    "203": "Unsupported version id",
    "204": "Unknown key identifier",
    "205": "Duplicate key identifier",
    "206": "Application record locked",
    "207": "Application internal error",
}
"""HL7 table 0357."""

_SEVERITY: Final = {"error": "E", "warning": "W", "information": "I"}
"""FHIR IssueSeverity -> HL7 table 0516."""

_APPLICATION_ERROR: Final = re.compile(r"(90[0-6]) ")
_LOCATION: Final = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[([0-9]+)\])?(?:-([0-9]+)(?:\.([0-9]+))?)?")


def mode(header: Header) -> Mode:
    """Original: one answer to every message. Enhanced: MSH-15 and MSH-16 say which answers are wanted."""
    return "enhanced" if header.accept_acknowledgement or header.application_acknowledgement else "original"


def wants_accept(header: Header, success: bool) -> bool:
    """Whether the sender wants a commit acknowledgement (CA, CE, CR) of this outcome: MSH-15."""
    return mode(header) == "enhanced" and _wanted(header.accept_acknowledgement, success)


def wants_application(header: Header, success: bool) -> bool:
    """Whether the sender wants an application acknowledgement (AA, AE, AR) of this outcome: MSH-16."""
    return mode(header) == "original" or _wanted(header.application_acknowledgement, success)


def condition(issue: Issue) -> str:
    """The HL7 table 0357 code of an issue."""
    if issue.code == "not-supported":
        return UNSUPPORTED.get(issue.location, "207")
    return CONDITION_OF_ISSUE.get(issue.code, "207")


def acknowledge(
    header: Header | None,
    code: str,
    issues: Iterable[Issue] = (),
    *,
    control_id: str,
    now: datetime,
    accept: str = "",
) -> bytes:
    """Build the answer to a message in its own delimiters, character set and version.

    Args:
        header: the message's, or None when it could not be read.
        code: HL7 table 0008: AA, AE, AR in original mode, CA, CE, CR for a commit acknowledgement.
        control_id: MSH-10 of the answer; ``now`` (with its zone) is its MSH-7.
        accept: its MSH-15, when it is a message of its own that is confirmed; then MSH-16 says never.

    From version 2.5 on each issue is an ERR segment with location, condition, severity and text; before,
    ERR-1 has location and condition and MSA-3 the first text. An issue whose text starts with an application
    code of CI-SIS (``904 ...``) has it in ERR-5.
    """
    issues = list(issues)
    delimiters = header.delimiters if header else Delimiters()
    version = header.version if header and header.version else "2.5"
    modern = _number(version) >= (2, 5)
    c = delimiters.component
    trigger = header.event.partition("^")[2] if header else ""
    kind = c.join(filter(None, ("ACK", trigger, "ACK" if trigger and modern else "")))
    msh = ["MSH", delimiters.encoding_characters]
    if header is not None:
        msh += [header[5], header[6], header[3], header[4]]
    else:
        msh += ["", "", "", ""]
    msh += [_time(now), "", kind, escape(control_id, delimiters)]
    msh += [(header[11] if header else "") or "P", (header[12] if header else "") or version]
    msh += ["", "", accept, "NE" if accept else "", "", header.charset if header else "UNICODE UTF-8"]
    msa = ["MSA", code, header[10] if header else ""]
    if not modern and issues:
        msa.append(escape(issues[0].text, delimiters)[:80])
    lines = [msh, msa, *(_err(issue, delimiters, modern) for issue in issues)]
    text = "".join(delimiters.field.join(line).rstrip(delimiters.field) + "\r" for line in lines)
    codec = header.codec if header else "utf-8"
    return _encode(text, codec)


def _err(issue: Issue, delimiters: Delimiters, modern: bool) -> list[str]:
    c, s = delimiters.component, delimiters.subcomponent
    code = condition(issue)
    location = _location(issue.location)
    if not modern:
        segment, sequence, field = (*location, "", "", "")[:3]
        error = (s or " ").join((code, CONDITION_TEXT[code], "HL70357"))
        return ["ERR", c.join((segment, sequence, field, error))]
    application = _APPLICATION_ERROR.match(issue.text)
    return [
        "ERR",
        "",
        c.join(location),
        c.join((code, CONDITION_TEXT[code], "HL70357")),
        _SEVERITY[issue.severity],
        application[1] if application else "",
        "",
        "",
        escape(issue.text, delimiters),
    ]


def _location(location: str) -> list[str]:
    """``PID-3.4`` -> PID, 1, 3, 1, 4: segment, its sequence, field, its repetition, component (ERL)."""
    found = _LOCATION.fullmatch(location)
    if found is None:
        return []
    segment, sequence, field, component = found.groups()
    parts = [segment, sequence or "1"]
    if field:
        parts.append(field)
    if component:
        parts += ["1", component]
    return parts


def _wanted(when: str, success: bool) -> bool:
    """HL7 table 0155; an empty MSH-15 or -16 beside a valued one means never."""
    return {"AL": True, "NE": False, "ER": not success, "SU": success}.get(when.strip().upper(), False)


def _number(version: str) -> tuple[int, int]:
    found = re.match(r"([0-9]+)\.([0-9]+)", version)
    return (int(found[1]), int(found[2])) if found else (2, 5)


def _time(now: datetime) -> str:
    return now.strftime("%Y%m%d%H%M%S%z")


def _encode(text: str, codec: str) -> bytes:
    if codec.startswith(("utf-16", "utf-32")):
        return f"\ufeff{text}".encode(codec)
    return text.encode(codec, errors="replace")
