"""Feeds over HTTP: HL7v2 messages, CDA documents and XDM submissions."""

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver.errors import BadRequest, FHIRError, Issue, UnsupportedMediaType
from fhirserver.http.bodies import headers_of, read
from fhirserver.model import json, outcome
from fhirserver.settings import Settings

if TYPE_CHECKING:
    from fhirserver.feeds.receive import Receiver

HL7V2 = "application/hl7-v2"
CHANNEL = "http"
INBOX = "/admin/inbox"
CONTENT_TYPES = {
    "hl7v2": (HL7V2, "x-application/hl7-v2+er7", "application/hl7-v2+er7", "text/plain"),
    "mail": ("message/rfc822", "application/octet-stream"),
    "cda": ("application/xml", "text/xml", "application/hl7-cda+xml", "application/octet-stream"),
    "xdm": ("application/zip", "application/x-zip-compressed", "application/octet-stream"),
}
STATUS_CODES = {
    "processed": 201,
    "warnings": 201,
    "duplicate": 200,
    "held": 202,
    "received": 202,
    "cancelled": 202,
    "failed": 422,
}
"""Status of the item -> HTTP status."""
ACKNOWLEDGED = {"AA": 200, "AE": 422, "AR": 400}
"""HL7v2 acknowledgement code -> HTTP status; of several messages the worst counts."""

log = structlog.get_logger()


def feed_routes(receiver: "Receiver", settings: Settings) -> list[Route]:
    feeds = _Feeds(receiver, settings)
    return [
        Route("/feeds/hl7v2", answered(feeds.hl7v2), methods=["POST"]),
        Route("/feeds/cda", answered(feeds.cda), methods=["POST"]),
        Route("/feeds/mail", answered(feeds.mail), methods=["POST"]),
        Route("/feeds/xdm", answered(feeds.xdm), methods=["POST"]),
    ]


class _Feeds:
    def __init__(self, receiver: "Receiver", settings: Settings) -> None:
        self._receiver = receiver
        self._settings = settings

    async def hl7v2(self, request: Request) -> Response:
        """One message, or a batch; the body is the acknowledgements of each.

        In original mode that is one, after processing; in enhanced mode those that MSH-15 and MSH-16 ask for,
        which may be none (202).
        """
        body = await self._body(request, "hl7v2")
        await self._receiver.room()
        answers = await self._receiver.receive_hl7v2(
            body, self._receiver.origin(CHANNEL, address_of(request, self._settings))
        )
        status = max(ACKNOWLEDGED[answer.code] if answer.item else 503 for answer in answers)
        content = b"".join(part for answer in answers for part in answer.acknowledgements)
        first = answers[0].item
        headers = {"Location": f"{INBOX}/{first.id}"} if first else {}
        return Response(content, status if content or status > 299 else 202, headers, HL7V2)

    async def cda(self, request: Request) -> Response:
        return await self._document(request, "cda")

    async def mail(self, request: Request) -> Response:
        return await self._document(request, "mail")

    async def xdm(self, request: Request) -> Response:
        return await self._document(request, "xdm")

    async def _document(self, request: Request, kind: str) -> Response:
        body = await self._body(request, kind)
        await self._receiver.room()
        content_type = request.headers.get("content-type", "")
        origin = self._receiver.origin(CHANNEL, address_of(request, self._settings))
        receipt = await self._receiver.receive(body, kind, origin, content_type=content_type)
        became = await receipt.outcome()
        status = "duplicate" if receipt.item.status == "duplicate" else became.status
        issues = [_issue(remark) for remark in became.issues]
        if status == "duplicate":
            issues.append(Issue("information", "duplicate", "It was received before; nothing has changed"))
        headers = {"Location": f"{INBOX}/{receipt.item.id}"}
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


def address_of(request: Request, settings: Settings) -> str:
    """The client's address; what a proxy says of it counts when that is trusted."""
    address = request.client.host if request.client else ""
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    while hops and _in_networks(address, settings.trusted_proxies):
        address = hops.pop()
    return address


def _in_networks(address: str, networks: tuple[str, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in ip_network(network) for network in networks)


def _issue(remark: Any) -> Issue:
    return Issue(remark["severity"], remark["code"], remark["text"], remark["location"])


def json_response(value: Any, status: int = 200) -> Response:
    return Response(json.format(value), status, media_type="application/json")


def answered(handler: Any) -> Any:
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
