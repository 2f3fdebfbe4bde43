"""What operators watch, in Prometheus' words. Labels never carry ids, values or anything of a patient."""

import os
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess

REQUESTS = Counter("fhirserver_http_requests_total", "FHIR requests answered", ("method", "type", "status"))
SECONDS = Histogram(
    "fhirserver_http_request_seconds",
    "Time from the request's first byte to the answer's last",
    ("method",),
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
MESSAGES = Counter("fhirserver_inbox_received_total", "Inputs received by feeds", ("kind", "channel"))
OUTCOMES = Counter("fhirserver_inbox_outcomes_total", "Inputs by the status they reached", ("kind", "status"))
NOTIFICATIONS = Counter("fhirserver_notifications_total", "Notifications to subscribers", ("outcome",))

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def observe(method: str, type: str, status: int, seconds: float) -> None:
    """``type`` is one the server knows, as each combination of labels is kept for ever."""
    method = method if method in METHODS else "other"
    _requests(method, type, status).inc()
    _seconds(method).observe(seconds)


_requests = lru_cache(maxsize=4096)(REQUESTS.labels)
_seconds = lru_cache(maxsize=16)(SECONDS.labels)


def page() -> bytes:
    """All metrics as text; of all worker processes where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # the library is not typed
        return generate_latest(registry)
    return generate_latest()
