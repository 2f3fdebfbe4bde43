"""What is decided of an input before it is mapped: whose it is, and whether it is taken, held or refused."""

from dataclasses import replace

from fhirserver.feeds.definition import Sender
from fhirserver.feeds.envelope import Envelope
from fhirserver.feeds.origin import Origin
from fhirserver.settings import Settings
from mappings.core.result import Issue

ELSEWHERE = "This sender is known by another address, port or certificate"
UNKNOWN = "This sender is not known here"
HELD = "Held: a person decides about messages of this sender"
TEST = "A test message (MSH-11)"


def admit(envelope: Envelope, origin: Origin, sender: Sender, settings: Settings) -> Envelope:
    """The envelope with its source's name and definition; what the source's settings refuse or hold says why.

    What an operator takes in from files is let in whoever sent it.
    """
    definition = sender.definition
    envelope = envelope.of(sender)
    if not envelope.refusal and origin.channel != "file":
        verdict = definition.intake if sender.known else settings.unknown_sources
        text = HELD if sender.known and verdict == "hold" else UNKNOWN
        if sender.elsewhere:
            verdict, text = "refuse", ELSEWHERE
        envelope = _decide(envelope, verdict, text, "forbidden", "MSH-3")
    header = envelope.header
    if not envelope.refusal and header is not None and header.processing_id.upper() in ("T", "D"):
        envelope = _decide(envelope, definition.test_messages, TEST, "not-supported", "MSH-11")
    if envelope.refusal and definition.refusal:
        envelope = replace(envelope, refusal=definition.refusal)
    return envelope


def _decide(envelope: Envelope, verdict: str, text: str, code: str, location: str) -> Envelope:
    if verdict == "process":
        return envelope
    issue = Issue("error" if verdict == "refuse" else "information", code, text, location)
    if verdict == "refuse":
        return replace(envelope, issues=(*envelope.issues, issue), refusal="AR")
    return replace(envelope, issues=(*envelope.issues, issue), held=True)
