"""The interactions of the REST API, one module each, and which URL is which.

https://hl7.org/fhir/R4/http.html#summary. HTTP, Bundle entries, feeds and imports come through this table.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from fhirserver.interactions.bundle import bundle
from fhirserver.interactions.capabilities import capabilities
from fhirserver.interactions.create import create
from fhirserver.interactions.delete import conditional_delete, delete
from fhirserver.interactions.history import history, history_system, history_type
from fhirserver.interactions.patch import conditional_patch, patch
from fhirserver.interactions.read import read, vread
from fhirserver.interactions.search import search
from fhirserver.interactions.update import conditional_update, update
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server

Interaction = Callable[[Request, "Server"], Awaitable[Result]]

ROUTES: dict[tuple[str, str], tuple[str, Interaction]] = {
    ("GET", "metadata"): ("capabilities", capabilities),
    ("POST", ""): ("transaction", bundle),
    ("GET", ""): ("search-system", search),
    ("POST", "_search"): ("search-system", search),
    ("GET", "{type}"): ("search-type", search),
    ("POST", "{type}/_search"): ("search-type", search),
    ("POST", "{type}"): ("create", create),
    ("PUT", "{type}"): ("update", conditional_update),
    ("PATCH", "{type}"): ("patch", conditional_patch),
    ("DELETE", "{type}"): ("delete", conditional_delete),
    ("GET", "_history"): ("history-system", history_system),
    ("GET", "{type}/_history"): ("history-type", history_type),
    ("GET", "{type}/{id}"): ("read", read),
    ("PUT", "{type}/{id}"): ("update", update),
    ("PATCH", "{type}/{id}"): ("patch", patch),
    ("DELETE", "{type}/{id}"): ("delete", delete),
    ("GET", "{type}/{id}/_history"): ("history-instance", history),
    ("GET", "{type}/{id}/_history/{vid}"): ("vread", vread),
    ("GET", "{type}/{id}/{member}"): ("search-compartment", search),
    ("POST", "{type}/{id}/{member}/_search"): ("search-compartment", search),
}
"""(method, path shape) -> (interaction's code in the CapabilityStatement, function)."""

SHAPES = frozenset(shape for _, shape in ROUTES)
STREAMED = frozenset(("search-type", "search-system", "search-compartment"))
"""The interactions whose answer may be a stream of resources, one a line (NDJSON)."""


def methods(shape: str, routes: Iterable[tuple[str, str]] = ROUTES) -> list[str]:
    """The methods that a path of this shape allows."""
    found = {method for method, s in routes if s == shape}
    return sorted(found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set()))


async def options(request: Request, server: "Server") -> Result:
    """What is possible at a URL: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.7"""
    segments = [segment for segment in request.path.split("/") if segment]
    return Result(204, headers={"Allow": ", ".join(methods(shape_of(segments)))})


def shape_of(segments: list[str]) -> str:
    """The shape of a path: its literals and, in braces, what stands for a type, an id or a version."""
    if not segments or segments == ["metadata"]:
        return "/".join(segments)
    names = ("{type}", "{id}", "{member}", "{vid}")
    parts = [s if s.startswith(("_", "$")) else name for s, name in zip(segments, names, strict=False)]
    return "/".join(parts) if len(segments) <= len(names) else "?"
