"""Deciding again while others change what a decision was based on."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from fhirserver.errors import MultipleMatches, PreconditionFailed, VersionConflict

ROUNDS: Final = 8

Made = TypeVar("Made")


async def in_rounds(attempt: Callable[[int], Awaitable[Made]]) -> Made:
    """What an attempt makes: it reads, decides and writes, and is called again, with the number of the round,
    when what it has read is no longer so.

    Raises:
        PreconditionFailed, VersionConflict: of the last round.
        Whatever else the attempt raises.
    """
    for round in range(ROUNDS - 1):
        try:
            return await attempt(round)
        except MultipleMatches:
            raise
        except (PreconditionFailed, VersionConflict):
            await asyncio.sleep(0.005 * 2**round)
    return await attempt(ROUNDS - 1)
