"""``/health`` and ``/metrics``: for operators and their tools, never for patients' data."""

import os
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import fhirserver
from fhirserver import metrics
from fhirserver.storage.database import DatabaseError

if TYPE_CHECKING:
    from fhirserver.app import Parts


class Health:
    """The health endpoints of one process."""

    def __init__(self, parts: "Parts") -> None:
        self._parts = parts

    async def live(self, request: Request) -> Response:
        """The process answers."""
        return JSONResponse({"status": "live", "version": fhirserver.__version__, "pid": os.getpid()})

    async def ready(self, request: Request) -> Response:
        """200 when the database answers, 503 when not; with the workers and the inbox's lag."""
        parts = self._parts
        database = {"engine": "embedded" if parts.database.embedded else "mongodb", "status": "up"}
        report: dict[str, Any] = {
            "status": "ready",
            "version": fhirserver.__version__,
            "pid": os.getpid(),
            "workers": parts.settings.workers,
            "database": database,
            "mllp": {
                "port": parts.mllp_port,
                "ports": [{"port": port, "tls": tls} for port, tls in parts.mllp_ports],
            }
            if parts.mllp_port
            else None,
        }
        try:
            await parts.database.ping()
            report["inbox"] = {"lag_seconds": await parts.inbox.lag()}
        except DatabaseError as error:
            database["status"] = "down"
            report |= {"status": "unavailable", "reason": str(error)}
            return JSONResponse(report, 503)
        return JSONResponse(report)

    async def metrics(self, request: Request) -> Response:
        return Response(metrics.page(), media_type=metrics.CONTENT_TYPE)
