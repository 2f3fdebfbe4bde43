"""Which acknowledgement an HL7v2 message gets, and when. HL7 v2.9 chapter 2.9.2 and 2.9.3

mode                        when stored                     when processed
original, ack = received    AA (AE, AR at first sight)      nothing
original, ack = processed   AE, AR at first sight           AA, AE
enhanced (MSH-15, MSH-16)   CA, CE, CR as MSH-15 asks       AA, AE, AR as MSH-16 asks

``ack`` is what is defined of the source. Over HTTP an answer in original mode is always that of processing.
What MSH-16 asks for is sent to the source's own address where one is defined (``feeds.deferred``).
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from fhirserver.feeds.envelope import Envelope
from fhirserver.settings import Settings
from fhirserver.storage.items import Item, Outcome
from mappings import hl7v2
from mappings.core.result import Issue, Severity

COMMIT: Final = {"AA": "CA", "AE": "CE", "AR": "CR"}
OF_STATUS: Final = {
    "processed": "AA",
    "warnings": "AA",
    # Held is taken: it is kept, and a person here decides; the sender has nothing to do.
    "held": "AA",
    "duplicate": "AA",
    "cancelled": "AA",
    "failed": "AE",
    # Not ended in time; to send it again does no harm.
    "received": "AE",
}
"""Status -> HL7 table 0008."""
BUSY: Final = Issue("error", "transient", "The message cannot be stored now: send it again")
WAITING: Final = Issue("error", "transient", "The message is stored and not processed yet")
ISSUES: Final = 50
_SEVERITY: Final[dict[str, Severity]] = {"warning": "warning", "information": "information"}
_NAMES: Final = uuid.UUID("a0a2a4f2-5f1f-4f0e-8d5e-3d6b5f0d9c11")


def when_stored(envelope: Envelope, settings: Settings, item: Item | None = None) -> bytes | None:
    """The answer that leaves as soon as the message is stored; None when there is none at this moment."""
    header, code = envelope.header, envelope.refusal or "AA"
    if envelope.is_acknowledgement:
        return None
    if header is None or hl7v2.mode(header) == "original":
        early = envelope.refusal or _ack(envelope, settings) == "received"
        return build(envelope, code, envelope.issues, settings, item) if early else None
    if hl7v2.wants_accept(header, not envelope.refusal):
        return build(envelope, COMMIT[code], envelope.issues, settings, item)
    if envelope.refusal and hl7v2.wants_application(header, success=False):
        return build(envelope, code, envelope.issues, settings, item)
    return None


def answers_when_processed(envelope: Envelope, settings: Settings) -> bool:
    """Whether an answer may leave after processing, by the way the message came; what was refused at first
    sight has been answered."""
    header = envelope.header
    if header is None or envelope.refusal or envelope.is_acknowledgement:
        return False
    if hl7v2.mode(header) == "original":
        return _ack(envelope, settings) == "processed"
    return not is_deferred(envelope) and _may_be_wanted(envelope)


def is_deferred(envelope: Envelope) -> bool:
    """Whether the application acknowledgement goes to the source's own address."""
    to = envelope.sender.definition.acknowledge_to if envelope.sender else ""
    header = envelope.header
    return bool(to) and header is not None and hl7v2.mode(header) == "enhanced" and _may_be_wanted(envelope)


def when_processed(
    envelope: Envelope, outcome: Outcome, settings: Settings, item: Item | None = None
) -> bytes | None:
    """The answer that leaves after processing, where one is wanted for such an outcome."""
    positive = code_of(envelope, outcome) == "AA"
    if envelope.header is None or not hl7v2.wants_application(envelope.header, positive):
        return None
    return final(envelope, outcome, settings, item)


def final(envelope: Envelope, outcome: Outcome, settings: Settings, item: Item | None = None) -> bytes:
    """The one answer of an exchange that ends with the processing."""
    code = envelope.refusal or code_of(envelope, outcome)
    told = [issue for issue in outcome.issues if not _is_for_people_here(issue)]
    issues = [WAITING] if outcome.status == "received" else [_issue(issue) for issue in told]
    if code == "AA":
        # Nothing in a positive answer is an error of the sender's.
        issues = [replace(i, severity="warning") if i.severity == "error" else i for i in issues]
    return build(envelope, code, issues, settings, item)


def code_of(envelope: Envelope, outcome: Outcome) -> str:
    """HL7 table 0008, of what became of a message; the source may want one code of all refusals."""
    code = OF_STATUS[outcome.status]
    chosen = envelope.sender.definition.refusal if envelope.sender else ""
    return chosen if chosen and outcome.status == "failed" else code


def not_stored(envelope: Envelope, settings: Settings) -> bytes | None:
    """The answer when nothing could be stored: the sender keeps the message and tries again."""
    header = envelope.header
    if envelope.is_acknowledgement:
        return None
    commit = header is not None and hl7v2.wants_accept(header, success=False)
    return build(envelope, "CR" if commit else "AR", [BUSY], settings)


def build(
    envelope: Envelope, code: str, issues: Iterable[Issue], settings: Settings, item: Item | None = None
) -> bytes:
    """The acknowledgement; its control id is the same whenever an item, or a repetition, gets that code."""
    zone = envelope.sender.definition.timezone if envelope.sender else settings.timezone
    made = uuid.uuid5(_NAMES, f"{item.first or item.id}/{code}") if item else uuid.uuid4()
    return hl7v2.acknowledge(
        envelope.header,
        code,
        list(issues)[:ISSUES],
        control_id=made.hex[:20],
        now=datetime.now(ZoneInfo(zone)),
        # Sent on its own it is a message to be confirmed, and its sender waits for that.
        accept="AL" if is_deferred(envelope) and code in COMMIT else "",
    )


def _ack(envelope: Envelope, settings: Settings) -> str:
    return envelope.sender.definition.ack if envelope.sender else settings.hl7v2_ack


def _may_be_wanted(envelope: Envelope) -> bool:
    header = envelope.header
    return header is not None and any(hl7v2.wants_application(header, success) for success in (True, False))


def _is_for_people_here(issue: Mapping[str, str]) -> bool:
    """Codes without a mapping and the like: nothing that the sender could do something about."""
    return issue["severity"] == "information" and issue["code"] in ("informational", "code-invalid")


def _issue(issue: Mapping[str, str]) -> Issue:
    severity = _SEVERITY.get(issue["severity"], "error")
    return Issue(severity, issue["code"], issue["text"], issue.get("location", ""))
