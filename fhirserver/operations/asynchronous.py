"""What operations that end in a job share: https://hl7.org/fhir/R4/async.html"""

from typing import TYPE_CHECKING

from fhirserver.errors import Issue, NotFound
from fhirserver.jobs import Runner
from fhirserver.model import outcome
from fhirserver.request import Request, Result

if TYPE_CHECKING:
    from fhirserver.server import Server


def runner(server: "Server") -> Runner:
    """Raises NotFound when this process has no jobs."""
    if server.jobs is None:
        raise NotFound("There are no jobs on this server")
    return server.jobs


async def accepted(kind: str, asked: dict[str, object], request: Request, server: "Server") -> Result:
    """Begin a job: 202 and the URL of its status."""
    job = await runner(server).submit(kind, asked)
    url = f"{request.base_url}/_jobs/{job.id}"
    said = Issue("information", "informational", f"Accepted; the status is at {url}")
    return Result(202, outcome.body([said]), headers={"Content-Location": url})
