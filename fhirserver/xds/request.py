"""An XDS transaction as it is asked, and how it says no."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fhirserver.feeds.envelope import Envelope
from fhirserver.feeds.origin import Origin
from fhirserver.feeds.receive import Receipt, Receiver
from fhirserver.server import Server
from mappings.cda.xml import Node
from mappings.core.result import Issue
from mappings.xds.ebrs import RegistryError, registry_response
from mappings.xds.soap.mime import Message
from mappings.xds.vihf import Assertion

REPOSITORY: Final = "repository"
REGISTRY: Final = "registry"
PLACES: Final = (REPOSITORY, REGISTRY)
CHANNEL: Final = "xds"


class XDSRefusal(Exception):
    """The transaction fails; the errors say why."""

    def __init__(self, *errors: RegistryError) -> None:
        super().__init__(errors[0].context)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class SOAPRequest:
    """``body`` is the element in soap:Body as sent, ``raw`` the whole HTTP body, for the inbox.

    ``assertion`` says who asks; ``remarks`` is what is to be told of the security header. A transaction adds
    to ``touched`` the references of the patients, documents and lists that it hands out or changes, and to
    ``headers`` what the HTTP answer is to say.
    """

    body: Node = field(repr=False)
    server: Server
    receiver: Receiver
    raw: bytes = field(repr=False)
    content_type: str
    origin: Origin
    action: str
    message: Message
    assertion: Assertion | None = None
    remarks: Sequence[Issue] = ()
    touched: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    async def receive(self, kind: str, envelope: Envelope) -> Receipt:
        """Store the message as it came, and have it processed. Raises Unavailable."""
        return await self.receiver.receive(
            self.raw,
            kind,
            self.origin,
            content_type=self.content_type,
            issues=self.remarks,
            envelope=self.receiver.admit(envelope, self.origin),
        )


@dataclass(frozen=True, slots=True)
class Attachment:
    """Bytes that an answer includes; ``id`` is its content id."""

    id: str
    media_type: str
    content: bytes = field(repr=False)


Answer = Node | tuple[Node, Sequence[Attachment]]
"""The element for soap:Body, also with what it includes (then the answer is MTOM)."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction by its wsa:Action: the action of its answer, what performs it, and at which place.

    ``refusal`` is the element that says that it failed; ``mtom`` that even that answer is MTOM.
    """

    action: str
    answer: str
    perform: Callable[[SOAPRequest], Awaitable[Answer]]
    place: str
    refusal: Callable[[Sequence[RegistryError]], Node] = registry_response
    mtom: bool = False
