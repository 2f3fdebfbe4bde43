"""Notifications over WebSocket: ``bind ID`` -> ``bound ID``, then ``ping ID`` for every event.

https://hl7.org/fhir/R4/subscription.html#websocket. A ping carries nothing of a resource. What happened while
nobody was bound is found by the client with a search or with ``$events``.
"""

import asyncio
import contextlib

from starlette.websockets import WebSocket, WebSocketDisconnect

from fhirserver.errors import Unavailable
from fhirserver.model import reference
from fhirserver.storage.outbox import Delivery
from fhirserver.subscriptions import Subscriptions

PATH = "/websocket"
POLL = 0.25
MAX_BOUND = 100


class Notifications:
    """The WebSocket endpoint of one process."""

    def __init__(self, subscriptions: Subscriptions) -> None:
        self._subscriptions = subscriptions

    async def endpoint(self, socket: WebSocket) -> None:
        """Serve one connection until the client ends it."""
        await socket.accept()
        bound: dict[str, int] = {}
        told = asyncio.create_task(self._tell(socket, bound))
        try:
            while True:
                await socket.send_text(await self._answer(await socket.receive_text(), bound))
        except (WebSocketDisconnect, KeyError, RuntimeError):
            # The client has gone, or has sent a binary frame, which this protocol does not have.
            with contextlib.suppress(RuntimeError):
                await socket.close(1003)
        finally:
            told.cancel()

    async def _answer(self, text: str, bound: dict[str, int]) -> str:
        verb, _, id = text.strip().partition(" ")
        if verb != "bind" or not reference.is_id(id):
            return "error: bind ID is all that is understood here"
        if len(bound) >= MAX_BOUND:
            return f"error: {MAX_BOUND} subscriptions are bound to this connection already"
        definition = self._subscriptions.watcher.definitions.get(id)
        if definition is None or definition.channel != "websocket":
            return f"error: {id} is no active subscription with the channel websocket"
        try:
            bound[id] = (await self._deliveries([id]))[id].last
        except Unavailable:
            return "error: the database does not answer now; bind again"
        return f"bound {id}"

    async def _tell(self, socket: WebSocket, bound: dict[str, int]) -> None:
        """Ping for each event since the last look; any process may have numbered it."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the connection has ended
            while True:
                await asyncio.sleep(POLL)
                if not bound:
                    continue
                with contextlib.suppress(Unavailable):  # the next look finds what this one missed
                    for id, delivery in (await self._deliveries(list(bound))).items():
                        for _ in range(delivery.last - bound[id]):
                            await socket.send_text(f"ping {id}")
                        bound[id] = delivery.last

    async def _deliveries(self, ids: list[str]) -> dict[str, Delivery]:
        return await self._subscriptions.outbox.deliveries(ids)
