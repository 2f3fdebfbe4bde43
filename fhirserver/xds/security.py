"""The security header of a message: which assertion counts, and what is refused for it.

OASIS WS-Security 1.1 SAML Token Profile; CI-SIS, volet Transport synchrone (VIHF). docs/feeds/xds.md
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509

from fhirserver.settings import Settings
from fhirserver.xds.signatures import verified
from mappings.cda.xml import Node
from mappings.core.result import Issue, Unreadable
from mappings.xds.soap.faults import WSSE, Fault
from mappings.xds.vihf import Assertion, assertion_of, read_assertion

SKEW: Final = timedelta(minutes=2)
"""So far clocks may differ."""
LOCATION: Final = "wsse:Security"


@dataclass(frozen=True, slots=True)
class Told:
    """The assertion that counts, None where there is none; ``issues`` is what would be refused if assertions
    were required."""

    assertion: Assertion | None = None
    issues: tuple[Issue, ...] = ()


def examine(security: Node | None, settings: Settings, trusted: Sequence[x509.Certificate]) -> Told:
    """Look at a message's security header as the settings want it.

    Raises:
        Fault: assertions are required, and this one is missing or cannot be relied on.
    """
    if settings.xds_assertions == "off":
        return Told(_stated(security))
    try:
        return Told(_checked(security, settings, trusted))
    except Fault as fault:
        if settings.xds_assertions == "require":
            raise
        issue = Issue("warning", "security", fault.text, LOCATION, fault.subcodes[0][1])
        return Told(_stated(security), (issue,))


def _stated(security: Node | None) -> Assertion | None:
    """What is said, whoever says it."""
    try:
        node = None if security is None else assertion_of(security)
        return None if node is None else read_assertion(node)
    except Unreadable:
        return None


def _checked(security: Node | None, settings: Settings, trusted: Sequence[x509.Certificate]) -> Assertion:
    """Raises Fault."""
    try:
        node = None if security is None else assertion_of(security)
        if node is None:
            text = "There is no assertion in the security header"
            raise Fault("Sender", text, (WSSE, "SecurityTokenUnavailable"))
        assertion = read_assertion(verified(node, trusted))
    except Unreadable as error:
        raise Fault("Sender", str(error), (WSSE, "InvalidSecurityToken")) from None
    now = datetime.now(UTC)
    early = assertion.not_before is not None and now + SKEW < assertion.not_before
    late = assertion.not_on_or_after is None or now - SKEW >= assertion.not_on_or_after
    if early or late:
        text = "The assertion is not valid now"
        raise Fault("Sender", text, (WSSE, "InvalidSecurityToken"))
    wanted = settings.xds_assertion_audience
    if wanted and wanted not in assertion.audiences:
        raise Fault("Sender", "The assertion is for another audience", (WSSE, "InvalidSecurityToken"))
    return assertion
