"""``Prefer: respond-async``: https://hl7.org/fhir/R4/async.html, for searches and Bundles

The request becomes a job; what it came to is a Bundle (batch-response) of one entry, at the job's URL. A job
that is taken up again after its process died writes nothing twice (``Request.once``).
"""

from typing import TYPE_CHECKING, Any

from fhirserver.errors import FHIRError, Issue, Unavailable
from fhirserver.interactions import prepare
from fhirserver.interactions.bundle import REASONS
from fhirserver.interactions.search import scope_of, understand
from fhirserver.jobs import Runner, Save
from fhirserver.model import json, outcome
from fhirserver.request import Request, Result
from fhirserver.storage.contents import Contents
from fhirserver.storage.jobs import Job

if TYPE_CHECKING:
    from fhirserver.server import Server

KIND = "interaction"
PREFERENCE = "respond-async"
DEFERRED = frozenset(("search-type", "search-system", "search-compartment", "transaction"))
"""The interactions that can be done later; elsewhere the preference is not applied."""
HEADERS = ("content-type", "prefer")


async def defer(request: Request, runner: Runner, server: "Server") -> Result:
    """Begin a job: 202 and the URL of its status.

    Raises:
        FHIRError: the request could never succeed.
    """
    if request.interaction == "transaction":
        prepare.read_body(request, server)
    else:
        understand(scope_of(request, server), request, server)
    name = ""
    contents = Contents(server.repository.database)
    if request.body:
        name = f"{prepare.new_id()}/request"
        await contents.put(name, request.body)
    asked: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "query": [list(pair) for pair in request.query],
        "headers": {name: request.headers[name] for name in HEADERS if name in request.headers},
        "base_url": request.base_url,
        "body": name,
    }
    job = await runner.submit(KIND, asked)
    url = f"{request.base_url}/_jobs/{job.id}"
    said = outcome.body([Issue("information", "informational", f"Accepted; the status is at {url}")])
    return Result(202, said, headers={"Content-Location": url, "Preference-Applied": PREFERENCE})


class Deferred:
    """The kind of jobs that are interactions done later."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._contents = Contents(server.repository.database)

    async def run(self, job: Job, save: Save) -> None:
        """Perform the request and keep its answer, a refusal as well.

        Raises:
            Unavailable: the database did not answer; to be run again.
        """
        job.progress = "in progress"
        await save(job)
        asked = job.request
        request = Request(
            asked["method"],
            asked["path"],
            tuple((name, value) for name, value in asked["query"]),
            {**asked["headers"], "prefer": _without(asked["headers"].get("prefer", ""))},
            await self._contents.get(asked["body"]) if asked["body"] else b"",
            base_url=asked["base_url"],
            once=f"job/{job.id}",
        )
        try:
            result = await self._server.perform(request)
        except Unavailable:
            raise
        except FHIRError as error:
            result = Result(error.status, outcome.body(error.issues))
        await self._contents.put(_answer(job), _bundle(result))
        job.progress = "done"

    async def forget(self, job: Job) -> None:
        await self._contents.remove(_answer(job), job.request["body"])


async def answer(job: Job, server: "Server") -> bytes:
    """The Bundle with what a job came to. Raises NotFound, Unavailable."""
    return await Contents(server.repository.database).get(_answer(job))


def _answer(job: Job) -> str:
    return f"{job.id}/answer"


def _without(prefer: str) -> str:
    """The preferences for the interaction itself."""
    parts = (part.strip() for part in prefer.replace(";", ",").split(","))
    return ", ".join(part for part in parts if part.lower() != PREFERENCE)


def _bundle(result: Result) -> bytes:
    response = json.format({"status": f"{result.status} {REASONS.get(result.status, '')}".strip()})
    if result.body.startswith(b'{"resourceType":"OperationOutcome"'):
        entry = b'{"response":' + response[:-1] + b',"outcome":' + result.body + b"}}"
    else:
        entry = b'{"resource":' + result.body + b',"response":' + response + b"}"
    return b'{"resourceType":"Bundle","type":"batch-response","entry":[' + entry + b"]}"
