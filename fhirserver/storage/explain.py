"""What a search does to the database: each pipeline as it was run, with the index that it used."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhirserver.search.query import Query
from fhirserver.storage import several
from fhirserver.storage.database import Database, Document, traced
from fhirserver.storage.limits import limited


@dataclass(frozen=True, slots=True)
class Step:
    """One pipeline. ``filter`` is what it starts from, ``index`` "" when it looked at every document.

    ``keys`` and ``documents`` are what was examined, ``returned`` what the index found.
    """

    collection: str
    filter: Document
    index: str
    keys: int
    documents: int
    returned: int


async def explain(database: Database, queries: Sequence[Query], limit: int) -> list[Step]:
    """Run the first page of a search and explain what was run, those of its chains first.

    Raises:
        TooCostly, Unavailable: as the search itself.
    """
    with traced() as pipelines:
        await several.page(database, queries, None, limit)
    with limited(database):
        return [await _step(database, name, stages) for name, stages in pipelines]


async def _step(database: Database, name: str, stages: list[Document]) -> Step:
    command = {"aggregate": name, "pipeline": stages, "cursor": {}}
    plan = await database.raw.command({"explain": command, "verbosity": "executionStats"})
    statistics = [part for part in _parts(plan) if "totalKeysExamined" in part]
    indexes = [str(part["indexName"]) for part in _parts(plan) if "indexName" in part]
    found = statistics[0] if statistics else {}
    scans = any(part.get("stage") == "COLLSCAN" for part in _parts(plan))
    return Step(
        name,
        stages[0]["$match"],
        "" if scans or not indexes else indexes[0],
        int(found.get("totalKeysExamined", 0)),
        int(found.get("totalDocsExamined", 0)),
        int(found.get("nReturned", 0)),
    )


def _parts(plan: Any) -> list[dict[str, Any]]:
    """The plan and everything in it that is a document, but not what was asked."""
    if isinstance(plan, dict):
        inner = [part for name, value in plan.items() if name != "command" for part in _parts(value)]
        return [plan, *inner]
    return [part for value in plan for part in _parts(value)] if isinstance(plan, list) else []
