"""Pages of other origins may call the API where the setting ``cors_origins`` names them.

https://fetch.spec.whatwg.org/#http-cors-protocol
"""

from collections.abc import Iterable, Mapping

EXPOSED = ", ".join(
    (
        *("Accept-Ranges", "Content-Disposition", "Content-Encoding", "Content-Location", "Content-Range"),
        *("ETag", "Last-Modified", "Location", "Preference-Applied", "Retry-After", "X-Progress"),
        *("X-Request-Id", "X-Security-Context"),
    )
)
"""Headers of an answer that a page may read."""
ALLOWED = ", ".join(
    (
        *("Accept", "Authorization", "Content-Encoding", "Content-Type", "If-Match", "If-Modified-Since"),
        *("If-None-Exist", "If-None-Match", "If-Range", "Prefer", "Range", "traceparent", "tracestate"),
        *("X-Request-Id", "X-Security-Context"),
    )
)
"""Headers that a page may send."""
MAX_AGE = "3600"


class CrossOrigin:
    """What is added to answers for pages of the allowed origins (``*``: any)."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origins)

    def headers(self, method: str, asked: Mapping[str, str], allow: str) -> dict[str, str]:
        """The headers for a request; ``allow`` are the methods of its URL, needed for a preflight."""
        origin = asked.get("origin", "")
        if not origin or not self._origins:
            return {}
        if "*" in self._origins:
            added = {"Access-Control-Allow-Origin": "*"}
        elif origin in self._origins:
            added = {"Access-Control-Allow-Origin": origin}
        else:
            return {}
        if method == "OPTIONS" and "access-control-request-method" in asked:
            added["Access-Control-Allow-Methods"] = allow
            added["Access-Control-Allow-Headers"] = ALLOWED
            added["Access-Control-Max-Age"] = MAX_AGE
        else:
            added["Access-Control-Expose-Headers"] = EXPOSED
        return added
