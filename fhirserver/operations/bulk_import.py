"""``$import``: https://github.com/smart-on-fhir/bulk-import (draft), with its manifest as Parameters"""

from typing import TYPE_CHECKING, Any

from fhirserver.errors import BadRequest, UnknownParameter
from fhirserver.interactions import prepare
from fhirserver.operations.asynchronous import accepted
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS = ("inputFormat", "inputSource", "storageDetail", "input")
FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
MAX_INPUTS = 1000


async def bulk_import(request: Request, server: "Server") -> Result:
    """Begin an import of files, one after the other."""
    inputs = []
    for parameter in _listed(request, server):
        match parameter.get("name"):
            case "inputFormat":
                if _value(parameter) not in FORMATS:
                    raise BadRequest(f"The inputFormat is not read here; {FORMATS[0]} is")
            case "inputSource" | "storageDetail":
                continue  # where it comes from in words, and how it is stored: the URLs say it here
            case "input":
                inputs.append(_input(parameter, server))
            case name:
                raise UnknownParameter(
                    f"$import has no parameter {str(name)[:64]!r}; known are {', '.join(PARAMETERS)}"
                )
    if not 0 < len(inputs) <= MAX_INPUTS:
        raise BadRequest(f"$import takes 1 to {MAX_INPUTS} parameters input; there are {len(inputs)}")
    for given in inputs:
        server.sources.check(given["url"])
    asked: dict[str, object] = {"inputs": inputs, "url": f"{request.base_url}/$import"}
    return await accepted("import", asked, request, server)


def _listed(request: Request, server: "Server") -> list[dict[str, Any]]:
    """``Parameters.parameter`` of the body. Raises BadRequest."""
    resource = prepare.read_body(request, server)
    given = resource.get("parameter", [])
    if resource.get("resourceType") != "Parameters" or not isinstance(given, list):
        raise BadRequest("The operation takes Parameters with parameters", expression="resourceType")
    if not all(isinstance(parameter, dict) for parameter in given):
        raise BadRequest("A parameter is not an object", expression="Parameters.parameter")
    return given


def _input(parameter: dict[str, Any], server: "Server") -> dict[str, str]:
    """Raises BadRequest, TypeNotServed."""
    given = parameter.get("part")
    parts = (
        {p.get("name"): _value(p) for p in given if isinstance(p, dict)} if isinstance(given, list) else {}
    )
    if set(parts) != {"type", "url"} or not all(parts.values()):
        raise BadRequest(
            "A parameter input has the parts type and url", expression="Parameters.parameter.part"
        )
    server.check_type(parts["type"])
    return {"type": parts["type"], "url": parts["url"]}


def _value(parameter: dict[str, Any]) -> str:
    value = next((v for k, v in parameter.items() if k.startswith("value")), "")
    return value if isinstance(value, str) else ""
