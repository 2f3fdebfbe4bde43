"""Logging: structured lines on stderr, JSON when nobody watches.

Events name ids, types, statuses and counts. What a resource or a message says never gets here, nor does a
URL's query.
"""

import asyncio
import atexit
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import msgspec
import structlog

FLUSH_SECONDS = 0.2


class _Stderr:
    """What ``sys.stderr`` is when a line is written: programs around this one replace it and close theirs."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


_encode = msgspec.json.Encoder(enc_hook=str).encode


def configure(level: str) -> None:
    """Set up structlog and route the standard library's loggers (uvicorn, pymongo) to the same stream."""
    number = getattr(logging, level.upper())
    terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    # The driver's debug log quotes documents and uvicorn's access log quotes queries: both stay off.
    logging.getLogger("pymongo").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.access").disabled = True


class AccessLog:
    """One line for every request, in the form of all other lines.

    A line through structlog's processors costs a tenth of a read, so lines for machines are encoded here and
    written together, at most ``FLUSH_SECONDS`` later.
    """

    def __init__(self, level: str) -> None:
        self._wanted = level in ("debug", "info")
        self._log = structlog.get_logger() if sys.stderr.isatty() else None
        self._lines: list[bytes] = []

    def write(self, **event: Any) -> None:
        """Never a path or a query among the fields: these hold ids and search values."""
        if not self._wanted:
            return
        if self._log:
            self._log.info("request", **event)
            return
        event |= structlog.contextvars.get_contextvars()
        event |= {"event": "request", "level": "info", "timestamp": datetime.now(UTC).isoformat()}
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)
            atexit.register(self.flush)
        self._lines.append(_encode(event))

    def flush(self) -> None:
        """Write what waits; also when the process ends."""
        atexit.unregister(self.flush)
        lines, self._lines = self._lines, []
        if lines:
            sys.stderr.buffer.write(b"\n".join(lines) + b"\n")
            sys.stderr.buffer.flush()
