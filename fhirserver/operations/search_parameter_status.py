"""``SearchParameter/$status``: which search parameters beside those of FHIR can be searched

For each SearchParameter and each type it is about one of

* ``active``: searches may use it;
* ``pending``: what is written is indexed by it, what is stored is not all: ``$reindex`` of the type;
* ``refused``: it cannot be searched, with the reason.
"""

from typing import TYPE_CHECKING, Any

from fhirserver.errors import NotFound
from fhirserver.interactions.prepare import check_id
from fhirserver.model import json
from fhirserver.operations import inputs
from fhirserver.request import Request, Result
from fhirserver.search.parameters import Custom
from fhirserver.storage.jobs import Job

if TYPE_CHECKING:
    from fhirserver.server import Server

Part = dict[str, Any]


async def search_parameter_status(request: Request, server: "Server") -> Result:
    """The status of one parameter, or of all that are in use or have the parameter ``url``.

    Raises:
        NotFound: there is no such SearchParameter, or it is not in use (its status is not active).
    """
    given = inputs.read(request, server, () if request.id else ("url",))
    customs = list(server.indexer.customs)
    if request.id:
        check_id(request.id)
        customs = [custom for custom in customs if custom.id == request.id]
        if not customs:
            raise NotFound(
                f"No SearchParameter/{request.id} is in use: only those with the status active are"
            )
    elif urls := given.all("url"):
        customs = [custom for custom in customs if custom.definition.url in urls]
    jobs = await server.jobs.jobs.open("reindex") if server.jobs else []
    found = [
        _part("parameter", [*_named(custom), *_types(custom, jobs, request, server)]) for custom in customs
    ]
    return Result(200, json.format({"resourceType": "Parameters", **({"parameter": found} if found else {})}))


def _named(custom: Custom) -> list[Part]:
    return [
        {"name": "reference", "valueReference": {"reference": f"SearchParameter/{custom.id}"}},
        {"name": "url", "valueUri": custom.definition.url},
        {"name": "code", "valueCode": custom.definition.code},
    ]


def _types(custom: Custom, jobs: list[Job], request: Request, server: "Server") -> list[Part]:
    types = sorted(server.types.intersection(server.definitions.types_of(custom.definition)))
    return [_part("base", _state(custom, type, jobs, request, server)) for type in types]


def _state(custom: Custom, type: str, jobs: list[Job], request: Request, server: "Server") -> list[Part]:
    code, known = custom.definition.code, server.indexer.compiled(type)
    own = server.indexer.defined(type, code) == custom.definition
    parts: list[Part] = [{"name": "type", "valueCode": type}]
    if own and code in known.compiled:
        return [*parts, {"name": "status", "valueCode": "active"}]
    if own and code in known.pending:
        parts.append({"name": "status", "valueCode": "pending"})
        for job in jobs:
            if type in job.request["types"]:
                parts.append({"name": "job", "valueUri": f"{request.base_url}/_jobs/{job.id}"})
                parts.append({"name": "progress", "valueString": job.progress})
        return parts
    reason = known.refused.get(code) if own else f"another SearchParameter defines {code} for {type}"
    return [*parts, {"name": "status", "valueCode": "refused"}, {"name": "reason", "valueString": reason}]


def _part(name: str, parts: list[Part]) -> Part:
    return {"name": name, "part": parts}
