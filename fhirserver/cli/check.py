"""``fhirserver check``: what files are and would become, without storing them."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fhirserver import logs
from fhirserver.app import load_packages, load_validator
from fhirserver.cli.opening import definitions_of, must_exist, settings_of, sources_of
from fhirserver.terminology import AtOnce, Terminology


class Format(StrEnum):
    """How the issues are printed."""

    text = "text"
    json = "json"
    sarif = "sarif"


class Language(StrEnum):
    """The language of the validator's texts."""

    en = "en"
    fr = "fr"


def check(
    paths: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Files and folders of any kind `import` takes.")
    ],
    format: Annotated[Format, typer.Option(help="How the issues are printed.")] = Format.text,
    profile: Annotated[
        list[str] | None, typer.Option(help="A profile that FHIR content has to conform to, too.")
    ] = None,
    lang: Annotated[Language, typer.Option(help="The language of the texts.")] = Language.en,
    advice: Annotated[
        bool, typer.Option("--advice", help="Tell of extensible bindings and best practices, too.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 for warnings, too.")] = False,
) -> None:
    """Say what files are, what would be stored, and every issue; store nothing.

    Exit code 0: all of it would be stored; 1: something would be held or refused; 2: nothing is known.
    """
    from fhirserver.feeds.check import Asked, Checker
    from fhirserver.feeds.check_formats import FORMATS, exit_code
    from fhirserver.feeds.files import walk

    must_exist(paths)
    logs.configure("error")
    chosen = settings_of({})
    definitions = definitions_of(chosen)
    asked = Asked("fr" if lang is Language.fr else "en", advice, tuple(profile or ()))
    sources = sources_of(chosen)
    terminology = Terminology(load_packages(chosen))
    validator = load_validator(chosen, definitions, AtOnce(terminology))
    checker = Checker(definitions, chosen, validator, asked, sources)
    reports = [report for path in walk(paths) for report in checker.check_file(path)]
    typer.echo(FORMATS[format](reports))
    raise typer.Exit(exit_code(reports, strict=strict))
