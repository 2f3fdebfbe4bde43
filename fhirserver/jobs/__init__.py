"""The jobs that one process works on: a few at a time, each under its lease."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

import structlog

from fhirserver.errors import FHIRError, Unavailable
from fhirserver.storage.jobs import LEASE, Job, Jobs, Lost
from fhirserver.storage.repository import now

POLL = 1.0
RENEW = LEASE.total_seconds() / 3
CONCURRENT = 2
SWEEP = 600.0
PAUSE = 5.0

log = structlog.get_logger()

Save = Callable[[Job], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """What is done for a kind of job.

    ``run`` works from ``job.state``, saves as it goes, and leaves ``job.result``; what it did after its last
    save may be done again by another process. ``forget`` removes what the job left outside of the database.
    """

    run: Callable[[Job, Save], Awaitable[None]]
    forget: Callable[[Job], Awaitable[None]]


class Runner:
    """Takes jobs and works on them. ``keep`` is how long a finished one is kept, in seconds."""

    def __init__(self, jobs: Jobs, kinds: Mapping[str, Kind], keep: float) -> None:
        self.jobs = jobs
        self._kinds = kinds
        self._keep = keep
        self._news = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="jobs")

    async def stop(self) -> None:
        """Leave what runs to another process, or to the next start."""
        tasks = [task for task in (self._task, *self._running) if task]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def submit(self, kind: str, request: dict[str, object]) -> Job:
        """Store a job; it begins at once when this process has a place for it. Raises Unavailable."""
        job = await self.jobs.submit(kind, request)
        self._news.set()
        return job

    async def remove(self, id: str) -> None:
        """Cancel a job that runs, forget one that has ended. Raises NotFound, Unavailable."""
        job = await self.jobs.remove(id)
        await self._kinds[job.kind].forget(job)

    async def _run(self) -> None:
        swept = 0
        while True:
            try:
                while len(self._running) < CONCURRENT and (job := await self.jobs.take()):
                    task = asyncio.create_task(self._work(job), name=f"job {job.id}")
                    self._running.add(task)
                    task.add_done_callback(self._ended)
                if now() - swept > SWEEP * 1_000_000:
                    swept = now()
                    await self._sweep()
            except Unavailable:
                log.warning("the jobs cannot be read now")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._news.wait()
            self._news.clear()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._news.set()

    async def _work(self, job: Job) -> None:
        """Run a job while its lease is renewed; end without a word when it was removed."""
        log.info("job taken", id=job.id, kind=job.kind)
        work = asyncio.ensure_future(self._finish(job))
        renewing = asyncio.create_task(self._renew(job))
        try:
            await asyncio.wait((work, renewing), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await _cancel(work, renewing)
            with contextlib.suppress(Lost, Unavailable):
                await self.jobs.release(job)
            raise
        lost = not work.done()
        await _cancel(work, renewing)
        if lost:
            # What was written between the removal and its discovery is removed, too.
            log.info("job removed or taken over", id=job.id, kind=job.kind)
            with contextlib.suppress(Unavailable):
                await self._forget_removed(job)

    async def _forget_removed(self, job: Job) -> None:
        try:
            await self.jobs.get(job.id)
        except FHIRError as error:
            if isinstance(error, Unavailable):
                raise
            await self._kinds[job.kind].forget(job)

    async def _renew(self, job: Job) -> None:
        """Ends when the job is lost."""
        while True:
            await asyncio.sleep(RENEW)
            try:
                await self.jobs.renew(job)
            except Lost:
                return
            except Unavailable:
                log.warning("a job's lease cannot be renewed now", id=job.id)

    async def _finish(self, job: Job) -> None:
        saved = deepcopy(job.state)

        async def save(job: Job) -> None:
            nonlocal saved
            await self.jobs.save(job)
            saved = deepcopy(job.state)

        while True:
            try:
                await self._kinds[job.kind].run(job, save)
                await self.jobs.finish(job)
            except Lost:
                with contextlib.suppress(Unavailable):
                    await self._forget_removed(job)
                return
            except Unavailable:
                log.warning("job interrupted", id=job.id, kind=job.kind)
                await asyncio.sleep(PAUSE)
                job.state, job.status = deepcopy(saved), "running"
                continue
            except FHIRError as error:
                job.problem = str(error)
            except Exception as error:
                # The text of an unforeseen error may quote a resource: only its kind is told.
                log.error("job failed unforeseen", id=job.id, kind=job.kind, error=type(error).__name__)
                job.problem = f"Unforeseen error ({type(error).__name__}); it was logged"
            if job.status == "running":
                with contextlib.suppress(Lost, Unavailable):
                    await self.jobs.finish(job)
            log.info("job ended", id=job.id, kind=job.kind, status=job.status)
            return

    async def _sweep(self) -> None:
        for job in await self.jobs.finished_before(now() - int(self._keep * 1_000_000)):
            await self.remove(job.id)


async def _cancel(*tasks: "asyncio.Future[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
