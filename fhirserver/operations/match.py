"""https://hl7.org/fhir/R4/patient-operation-match.html"""

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest
from fhirserver.interactions import prepare
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.operations import inputs
from fhirserver.operations.matching import grade, score
from fhirserver.operations.searchset import entry, searchset
from fhirserver.request import Request, Result
from fhirserver.search.values import escape as escaped
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

MATCH_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
CANDIDATES = 100
"""So many are compared for each thing that is known of the person."""


async def match(request: Request, server: "Server") -> Result:
    """Patients that may be the one described, the most likely first, each with score and grade.

    ``onlyCertainMatches`` leaves the certain ones, and none when there are several: then none is certain.
    """
    given = inputs.read(request, server, ("resource", "onlyCertainMatches", "count"), "resource")
    asked = given.one("resource")
    if not isinstance(asked, dict) or asked.get("resourceType") != "Patient":
        raise BadRequest("The parameter resource is not a Patient", expression="resource")
    if issues := [i for i in server.validator.validate(asked) if i.severity in ("error", "fatal")]:
        raise prepare.Invalid("The Patient is not valid", issues=issues)
    searches = _searches(asked)
    if not searches:
        raise BadRequest("To find a person, an identifier is needed, or a family name, or a birth date")
    candidates: dict[str, Stored] = {}
    for found in await asyncio.gather(*(_candidates(pairs, server) for pairs in searches)):
        candidates |= {stored.id: stored for stored in found}
    scored = [(score(asked, json.stored(stored.body)), stored) for stored in candidates.values()]
    likely = [(value, stored) for value, stored in scored if grade(value) != "certainly-not"]
    likely.sort(key=lambda pair: (-pair[0], pair[1].id))
    if given.flag("onlyCertainMatches"):
        likely = [pair for pair in likely if grade(pair[0]) == "certain"]
        likely = likely if len(likely) == 1 else []
    likely = likely[: given.number("count", server.settings.page_size)]
    entries = await asyncio.gather(
        *(
            entry(
                stored,
                request,
                server,
                extension=[{"url": MATCH_GRADE, "valueCode": grade(value)}],
                score=Decimal(str(value)),
            )
            for value, stored in likely
        )
    )
    return searchset(entries, {}, len(entries))


def escape(text: str) -> str:
    """A text as one value of a search parameter."""
    return escaped(text).replace(",", "\\,")


async def _candidates(pairs: list[tuple[str, str]], server: "Server") -> list[Stored]:
    page = await server.repository.search(server.compile("Patient", pairs), None, CANDIDATES)
    return page.resources


def _searches(asked: Resource) -> list[list[tuple[str, str]]]:
    """What may find the person: any identifier; the family or a given name with the birth date; without a
    birth date, the whole name."""
    tokens = [
        f"{escape(i['system'])}|{escape(i['value'])}"
        for i in asked.get("identifier", ())
        if i.get("system") and i.get("value")
    ]
    searches = [[("identifier", ",".join(tokens))]] if tokens else []
    names = [name for name in asked.get("name", ()) if isinstance(name, dict)]
    families = [escape(name["family"]) for name in names if name.get("family")]
    given = [escape(text) for name in names for text in name.get("given", ()) if text]
    if birth := asked.get("birthDate"):
        parts = (("family", families), ("given", given))
        searches += [[(part, ",".join(values)), ("birthdate", birth)] for part, values in parts if values]
        if not families and not given:
            searches.append([("birthdate", birth)])
    elif families:
        searches.append([("family", ",".join(families)), *([("given", ",".join(given))] if given else [])])
    return searches
