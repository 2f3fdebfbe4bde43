"""Inputs of one patient one after the other, of different patients at the same time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable


class Turns:
    """Whose turn it is: who shares a key with somebody before waits until that one has ended."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Event] = {}

    def queue(self, keys: Iterable[str]) -> "Turn":
        """Take a place behind all that were queued before with one of the keys."""
        ended = asyncio.Event()
        keys = tuple(keys)
        before = {event for key in keys if (event := self._last.get(key)) is not None}
        for key in keys:
            self._last[key] = ended
        return Turn(self._last, keys, before, ended)


class Turn:
    """A place in the queue; ``async with`` it to wait for the turn and to end it."""

    def __init__(
        self,
        last: dict[str, asyncio.Event],
        keys: tuple[str, ...],
        before: set[asyncio.Event],
        ended: asyncio.Event,
    ) -> None:
        self._last, self._keys, self._before, self._ended = last, keys, before, ended

    async def __aenter__(self) -> None:
        for event in self._before:
            await event.wait()

    async def __aexit__(self, *_: object) -> None:
        self._ended.set()
        for key in self._keys:
            if self._last.get(key) is self._ended:
                del self._last[key]


class Backlog:
    """How much is in hand; ``room`` waits while it is too much: the back-pressure of every channel."""

    def __init__(self, items: int, size: int) -> None:
        self._limit_items, self._limit_size = items, size
        self.items = self.size = 0
        self._room = asyncio.Event()
        self._room.set()
        self._empty = asyncio.Event()
        self._empty.set()

    @contextlib.asynccontextmanager
    async def holding(self, size: int) -> AsyncIterator[None]:
        self._change(1, size)
        try:
            yield
        finally:
            self._change(-1, -size)

    async def room(self) -> None:
        await self._room.wait()

    async def empty(self) -> None:
        await self._empty.wait()

    def _change(self, items: int, size: int) -> None:
        self.items += items
        self.size += size
        full = self.items >= self._limit_items or self.size >= self._limit_size
        (self._room.clear if full else self._room.set)()
        (self._empty.clear if self.items else self._empty.set)()
