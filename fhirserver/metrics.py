"""What operators watch, in Prometheus' words. Labels never carry ids, values or anything of a patient."""

import os

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

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def observe(method: str, type: str, status: int, seconds: float) -> None:
    REQUESTS.labels(method, type, status).inc()
    SECONDS.labels(method).observe(seconds)


def page() -> bytes:
    """All metrics as text; of all worker processes where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)
        return generate_latest(registry)
    return generate_latest()
