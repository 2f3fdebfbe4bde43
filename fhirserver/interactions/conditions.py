"""Conditional read: https://hl7.org/fhir/R4/http.html#cread, https://www.rfc-editor.org/rfc/rfc9110#section-13"""

from datetime import UTC
from email.utils import parsedate_to_datetime

from fhirserver.model import temporal
from fhirserver.request import Request


def not_modified(request: Request, etag: str, updated: int) -> bool:
    """Whether the client has this version already: the answer is 304 then.

    If-None-Match counts before If-Modified-Since; a condition that is not understood is none.
    """
    if condition := request.headers.get("if-none-match", ""):
        return _matches(condition, etag)
    if condition := request.headers.get("if-modified-since", ""):
        since = _seconds(condition)
        return since is not None and updated // 1_000_000 <= since
    return False


def _matches(condition: str, etag: str) -> bool:
    """Weak comparison: ``W/"3"`` and ``"3"`` are the same version."""
    own = etag.removeprefix("W/")
    return any(tag.strip() == "*" or tag.strip().removeprefix("W/") == own for tag in condition.split(","))


def _seconds(text: str) -> int | None:
    """An HTTP date, or the instant of a Bundle entry's ifModifiedSince, as seconds since 1970."""
    try:
        parsed = parsedate_to_datetime(text)
        # A date that says -0000 comes without a zone and is UTC.
        return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp())
    except ValueError:
        pass
    try:
        return temporal.microseconds(temporal.interval(text, UTC).low) // 1_000_000
    except temporal.NotTemporal:
        return None
