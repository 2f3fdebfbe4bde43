"""The command line: ``fhirserver serve | import | check | demo | definitions``."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer
import uvicorn
from rich.console import Console
from uvicorn.supervisors import Multiprocess

import fhirserver
from fhirserver import logs, settings
from fhirserver.app import build, load_definitions, open_parts
from fhirserver.demo import DemoFailed
from fhirserver.demo import run as run_demo
from fhirserver.model import definitions
from fhirserver.model.definitions import PackageError
from fhirserver.settings import Settings, SettingsError
from fhirserver.storage.database import Database, DatabaseError
from fhirserver.storage.embedded import EmbeddedEngine

app = typer.Typer(
    help="A FHIR R4 health data server on MongoDB, with HL7v2, CDA and XDM feeds inside.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
log = structlog.get_logger()
errors = Console(stderr=True)

START_SECONDS = 90

DataDir = Annotated[Path | None, typer.Option(help="Directory of the embedded engine.", show_default="data")]
MongoDB = Annotated[
    str | None, typer.Option("--mongodb-uri", help="MongoDB to use instead of the embedded engine.")
]


def main() -> None:
    app()


def _option(name: str) -> str:
    """The help of a setting's option: its own description and variable."""
    field = Settings.model_fields[name]
    return f"{(field.description or '').capitalize()}. [{settings.PREFIX}{name.upper()}]"


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help=_option("host"))] = None,
    http_port: Annotated[int | None, typer.Option(help=_option("http_port"))] = None,
    mllp_port: Annotated[int | None, typer.Option(help=_option("mllp_port"))] = None,
    data_dir: Annotated[Path | None, typer.Option(help=_option("data_dir"))] = None,
    mongodb_uri: Annotated[str | None, typer.Option(help=_option("mongodb_uri"))] = None,
    database: Annotated[str | None, typer.Option(help=_option("database"))] = None,
    workers: Annotated[int | None, typer.Option(help=_option("workers"))] = None,
    base_url: Annotated[str | None, typer.Option(help=_option("base_url"))] = None,
    resource_types: Annotated[str | None, typer.Option(help=_option("resource_types"))] = None,
    timezone: Annotated[str | None, typer.Option(help=_option("timezone"))] = None,
    max_body: Annotated[int | None, typer.Option(help=_option("max_body"))] = None,
    mllp_tls_certificate: Annotated[Path | None, typer.Option(help=_option("mllp_tls_certificate"))] = None,
    mllp_tls_key: Annotated[Path | None, typer.Option(help=_option("mllp_tls_key"))] = None,
    mllp_tls_client_ca: Annotated[Path | None, typer.Option(help=_option("mllp_tls_client_ca"))] = None,
    hl7v2_ack: Annotated[str | None, typer.Option(help=_option("hl7v2_ack"))] = None,
    log_level: Annotated[str | None, typer.Option(help=_option("log_level"))] = None,
) -> None:
    """Serve the FHIR API over HTTP and receive HL7v2 over MLLP, until SIGTERM or Ctrl-C."""
    chosen = _settings(dict(locals()))
    logs.configure(chosen.log_level)
    # uvicorn stops gracefully and then raises the signal again: it must end this process in order.
    signal.signal(signal.SIGTERM, _end)
    listening = _bind(chosen.host, chosen.http_port)
    port = listening.getsockname()[1]
    if chosen.mllp_port > 0:
        _bind(chosen.host, chosen.mllp_port).close()
    with _database(chosen.model_copy(update={"http_port": port})) as ready:
        log.info(
            "serving",
            fhir=ready.base_url or f"http://{ready.host}:{port}/fhir",
            mllp_port=ready.mllp_port if ready.mllp_port > 0 else None,
            workers=ready.workers,
            engine="embedded" if ready.embedded else "mongodb",
            data_dir=str(ready.data_dir) if ready.embedded else None,
            authentication="none: loopback only",
        )
        _run(ready, listening)


