"""Which of the sources that are defined an input is of."""

from collections.abc import Mapping
from typing import Final

from fhirserver.feeds.definition import Sender, SourceDefinition
from fhirserver.feeds.envelope import Envelope
from fhirserver.feeds.origin import Origin, is_inside
from fhirserver.settings import Settings

TRUSTED: Final = "file"
"""The channel of what an operator takes in: where it came from says nothing about who sent it."""


class Senders:
    """The sources of some definitions, and who is none of them."""

    def __init__(self, definitions: Mapping[str, SourceDefinition], settings: Settings) -> None:
        self.named = {name: Sender(name, one.resolved(settings)) for name, one in definitions.items()}
        self._order = sorted(self.named.values(), key=lambda sender: (-sender.closeness, sender.name))
        self._unknown = SourceDefinition.model_validate({}).resolved(settings)

    def identify(self, envelope: Envelope, origin: Origin) -> Sender:
        """The source of an input: of those that agree the most closely defined, then the first by name."""
        elsewhere = False
        for sender in self._order:
            match = sender.definition.match
            if not (
                _names(match.application, envelope.application) and _names(match.facility, envelope.facility)
            ):
                continue
            if origin.channel == TRUSTED or _comes(sender.definition, origin):
                return sender
            elsewhere = elsewhere or bool(match.application or match.facility)
        return Sender(envelope.source, self._unknown, known=False, elsewhere=elsewhere)


def domain_of(application: str, facility: str, source: str) -> str:
    """Whose the local numbers are where no definition names a domain: of whom MSH-3 and MSH-4 name."""
    return "/".join(filter(None, (application, facility))) or source


def _names(wanted: str, sent: str) -> bool:
    """Whether MSH-3 or MSH-4 is what is wanted, whole or by its first component."""
    return not wanted or sent == wanted or sent.partition("^")[0] == wanted


def _comes(definition: SourceDefinition, origin: Origin) -> bool:
    """Whether the connection is as the source's is."""
    match = definition.match
    return (
        match.channel in ("", origin.channel)
        and (not match.ports or origin.port in match.ports)
        and (not match.networks or is_inside(origin.address, match.networks))
        and (not match.certificates or not origin.certificates.isdisjoint(match.certificates))
    )
