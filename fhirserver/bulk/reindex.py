"""The work of ``$reindex``: the index of stored bodies computed anew, without new versions.

Each index is replaced together, and only beside the body it was computed of, so a search sees the old one or
the new one. What is written while it runs is indexed by its own write.
"""

from typing import TYPE_CHECKING, Any

from fhirserver.errors import FHIRError
from fhirserver.jobs import Save
from fhirserver.model import json
from fhirserver.storage.jobs import Job
from fhirserver.storage.scan import Scan, Step

if TYPE_CHECKING:
    from fhirserver.server import Server

MAX_NAMED = 100
"""So many resources that could not be indexed are named."""


class Reindex:
    """State: ``type`` (position in the request's types), ``seq``, ``end``, the ``parameters`` that are ready
    when the type is done, and ``counts`` by type: read, changed, unchanged, overtaken (written anew
    meanwhile), failed. ``failed`` names resources."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._scan = Scan(server.repository.database)

    async def forget(self, job: Job) -> None:
        """It leaves nothing behind."""

    async def run(self, job: Job, save: Save) -> None:
        """Raises FHIRError, storage.jobs.Lost."""
        types = job.request["types"]
        if not job.state:
            job.state = {"type": 0, "counts": {}, "failed": []}
        state = job.state
        while state["type"] < len(types):
            type = types[state["type"]]
            if type not in state["counts"]:
                await self._begin(type, job, save)
            counts = state["counts"][type]
            async for step in self._scan.steps(type, state["seq"], state["end"]):
                await self._step(type, step, counts, state["failed"])
                state["seq"] = step.next
                job.progress = f"{_total(state)} resources read; {type}, {state['type'] + 1} of {len(types)}"
                await save(job)
            if self._server.search_parameters:
                await self._server.search_parameters.make_ready(type, state["parameters"])
            state["type"] += 1
            await save(job)
        job.result = {"counts": state["counts"], "failed": state["failed"]}
        job.progress = f"{_total(state)} resources read"

    async def _begin(self, type: str, job: Job, save: Save) -> None:
        """Note what is to be read once every process indexes what it writes by the same parameters."""
        parameters = []
        if self._server.search_parameters:
            job.progress = f"{type}: waiting until every process knows the search parameters"
            await save(job)
            parameters = await self._server.search_parameters.awaited(type)
        job.state.update(seq=1, end=await self._scan.end(), parameters=parameters)
        job.state["counts"][type] = dict.fromkeys(COUNTS, 0)
        await save(job)

    async def _step(self, type: str, step: Step, counts: dict[str, int], failed: list[str]) -> None:
        changed = []
        for stored, old in step.resources:
            counts["read"] += 1
            try:
                new = self._server.indexer.index(json.stored(stored.body))
            except FHIRError:
                counts["failed"] += 1
                if len(failed) < MAX_NAMED:
                    failed.append(stored.reference)
                continue
            if new == old:
                counts["unchanged"] += 1
            else:
                changed.append((stored, new))
        written = await self._scan.write_indexes(type, changed)
        counts["changed"] += written
        counts["overtaken"] += len(changed) - written


COUNTS = ("read", "changed", "unchanged", "overtaken", "failed")


def _total(state: dict[str, Any]) -> int:
    return sum(counts["read"] for counts in state["counts"].values())
