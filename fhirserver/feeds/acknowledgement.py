"""Which acknowledgement an HL7v2 message gets, and when. HL7 v2.9 chapter 2.9.2 and 2.9.3

mode                        when stored                     when processed
original, hl7v2_ack=received  AA (AE, AR at first sight)    nothing
original, hl7v2_ack=processed AE, AR at first sight         AA, AE
enhanced (MSH-15, MSH-16)     CA, CE, CR as MSH-15 asks     AA, AE, AR as MSH-16 asks
"""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from fhirserver.feeds.envelope import Envelope
from fhirserver.settings import Settings
from fhirserver.storage.inbox import Outcome
from mappings import hl7v2
from mappings.core.result import Issue, Severity

COMMIT: Final = {"AA": "CA", "AE": "CE", "AR": "CR"}
OF_STATUS: Final = {
    "processed": "AA",
    "warnings": "AA",
    # Held is taken: it is kept, and a person here decides; the sender has nothing to do.
    "held": "AA",
    "duplicate": "AA",
    "failed": "AE",
    # Not ended in time; to send it again does no harm.
    "received": "AE",
}
"""Status -> HL7 table 0008."""
BUSY: Final = Issue("error", "transient", "The message cannot be stored now: send it again")
WAITING: Final = Issue("error", "transient", "The message is stored and not processed yet")
ISSUES: Final = 50
_SEVERITY: Final[dict[str, Severity]] = {"warning": "warning", "information": "information"}


def when_stored(envelope: Envelope, settings: Settings) -> bytes | None:
    """The answer that leaves as soon as the message is stored; None when there is none at this moment."""
    header, code = envelope.header, envelope.refusal or "AA"
    if envelope.is_acknowledgement:
        return None
    if header is None or hl7v2.mode(header) == "original":
        early = envelope.refusal or settings.hl7v2_ack == "received"
        return build(envelope, code, envelope.issues, settings) if early else None
    if hl7v2.wants_accept(header, not envelope.refusal):
        return build(envelope, COMMIT[code], envelope.issues, settings)
    if envelope.refusal and hl7v2.wants_application(header, success=False):
        return build(envelope, code, envelope.issues, settings)
    return None


def answers_when_processed(envelope: Envelope, settings: Settings) -> bool:
    """Whether an answer may leave after processing; what was refused at first sight has been answered."""
    header = envelope.header
    if header is None or envelope.refusal or envelope.is_acknowledgement:
        return False
    if hl7v2.mode(header) == "original":
        return settings.hl7v2_ack == "processed"
    return hl7v2.wants_application(header, True) or hl7v2.wants_application(header, False)


def when_processed(envelope: Envelope, outcome: Outcome, settings: Settings) -> bytes | None:
    """The answer that leaves after processing, where one is wanted for such an outcome."""
    code = OF_STATUS[outcome.status]
    if envelope.header is None or not hl7v2.wants_application(envelope.header, code == "AA"):
        return None
    return final(envelope, outcome, settings)


def final(envelope: Envelope, outcome: Outcome, settings: Settings) -> bytes:
    """The one answer of an exchange that ends with the processing."""
    code = envelope.refusal or OF_STATUS[outcome.status]
    issues = [WAITING] if outcome.status == "received" else [_issue(issue) for issue in outcome.issues]
    if code == "AA":
        # Nothing in a positive answer is an error of the sender's.
        issues = [replace(i, severity="warning") if i.severity == "error" else i for i in issues]
    return build(envelope, code, issues, settings)


def not_stored(envelope: Envelope, settings: Settings) -> bytes | None:
    """The answer when nothing could be stored: the sender keeps the message and tries again."""
    header = envelope.header
    if envelope.is_acknowledgement:
        return None
    commit = header is not None and hl7v2.wants_accept(header, success=False)
    return build(envelope, "CR" if commit else "AR", [BUSY], settings)


def build(envelope: Envelope, code: str, issues: Iterable[Issue], settings: Settings) -> bytes:
    now = datetime.now(ZoneInfo(settings.timezone))
    control_id = uuid.uuid4().hex[:20]
    return hl7v2.acknowledge(envelope.header, code, list(issues)[:ISSUES], control_id=control_id, now=now)


def _issue(issue: Mapping[str, str]) -> Issue:
    severity = _SEVERITY.get(issue["severity"], "error")
    return Issue(severity, issue["code"], issue["text"], issue.get("location", ""))
