"""The status of a job, its files, its end: https://hl7.org/fhir/R4/async.html#3.1.6.4"""

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from fhirserver.bulk.deletions import DELETED
from fhirserver.bulk.export import ERRORS
from fhirserver.bulk.files import stream
from fhirserver.errors import FHIRError, Issue, NotFound
from fhirserver.interactions import deferred
from fhirserver.model import json, outcome
from fhirserver.model.media_types import NDJSON
from fhirserver.operations.asynchronous import runner
from fhirserver.request import Request, Result
from fhirserver.storage.documents import instant
from fhirserver.storage.jobs import OPEN, Job

if TYPE_CHECKING:
    from fhirserver.server import Server

RETRY_AFTER = "1"


class JobFailed(FHIRError):
    """The job could not be done; its text says why."""


async def job_status(request: Request, server: "Server") -> Result:
    """202 with the progress while it runs, then 200 with the manifest.

    Raises:
        NotFound, JobFailed.
    """
    job = await runner(server).jobs.get(request.id)
    if job.status in OPEN:
        return Result(202, headers={"X-Progress": job.progress, "Retry-After": RETRY_AFTER})
    if job.problem:
        raise JobFailed(job.problem)
    expires = formatdate(job.finished / 1_000_000 + server.settings.job_keep, usegmt=True)
    headers = {"Expires": expires, "X-Progress": job.progress}
    if job.kind == deferred.KIND:
        return Result(200, await deferred.answer(job, server), headers=headers)
    body = _manifest(job, request.base_url)
    return Result(200, json.format(body), "application/json", headers=headers)


async def job_removal(request: Request, server: "Server") -> Result:
    """Cancel a job that runs; forget one that has ended, and its files. Raises NotFound."""
    await runner(server).remove(request.id)
    return Result(202, outcome.body([Issue("information", "informational", "The job is removed")]))


async def job_file(request: Request, server: "Server") -> Result:
    """A file of a job that has ended, streamed. Raises NotFound."""
    job = await runner(server).jobs.get(request.id)
    for file in _files(job):
        path = server.settings.files_dir / job.id / file["name"]
        if file["name"] == request.version and await asyncio.to_thread(path.is_file):
            return Result(200, content_type=NDJSON, stream=stream(path, file["size"]), length=file["size"])
    raise NotFound(f"The job {request.id} has no file {request.version[:64]} here")


def _files(job: Job) -> list[dict[str, Any]]:
    """Name and size of each file that the manifest names."""
    if job.kind == "import":
        sizes = [counts["size"] for counts in job.result.get("counts", ())]
        return [{"name": f"errors-{i}.ndjson", "size": size} for i, size in enumerate(sizes) if size]
    files: list[dict[str, Any]] = job.result.get("files", [])
    return files


def _manifest(job: Job, base_url: str) -> dict[str, Any]:
    """https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status and its like for the others"""
    folder = f"{base_url}/_jobs/{job.id}/_files"
    manifest: dict[str, Any] = {
        "transactionTime": instant(int(job.request.get("instant", job.created))),
        "request": job.request["url"],
        "requiresAccessToken": False,
    }
    match job.kind:
        case "export":
            lists = {ERRORS: "error", DELETED: "deleted"}
            manifest |= {"output": [], "error": [], "deleted": []}
            for file in _files(job):
                entry = {"type": file["type"], "url": f"{folder}/{file['name']}", "count": file["count"]}
                manifest[lists.get(file["name"], "output")].append(entry)
        case "import":
            pairs = list(enumerate(zip(job.request["inputs"], job.result["counts"], strict=True)))
            manifest["output"] = [
                {"type": given["type"], "inputUrl": given["url"], "count": counts["imported"]}
                for _, (given, counts) in pairs
            ]
            manifest["error"] = [
                {
                    "type": "OperationOutcome",
                    "inputUrl": given["url"],
                    "count": counts["failed"],
                    "url": f"{folder}/errors-{i}.ndjson",
                }
                for i, (given, counts) in pairs
                if counts["failed"]
            ]
        case _:
            manifest["output"] = [{"type": type, **counts} for type, counts in job.result["counts"].items()]
            manifest["error"] = [{"resource": reference} for reference in job.result["failed"]]
    return manifest


FILE = "job-file"

ROUTES = {
    ("GET", "_jobs/{id}"): ("job-status", job_status),
    ("DELETE", "_jobs/{id}"): ("job-removal", job_removal),
    ("GET", "_jobs/{id}/_files/{vid}"): (FILE, job_file),
}
"""As ``interactions.ROUTES``."""
