"""The work of ``$import``: lines of NDJSON become resources, each through the one door.

https://github.com/smart-on-fhir/bulk-import. A line that is refused is told in the error file and harms no
other. After a crash the lines since the last saved position are read again, which changes nothing: a line
with an id is an update, and one without gets the same id again.
"""

import asyncio
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhirserver.bulk.files import Missing, Output, remove
from fhirserver.bulk.sources import Sources
from fhirserver.errors import BadRequest, FHIRError, Issue, Unavailable
from fhirserver.jobs import Save
from fhirserver.model import json, outcome
from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.storage.jobs import Job

if TYPE_CHECKING:
    from fhirserver.server import Server

CHUNK = 200
"""Lines between two saved positions."""
CONCURRENT = 50


class Import:
    """Runs import jobs of one server; ``folder`` has a folder per job for the error files.

    State: ``input`` (position in the request's inputs), ``offset`` and ``line`` in it, ``counts`` per input:
    imported, failed, size (of its error file).
    """

    def __init__(self, server: "Server", sources: Sources, folder: Path) -> None:
        self._server = server
        self._sources = sources
        self._folder = folder

    def folder(self, job: Job) -> Path:
        return self._folder / job.id

    async def forget(self, job: Job) -> None:
        await remove(self.folder(job))

    async def run(self, job: Job, save: Save) -> None:
        """Raises FHIRError, storage.jobs.Lost."""
        inputs = job.request["inputs"]
        if not job.state:
            job.state = {"input": 0, **_input_state(), "counts": []}
        state = job.state
        while state["input"] < len(inputs):
            if len(state["counts"]) == state["input"]:
                state["counts"].append({"imported": 0, "failed": 0, "size": 0})
            try:
                await self._input(job, inputs[state["input"]], save)
            except Missing:
                # The error file is on another machine; the lines are read again, to be told here.
                state["counts"][-1] = {"imported": 0, "failed": 0, "size": 0}
                state.update(_input_state())
                continue
            except OSError as error:
                raise FHIRError(f"The errors cannot be written: {error.strerror}") from None
            state.update(_input_state(), input=state["input"] + 1)
            await save(job)
        job.result = {"counts": state["counts"]}
        job.progress = _progress(state)

    async def _input(self, job: Job, given: dict[str, str], save: Save) -> None:
        state = job.state
        counts = state["counts"][-1]
        name = f"errors-{state['input']}.ndjson"
        with Output(self.folder(job) / name, counts["size"]) as errors:
            chunk: list[tuple[int, bytes]] = []
            position = state["offset"]

            async def flush() -> None:
                await self._chunk(job, given, chunk, errors)
                chunk.clear()
                counts["size"] = await errors.sync()
                state["offset"] = position
                job.progress = _progress(state)
                await save(job)

            try:
                async for line, end in self._sources.lines(given["url"], state["offset"]):
                    position = end
                    state["line"] += 1
                    chunk.append((state["line"], line))
                    if len(chunk) >= CHUNK:
                        await flush()
            except Unavailable:
                raise
            except FHIRError as error:  # of the source: what was read before it counts
                await flush()
                self._tell(errors, counts, state["line"] + 1, error)
            await flush()

    async def _chunk(
        self, job: Job, given: dict[str, str], chunk: list[tuple[int, bytes]], errors: Output
    ) -> None:
        """Store lines at the same time, those of one resource one after the other."""
        counts = job.state["counts"][-1]
        waves: list[list[tuple[int, Resource]]] = []
        last: dict[str, int] = {}
        for number, line in chunk:
            if not line.strip():
                continue
            try:
                resource = _resource(line, given["type"])
            except FHIRError as error:
                self._tell(errors, counts, number, error)
                continue
            resource.setdefault("id", str(uuid.uuid5(uuid.UUID(job.id), f"{job.state['input']}/{number}")))
            wave = last.get(resource["id"], -1) + 1
            last[resource["id"]] = wave
            if wave == len(waves):
                waves.append([])
            waves[wave].append((number, resource))
        for entries in waves:
            for begin in range(0, len(entries), CONCURRENT):
                some = entries[begin : begin + CONCURRENT]
                results = await asyncio.gather(*(self._store(resource) for _, resource in some))
                for (number, _), refused in zip(some, results, strict=True):
                    if refused is None:
                        counts["imported"] += 1
                    else:
                        self._tell(errors, counts, number, refused)

    async def _store(self, resource: Resource) -> FHIRError | None:
        """Raises Unavailable: the job waits until the database is back."""
        path = f"{resource['resourceType']}/{resource['id']}"
        headers = {"prefer": "return=minimal"}
        try:
            await self._server.perform(Request("PUT", path, headers=headers, resource=resource))
        except Unavailable:
            raise
        except FHIRError as error:
            return error
        return None

    def _tell(self, errors: Output, counts: dict[str, int], number: int, error: FHIRError) -> None:
        counts["failed"] += 1
        issues = [Issue(i.severity, i.code, f"Line {number}: {i.text}", i.expression) for i in error.issues]
        errors.write(outcome.body(issues))


def _resource(line: bytes, type: str) -> Resource:
    resource = json.parse_resource(line)
    if resource["resourceType"] != type:
        raise BadRequest(f"It is a {resource['resourceType'][:64]}, the input was said to be {type}")
    if not isinstance(resource.get("id", ""), str):
        raise BadRequest("The id is not a string", expression=f"{type}.id")
    return resource


def _input_state() -> dict[str, Any]:
    return {"offset": 0, "line": 0}


def _progress(state: dict[str, Any]) -> str:
    imported = sum(counts["imported"] for counts in state["counts"])
    failed = sum(counts["failed"] for counts in state["counts"])
    return f"{imported} resources imported, {failed} lines refused"
