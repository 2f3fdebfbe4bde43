"""``fhirserver demo``: one fictional person's record, through every feed."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fhirserver.cli.opening import errors
from fhirserver.demo import DemoFailed
from fhirserver.demo import run as run_demo

START_SECONDS = 90


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
