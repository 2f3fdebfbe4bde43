"""Logging: structured lines on stderr, JSON when nobody watches.

Events name ids, types, statuses and counts. What a resource or a message says never gets here, nor does a
URL's query.
"""

import logging
import sys

import structlog


def configure(level: str) -> None:
    """Set up structlog and route the standard library's loggers (uvicorn, pymongo) to the same stream."""
    number = getattr(logging, level.upper())
    terminal = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(number, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    # The driver's debug log quotes documents and uvicorn's access log quotes queries: both stay off.
    logging.getLogger("pymongo").setLevel(logging.ERROR)
    logging.getLogger("uvicorn.access").disabled = True
