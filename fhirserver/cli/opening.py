"""What every command starts with: settings, definitions, a database; and how it ends with a sentence."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from fhirserver import settings
from fhirserver.app import load_definitions
from fhirserver.errors import FHIRError
from fhirserver.feeds.catalog import read_file
from fhirserver.feeds.definition import SourceDefinition
from fhirserver.model import definitions
from fhirserver.model.definitions import PackageError
from fhirserver.settings import Settings, SettingsError
from fhirserver.storage.database import Database, DatabaseError
from fhirserver.storage.embedded import EmbeddedEngine

errors = Console(stderr=True)

DataDir = Annotated[Path | None, typer.Option(help="Directory of the embedded engine.", show_default="data")]
MongoDB = Annotated[
    str | None, typer.Option("--mongodb-uri", help="MongoDB to use instead of the embedded engine.")
]


def help_of(name: str) -> str:
    """The help of a setting's option: its own description and variable."""
    field = Settings.model_fields[name]
    return f"{(field.description or '').capitalize()}. [{settings.PREFIX}{name.upper()}]"


def settings_of(options: dict[str, Any]) -> Settings:
    try:
        return settings.load(options)
    except SettingsError as error:
        fail(str(error), 2)


def sources_of(chosen: Settings) -> dict[str, SourceDefinition]:
    """What the sources file defines; that it is not as it must be is said."""
    try:
        return read_file(chosen.sources_file) if chosen.sources_file else {}
    except FHIRError as error:
        fail("\n".join(issue.text for issue in error.issues), 2)


def definitions_of(chosen: Settings) -> definitions.Definitions:
    try:
        if not (chosen.packages_dir / definitions.PACKAGE).exists():
            definitions.download(chosen.packages_dir, progress=errors.print)
        return load_definitions(chosen)
    except PackageError as error:
        fail(str(error))


@contextmanager
def open_database(chosen: Settings, *, attach: bool = False) -> Iterator[Settings]:
    """The settings with a database that answers and definitions that are there; runs the embedded engine.

    With ``attach`` the engine of a server that already runs on the directory is used.
    """
    definitions_of(chosen)
    sources_of(chosen)
    engine: EmbeddedEngine | None = None
    try:
        if not chosen.mongodb_uri:
            uri = EmbeddedEngine.running(chosen.data_dir)
            if uri and not attach:
                fail(f"A server already runs on {chosen.data_dir}; give this one another --data-dir")
            if not uri:
                engine = EmbeddedEngine(chosen.data_dir)
                engine.start()
                uri = engine.uri
            chosen = chosen.model_copy(update={"mongodb_uri": uri, "embedded": True})
        asyncio.run(_prepare(chosen))
        yield chosen
    except DatabaseError as error:
        fail(str(error))
    finally:
        if engine:
            engine.stop()


async def _prepare(chosen: Settings) -> None:
    database = Database(chosen.mongodb_uri, chosen.database, embedded=chosen.embedded)
    try:
        await database.prepare(chosen.resource_types)
    finally:
        await database.close()


def must_exist(paths: list[Path]) -> None:
    if missing := [str(path) for path in paths if not path.exists()]:
        fail(f"There is no {', no '.join(missing)}", 2)


def fail(text: str, code: int = 1) -> NoReturn:
    errors.print(text, style="red", highlight=False)
    raise typer.Exit(code)
