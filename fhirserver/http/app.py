"""The ASGI application of one process: the FHIR API, the feeds' entry points, health and metrics."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from fhirserver.errors import MethodNotAllowed, NotFound
from fhirserver.http import websocket
from fhirserver.http.admin import admin_routes
from fhirserver.http.answers import send_result
from fhirserver.http.bodies import headers_of
from fhirserver.http.feeds import feed_routes
from fhirserver.http.fhir import FHIRApplication
from fhirserver.http.forwarded import BASE_PATH
from fhirserver.http.health import Health
from fhirserver.http.schemas import schema_routes
from fhirserver.http.xds import xds_routes
from fhirserver.model.media_types import JSON
from fhirserver.server import refusal

if TYPE_CHECKING:
    from fhirserver.app import Parts


def build(opened: "Callable[[], AbstractAsyncContextManager[Parts]]") -> Starlette:
    """An application that opens its parts at start-up and closes them at shutdown.

    Routes are made inside the lifespan, when the parts they serve exist.
    """

    @contextlib.asynccontextmanager
    async def lifespan(application: Starlette) -> AsyncIterator[None]:
        async with opened() as parts:
            application.router.routes[:] = _routes(parts)
            yield

    application = Starlette(lifespan=lifespan)
    application.router.redirect_slashes = False
    application.router.default = _unknown_route
    application.add_exception_handler(HTTPStatus.METHOD_NOT_ALLOWED, _method_not_allowed)
    return application


def _routes(parts: "Parts") -> list[Route | Mount | WebSocketRoute]:
    health = Health(parts)
    fhir = FHIRApplication(parts.server)
    bases: list[Route | Mount] = []
    # A proxy may take its prefix away or leave it in place: both are served.
    for path in dict.fromkeys((BASE_PATH, urlsplit(parts.server.base_url).path)):
        if path:
            bases += [Route(path, _Base(fhir)), Mount(path, app=fhir)]
    sockets = []
    if parts.server.subscriptions:
        sockets.append(
            WebSocketRoute(websocket.PATH, websocket.Notifications(parts.server.subscriptions).endpoint)
        )
    return [
        *bases,
        *sockets,
        Route("/health", health.ready),
        Route("/health/live", health.live),
        Route("/health/ready", health.ready),
        Route("/metrics", health.metrics),
        *feed_routes(parts.receiver, parts.settings),
        *admin_routes(parts.receiver, parts.settings),
        *schema_routes(parts.server),
        *xds_routes(parts.server, parts.receiver, parts.settings),
        Route("/", _home),
    ]


class _Base:
    """The FHIR base without a slash after it (``POST /fhir``): a Mount answers only below its path."""

    def __init__(self, fhir: FHIRApplication) -> None:
        self._fhir = fhir

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._fhir({**scope, "root_path": scope["path"]}, receive, send)


async def _home(request: Request) -> Response:
    return RedirectResponse(f"{BASE_PATH}/metadata")


async def _method_not_allowed(request: Request, error: Exception) -> Response:
    """What Starlette's routes refuse, as an OperationOutcome."""
    allowed = dict(getattr(error, "headers", None) or {}).get("Allow", "")
    result = refusal(MethodNotAllowed(f"{request.method} is not possible here; {allowed} is"))
    return Response(result.body, result.status, {"Allow": allowed}, JSON)


async def _unknown_route(scope: Scope, receive: Receive, send: Send) -> None:
    """Outside of everything: an OperationOutcome, too."""
    if scope["type"] == "http":
        known = f"the FHIR API is under {BASE_PATH}, the feeds under /feeds, XDS under /xds"
        result = refusal(NotFound(f"There is nothing here; {known}"))
        await send_result(result, scope, send, headers_of(scope), {})
