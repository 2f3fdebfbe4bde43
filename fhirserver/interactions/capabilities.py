"""https://hl7.org/fhir/R4/http.html#capabilities: derived from what is registered, never written by hand"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import fhirserver
from fhirserver.model import json
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.operations.registry import Level
    from fhirserver.server import Server

SYSTEM_LEVEL = ("transaction", "batch", "history-system", "search-system")


async def capabilities(request: Request, server: "Server") -> Result:
    """The CapabilityStatement of this server as it runs."""
    return Result(200, _statement(server, request.base_url), headers={"Cache-Control": "max-age=3600"})


@lru_cache(maxsize=16)
def _statement(server: "Server", base_url: str) -> bytes:
    return json.format(
        {
            "resourceType": "CapabilityStatement",
            "id": "fhirserver",
            "status": "active",
            "date": fhirserver.RELEASED,
            "kind": "instance",
            "software": {"name": "fhirserver", "version": fhirserver.__version__},
            "implementation": {"description": "fhirserver", "url": base_url},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
            "rest": [
                {
                    "mode": "server",
                    "resource": [_resource(type, server) for type in sorted(server.types)],
                    "interaction": [{"code": "transaction"}, {"code": "batch"}],
                    **_operations("", server),
                }
            ],
        }
    )


def _resource(type: str, server: "Server") -> dict[str, Any]:
    from fhirserver.interactions import ROUTES

    codes = sorted({code for code, _ in ROUTES.values()} - {"capabilities", *SYSTEM_LEVEL})
    parameters = server.indexer.parameters(type)
    return {
        "type": type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type}",
        "interaction": [{"code": code} for code in codes],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalUpdate": True,
        "conditionalDelete": server.settings.conditional_delete,
        "referencePolicy": ["literal", "logical"],
        "searchParam": [
            {"name": code, "definition": parameter.url, "type": parameter.type}
            for code, parameter in sorted(parameters.items())
        ],
        **_operations(type, server),
    }


def _operations(type: str, server: "Server") -> dict[str, Any]:
    """The operations of a resource type, or ("") of the base."""
    levels: tuple[Level, ...] = ("type", "instance") if type else ("system",)
    found = [o for o in server.operations if o.definition and any(o.is_at(level, type) for level in levels)]
    return {"operation": [{"name": o.code, "definition": o.definition} for o in found]} if found else {}
