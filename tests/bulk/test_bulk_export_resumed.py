"""An export whose process dies again and again ends with every resource once, as it was at the instant."""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

from fhirserver.app import open_parts
from fhirserver.bulk.export import Export
from fhirserver.model import json
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.jobs import Job
from fhirserver.storage.repository import now

COUNT = 450


class Died(Exception):
    """The process has ended here."""


def test_every_resource_is_exported_once_whatever_happens(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    asyncio.run(_export(make_settings(), tmp_path))


async def _export(settings: Settings, folder: Path) -> None:
    async with open_parts(settings, listen=False) as parts:
        server = parts.server
        await _put(server, range(COUNT), "before")
        request = {
            "level": "system",
            "group": "",
            "types": ["Organization", "Patient", "Specimen"],
            "since": 0,
            "filters": {},
            "elements": {},
            "instant": now(),
        }
        saved: dict[str, Any] = {}
        deaths = 0
        while True:
            # What has changed since the instant moves to the end of the scan, behind it, or away.
            await _put(server, range(deaths * 7, deaths * 7 + 7), "after")
            await server.perform(Request("DELETE", f"Patient/p{COUNT - 1 - deaths}"))
            job = Job("job", "export", request, deepcopy(saved))
            try:
                await Export(server, folder, saved_every=1).run(job, _dying_at_second(saved))
            except Died:
                deaths += 1
                _tear(folder / "job")
            else:
                break
        assert deaths > 3
        [file] = job.result["files"]
        lines = (folder / "job" / file["name"]).read_bytes()[: file["size"]].splitlines()
        resources = [json.stored(line) for line in lines]
        assert file["count"] == len(resources) == COUNT
        assert {r["id"] for r in resources} == {f"p{n}" for n in range(COUNT)}
        assert {r["name"][0]["family"] for r in resources} == {"before"}


async def _put(server: Server, numbers: range, family: str) -> None:
    async def put(n: int) -> None:
        resource = {"resourceType": "Patient", "id": f"p{n}", "name": [{"family": family}]}
        await server.perform(Request("PUT", f"Patient/p{n}", resource=resource))

    await asyncio.gather(*(put(n) for n in numbers))


def _dying_at_second(saved: dict[str, Any]) -> Callable[[Job], Any]:
    """The first state is kept, the next is not: what was written for it is lost."""
    saves = 0

    async def save(job: Job) -> None:
        nonlocal saves
        saves += 1
        if saves == 2:
            raise Died
        saved.clear()
        saved.update(deepcopy(job.state))

    return save


def _tear(folder: Path) -> None:
    """A process that dies leaves half a line."""
    for file in folder.iterdir():
        with file.open("ab") as opened:
            opened.write(b'{"resourceType":"Pati')
