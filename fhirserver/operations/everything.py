"""https://hl7.org/fhir/R4/patient-operation-everything.html"""

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fhirserver.errors import BadRequest, Gone, NotFound
from fhirserver.interactions.compartments import Compartment
from fhirserver.model import json
from fhirserver.operations import inputs
from fhirserver.operations.referenced import referenced
from fhirserver.operations.searchset import entry, searchset
from fhirserver.request import Request, Result
from fhirserver.search.query import And, Condition, Everything, KeyRange, Or, Query
from fhirserver.storage import several
from fhirserver.storage.documents import Stored
from fhirserver.storage.pipeline import Position

if TYPE_CHECKING:
    from fhirserver.server import Server

PAGE = "_page"
PARAMETERS = ("start", "end", "_since", "_type", "_count")
CARE_DATE = {
    "Communication": "sent",
    "MedicationStatement": "effective",
    "ServiceRequest": "occurrence",
    "Specimen": "collected",
}
"""The search parameter for when care was given, where it is not ``date``."""
REMEMBERED = 200
"""A page remembers so many resources that earlier pages have included; it is a part of the URL."""
MOST_INCLUDED = 10_000


async def everything(request: Request, server: "Server") -> Result:
    """All resources of a patient's compartment (or, on the type, of all patients'), and what they refer to.

    Newest first, in pages of ``_count``, by default as large as pages can be. Resources without a date of
    care are in every range of dates.
    """
    if token := dict(request.query).get(PAGE):
        pairs, after, included = _open(token, request, server)
        given = inputs.Inputs(tuple(pairs))
    else:
        given = inputs.read(request, server, PARAMETERS)
        pairs, after, included = [(name, str(value)) for name, value in given.given], None, []
    if request.id:
        await _patient(request, server)
    types = _types(given, server)
    queries = [query for type in types for query in _queries(type, given, request, server)]
    count = min(given.number("_count", server.settings.page_max), server.settings.page_max)
    page = await several.page(server.repository.database, queries, after, count)
    support = await _support(page.resources, types if given.all("_type") else (), included, server)
    entries = await asyncio.gather(
        *(entry(stored, request, server) for stored in page.resources),
        *(entry(stored, request, server, "include") for stored in support),
    )
    base = f"{request.base_url}/{request.path.strip('/')}"
    following = ""
    if page.next:
        included = [*included, *(_digest(stored.reference) for stored in support)][-REMEMBERED:]
        sealed = server.seal([request.path.strip("/"), pairs, page.next.values, page.next.tie, included])
        following = f"{base}?{PAGE}={sealed}"
    self_url = f"{base}?{urlencode(pairs, safe=':/,|')}" if pairs else base
    total = len(page.resources) if after is None and not page.next else None
    return searchset(entries, {"self": self_url, "next": following}, total)


async def _patient(request: Request, server: "Server") -> None:
    Compartment(request.type, request.id).types(server)  # refuses an id that cannot be one
    stored = await server.repository.find(request.type, request.id)
    if stored is None:
        raise NotFound(f"There is no {request.type}/{request.id}")
    if stored.deleted:
        raise Gone(f"{request.type}/{request.id} was deleted", headers={"ETag": stored.etag})


def _types(given: inputs.Inputs, server: "Server") -> tuple[str, ...]:
    """Raises TypeNotServed: ``_type`` names one that is off."""
    chosen = [name.strip() for value in given.all("_type") for name in str(value).split(",")]
    for type in chosen:
        server.check_type(type)
    return tuple(dict.fromkeys(chosen)) or tuple(sorted(server.types))


def _queries(type: str, given: inputs.Inputs, request: Request, server: "Server") -> list[Query]:
    """The searches of one type, of which no resource meets two; none when the compartment never has it."""
    parameters = server.definitions.compartment("Patient")
    if type != "Patient" and type not in parameters:
        return []
    if not request.id:
        members: list[Condition] = [_any_patient(type, parameters)]
    else:
        # Other patients that name this one in a link have a record of their own.
        conditions = Compartment("Patient", request.id).conditions(type, server)
        members = conditions[:1] if type == "Patient" else conditions
    limits = _limits(type, given, server)
    base = server.compile(type, [])
    return [replace(base, condition=And((member, *limits)) if limits else member) for member in members]


def _any_patient(type: str, parameters: Any) -> Condition:
    if type == "Patient":
        return Everything()
    ranges = tuple(KeyRange(f"{code}|Patient/", f"{code}|Patient0") for code in parameters[type])
    return ranges[0] if len(ranges) == 1 else Or(ranges)


def _limits(type: str, given: inputs.Inputs, server: "Server") -> list[Condition]:
    limits: list[Condition] = []
    if since := given.text("_since"):
        limits.append(server.compile(type, [("_lastUpdated", f"ge{since}")]).condition)
    code = CARE_DATE.get(type, "date")
    if type == "Patient" or code not in server.indexer.parameters(type):
        return limits
    undated = server.compile(type, [(f"{code}:missing", "true")]).condition
    for name, prefix in (("start", "ge"), ("end", "le")):
        if text := given.text(name):
            dated = server.compile(type, [(code, f"{prefix}{text}")]).condition
            limits.append(Or((dated, undated)))
    return limits


async def _support(
    resources: list[Stored], types: tuple[str, ...], included: list[bytes], server: "Server"
) -> list[Stored]:
    """What the resources refer to outside of the compartment: who, where, with what."""
    inside = {*server.definitions.compartment("Patient"), "Patient"}

    def wanted(type: str) -> bool:
        return type not in inside and (not types or type in types)

    bodies = [json.stored(stored.body) for stored in resources]
    known = {stored.reference for stored in resources}
    found = await referenced(bodies, known, wanted, server, limit=MOST_INCLUDED)
    return [stored for stored in found if _digest(stored.reference) not in included]


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:6]


def _open(
    token: str, request: Request, server: "Server"
) -> tuple[list[tuple[str, str]], Position, list[bytes]]:
    sealed = server.unseal(token)
    if not isinstance(sealed, list) or len(sealed) != 5 or sealed[0] != request.path.strip("/"):
        raise BadRequest(f"{PAGE} is not a page of this operation", expression=PAGE)
    _, pairs, values, tie, included = sealed
    return [(name, value) for name, value in pairs], Position(tuple(values), tie), included
