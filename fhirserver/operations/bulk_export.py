"""https://hl7.org/fhir/uv/bulkdata/export.html: ``$export`` of the system, of all patients, of a Group"""

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fhirserver.bulk.selection import conditions_of, members
from fhirserver.errors import BadRequest, TypeNotServed
from fhirserver.model import subset, temporal
from fhirserver.model.temporal import NotTemporal
from fhirserver.operations import inputs
from fhirserver.operations.asynchronous import accepted
from fhirserver.request import Request, Result
from fhirserver.storage.repository import now

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS = ("_type", "_since", "_typeFilter", "_elements", "_outputFormat")
FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
_next_filter = re.compile(r",(?=[A-Z][A-Za-z]+\?)").split


async def bulk_export(request: Request, server: "Server") -> Result:
    """Begin an export; the files show the resources as they are now."""
    level = "group" if request.id else "patient" if request.type else "system"
    if level == "group":
        await members(request.id, server)
    given = inputs.read(request, server, PARAMETERS)
    for format in given.all("_outputFormat"):
        if format.replace(" ", "+") not in FORMATS:
            raise BadRequest(f"_outputFormat={format[:64]} is not written here; {FORMATS[0]} is")
    # Of a search, _elements would be a part of every answer: here it is a parameter as any other.
    elements = [*given.all("_elements"), *(v for k, v in request.query if k == "_elements")]
    types = _types(_parts(given.all("_type")), level, server)
    asked: dict[str, object] = {
        "level": level,
        "group": request.id,
        "types": types,
        "since": _since(given.text("_since"), server),
        "filters": _filters(given.all("_typeFilter"), types, server),
        "elements": _elements(_parts(elements), types, server),
        "instant": now(),
        "url": _url(request),
    }
    return await accepted("export", asked, request, server)


def _parts(values: list[str]) -> list[str]:
    return [part for value in values for part in value.split(",") if part]


def _types(asked: list[str], level: str, server: "Server") -> list[str]:
    """Raises BadRequest for a type that is off or never belongs to a patient."""
    possible = server.types
    if level != "system":
        possible = server.types & {*server.definitions.compartment("Patient"), "Patient"}
    for type in asked:
        try:
            server.check_type(type)
        except TypeNotServed as error:
            raise BadRequest(f"_type: {error}", expression="_type") from None
        if type not in possible:
            raise BadRequest(f"_type: {type} is not in the compartment of a patient", expression="_type")
    return sorted(set(asked) or possible)


def _filters(texts: list[str], types: list[str], server: "Server") -> dict[str, list[str]]:
    """``_typeFilter`` by type: searches, of which a resource needs to meet one. Raises BadRequest."""
    found: dict[str, list[str]] = {}
    for text in (part for whole in texts for part in _next_filter(whole)):
        type, mark, query = text.partition("?")
        if type not in types or not mark:
            raise BadRequest(
                f"_typeFilter={text[:64]} is not Type?search of a type that is exported",
                expression="_typeFilter",
            )
        found.setdefault(type, []).append(query)
    for type, queries in found.items():
        conditions_of(type, queries, server)
    return found


def _elements(names: list[str], types: list[str], server: "Server") -> dict[str, list[str]]:
    """``_elements`` by type, "" for all. Raises BadRequest."""
    found: dict[str, list[str]] = {}
    for stated in names:
        head, dot, rest = stated.partition(".")
        type = head if dot else ""
        if type and type not in types:
            raise BadRequest(
                f"_elements={stated[:64]} is of a type that is not exported", expression="_elements"
            )
        chosen = subset.parse("", rest if type else stated, [type] if type else types, server.definitions)
        found.setdefault(type, []).extend(chosen.elements)
    return found


def _since(text: str, server: "Server") -> int:
    if not text:
        return 0
    try:
        interval = temporal.interval(text, ZoneInfo(server.settings.timezone))
    except NotTemporal as error:
        raise BadRequest(f"_since: {error}", expression="_since") from None
    return temporal.microseconds(interval.low)


def _url(request: Request) -> str:
    """The request, as the manifest repeats it."""
    query = urlencode(request.query, safe=":/,?=|")
    return f"{request.base_url}/{request.path.strip('/')}" + (f"?{query}" if query else "")
