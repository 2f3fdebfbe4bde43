"""The command line: ``fhirserver COMMAND``, one module a command."""

import typer

import fhirserver
from fhirserver.cli.check import check
from fhirserver.cli.definitions import definitions_
from fhirserver.cli.demo import demo
from fhirserver.cli.export import export
from fhirserver.cli.inbox import inbox
from fhirserver.cli.intake import import_
from fhirserver.cli.send import send
from fhirserver.cli.serve import serve
from fhirserver.cli.terminology import terminology

app = typer.Typer(
    help="A FHIR R4 health data server on MongoDB, with HL7v2, CDA and XDM feeds inside.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    app()


def version() -> None:
    """Print the version."""
    print(fhirserver.__version__)


app.command()(serve)
app.command("import")(import_)
app.command()(check)
app.command("definitions")(definitions_)
app.command()(demo)
app.add_typer(export, name="export")
app.add_typer(inbox, name="inbox")
app.command()(send)
app.add_typer(terminology, name="terminology")
app.add_typer(inbox, name="inbox")
app.command()(send)
app.command()(version)
