"""The way in for every channel: whose it is, store it durably, have it processed, say what became of it."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from fhirserver import metrics
from fhirserver.errors import Unavailable, VersionConflict
from fhirserver.feeds import acknowledgement
from fhirserver.feeds.admission import admit
from fhirserver.feeds.deferred import Deferred
from fhirserver.feeds.envelope import Envelope, open_envelope
from fhirserver.feeds.origin import Origin
from fhirserver.feeds.process import Processing, remark
from fhirserver.feeds.work import Work
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.inbox import Inbox
from fhirserver.storage.items import Item, Outcome, digest
from fhirserver.storage.listing import Filters
from mappings import hl7v2
from mappings.core.result import Issue
from mappings.core.source import Coding

REPLAYED = ("held", "failed", "cancelled", "warnings", "processed")
SETTLED = {"held": ("received", "failed", "warnings"), "cancelled": ("received", "held", "failed")}
"""What a person decides -> from which statuses."""
PAGE = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Receipt:
    """An input that is stored: it may be acknowledged. ``item`` is as it was then."""

    item: Item
    envelope: Envelope
    wait: Callable[[Item], Awaitable[Outcome]]

    async def outcome(self) -> Outcome:
        """What became of it; ``received`` when it is not processed after a minute."""
        return await self.wait(self.item)


@dataclass(frozen=True, slots=True)
class Answer:
    """What one HL7v2 message of a request is answered: the code that counts and the acknowledgements, which
    may be none. Without ``item`` it could not be stored."""

    item: Item | None
    code: str
    acknowledgements: tuple[bytes, ...]


class Receiver:
    """Receives and processes for one process; several processes share one inbox."""

    def __init__(
        self, server: Server, inbox: Inbox, settings: Settings, processing: Processing | None = None
    ) -> None:
        self.settings = settings
        self.inbox = inbox
        self._processing = processing or Processing(server, settings)
        self.catalog = self._processing.catalog
        self.deferred = Deferred(inbox.database, self.catalog, settings)
        self._work = Work(inbox, self._processing, self.deferred.finishing)
        self.backlog = self._work.backlog
        self._clock = 0

    async def start(self, *, deliver: bool = True) -> None:
        """Take up what dead processes left, and keep alive; with ``deliver`` also send what is deferred.

        Raises:
            BadRequest: the sources file is not as it must be.
            Unavailable.
        """
        await self.catalog.start()
        await self._work.start()
        if deliver:
            self.deferred.start()

    async def stop(self) -> None:
        """Finish what is in hand; what is not finished in time is left to the other processes."""
        await self._work.stop()
        await self.deferred.stop()
        await self.catalog.stop()
        await self.inbox.close()

    # --- receive

    async def room(self) -> None:
        """Wait while too much is in hand: channels stop reading."""
        await self.backlog.room()

    def open(self, kind: str, raw: bytes, origin: Origin) -> Envelope:
        """Look at an input, and decide whether it is taken. Never raises."""
        return self.admit(open_envelope(kind, raw, origin.channel), origin)

    def admit(self, envelope: Envelope, origin: Origin) -> Envelope:
        return admit(envelope, origin, self.catalog.identify(envelope, origin), self.settings)

    @staticmethod
    def origin(channel: str, address: str) -> Origin:
        return Origin(channel, address=address)

    async def receive(
        self,
        raw: bytes,
        kind: str,
        origin: Origin | str,
        *,
        content_type: str = "",
        issues: Sequence[Issue] = (),
        envelope: Envelope | None = None,
    ) -> Receipt:
        """Store an input durably and have it processed.

        Args:
            kind: hl7v2, cda, xdm or fhir. An HL7v2 input is one message (``hl7v2.split`` before).
            origin: where it came from, or its channel alone.
            issues: what its channel has found already.

        Raises:
            Unavailable: it is not stored and must not be acknowledged.
        """
        origin = Origin(origin) if isinstance(origin, str) else origin
        envelope = envelope or self.open(kind, raw, origin)
        # A client that goes away must not leave a stored input that nobody processes.
        storing = asyncio.ensure_future(self._store(raw, envelope, origin, content_type, issues))
        receipt = Receipt(await asyncio.shield(storing), envelope, self._work.outcome)
        if receipt.item.status == "duplicate":
            await self.deferred.repeat(receipt.item, envelope)
        return receipt

    async def receive_hl7v2(self, raw: bytes, origin: Origin | str) -> list[Answer]:
        """Receive the messages of a file or request, wait as long as their modes ask, and answer each."""
        origin = Origin(origin) if isinstance(origin, str) else origin
        batch = hl7v2.split(raw)
        issues = batch.issues if batch.messages else []
        receipts: list[Receipt | Envelope] = []
        for message in batch.messages or [raw]:
            envelope = self.open("hl7v2", message, origin)
            try:
                receipt = await self.receive(message, "hl7v2", origin, issues=issues, envelope=envelope)
            except Unavailable:
                receipts.append(envelope)
            else:
                receipts.append(receipt)
        return [await self._answer(receipt) for receipt in receipts]

    async def _answer(self, receipt: Receipt | Envelope) -> Answer:
        if isinstance(receipt, Envelope):
            refused = acknowledgement.not_stored(receipt, self.settings)
            return Answer(None, "AR", (refused,) if refused else ())
        envelope = receipt.envelope
        if envelope.is_acknowledgement:
            return Answer(receipt.item, "AA", ())
        if envelope.header is None or hl7v2.mode(envelope.header) == "original":
            outcome = await receipt.outcome()
            code = envelope.refusal or acknowledgement.code_of(envelope, outcome)
            return Answer(
                receipt.item, code, (acknowledgement.final(envelope, outcome, self.settings, receipt.item),)
            )
        stored = acknowledgement.when_stored(envelope, self.settings, receipt.item)
        answers, code = [stored] if stored else [], envelope.refusal or "AA"
        if acknowledgement.answers_when_processed(envelope, self.settings):
            outcome = await receipt.outcome()
            code = acknowledgement.code_of(envelope, outcome)
            if later := acknowledgement.when_processed(envelope, outcome, self.settings, receipt.item):
                answers.append(later)
        return Answer(receipt.item, code, tuple(answers))

    async def _store(
        self, raw: bytes, envelope: Envelope, origin: Origin, content_type: str, issues: Sequence[Issue]
    ) -> Item:
        found = [*issues, *envelope.issues]
        status = "failed" if envelope.refusal else "held" if envelope.held else "received"
        remarks = tuple(remark(issue) for issue in found)
        self._clock = max(self._clock + 1, time.time_ns() // 1000)
        code = envelope.refusal or ("AA" if envelope.held and envelope.kind == "hl7v2" else "")
        item = Item(
            id=str(uuid.uuid4()),
            channel=origin.channel,
            origin=str(origin),
            kind=envelope.kind,
            source=envelope.source,
            sha256=digest(raw),
            size=len(raw),
            content_type=content_type,
            identity=envelope.identity,
            control_id=envelope.control_id,
            application=envelope.application,
            facility=envelope.facility,
            event=envelope.event,
            patients=envelope.patients,
            order=self._clock,
            owner=self._work.owner if status == "received" else "",
            remarks=remarks,
            outcome=Outcome(status, remarks, acknowledgement=code),
        )
        # The place in the queue is taken before the write: what is received later must not overtake in a
        # write that is faster.
        turn = self._work.queue(item.patients)
        metrics.MESSAGES.labels(item.kind, origin.channel).inc()
        stored = await self._work.store(item, raw, turn)
        log.info("received", id=stored.id, kind=stored.kind, channel=origin.channel, status=stored.status)
        return stored

    # --- what people look at and decide

    def charset(self, item: Item) -> str:
        """The codec of messages of the item's source that declare none."""
        return self.catalog.sender(item).definition.charset

    async def of_patient(self, filters: Filters) -> Filters:
        """The filters of a list, where the patient may be named as ``Patient/id``.

        Raises:
            NotFound: there is no such patient.
        """
        named = filters.patients[0] if filters.patients else ""
        type, _, id = named.partition("/")
        if type != "Patient" or not id:
            return filters
        return replace(filters, patients=await self._processing.numbers(id), resource=named)

    async def replay(self, id: str) -> Item:
        """Have an item processed again: what it lacked may have come since, or its mapping have changed.

        Raises:
            NotFound, VersionConflict (it waits to be processed, or repeats another), Unavailable.
        """
        item = await self.inbox.get(id)
        if item.status not in REPLAYED or not await self._work.open_again(item):
            raise VersionConflict(
                f"The item is {item.status}: only what is {', '.join(REPLAYED)} is processed again"
            )
        return item

    async def replay_all(self, filters: Filters) -> list[Item]:
        """Have all items of a status processed again, in the order in which they were received.

        Raises:
            Unavailable: those before the failure are opened already.
        """
        found: list[Item] = []
        before = 0
        while True:
            page = await self.inbox.list(filters, PAGE, before)
            found += (item for item in page.items if item.status in REPLAYED)
            before = page.next
            if not before:
                return await self._open_in_order(found)

    async def settle(self, id: str, status: str) -> Item:
        """Hold an item, or cancel it: it stays, and waits for nobody any more.

        Raises:
            NotFound, VersionConflict (its status is past that), Unavailable.
        """
        item = await self.inbox.get(id)
        if item.status not in SETTLED[status]:
            raise VersionConflict(
                f"The item is {item.status}: only what is {', '.join(SETTLED[status])} can be {status}"
            )
        words = {"held": "A person holds it", "cancelled": "A person decided against it"}
        return await self.inbox.settle(
            item, status, remark(Issue("information", "informational", words[status]))
        )

    async def map_code(self, source: str, system: str, code: str, display: str, target: Coding) -> list[Item]:
        """Map a code in the source's ConceptMap; give the items with it, which are processed again in order.

        Raises:
            FHIRError: the entry is refused, or the type ConceptMap is off.
        """
        await self.catalog.codes.add(source, (system, code), display, target)
        await self.catalog.versions.changed()
        return await self._open_in_order(list(await self.inbox.with_code(source, system, code)))

    async def outcome(self, item: Item) -> Outcome:
        """What became of an item that is processed again."""
        return await self._work.outcome(replace(item, outcome=replace(item.outcome, status="received")))

    async def _open_in_order(self, items: list[Item]) -> list[Item]:
        items.sort(key=lambda item: item.order)
        return [item for item in items if await self._work.open_again(item)]