@app.command("import")
def import_(
    paths: Annotated[
        list[Path], typer.Argument(help="Files and folders: HL7v2, CDA, XDM zip, FHIR JSON/NDJSON/XML.")
    ],
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """Take in files through the same inbox as every feed; exit code 1 when something is held or failed."""
    from fhirserver.feeds.files import import_paths

    _exist(paths)
    chosen = _settings({"data_dir": data_dir, "mongodb_uri": mongodb_uri})
    logs.configure("error")

    async def run(ready: Settings) -> int:
        async with open_parts(ready, listen=False) as parts:
            return await import_paths(paths, parts.receiver, Console())

    with _database(chosen, attach=True) as ready:
        code = asyncio.run(run(ready))
    raise typer.Exit(code)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A file of any kind that `import` takes.")]) -> None:
    """Say what a file is, what would be stored, and every issue; store nothing."""
    from fhirserver.feeds.check import check_file

    _exist([file])
    logs.configure("error")
    chosen = _settings({})
    raise typer.Exit(check_file(file, _definitions(chosen), chosen, Console()))


@app.command("definitions")
def definitions_(
    directory: Annotated[Path | None, typer.Argument(help=_option("packages_dir"))] = None,
) -> None:
    """Download the official FHIR R4 definitions (once; their SHA-256 is checked) and compile them."""
    chosen = _settings({"packages_dir": directory})
    _definitions(chosen)
    print(f"The definitions are in {chosen.packages_dir / definitions.PACKAGE}")


@app.command()
def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the record is printed.")] = False,
    http_port: Annotated[int, typer.Option(help="Port of the FHIR API.")] = 8080,
    mllp_port: Annotated[int, typer.Option(help="Port of the HL7v2 listener.")] = 2575,
    data_dir: Annotated[Path, typer.Option(help="Directory of the embedded engine.")] = Path("data/demo"),
) -> None:
    """Start a server, send it one fictional person's samples through every feed, and show the record."""
    console = Console()
    http_port, mllp_port = _free(http_port, console), _free(mllp_port, console)
    ports = ["--http-port", str(http_port), "--mllp-port", str(mllp_port)]
    command = [sys.executable, "-m", "fhirserver", "serve", *ports, "--data-dir", str(data_dir)]
    data_dir.mkdir(parents=True, exist_ok=True)
    console.print(f"Starting the server on the embedded engine, files in [bold]{data_dir}[/] ...")
    with (data_dir / "server.log").open("w") as output:
        process = subprocess.Popen(  # noqa: S603 (our own command line)
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    code = 1
    try:
        origin = f"http://127.0.0.1:{http_port}"
        _await_ready(origin, process, data_dir / "server.log")
        code = 0 if run_demo(f"{origin}/fhir", mllp_port, console) else 1
        if not once:
            console.print("\nServing until Ctrl-C.")
            process.wait()
    except DemoFailed as error:
        errors.print(f"[red]The demonstration failed:[/] {error}")
    except KeyboardInterrupt:
        console.print("\nStopping ...")
    finally:
        process.terminate()
        process.wait()
    raise typer.Exit(code)


@app.command()
def version() -> None:
    """Print the version."""
    print(fhirserver.__version__)


# --- the parts of serving


def _run(ready: Settings, listening: socket.socket) -> None:
    os.environ.update(settings.to_environment(ready))
    config = uvicorn.Config(
        "fhirserver.app:create" if ready.workers > 1 else build(ready),
        factory=ready.workers > 1,
        workers=ready.workers,
        loop="uvloop",
        http="httptools",
        ws="wsproto",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # http.forwarded reads them, by the setting trusted_proxies
        timeout_graceful_shutdown=30,
        limit_concurrency=2000,
        backlog=2048,
    )
    try:
        if ready.workers == 1:
            uvicorn.Server(config).run(sockets=[listening])
            return
        with tempfile.TemporaryDirectory(prefix="fhirserver-metrics-") as directory:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
            Multiprocess(config, sockets=[listening]).run()
    except KeyboardInterrupt:
        pass


@contextmanager
def _database(chosen: Settings, *, attach: bool = False) -> Iterator[Settings]:
    """The settings with a database that answers and definitions that are there; runs the embedded engine.

    With ``attach`` the engine of a server that already runs on the directory is used.
    """
    _definitions(chosen)
    engine: EmbeddedEngine | None = None
    try:
        if not chosen.mongodb_uri:
            uri = EmbeddedEngine.running(chosen.data_dir)
            if uri and not attach:
                _fail(f"A server already runs on {chosen.data_dir}; give this one another --data-dir")
            if not uri:
                engine = EmbeddedEngine(chosen.data_dir)
                engine.start()
                uri = engine.uri
            chosen = chosen.model_copy(update={"mongodb_uri": uri, "embedded": True})
        asyncio.run(_prepare(chosen))
        yield chosen
    except DatabaseError as error:
        _fail(str(error))
    finally:
        if engine:
            engine.stop()


async def _prepare(chosen: Settings) -> None:
    database = Database(chosen.mongodb_uri, chosen.database, embedded=chosen.embedded)
    try:
        await database.prepare(chosen.resource_types)
    finally:
        await database.close()


def _definitions(chosen: Settings) -> definitions.Definitions:
    try:
        if not (chosen.packages_dir / definitions.PACKAGE).exists():
            definitions.download(chosen.packages_dir, progress=errors.print)
        return load_definitions(chosen)
    except PackageError as error:
        _fail(str(error))


def _settings(options: dict[str, Any]) -> Settings:
    try:
        return settings.load(options)
    except SettingsError as error:
        _fail(str(error), 2)


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        _fail(f"Cannot listen on {host}:{port}: {error.strerror}")
    listening.set_inheritable(True)
    return listening


def _free(port: int, console: Console) -> int:
    """The port, or a free one when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
            console.print(f"Port {port} is taken; using {probe.getsockname()[1]}")
        return int(probe.getsockname()[1])


def _await_ready(origin: str, process: "subprocess.Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{origin}/health/ready", timeout=2):  # noqa: S310 (loopback)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise DemoFailed(f"the server did not start; see {output}")


def _exist(paths: list[Path]) -> None:
    if missing := [str(path) for path in paths if not path.exists()]:
        _fail(f"There is no {', no '.join(missing)}", 2)


def _end(*_: Any) -> NoReturn:
    raise SystemExit(0)


def _fail(text: str, code: int = 1) -> NoReturn:
    errors.print(text, style="red", highlight=False)
    raise typer.Exit(code)
