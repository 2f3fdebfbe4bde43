"""``fhirserver import``: files in, through the same inbox as every feed."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fhirserver import logs
from fhirserver.app import open_parts
from fhirserver.cli.opening import DataDir, MongoDB, must_exist, open_database, settings_of
from fhirserver.settings import Settings


def import_(
    paths: Annotated[
        list[Path], typer.Argument(help="Files and folders: HL7v2, CDA, XDM zip, FHIR JSON/NDJSON/XML.")
    ],
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """Take in files through the same inbox as every feed; exit code 1 when something is held or failed."""
    from fhirserver.feeds.files import import_paths

    must_exist(paths)
    chosen = settings_of({"data_dir": data_dir, "mongodb_uri": mongodb_uri})
    logs.configure("error")

    async def run(ready: Settings) -> int:
        async with open_parts(ready, listen=False) as parts:
            return await import_paths(paths, parts.receiver, Console())

    with open_database(chosen, attach=True) as ready:
        code = asyncio.run(run(ready))
    raise typer.Exit(code)
