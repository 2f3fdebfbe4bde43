"""``fhirserver check``: what a file is and would become, without storing it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fhirserver import logs
from fhirserver.cli.opening import definitions_of, must_exist, settings_of


def check(file: Annotated[Path, typer.Argument(help="A file of any kind that `import` takes.")]) -> None:
    """Say what a file is, what would be stored, and every issue; store nothing."""
    from fhirserver.feeds.check import check_file

    must_exist([file])
    logs.configure("error")
    chosen = settings_of({})
    raise typer.Exit(check_file(file, definitions_of(chosen), chosen, Console()))
