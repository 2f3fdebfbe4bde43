"""The work of ``$export``: NDJSON files that show the resources as they were at one instant.

https://hl7.org/fhir/uv/bulkdata/export.html. A type is scanned in the order of writing. What changed after
the instant is then taken from the history in the version of that instant, unless the scan had met it.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhirserver.bulk.deletions import write_deletions
from fhirserver.bulk.files import Missing, Output, lines, remove
from fhirserver.bulk.selection import Selection, selection
from fhirserver.errors import FHIRError, Issue, Unavailable
from fhirserver.jobs import Save
from fhirserver.model import json, outcome
from fhirserver.storage.documents import Stored
from fhirserver.storage.jobs import Job
from fhirserver.storage.repository import now
from fhirserver.storage.scan import Scan

if TYPE_CHECKING:
    from fhirserver.server import Server

ERRORS = "errors.ndjson"
SETTLE = 1_000_000
"""So many microseconds pass between the instant and the scan: a version is dated before it is committed."""
SAVED_EVERY = 10
"""So many steps of the scan are between two saved states."""


class Export:
    """Runs export jobs of one server; ``folder`` has a folder per job.

    State: ``type`` (position in the request's types), ``phase`` (scan, then late), ``seq``, ``size`` and
    ``count`` of the type's file; ``errors`` (size, count); ``files`` of the types that are done.
    """

    def __init__(self, server: "Server", folder: Path, saved_every: int = SAVED_EVERY) -> None:
        self._server = server
        self._folder = folder
        self._saved_every = saved_every
        self._scan = Scan(server.repository.database)

    def folder(self, job: Job) -> Path:
        return self._folder / job.id

    async def forget(self, job: Job) -> None:
        await remove(self.folder(job))

    async def run(self, job: Job, save: Save) -> None:
        """Write the files. Raises FHIRError, storage.jobs.Lost."""
        try:
            await self._write(job, save)
        except OSError as error:
            raise FHIRError(f"The export cannot be written: {error.strerror}") from None

    async def _write(self, job: Job, save: Save) -> None:
        instant = int(job.request["instant"])
        await asyncio.sleep(max(0, instant + SETTLE - now()) / 1_000_000)
        if not job.state:
            job.state = await self._beginning()
        try:
            await self._types(job, save)
        except Missing:
            await self.forget(job)
            job.state = await self._beginning()
            await self._types(job, save)
        files = [*job.state["files"]]
        if job.state["errors"]["count"]:
            files.append({"type": "OperationOutcome", "name": ERRORS, **job.state["errors"]})
        files += await write_deletions(job, self.folder(job), self._scan, self._server)
        job.result = {"files": files}
        job.progress = f"{job.state['done']} resources exported"

    async def _beginning(self) -> dict[str, Any]:
        errors = {"size": 0, "count": 0}
        state = {"type": 0, "end": await self._scan.end(), "done": 0, "errors": errors, "files": []}
        return {**_type_state(), **state}

    async def _types(self, job: Job, save: Save) -> None:
        types, state = job.request["types"], job.state
        with Output(self.folder(job) / ERRORS, state["errors"]["size"]) as errors:
            while state["type"] < len(types):
                type = types[state["type"]]
                chosen = await selection(type, job.request, self._server)
                path = self.folder(job) / f"{type}.ndjson"
                with Output(path, state["size"]) as output:
                    writing = _Writing(self._server, chosen, output, errors, job, save, self._saved_every)
                    if state["phase"] == "scan":
                        await self._scan_type(type, writing)
                    await self._late(type, path, writing)
                    await writing.sync()
                if state["count"]:
                    done = {"type": type, "name": path.name, "size": state["size"], "count": state["count"]}
                    state["files"].append(done)
                else:
                    path.unlink()
                state.update(_type_state(), type=state["type"] + 1)
                await save(job)

    async def _scan_type(self, type: str, writing: "_Writing") -> None:
        state, instant = writing.job.state, int(writing.job.request["instant"])
        async for step in self._scan.steps(type, state["seq"], state["end"]):
            for stored, index in step.resources:
                if stored.updated <= instant and writing.chosen.takes(stored, index):
                    await writing.add(stored)
            state["seq"] = step.next
            await writing.save_sometimes()
        state["phase"] = "late"
        await writing.save()

    async def _late(self, type: str, path: Path, writing: "_Writing") -> None:
        """What has changed since the instant, as it was then; what the file has already is left out."""
        instant = int(writing.job.request["instant"])
        changed = await self._scan.changed_after(type, instant)
        if not changed:
            return
        start = b'{"resourceType":"%s","id":"' % type.encode()
        async for line in lines(path, writing.job.state["size"]):
            if line.startswith(start):
                changed.discard(line[len(start) : line.index(b'"', len(start))].decode())
        for id in sorted(changed):
            stored = await self._scan.version_at(type, id, instant)
            if stored and not stored.deleted:
                index = self._server.indexer.index(json.stored(stored.body))
                if writing.chosen.takes(stored, index):
                    await writing.add(stored)
            await writing.save_sometimes()


class _Writing:
    """A type's file while it is written, and the state that says how far it is."""

    def __init__(
        self,
        server: "Server",
        chosen: Selection,
        output: Output,
        errors: Output,
        job: Job,
        save: Save,
        saved_every: int,
    ) -> None:
        self.chosen = chosen
        self.job = job
        self._server = server
        self._output = output
        self._errors = errors
        self._save = save
        self._saved_every = saved_every
        self._unsaved = 0

    async def add(self, stored: Stored) -> None:
        state = self.job.state
        try:
            self._output.write(await self.chosen.line(stored, self._server))
        except Unavailable:
            raise
        except FHIRError as error:
            text = f"{stored.reference} could not be exported: {error}"
            self._errors.write(outcome.body([Issue("error", error.code, text)]))
            state["errors"]["count"] += 1
        else:
            state["count"] += 1
            state["done"] += 1

    async def save_sometimes(self) -> None:
        self._unsaved += 1
        if self._unsaved >= self._saved_every:
            await self.save()

    async def save(self) -> None:
        """Files first, then the state that counts on them. Raises Lost."""
        await self.sync()
        await self._save(self.job)

    async def sync(self) -> None:
        """Make the files durable; the state says how far they are, and is not saved yet."""
        state, types = self.job.state, self.job.request["types"]
        state["size"] = await self._output.sync()
        state["errors"]["size"] = await self._errors.sync()
        place = f"{types[state['type']]}, type {state['type'] + 1} of {len(types)}"
        self.job.progress = f"{state['done']} resources exported; {place}"
        self._unsaved = 0


def _type_state() -> dict[str, Any]:
    return {"phase": "scan", "seq": 1, "size": 0, "count": 0}
