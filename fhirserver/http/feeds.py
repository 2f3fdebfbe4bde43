"""Feeds over HTTP: HL7v2 messages, CDA documents and XDM submissions in, and the inbox to look at."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.errors import (
    BadRequest,
    FHIRError,
    Issue,
    UnknownParameter,
    UnsupportedMediaType,
    VersionConflict,
)
from fhirserver.http.bodies import headers_of, read
from fhirserver.model import json, outcome
from fhirserver.settings import Settings
from fhirserver.storage.inbox import STATUSES, Filters, Inbox, Item

if TYPE_CHECKING:
    from fhirserver.feeds.receive import Receiver

HL7V2 = "application/hl7-v2"
CHANNEL = "http"
CONTENT_TYPES = {
    "hl7v2": (HL7V2, "x-application/hl7-v2+er7", "application/hl7-v2+er7", "text/plain"),
    "cda": ("application/xml", "text/xml", "application/hl7-cda+xml", "application/octet-stream"),
    "xdm": ("application/zip", "application/x-zip-compressed", "application/octet-stream"),
}
STATUS_CODES = {
    "processed": 201,
    "warnings": 201,
    "duplicate": 200,
    "held": 202,
    "received": 202,
    "failed": 422,
}
"""Status of the item -> HTTP status."""
ACKNOWLEDGED = {"AA": 200, "AE": 422, "AR": 400}
"""HL7v2 acknowledgement code -> HTTP status; of several messages the worst counts."""
log = structlog.get_logger()

LIMIT, MAX_LIMIT = 50, 1000
FILTERS = ("status", "kind", "source", "control-id", "since", "limit", "before")


def feed_routes(receiver: "Receiver", inbox: Inbox, settings: Settings) -> list[Route]:
    feeds = _Feeds(receiver, inbox, settings)
    return [
        Route("/feeds/hl7v2", _answered(feeds.hl7v2), methods=["POST"]),
        Route("/feeds/cda", _answered(feeds.cda), methods=["POST"]),
        Route("/feeds/xdm", _answered(feeds.xdm), methods=["POST"]),
        Route("/inbox", _answered(feeds.items), methods=["GET"]),
        Route("/inbox/{id}", _answered(feeds.item), methods=["GET"]),
        Route("/inbox/{id}/raw", _answered(feeds.raw), methods=["GET"]),
        Route("/inbox/{id}/replay", _answered(feeds.replay), methods=["POST"]),
        Route("/inbox/{id}/cancel", _answered(feeds.cancel), methods=["POST"]),
    ]


class _Feeds:
    def __init__(self, receiver: "Receiver", inbox: Inbox, settings: Settings) -> None:
        self._receiver = receiver
        self._inbox = inbox
        self._settings = settings

    async def hl7v2(self, request: Request) -> Response:
        """One message, or a batch; the body is always the acknowledgement of each, after processing."""
        body = await self._body(request, "hl7v2")
        await self._receiver.room()
        answers = await self._receiver.receive_hl7v2(body, CHANNEL)
        status = max(ACKNOWLEDGED[answer.code] if answer.item else 503 for answer in answers)
        first = answers[0].item
        headers = {"Location": f"/inbox/{first.id}"} if first else {}
        return Response(b"".join(a.acknowledgement for a in answers), status, headers, HL7V2)

    async def cda(self, request: Request) -> Response:
        return await self._document(request, "cda")

    async def xdm(self, request: Request) -> Response:
        return await self._document(request, "xdm")

    async def items(self, request: Request) -> Response:
        """The inbox, newest first, and how many there are by status."""
        query = dict(request.query_params)
        filters, limit, before = _filters(query)
        page = await self._inbox.list(filters, limit, before)
        answer: dict[str, Any] = {
            "counts": await self._inbox.counts(),
            "items": [_shown(item) for item in page.items],
        }
        if page.next:
            answer["next"] = f"/inbox?{request.url.include_query_params(before=page.next).query}"
        return _json(answer)

    async def item(self, request: Request) -> Response:
        item = await self._inbox.get(request.path_params["id"])
        return _json(_shown(item) | {"unread": list(item.outcome.unread)})

    async def raw(self, request: Request) -> Response:
        """The bytes as received. They come from outside: never to be shown by a browser."""
        item = await self._inbox.get(request.path_params["id"])
        headers = {
            "Content-Disposition": f'attachment; filename="{item.id}"',
            "X-Content-Type-Options": "nosniff",
        }
        return Response(await self._inbox.raw(item), 200, headers, "application/octet-stream")

    async def replay(self, request: Request) -> Response:
        """Process a held or failed item again; 202, what becomes of it is seen at the item."""
        id = request.path_params["id"]
        await self._receiver.replay(id)
        return Response(status_code=202, headers={"Location": f"/inbox/{id}"})

    async def cancel(self, request: Request) -> Response:
        """Decide against a held or failed item: it stays, and waits for nobody any more."""
        item = await self._inbox.get(request.path_params["id"])
        cancelled = await self._inbox.cancel(item)
        if cancelled is None:
            raise VersionConflict(f"The item is {item.status}: only what is held or failed is cancelled")
        return _json(_shown(cancelled))

    async def _document(self, request: Request, kind: str) -> Response:
        body = await self._body(request, kind)
        await self._receiver.room()
        content_type = request.headers.get("content-type", "")
        receipt = await self._receiver.receive(body, kind, CHANNEL, content_type=content_type)
        became = await receipt.outcome()
        status = "duplicate" if receipt.item.status == "duplicate" else became.status
        issues = [_issue(remark) for remark in became.issues]
        if status == "duplicate":
            issues.append(Issue("information", "duplicate", "It was received before; nothing has changed"))
        headers = {"Location": f"/inbox/{receipt.item.id}"}
        body = outcome.body(issues)
        return Response(body, STATUS_CODES[status], headers, "application/fhir+json; charset=utf-8")

    async def _body(self, request: Request, kind: str) -> bytes:
        """Raises UnsupportedMediaType, TooLarge, BadRequest (empty)."""
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        known = CONTENT_TYPES[kind]
        if content_type not in known:
            raise UnsupportedMediaType(
                f"Content-Type {content_type[:80] or '(none)'} is not taken here; {', '.join(known)} are"
            )
        body = await read(request.receive, headers_of(request.scope), self._settings.max_body)
        if not body.strip():
            raise BadRequest("The body is empty")
        return body


def _answered(handler: Any) -> Any:
    """A refusal is an OperationOutcome."""

    async def endpoint(request: Request) -> Response:
        try:
            response: Response = await handler(request)
        except FHIRError as error:
            body = outcome.body(error.issues)
            return Response(body, error.status, error.headers, "application/fhir+json; charset=utf-8")
        except Exception as error:
            # The text of an unforeseen error may quote the input: only its kind and place are told.
            log.error("unforeseen error", kind=type(error).__name__, where=handler.__name__)
            body = outcome.body([Issue("fatal", "exception", "Unforeseen error; it was logged")])
            return Response(body, 500, media_type="application/fhir+json; charset=utf-8")
        return response

    return endpoint


def _filters(query: dict[str, str]) -> tuple[Filters, int, int]:
    """Raises UnknownParameter, BadRequest."""
    if unknown := sorted(set(query) - set(FILTERS)):
        raise UnknownParameter(f"{unknown[0][:40]} is not a filter; known are {', '.join(FILTERS)}")
    status = query.get("status", "")
    if status and status not in STATUSES:
        raise BadRequest(f"status={status[:40]} is none of {', '.join(STATUSES)}")
    since = None
    if text := query.get("since"):
        try:
            since = datetime.fromisoformat(text.replace(" ", "+"))
        except ValueError:
            raise BadRequest(f"since={text[:40]} is not a time such as 2026-03-01T08:00:00Z") from None
        since = since if since.tzinfo else since.replace(tzinfo=UTC)
    limit = min(_number(query, "limit", LIMIT), MAX_LIMIT)
    filters = Filters(
        status, query.get("kind", ""), query.get("source", ""), query.get("control-id", ""), since
    )
    return filters, limit, _number(query, "before", 0)


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 0 < int(text[:12]) < 2**40):
        raise BadRequest(f"{name}={text[:40]} is not a positive number")
    return int(text)


def _shown(item: Item) -> dict[str, Any]:
    shown = {
        "id": item.id,
        "status": item.status,
        "kind": item.kind,
        "channel": item.channel,
        "source": item.source,
        "event": item.event,
        "control_id": item.control_id,
        "received": item.received.isoformat(timespec="milliseconds"),
        "finished": item.finished.isoformat(timespec="milliseconds") if item.finished else "",
        "attempts": item.attempts,
        "size": item.size,
        "sha256": item.sha256,
        "content_type": item.content_type,
        "acknowledgement": item.outcome.acknowledgement,
        "first": item.first,
    }
    kept: dict[str, Any] = {name: value for name, value in shown.items() if value != ""}
    return kept | {"issues": list(item.outcome.issues), "resources": list(item.outcome.resources)}


def _issue(remark: Any) -> Issue:
    return Issue(remark["severity"], remark["code"], remark["text"], remark["location"])


def _json(value: Any) -> Response:
    return Response(json.format(value), 200, media_type="application/json")
