"""``_explain=true``: how a search is run, instead of its matches; for administrators.

The answer is a Parameters resource: ``query`` is what was understood, each ``step`` a pipeline that was run.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fhirserver.errors import BadRequest, Forbidden
from fhirserver.model import json
from fhirserver.request import Result
from fhirserver.search.query import Query
from fhirserver.storage import explain

if TYPE_CHECKING:
    from fhirserver.server import Server

EXPLAIN = "_explain"


def is_asked(value: str, server: "Server") -> bool:
    """Whether ``_explain`` has this value.

    Raises:
        BadRequest: it is no boolean.
        Forbidden: the setting ``admin_operations`` is off.
    """
    if value not in ("", "true", "false"):
        raise BadRequest(f"{EXPLAIN}={value[:40]!r} is not true or false", expression=EXPLAIN)
    if value == "true" and not server.settings.admin_operations:
        raise Forbidden(f"{EXPLAIN} is for administrators: the setting admin_operations is off")
    return value == "true"


async def explained(queries: Sequence[Query], server: "Server") -> Result:
    """The plan of the first page."""
    limit = queries[0].count if queries else 0
    steps = await explain.explain(server.repository.database, queries, limit)
    parameters = [{"name": "query", "valueString": f"{q.type}: {q.condition}"} for q in queries]
    return Result(
        200, json.format({"resourceType": "Parameters", "parameter": [*parameters, *map(_step, steps)]})
    )


def _step(step: explain.Step) -> dict[str, Any]:
    values: dict[str, dict[str, Any]] = {
        "collection": {"valueString": step.collection},
        "filter": {"valueString": str(step.filter)},
        "index": {"valueString": step.index or "none"},
        "keysExamined": {"valueInteger": step.keys},
        "documentsExamined": {"valueInteger": step.documents},
        "returned": {"valueInteger": step.returned},
    }
    return {"name": "step", "part": [{"name": name, **value} for name, value in values.items()]}
