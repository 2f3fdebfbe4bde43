"""The inbox for people: what came in, what became of it, and what they decide about it.

``/admin/inbox``: docs/operations.md. What was sent is shown as it was sent: no page of a browser's own.
"""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.errors import BadRequest, UnknownParameter
from fhirserver.http.feeds import INBOX, answered, json_response
from fhirserver.storage.items import STATUSES, Item
from fhirserver.storage.listing import Filters
from mappings.hl7v2.display import display

if TYPE_CHECKING:
    from fhirserver.feeds.receive import Receiver

LIMIT, MAX_LIMIT = 50, 1000
NARROWING = ("status", "kind", "source", "patient", "control-id", "since")
FILTERS = (*NARROWING, "limit", "before")
SEVERITIES = ("error", "warning", "information")


def inbox_routes(receiver: "Receiver") -> list[Route]:
    pages = _Pages(receiver)
    return [
        Route(INBOX, answered(pages.items), methods=["GET"]),
        Route(f"{INBOX}/stats", answered(pages.stats), methods=["GET"]),
        Route(f"{INBOX}/replay", answered(pages.replay_all), methods=["POST"]),
        Route(INBOX + "/{id}", answered(pages.item), methods=["GET"]),
        Route(INBOX + "/{id}/raw", answered(pages.raw), methods=["GET"]),
        Route(INBOX + "/{id}/message", answered(pages.message), methods=["GET"]),
        Route(INBOX + "/{id}/replay", answered(pages.replay), methods=["POST"]),
        Route(INBOX + "/{id}/hold", answered(pages.hold), methods=["POST"]),
        Route(INBOX + "/{id}/cancel", answered(pages.cancel), methods=["POST"]),
    ]


class _Pages:
    def __init__(self, receiver: "Receiver") -> None:
        self._receiver = receiver
        self._inbox = receiver.inbox

    async def items(self, request: Request) -> Response:
        """The inbox, newest first, and how many there are by status."""
        query = dict(request.query_params)
        filters, limit, before = _filters(query, FILTERS)
        filters = await self._receiver.of_patient(filters)
        page = await self._inbox.list(filters, limit, before)
        answer: dict[str, Any] = {
            "counts": await self._inbox.counts(),
            "items": [_shown(item) for item in page.items],
        }
        if page.next:
            answer["next"] = f"{INBOX}?{request.url.include_query_params(before=page.next).query}"
        return json_response(answer)

    async def stats(self, request: Request) -> Response:
        """How many there are by status and, of the newest, by source; how long the oldest waits."""
        _filters(dict(request.query_params), ())
        by_source = await self._inbox.by_source()
        answer = {
            "counts": await self._inbox.counts(),
            "sources": {name: dict(by_source[name]) for name in sorted(by_source)},
            "lag_seconds": round(await self._inbox.lag(), 1),
        }
        return json_response(answer)

    async def item(self, request: Request) -> Response:
        item = await self._inbox.get(request.path_params["id"])
        deferred = await self._receiver.deferred.rows.find(item.first or item.id)
        shown = _shown(item) | {"unread": list(item.outcome.unread)}
        if item.outcome.unmapped:
            shown["unmapped"] = [dict(one) for one in item.outcome.unmapped]
        if deferred:
            shown["deferred_acknowledgement"] = {
                "address": deferred.address,
                "status": deferred.status,
                "attempts": deferred.attempts,
                "problem": deferred.problem,
            }
        return json_response(shown)

    async def raw(self, request: Request) -> Response:
        """The bytes as received. They come from outside: never to be shown by a browser."""
        item = await self._inbox.get(request.path_params["id"])
        headers = {
            "Content-Disposition": f'attachment; filename="{item.id}"',
            "X-Content-Type-Options": "nosniff",
        }
        return Response(await self._inbox.raw(item), 200, headers, "application/octet-stream")

    async def message(self, request: Request) -> Response:
        """An HL7v2 message segment by segment, its fields by number and unescaped."""
        item = await self._inbox.get(request.path_params["id"])
        if item.kind != "hl7v2":
            raise BadRequest(f"The item is no HL7v2 message but {item.kind}: see {INBOX}/{item.id}/raw")
        shown = display(await self._inbox.raw(item), self._receiver.charset(item))
        segments = [{"segment": one.name, "fields": dict(one.fields)} for one in shown]
        return json_response({"id": item.id, "segments": segments})

    async def replay(self, request: Request) -> Response:
        """Process an item again; 202, what becomes of it is seen at the item."""
        item = await self._receiver.replay(request.path_params["id"])
        return Response(status_code=202, headers={"Location": f"{INBOX}/{item.id}"})

    async def replay_all(self, request: Request) -> Response:
        """Process all that the filters find again, in the order of their receipt; ``status`` is needed."""
        filters, _, _ = _filters(dict(request.query_params), NARROWING)
        if not filters.status:
            raise BadRequest("Say which: status=held, failed, warnings, processed or cancelled")
        opened = await self._receiver.replay_all(await self._receiver.of_patient(filters))
        return json_response({"replayed": [item.id for item in opened]}, 202)

    async def hold(self, request: Request) -> Response:
        """Keep an item from being processed, until it is replayed or cancelled."""
        return json_response(_shown(await self._receiver.settle(request.path_params["id"], "held")))

    async def cancel(self, request: Request) -> Response:
        """Decide against an item: it stays, and waits for nobody any more."""
        return json_response(_shown(await self._receiver.settle(request.path_params["id"], "cancelled")))


def _filters(query: dict[str, str], known: tuple[str, ...]) -> tuple[Filters, int, int]:
    """Raises UnknownParameter, BadRequest."""
    if unknown := sorted(set(query) - set(known)):
        raise UnknownParameter(f"{unknown[0][:40]} is not a filter; known are {', '.join(known) or 'none'}")
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
        status,
        query.get("kind", ""),
        query.get("source", ""),
        query.get("control-id", ""),
        tuple(filter(None, [query.get("patient", "")])),
        since=since,
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
        "origin": item.origin,
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
    issues = sorted(item.outcome.issues, key=lambda issue: SEVERITIES.index(issue["severity"]))
    return kept | {"issues": issues, "resources": list(item.outcome.resources)}
