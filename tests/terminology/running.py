"""A server without HTTP: requests go through its one door."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from typing import Any

from fhirserver.app import Parts, open_parts
from fhirserver.request import Request
from fhirserver.settings import Settings


class Running:
    """A server without HTTP, in an event loop of its own."""

    def __init__(self, runner: asyncio.Runner, parts: Parts) -> None:
        self.runner = runner
        self.parts = parts

    def perform(self, method: str, path: str, query: dict[str, str], resource: Any = None) -> tuple[int, Any]:
        request = Request(method, path, query=tuple(query.items()), resource=resource)
        result = self.runner.run(self.parts.server.answer(request))
        return result.status, json.loads(result.body)


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Running]:
    with asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        parts = runner.run(stack.enter_async_context(open_parts(settings, listen=False)))
        try:
            yield Running(runner, parts)
        finally:
            runner.run(stack.aclose())
