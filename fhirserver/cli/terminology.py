"""``fhirserver terminology``: load code systems, value sets and maps from files; list and remove them."""

import asyncio
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fhirserver import logs
from fhirserver.app import open_parts
from fhirserver.cli.opening import DataDir, MongoDB, fail, must_exist, open_database, settings_of
from fhirserver.errors import FHIRError
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.database import Database
from fhirserver.storage.loaded_systems import LoadedSystems
from fhirserver.terminology.loading import FORMATS, Content, Folder, Options, Unreadable, read

terminology = typer.Typer(
    help="Code systems, value sets and concept maps from files (docs/terminology.md).", no_args_is_help=True
)
console = Console(highlight=False, markup=False, soft_wrap=True)
problems = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
SHOWN = 10_000
"""Progress is told every so many concepts."""


@terminology.command()
def load(
    paths: Annotated[list[Path], typer.Argument(help="Files, folders and zips, each of one release.")],
    format: Annotated[
        str, typer.Option(help=f"One of {', '.join(FORMATS)}; by default what the files are called tells.")
    ] = "",
    system: Annotated[str, typer.Option(help="URL of the code system, where the format has none.")] = "",
    version: Annotated[str, typer.Option(help="Version, where the files do not say it.")] = "",
    value_set: Annotated[str, typer.Option(help="URL of the value set that a table becomes.")] = "",
    name: Annotated[str, typer.Option(help="Name of the code system or value set.")] = "",
    language: Annotated[str, typer.Option(help="Language of the names to show.")] = "fr",
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """Load files. The same again changes nothing, what was interrupted goes on; exit code 1 if one fails."""
    if format and format not in FORMATS:
        fail(f"--format {format} is not one of {', '.join(FORMATS)}", 2)
    must_exist(paths)
    options = Options(system, version, value_set, name, language)
    chosen = settings_of({"data_dir": data_dir, "mongodb_uri": mongodb_uri})
    logs.configure("error")

    async def run(ready: Settings) -> bool:
        async with open_parts(ready, listen=False) as parts:
            await parts.server.terminology.refresh()
            done = [await _load(path, format, options, parts.server, parts.database) for path in paths]
            return all(done)

    with open_database(chosen, attach=True) as ready:
        complete = asyncio.run(run(ready))
    raise typer.Exit(0 if complete else 1)


@terminology.command("list")
def list_(data_dir: DataDir = None, mongodb_uri: MongoDB = None) -> None:
    """Show the code systems that are loaded."""
    chosen = settings_of({"data_dir": data_dir, "mongodb_uri": mongodb_uri})
    logs.configure("error")

    async def run(ready: Settings) -> None:
        async with open_parts(ready, listen=False) as parts:
            await parts.server.terminology.refresh()
            for loaded in parts.server.terminology.loaded:
                console.print(f"{loaded.head.called}  {loaded.count} concepts")

    with open_database(chosen, attach=True) as ready:
        asyncio.run(run(ready))


@terminology.command()
def remove(
    system: Annotated[str, typer.Argument(help="URL of the code system, as `list` shows it.")],
    version: Annotated[str, typer.Option(help="Its version.")] = "",
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """Remove a code system that was loaded."""
    chosen = settings_of({"data_dir": data_dir, "mongodb_uri": mongodb_uri})
    logs.configure("error")
    url, _, own = system.partition("|")

    async def run(ready: Settings) -> bool:
        async with open_parts(ready, listen=False) as parts:
            return await LoadedSystems(parts.database).remove(url, version or own)

    with open_database(chosen, attach=True) as ready:
        found = asyncio.run(run(ready))
    if not found:
        fail(f"{system} is not loaded in this version; `fhirserver terminology list` shows what is")
    console.print("removed")


async def _load(path: Path, format: str, options: Options, server: Server, database: Database) -> bool:
    try:
        content = read(path, options, server.definitions, format)
        await _load_systems(path, content, options, database)
        return await _store(content.resources, server)
    except (Unreadable, FHIRError) as error:
        problems.print(f"{path}: {error}", style="red")
        return False


async def _load_systems(path: Path, content: Content, options: Options, database: Database) -> None:
    digest = f"{Folder(path).digest()}|{options}" if content.systems else ""
    for system in content.systems:
        shown = 0

        def progress(done: int, called: str = system.head.called) -> None:
            nonlocal shown
            if done - shown >= SHOWN:
                shown = done
                problems.print(f"{called}: {done} concepts")

        count = await LoadedSystems(database).load(system, digest, progress)
        text = f"{count} concepts" if count else "is there already"
        console.print(f"{system.head.called}: {text}")


async def _store(resources: Iterable[Resource], server: Server) -> bool:
    """Put resources through the door that everybody's writes go through."""
    complete = True
    for resource in resources:
        resource = {**resource, "id": await _id(resource, server)}
        path = f"{resource['resourceType']}/{resource['id']}"
        result = await server.answer(Request("PUT", path, resource=resource))
        called = f"{path} {resource.get('url', '')}"
        if result.status in (200, 201):
            console.print(f"{called}: {'stored' if result.status == 201 else 'there'}")
            continue
        complete = False
        texts = [issue["details"]["text"] for issue in json.stored(result.body)["issue"][:5]]
        problems.print(f"{called}: {'; '.join(texts)}", style="red")
    return complete


async def _id(resource: Resource, server: Server) -> str:
    """The id of what is stored under the same canonical, else its own unless that is another's, else one made
    of its url."""
    type, url, version = resource["resourceType"], resource.get("url", ""), resource.get("version", "")
    for entry in server.terminology.catalogue.versions(type, url) if url else ():
        if entry.source == "store" and entry.version == version:
            return str(entry.place[0])
    own = resource.get("id", "")
    if own:
        stored = await server.repository.find(type, own)
        if stored is None or stored.deleted or json.stored(stored.body).get("url") == url:
            return str(own)
    stem = re.sub(r"[^A-Za-z0-9.-]+", "-", url.rstrip("/").rpartition("/")[2])[:48].strip("-.")
    return f"{stem}-{hashlib.sha256(f'{url}|{version}'.encode()).hexdigest()[:12]}"
