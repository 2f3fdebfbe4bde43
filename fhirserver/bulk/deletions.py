"""What an export with ``_since`` tells of deletions: Bundles of DELETE requests, one a line.

https://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status (``deleted``)
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fhirserver.bulk.files import Output
from fhirserver.bulk.selection import selection
from fhirserver.model import json
from fhirserver.storage.jobs import Job
from fhirserver.storage.scan import Scan

if TYPE_CHECKING:
    from fhirserver.server import Server

DELETED = "deleted.ndjson"
TOGETHER = 500
"""So many deletions are in one Bundle."""


async def write_deletions(job: Job, folder: Path, scan: Scan, server: "Server") -> list[dict[str, Any]]:
    """Write the file anew; its entry for the manifest, none when nothing was deleted.

    What was deleted and came back before the export's instant is among the resources, so not here.
    """
    since, until = int(job.request["since"]), int(job.request["instant"])
    if not since:
        return []
    bundles, urls = 0, list[str]()
    with Output(folder / DELETED, 0) as output:
        for type in job.request["types"]:
            chosen = await selection(type, job.request, server)
            async for id, keys in scan.deletions(type, since, until):
                if chosen.covers(id, keys):
                    urls.append(f"{type}/{id}")
                if len(urls) == TOGETHER:
                    output.write(_bundle(urls))
                    bundles, urls = bundles + 1, []
        if urls:
            output.write(_bundle(urls))
            bundles += 1
        size = await output.sync()
    return [{"type": "Bundle", "name": DELETED, "size": size, "count": bundles}] if bundles else []


def _bundle(urls: list[str]) -> bytes:
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    return json.format({"resourceType": "Bundle", "type": "transaction", "entry": entries})
