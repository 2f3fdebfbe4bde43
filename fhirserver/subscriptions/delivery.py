"""One subscription's notifications, one after the other, repeated until they are taken."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from fhirserver import metrics
from fhirserver.errors import Unavailable
from fhirserver.outbound import Outbound, Refused, Unreachable
from fhirserver.storage.documents import Stored
from fhirserver.storage.outbox import Delivery, Event, Outbox
from fhirserver.storage.repository import Repository, now
from fhirserver.subscriptions import notification
from fhirserver.subscriptions.definition import JSON, Definition
from fhirserver.subscriptions.lifecycle import change_status

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 600.0
SHOWN_AFTER = 3
"""After so many failures in a row the resource says what is wrong; it stays active while it is tried."""
SECOND = 1_000_000

log = structlog.get_logger()


class Failed(Exception):
    """A notification was not taken; the text goes to Subscription.error."""


class Delivering:
    """The work on one version of a subscription; a new version is another one's work.

    ``news`` is set when there may be something to deliver. ``retry`` is how long failures are borne, in
    seconds; after that the status is error until a client asks again. ``known_to_all`` waits until every
    process knows a version of the subscription.
    """

    def __init__(
        self,
        definition: Definition,
        repository: Repository,
        outbox: Outbox,
        outbound: Outbound,
        base_url: str,
        retry: float,
        known_to_all: Callable[[str, int], Awaitable[None]],
    ) -> None:
        self.definition = definition
        self.news = asyncio.Event()
        self._repository = repository
        self._outbox = outbox
        self._outbound = outbound
        self._base_url = base_url
        self._retry = retry
        self._known_to_all = known_to_all

    async def run(self) -> None:
        """Activate, then deliver, until the subscription changes, fails for good or ends."""
        if self.definition.status == "error":
            await asyncio.Event().wait()  # until a new version of it is another one's work
        while True:
            try:
                if self.definition.status == "requested":
                    return await self._activate()
                if await self._deliver():
                    return None
            except Unavailable:
                await asyncio.sleep(FIRST_PAUSE)

    async def _activate(self) -> None:
        """Say active when every process matches its changes and the endpoint has taken the handshake."""
        definition = self.definition
        await self._known_to_all(definition.id, definition.version)
        if definition.topic and definition.channel == "rest-hook":
            while not await self._try([], "handshake"):
                if await self._given_up():
                    return
        await self._restart()
        await self._say("active", "")

    async def _restart(self) -> None:
        """A subscription that failed for good and is asked for again has its time to retry again."""
        row = await self._row()
        await self._outbox.delivered(self.definition.id, row.delivered)

    async def _deliver(self) -> bool:
        """Deliver all there is, then wait for more; True when this work has ended."""
        definition = self.definition
        while (row := await self._row()).delivered < row.last:
            if definition.channel == "websocket":
                await self._outbox.delivered(definition.id, row.last)
                continue
            last = min(row.last, row.delivered + (definition.count if definition.topic else 1))
            events = await self._outbox.events(definition.id, row.delivered + 1, last)
            if await self._try(events, "event-notification"):
                await self._outbox.delivered(definition.id, last)
                if definition.error:
                    await self._say("active", "")
                    return True
            elif await self._given_up():
                return True
        return await self._wait()

    async def _wait(self) -> bool:
        """Wait for news, the next heartbeat, or the end; True at the end."""
        definition = self.definition
        pause = float(definition.heartbeat) if definition.topic and definition.heartbeat else 3600.0
        ends = _seconds_until(definition.end)
        if ends <= 0:
            await self._say("off", "")
            return True
        try:
            async with asyncio.timeout(min(pause, ends)):
                await self.news.wait()
        except TimeoutError:
            beat = definition.heartbeat and definition.topic and definition.channel == "rest-hook"
            if ends > pause and beat and not await self._try([], "heartbeat"):
                return await self._given_up()
        self.news.clear()
        return False

    async def _try(self, events: list[Event], kind: str) -> bool:
        """Send one notification; a failure is remembered and waited upon."""
        definition = self.definition
        row = await self._row()
        try:
            await self._send(events, kind, row)
        except Failed as failure:
            attempts = row.attempts + 1
            await self._outbox.failed(definition.id, attempts, row.failing or now(), str(failure))
            metrics.NOTIFICATIONS.labels("failed").inc()
            log.warning("notification failed", id=definition.id, attempts=attempts, reason=str(failure))
            await asyncio.sleep(_pause(attempts))
            return False
        metrics.NOTIFICATIONS.labels("delivered").inc()
        return True

    async def _given_up(self) -> bool:
        """After a failure: whether this work has ended, because the resource now says what is wrong."""
        row = await self._row()
        definition = self.definition
        if now() - row.failing > self._retry * SECOND:
            log.warning("subscription failed", id=definition.id, attempts=row.attempts)
            await self._say("error", f"Gave up after {row.attempts} attempts: {row.error}")
            return True
        if row.attempts >= SHOWN_AFTER and not definition.error and definition.status == "active":
            await self._say("active", f"Failing, and tried again: {row.error}")
            return True
        return False

    async def _send(self, events: list[Event], kind: str, row: Delivery) -> None:
        """Raises Failed, Unavailable."""
        definition = self.definition
        if definition.topic:
            body = await self._bundle(events, kind, row)
            await self._request("POST", definition.endpoint, body)
            return
        for event in events:
            if definition.content == "empty":
                await self._request("POST", definition.endpoint, b"")
            elif stored := await self._repository.find_version(event.type, event.id, event.version):
                url = f"{definition.endpoint.rstrip('/')}/{event.reference}"
                await self._request("PUT", url, stored.body)

    async def _bundle(self, events: list[Event], kind: str, row: Delivery) -> bytes:
        return notification.bundle(
            self.definition,
            row,
            kind,
            self._base_url,
            await carried(self.definition.content, events, self._repository),
        )

    async def _request(self, method: str, url: str, body: bytes) -> None:
        headers = {**self.definition.headers, "Content-Length": str(len(body))}
        if body:
            headers["Content-Type"] = f"{JSON}; charset=utf-8"
        headers["Host"] = _host(url)
        seconds = self.definition.seconds
        try:
            async with asyncio.timeout(seconds + 5):
                status = await self._outbound.send(method, url, headers, body, seconds)
        except (Refused, Unreachable) as reason:
            raise Failed(str(reason)) from None
        except TimeoutError:
            raise Failed("no answer in time") from None
        if not 200 <= status < 300:
            raise Failed(f"the endpoint answered {status}")

    async def _row(self) -> Delivery:
        return (await self._outbox.deliveries([self.definition.id]))[self.definition.id]

    async def _say(self, status: str, error: str) -> None:
        await change_status(self._repository, self.definition.id, self.definition.version, status, error)


async def carried(
    content: str, events: list[Event], repository: Repository
) -> list[tuple[Event, Stored | None]]:
    """Each event with the version it is about, where resources are carried and the version is still kept."""
    if content != "full-resource":
        return [(event, None) for event in events]
    found = await asyncio.gather(*(repository.find_version(e.type, e.id, e.version) for e in events))
    return list(zip(events, found, strict=True))


def _pause(attempts: int) -> float:
    """Exponential back-off with some chance in it, so that all who wait do not come at once."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempts - 1, 20)) * random.uniform(0.8, 1.0)  # noqa: S311


def _seconds_until(end: str) -> float:
    """Until a FHIR instant; a year when there is none."""
    with contextlib.suppress(ValueError):
        return (datetime.fromisoformat(end) - datetime.now(UTC)).total_seconds()
    return 365 * 86400.0


def _host(url: str) -> str:
    return url.split("/", 3)[2]
