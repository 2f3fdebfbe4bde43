"""Another terminology server, asked for what is not known here. https://hl7.org/fhir/R4/terminology-service.html

It is told codes, never whom they are about.
"""

import time
from collections import OrderedDict
from typing import Any

import msgspec

from fhirserver.errors import FHIRError, NotFound, TooCostly, Unavailable, Unprocessable
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.outbound import Outbound, Refused, Unreachable

SECONDS = 10.0
LARGEST = 8 * 1024 * 1024
KEPT = 4096
"""So many answers are remembered, each for ``FRESH`` seconds; that it did not answer for ``PAUSE``."""
FRESH = 3600.0
PAUSE = 10.0
_REFUSALS: dict[int, type[FHIRError]] = {404: NotFound, 422: Unprocessable, 400: Unprocessable}


class Remote:
    """``url`` is the FHIR base of the server."""

    def __init__(self, url: str, outbound: Outbound, seconds: float = SECONDS) -> None:
        self.url = url.rstrip("/")
        self._outbound = outbound
        self._seconds = seconds
        self._remembered: OrderedDict[bytes, tuple[float, Resource | FHIRError]] = OrderedDict()
        self._silent_until = 0.0

    async def ask(self, operation: str, parameters: Resource) -> Resource:
        """The answer to an operation such as ``ValueSet/$expand``.

        Raises:
            NotFound, Unprocessable, TooCostly: what the other server says.
            Unavailable: it does not answer in time, or not sensibly.
        """
        body = json.format_sorted(parameters)
        key = operation.encode() + b" " + body
        known = self._remembered.get(key)
        if known and known[0] > time.monotonic():
            if isinstance(known[1], FHIRError):
                raise known[1]
            return known[1]
        if self._silent_until > time.monotonic():
            raise Unavailable("The terminology server does not answer")
        try:
            answer = await self._send(operation, body)
        except Unavailable:
            self._silent_until = time.monotonic() + PAUSE
            raise
        except FHIRError as refusal:
            self._remember(key, refusal)
            raise
        self._remember(key, answer)
        return answer

    def _remember(self, key: bytes, answer: Resource | FHIRError) -> None:
        self._remembered[key] = time.monotonic() + FRESH, answer
        self._remembered.move_to_end(key)
        while len(self._remembered) > KEPT:
            self._remembered.popitem(last=False)

    async def _send(self, operation: str, body: bytes) -> Resource:
        headers = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
        url = f"{self.url}/{operation}"
        try:
            async with self._outbound.stream("POST", url, headers, body, self._seconds) as (status, content):
                received = bytearray()
                async for part in content:
                    received += part
                    if len(received) > LARGEST:
                        raise TooCostly("The answer of the terminology server is too large")
        except (Refused, Unreachable) as error:
            raise Unavailable(f"The terminology server does not answer: {error}") from None
        try:
            answer: Any = json.stored(bytes(received))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Unavailable(f"The terminology server answers {status} without a resource")
        if status == 200:
            return answer
        raise _refusal(status, answer)


def _refusal(status: int, outcome: Resource) -> FHIRError:
    issues = [issue for issue in outcome.get("issue", ()) if isinstance(issue, dict)]
    texts = [str(i.get("diagnostics") or i.get("details", {}).get("text", "")) for i in issues]
    said = "; ".join(filter(None, texts))[:500] or f"status {status}"
    if any(issue.get("code") == "too-costly" for issue in issues):
        return TooCostly(f"The terminology server: {said}")
    return _REFUSALS.get(status, Unavailable)(f"The terminology server: {said}")
