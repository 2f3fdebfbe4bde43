"""``_contained`` and ``_containedType``: searches that look into what resources contain.

https://hl7.org/fhir/R4/search.html#contained
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest
from fhirserver.model import json
from fhirserver.model.subset import Subset
from fhirserver.request import Request
from fhirserver.search import narrow
from fhirserver.search.contained import alone, inside
from fhirserver.search.match import satisfies
from fhirserver.search.query import And, Condition, Or, Query, Updated
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

SORTED = ("_id", "_lastUpdated")
"""What resources of any type are sorted by."""


def containers(query: Query, server: "Server") -> list[Query]:
    """The searches, one for each type, for what contains a match; with ``both`` also for matches themselves.

    Raises:
        BadRequest: it asks for what contained resources do not have.
    """
    whole = query.condition
    parts = whole.all if isinstance(whole, And) else (whole,)
    # When it was written is said of the container.
    written = [part for part in parts if isinstance(part, Updated)]
    asked = And(tuple(part for part in parts if not isinstance(part, Updated)))
    if not alone(asked):
        raise BadRequest(
            "With _contained, chains, _has, distances and _lastUpdated in a choice are not supported"
        )
    if unsortable := [sort.parameter for sort in query.sort if sort.parameter not in SORTED]:
        raise BadRequest(
            f"With _contained, resources of several types are found: they cannot be sorted by "
            f"{', '.join(unsortable)}; {' and '.join(SORTED)} are possible"
        )
    inner = inside(query.type, asked)
    queries = []
    for type in sorted(server.types):
        conditions: list[Condition] = [inner] if "contained" in server.definitions.elements(type) else []
        if type == query.type and query.contained == "both":
            conditions.append(asked)
        if conditions:
            either = Or(tuple(conditions)) if len(conditions) > 1 else conditions[0]
            queries.append(replace(query, type=type, condition=narrow((either, *written))))
    return queries


def entries(stored: Stored, query: Query, part: Subset, request: Request, server: "Server") -> list[bytes]:
    """The contained resources that match, of a resource that contains some, as entries of a searchset.

    ``query`` is the search as it was asked; with ``both`` the resource may be a match itself.
    """
    resource = json.stored(stored.body)
    index = server.indexer.index(resource)
    url = f"{request.base_url}/{stored.reference}"
    found = []
    itself = stored.type == query.type and query.contained == "both"
    if itself and satisfies(index, stored.id, stored.updated, query.condition):
        found.append((url, resource))
    for inner, contained in zip(index.contained, resource.get("contained", ()), strict=False):
        if inner.type == query.type and satisfies(inner.index, inner.id, stored.updated, query.condition):
            found.append((f"{url}#{inner.id}", contained))
    return [
        json.format(
            {
                "fullUrl": full_url,
                "resource": part.of(body, server.definitions) if part else body,
                "search": {"mode": "match"},
            }
        )
        for full_url, body in found
    ]
