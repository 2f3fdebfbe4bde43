"""``fhirserver definitions``: the official FHIR definitions, once."""

from pathlib import Path
from typing import Annotated

import typer

from fhirserver.cli.opening import definitions_of, help_of, settings_of
from fhirserver.model import definitions


def definitions_(
    directory: Annotated[Path | None, typer.Argument(help=help_of("packages_dir"))] = None,
) -> None:
    """Download the official FHIR R4 definitions (once; their SHA-256 is checked) and compile them."""
    chosen = settings_of({"packages_dir": directory})
    definitions_of(chosen)
    print(f"The definitions are in {chosen.packages_dir / definitions.PACKAGE}")
