"""One SOAP message in, one out: read, dispatched by its action, answered. IHE ITI TF-2 Appendix V"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from fhirserver.errors import FHIRError, Unavailable
from fhirserver.feeds.mapping import IN_THREAD
from fhirserver.feeds.origin import Origin
from fhirserver.feeds.receive import Receiver
from fhirserver.server import Server, where
from fhirserver.xds import TRANSACTIONS, signatures
from fhirserver.xds.request import REGISTRY, Attachment, SOAPRequest, Transaction, XDSRefusal
from fhirserver.xds.security import examine
from fhirserver.xds.trace import trace
from mappings.cda.xml import Node
from mappings.core.result import MappingError
from mappings.xds.ebrs import RegistryError, errors_of
from mappings.xds.soap import envelope, mime
from mappings.xds.soap.faults import WSA, Fault, version_mismatch

SOAP_XML: Final = f"{mime.SOAP_XML}; charset=UTF-8"
SOAP11_XML: Final = "text/xml; charset=UTF-8"
FAULT: Final = 500
"""SOAP 1.2 would have 400 where the sender is at fault; but Apache CXF reads faults of 500 only."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer; ``action`` is that of the request, "" when it has none that is known; ``headers`` are
    further ones."""

    status: int
    body: bytes = field(repr=False)
    content_type: str = SOAP_XML
    action: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Endpoint:
    """The transactions of one process. Raises SettingsError: certificates that are trusted cannot be read."""

    def __init__(self, server: Server, receiver: Receiver) -> None:
        self._server = server
        self._receiver = receiver
        self._trusted = signatures.load(server.settings.xds_assertion_certificates)

    async def answer(self, raw: bytes, content_type: str, origin: Origin, place: str = "") -> Reply:
        """Do what a message asks; whatever goes wrong is a fault or a RegistryError.

        ``place`` is repository or registry; "" takes the transactions of both.

        Raises:
            UnknownMediaType: it is no SOAP message.
        """
        try:
            if len(raw) > IN_THREAD:
                message, asked = await asyncio.to_thread(_read, raw, content_type)
            else:
                message, asked = _read(raw, content_type)
        except Fault as fault:
            return faulty(fault)
        except envelope.VersionMismatch:
            return Reply(FAULT, version_mismatch(), SOAP11_XML)
        try:
            transaction = _transaction(asked.action, place)
            told = examine(asked.security, self._server.settings, self._trusted)
            request = SOAPRequest(
                asked.body,
                self._server,
                self._receiver,
                raw,
                content_type,
                origin,
                asked.action,
                message,
                told.assertion,
                told.issues,
            )
            return await _perform(transaction, request, asked.message_id)
        except Fault as fault:
            fault.message_id = asked.message_id
            return faulty(fault)
        except Exception as error:
            # The text of an unforeseen error may quote the message: only its kind and place are told.
            log.error("unforeseen error", kind=type(error).__name__, where=where(error))
            return faulty(Fault("Receiver", "Unforeseen error; it was logged", message_id=asked.message_id))


def _read(raw: bytes, content_type: str) -> tuple[mime.Message, envelope.Envelope]:
    """Raises Fault, VersionMismatch, UnknownMediaType."""
    message = mime.read(raw, content_type)
    return message, envelope.read(message.envelope, message.action)


def faulty(fault: Fault) -> Reply:
    """The answer to a message that cannot be taken."""
    body = envelope.write(fault.to_element(), fault.action, fault.message_id, fault.headers)
    return Reply(FAULT, body)


def _transaction(action: str, place: str) -> Transaction:
    """Raises Fault: the action is not done here."""
    found = TRANSACTIONS.get(action)
    if found is None or place not in ("", found.place):
        known = ", ".join(sorted(t.action for t in TRANSACTIONS.values() if place in ("", t.place)))
        text = f"The action {action[:200]} is not done here; done are {known}"
        raise Fault("Sender", text, (WSA, "ActionNotSupported"))
    return found


async def _perform(transaction: Transaction, request: SOAPRequest, message_id: str) -> Reply:
    try:
        answer = await transaction.perform(request)
        await trace(request)
    except (XDSRefusal, MappingError, FHIRError) as error:
        refused = _refused(error, transaction)
        try:
            await trace(request, refused)
        except Unavailable:
            log.warning("a refusal left no AuditEvent", transaction=transaction.action)
        return _reply(transaction.refusal(refused), None, transaction, request, message_id)
    node, parts = answer if isinstance(answer, tuple) else (answer, None)
    return _reply(node, parts, transaction, request, message_id)


def _refused(
    error: XDSRefusal | MappingError | FHIRError, transaction: Transaction
) -> Sequence[RegistryError]:
    if isinstance(error, XDSRefusal):
        return error.errors
    if isinstance(error, MappingError):
        return errors_of(error.issues, _code(transaction, "MetadataError"))
    if isinstance(error, Unavailable):
        return [RegistryError(_code(transaction, "Busy"), str(error))]
    code = _code(transaction, "Error")
    return [RegistryError(code, issue.text, issue.expression) for issue in error.issues]


def _reply(
    node: Node,
    parts: Sequence[Attachment] | None,
    transaction: Transaction,
    request: SOAPRequest,
    message_id: str,
) -> Reply:
    """MTOM answers MTOM, and whatever includes parts is MTOM."""
    body = envelope.write(node, transaction.answer, message_id)
    if parts is None and not request.message.is_mtom and not transaction.mtom:
        return Reply(200, body, SOAP_XML, request.action, request.headers)
    included = [(part.id, part.media_type, part.content) for part in parts or ()]
    body, content_type = mime.write(body, included, transaction.answer)
    return Reply(200, body, content_type, request.action, request.headers)


def _code(transaction: Transaction, ending: str) -> str:
    """XDSRegistryBusy, XDSRepositoryMetadataError ..."""
    return ("XDSRegistry" if transaction.place == REGISTRY else "XDSRepository") + ending
