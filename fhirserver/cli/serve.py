"""``fhirserver serve``: the server, until it is told to stop."""

import os
import signal
import socket
import tempfile
from pathlib import Path
from typing import Annotated, Any, NoReturn

import structlog
import typer
import uvicorn
from uvicorn.supervisors import Multiprocess

from fhirserver import logs, settings
from fhirserver.app import build
from fhirserver.cli.opening import fail, help_of, open_database, settings_of
from fhirserver.http.protocol import Protocol
from fhirserver.settings import Settings, SettingsError
from fhirserver.xds import signatures

log = structlog.get_logger()


def serve(
    host: Annotated[str | None, typer.Option(help=help_of("host"))] = None,
    http_port: Annotated[int | None, typer.Option(help=help_of("http_port"))] = None,
    mllp_port: Annotated[int | None, typer.Option(help=help_of("mllp_port"))] = None,
    data_dir: Annotated[Path | None, typer.Option(help=help_of("data_dir"))] = None,
    mongodb_uri: Annotated[str | None, typer.Option(help=help_of("mongodb_uri"))] = None,
    database: Annotated[str | None, typer.Option(help=help_of("database"))] = None,
    workers: Annotated[int | None, typer.Option(help=help_of("workers"))] = None,
    base_url: Annotated[str | None, typer.Option(help=help_of("base_url"))] = None,
    resource_types: Annotated[str | None, typer.Option(help=help_of("resource_types"))] = None,
    timezone: Annotated[str | None, typer.Option(help=help_of("timezone"))] = None,
    max_body: Annotated[int | None, typer.Option(help=help_of("max_body"))] = None,
    mllp_tls_certificate: Annotated[Path | None, typer.Option(help=help_of("mllp_tls_certificate"))] = None,
    mllp_tls_key: Annotated[Path | None, typer.Option(help=help_of("mllp_tls_key"))] = None,
    mllp_tls_client_ca: Annotated[Path | None, typer.Option(help=help_of("mllp_tls_client_ca"))] = None,
    hl7v2_ack: Annotated[str | None, typer.Option(help=help_of("hl7v2_ack"))] = None,
    log_level: Annotated[str | None, typer.Option(help=help_of("log_level"))] = None,
) -> None:
    """Serve the FHIR API over HTTP and receive HL7v2 over MLLP, until SIGTERM or Ctrl-C."""
    chosen = settings_of(dict(locals()))
    _check_certificates(chosen)
    logs.configure(chosen.log_level)
    # uvicorn stops gracefully and then raises the signal again: it must end this process in order.
    signal.signal(signal.SIGTERM, _end)
    listening = _bind(chosen.host, chosen.http_port)
    port = listening.getsockname()[1]
    if chosen.mllp_port >= 0:
        for mllp_port in (chosen.mllp_port, *(int(text.partition("+")[0]) for text in chosen.mllp_ports)):
            _bind(chosen.host, mllp_port).close()
    with open_database(chosen.model_copy(update={"http_port": port})) as ready:
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


def _check_certificates(chosen: Settings) -> None:
    """Say at once what would keep every worker from starting."""
    try:
        signatures.load(chosen.xds_assertion_certificates)
    except SettingsError as error:
        fail(str(error), 2)


def _run(ready: Settings, listening: socket.socket) -> None:
    os.environ.update(settings.to_environment(ready))
    config = uvicorn.Config(
        "fhirserver.app:create" if ready.workers > 1 else build(ready),
        factory=ready.workers > 1,
        workers=ready.workers,
        loop="uvloop",
        http=Protocol,
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


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        fail(f"Cannot listen on {host}:{port}: {error.strerror}")
    listening.set_inheritable(True)
    return listening


def _end(*_: Any) -> NoReturn:
    raise SystemExit(0)
