"""Long work, asked for now and done later: kept in the database, so that any process can go on with it.

A job is *waiting*, then *running* under a lease that its process renews, then *done* or *failed*. A process
that dies leaves its lease to run out; whoever takes the job then begins at its last saved state. Removing a
job is how it is cancelled: its process finds that out when it saves or renews.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import Int64
from pymongo.errors import PyMongoError

from fhirserver.errors import NotFound, Unavailable
from fhirserver.storage.database import Database, Document
from fhirserver.storage.repository import now

LEASE = timedelta(seconds=15)
OPEN = ("waiting", "running")


class Lost(Exception):
    """The job is no longer this process's: it was removed, or another process has taken it."""


@dataclass(slots=True)
class Job:
    """``request`` is what was asked, ``state`` where the work stands, ``result`` what it came to: each as its
    kind makes it. ``progress`` is for people, at most 100 characters; times are microseconds since 1970.
    ``problem`` says why it failed."""

    id: str
    kind: str
    request: Document
    state: Document = field(default_factory=dict)
    status: str = "waiting"
    progress: str = "waiting"
    result: Document = field(default_factory=dict)
    problem: str = ""
    created: int = 0
    finished: int = 0


class Jobs:
    """The jobs of one database. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: Database, process: str) -> None:
        self._jobs = database.collection("jobs")
        self._process = process

    async def submit(self, kind: str, request: Document) -> Job:
        """Store a job durably; a process will take it."""
        job = Job(str(uuid.uuid4()), kind, request, created=now())
        document = {
            "_id": job.id,
            "kind": kind,
            "request": request,
            "state": {},
            "status": job.status,
            "progress": job.progress,
            "created": Int64(job.created),
            "until": datetime.fromtimestamp(0, UTC),
        }
        try:
            await self._jobs.insert_one(document)
        except PyMongoError:
            raise Unavailable("The database does not take the job now") from None
        return job

    async def get(self, id: str) -> Job:
        """Raises NotFound."""
        try:
            document = await self._jobs.find_one({"_id": id})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        if document is None:
            raise NotFound(f"There is no job {id[:64]}")
        return _job(document)

    async def open(self, kind: str) -> list[Job]:
        """The jobs of a kind that have not ended."""
        wanted = {"status": {"$in": list(OPEN)}, "kind": kind}
        try:
            return [_job(document) async for document in self._jobs.find(wanted)]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def remove(self, id: str) -> Job:
        """Forget a job; one that runs is cancelled. Raises NotFound."""
        job = await self.get(id)
        try:
            await self._jobs.delete_one({"_id": id})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        return job

    async def take(self) -> Job | None:
        """The oldest job that nobody works on, which is this process's from now on."""
        moment = datetime.now(UTC)
        try:
            found = [d async for d in self._jobs.find({"status": {"$in": list(OPEN)}})]
            free = [d for d in found if d["until"].replace(tzinfo=UTC) < moment]
            for document in sorted(free, key=lambda d: int(d["created"])):
                seen = {"_id": document["_id"], "until": document["until"]}
                mine = {"status": "running", "process": self._process, "until": moment + LEASE}
                done = await self._jobs.update_one(seen, {"$set": mine})
                if done.matched_count:
                    return _job({**document, **mine})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return None

    async def renew(self, job: Job) -> None:
        """Raises Lost."""
        await self._set(job, {"until": datetime.now(UTC) + LEASE})

    async def save(self, job: Job) -> None:
        """Store how far a job is: ``state`` and ``progress``. Raises Lost."""
        values = {"state": job.state, "progress": job.progress[:100]}
        await self._set(job, {**values, "until": datetime.now(UTC) + LEASE})

    async def finish(self, job: Job) -> None:
        """Store what a job came to: ``result``, or ``problem`` when there is one. Raises Lost."""
        job.status, job.finished = "failed" if job.problem else "done", now()
        values: Document = {
            "status": job.status,
            "progress": job.progress[:100],
            "state": job.state,
            "result": job.result,
            "problem": job.problem,
            "finished": Int64(job.finished),
        }
        await self._set(job, values)

    async def release(self, job: Job) -> None:
        """Let another process go on with it at once. Raises Lost."""
        await self._set(job, {"until": datetime.fromtimestamp(0, UTC)})

    async def finished_before(self, instant: int) -> list[Job]:
        """Jobs that ended before an instant (microseconds since 1970)."""
        wanted = {"finished": {"$gt": 0, "$lt": instant}}
        try:
            return [_job(d) async for d in self._jobs.find(wanted)]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def _set(self, job: Job, values: Document) -> None:
        try:
            done = await self._jobs.update_one({"_id": job.id, "process": self._process}, {"$set": values})
        except PyMongoError:
            raise Unavailable("The database does not take the write now") from None
        if not done.matched_count:
            raise Lost


def _job(document: dict[str, Any]) -> Job:
    return Job(
        document["_id"],
        document["kind"],
        document["request"],
        document["state"],
        document["status"],
        document["progress"],
        document.get("result", {}),
        document.get("problem", ""),
        int(document["created"]),
        int(document.get("finished", 0)),
    )
