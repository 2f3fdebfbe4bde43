"""The XDS web services: ``/xds/repository``, ``/xds/registry``, ``/xds`` for both."""

import time
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fhirserver import metrics
from fhirserver.errors import FHIRError, NotFound
from fhirserver.http.bodies import headers_of, read
from fhirserver.http.feeds import address_of
from fhirserver.http.forwarded import BASE_PATH, Proxies
from fhirserver.http.trace import identify
from fhirserver.logs import AccessLog
from fhirserver.server import refusal
from fhirserver.settings import Settings
from fhirserver.xds import description
from fhirserver.xds.endpoint import Endpoint, Reply, faulty
from fhirserver.xds.request import CHANNEL, PLACES
from mappings.xds.soap.faults import Fault
from mappings.xds.soap.mime import UnknownMediaType

if TYPE_CHECKING:
    from fhirserver.feeds.receive import Receiver
    from fhirserver.server import Server

PATH = "/xds"


def xds_routes(server: "Server", receiver: "Receiver", settings: Settings) -> list[Route]:
    endpoint = Endpoint(server, receiver)
    access_log = AccessLog(settings.log_level)
    proxies = Proxies(settings.trusted_proxies, server.base_url)

    def route(path: str, place: str) -> Route:
        async def post(request: Request) -> Response:
            began = time.perf_counter()
            request_id = identify(headers_of(request.scope))
            reply = await _answer(request, endpoint, receiver, settings, place)
            seconds = time.perf_counter() - began
            metrics.observe("POST", CHANNEL, reply.status, seconds)
            access_log.write(
                method="POST",
                type=CHANNEL,
                interaction=reply.action,
                status=reply.status,
                ms=round(seconds * 1000, 1),
                request_id=request_id,
            )
            headers = {**reply.headers, "Content-Type": reply.content_type, "X-Request-Id": request_id}
            return Response(reply.body, reply.status, headers)

        async def get(request: Request) -> Response:
            return _described(request, place, proxies)

        async def endpoint_at(request: Request) -> Response:
            return await (post if request.method == "POST" else get)(request)

        return Route(path, endpoint_at, methods=["GET", "POST"])

    return [route(PATH, ""), *(route(f"{PATH}/{place}", place) for place in PLACES)]


def _described(request: Request, place: str, proxies: Proxies) -> Response:
    """The WSDL (``?wsdl``) of an endpoint, or a schema that it names (``?xsd=``)."""
    try:
        query = {name.lower(): value for name, value in request.query_params.items()}
        if "xsd" in query:
            return Response(description.schema(query["xsd"]), media_type=description.MEDIA_TYPE)
        if "wsdl" not in query:
            raise NotFound("Messages are sent with POST; ?wsdl describes them")
        base = proxies.base_url(request.client.host if request.client else "", headers_of(request.scope))
        location = base.removesuffix(BASE_PATH) + request.url.path
        return Response(description.wsdl(place, location), media_type=description.MEDIA_TYPE)
    except FHIRError as error:
        result = refusal(error)
        return Response(result.body, result.status, media_type=result.content_type)


async def _answer(
    request: Request, endpoint: Endpoint, receiver: "Receiver", settings: Settings, place: str
) -> Reply:
    try:
        body = await read(request.receive, headers_of(request.scope), settings.max_body)
        await receiver.room()
        origin = receiver.origin(CHANNEL, address_of(request, settings))
        return await endpoint.answer(body, request.headers.get("content-type", ""), origin, place)
    except UnknownMediaType as error:
        status, text = 415, str(error)
    except FHIRError as error:
        status, text = error.status, str(error)
    reply = faulty(Fault("Sender", text))
    return Reply(status, reply.body, reply.content_type)
