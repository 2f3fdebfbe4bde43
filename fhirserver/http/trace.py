"""Which request a log line is about: X-Request-Id and the W3C trace context, bound to the log's context.

https://hl7.org/fhir/R4/http.html#custom, https://www.w3.org/TR/trace-context/
"""

import os
import re
from collections.abc import Mapping

from structlog.contextvars import bind_contextvars

_id = re.compile(r"[A-Za-z0-9._:\-]{1,64}").fullmatch
_parent = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
).fullmatch


def identify(headers: Mapping[str, str]) -> str:
    """The request's id: the client's when it is one that can be logged, else a new UUID."""
    id = headers.get("x-request-id", "")
    if not id or not _id(id):
        id = _uuid()
    bind_contextvars(request_id=id)
    if (parent := headers.get("traceparent")) and (found := _parent(parent)):
        bind_contextvars(trace_id=found[1], parent_id=found[2])
    return id


def _uuid() -> str:
    """A random UUID (version 4) as uuid.uuid4 makes it, at a third of its cost."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
