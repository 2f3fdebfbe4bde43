"""$docref: https://hl7.org/fhir/us/core/OperationDefinition-docref.html, as IPA and others use it"""

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from fhirserver.errors import BadRequest, Issue
from fhirserver.interactions.documents import is_archived
from fhirserver.interactions.respond import told
from fhirserver.model import json
from fhirserver.operations import inputs
from fhirserver.operations.searchset import entry, searchset
from fhirserver.request import Request, Result
from fhirserver.search.query import And, Condition, Or
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

PARAMETERS = ("patient", "start", "end", "type", "on-demand", "profile")
MOST = 1000
FEW = 20
"""So many are looked at for the latest one that is not archived."""


async def docref(request: Request, server: "Server") -> Result:
    """The current documents of a patient in a range of dates of care, or the latest one when none is given.

    What was replaced, withdrawn or archived (PDSm's isArchived) is not current. A document without a period
    of care is placed by its date. ``on-demand`` documents are made by nobody here: what is stored is what
    there is, and the answer says so.
    """
    given = inputs.read(request, server, PARAMETERS)
    patient = given.text("patient")
    if not patient:
        raise BadRequest("The parameter patient is missing", expression="patient")
    pairs = [("patient", patient), ("status", "current"), ("_sort", "-date")]
    pairs += [("type", ",".join(_token(value) for value in given.all("type")))] if given.all("type") else []
    query = server.compile("DocumentReference", pairs)
    limits = [
        _in_range(prefix, text, server)
        for name, prefix in (("start", "ge"), ("end", "le"))
        if (text := given.text(name))
    ]
    query = replace(query, condition=And((query.condition, *limits)))
    page = await server.repository.search(query, None, MOST if limits else FEW)
    shown = _listed(page.resources)
    while not limits and not shown and page.next:
        page = await server.repository.search(query, page.next, FEW)
        shown = _listed(page.resources)
    shown = shown if limits else shown[:1]
    entries = list(await asyncio.gather(*(entry(s, request, server) for s in shown)))
    notes = []
    if given.flag("on-demand"):
        notes.append(
            Issue("warning", "not-supported", "No document is made on demand; these are the stored ones")
        )
    if given.all("profile"):
        notes.append(Issue("warning", "not-supported", "Documents are not chosen by profile here"))
    if limits and page.next:
        notes.append(Issue("warning", "too-costly", f"Only the latest {MOST} documents are shown"))
    base = f"{request.base_url}/{request.path.strip('/')}"
    asked = [(name, _token(value)) for name, value in given.given]
    total = len(entries) if not (limits and page.next) else None
    return searchset(
        entries + ([told(notes)] if notes else []), {"self": f"{base}?{urlencode(asked)}"}, total
    )


def _listed(resources: list[Stored]) -> list[Stored]:
    return [stored for stored in resources if not is_archived(json.stored(stored.body))]


def _in_range(prefix: str, text: str, server: "Server") -> Condition:
    def condition(name: str, value: str) -> Condition:
        return server.compile("DocumentReference", [(name, value)]).condition

    without = And((condition("period:missing", "true"), condition("date", f"{prefix}{text}")))
    return Or((condition("period", f"{prefix}{text}"), without))


def _token(value: object) -> str:
    """A Coding or CodeableConcept as a search token; what comes in a URL is one already."""
    if isinstance(value, dict):
        codings = value.get("coding", [value])
        return ",".join(f"{c.get('system', '')}|{c.get('code', '')}" for c in codings if isinstance(c, dict))
    return str(value)
