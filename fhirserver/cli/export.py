"""``fhirserver export xdm``: documents of one patient into an XDM zip."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fhirserver import logs
from fhirserver.app import open_parts
from fhirserver.cli.opening import DataDir, MongoDB, fail, open_database, settings_of
from fhirserver.errors import FHIRError
from fhirserver.request import Request
from fhirserver.settings import Settings

export = typer.Typer(help="Write what is stored into files.", no_args_is_help=True)


@export.callback()
def _export() -> None:
    """Write what is stored into files."""


@export.command()
def xdm(
    file: Annotated[Path, typer.Argument(help="The zip to write.")],
    patient: Annotated[str, typer.Option(help="Patient/id: all current documents of that patient.")] = "",
    document: Annotated[list[str] | None, typer.Option(help="Id of a document; may be repeated.")] = None,
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """Write documents of one patient as an IHE XDM zip."""
    chosen = settings_of({"data_dir": data_dir, "mongodb_uri": mongodb_uri})
    logs.configure("error")
    query = (*((("patient", patient),) if patient else ()), *(("document", id) for id in document or ()))

    async def run(ready: Settings) -> bytes:
        async with open_parts(ready, listen=False) as parts:
            result = await parts.server.perform(Request("GET", "DocumentReference/$xdm", query))
            return result.body

    with open_database(chosen, attach=True) as ready:
        try:
            body = asyncio.run(run(ready))
            file.write_bytes(body)
        except FHIRError as error:
            fail(str(error))
        except OSError as error:
            fail(f"{file} cannot be written: {error.strerror}")
    Console().print(f"{file}: {len(body)} bytes", highlight=False)
