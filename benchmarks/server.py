"""Programs of its own for the measurement: on free ports, stopped at the end whatever happens."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.load import HOST
from benchmarks.processes import tree
from fhirserver.storage.embedded import EmbeddedEngine

START_SECONDS = 600.0
STOP_SECONDS = 30.0
PROCESSED_SECONDS = 120.0
LOOK_SECONDS = 0.5
"""Looking at the inbox more often would be a load of its own."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers; ``pid`` is its first process, ``engine`` the URI of its database."""

    pid: int
    http_port: int
    mllp_port: int
    engine: str

    def inbox_when_processed(self) -> str:
        """Wait until nothing in the inbox waits, then say how many items have which status.

        Raises:
            RuntimeError: it takes longer than two minutes.
        """
        deadline = time.monotonic() + PROCESSED_SECONDS
        while time.monotonic() < deadline:
            with urllib.request.urlopen(
                f"http://{HOST}:{self.http_port}/admin/inbox?limit=1", timeout=30
            ) as answer:
                counts = json.load(answer)["counts"]
            if not counts["received"]:
                return ", ".join(f"{count} {status}" for status, count in counts.items() if count)
            time.sleep(LOOK_SECONDS)
        raise RuntimeError(f"{counts['received']} messages are still not processed")


@contextlib.contextmanager
def running(workers: int) -> Iterator[RunningServer]:
    """Start ``fhirserver serve`` with an empty database, wait until it answers, stop it at the end.

    Raises:
        RuntimeError: it did not come up; the text carries the end of its log.
    """
    http_port, mllp_port = free_ports()
    program = Path(sys.executable).with_name("fhirserver")
    command = [str(program), "serve", "--http-port", str(http_port), "--mllp-port", str(mllp_port)]
    # Nobody's settings but these: an operator's variables could name a database that is in use.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FHIRSERVER_")}
    environment |= {"FHIRSERVER_WORKERS": str(workers), "FHIRSERVER_LOG_LEVEL": "warning"}
    with TemporaryDirectory(prefix="fhirserver-bench-") as folder:
        directory = Path(folder, "data")
        url = f"http://{HOST}:{http_port}/fhir/metadata"
        command += ["--data-dir", str(directory)]
        with started(command, environment, Path(folder, "server.log"), url) as pid:
            yield RunningServer(pid, http_port, mllp_port, EmbeddedEngine.running(directory))


@contextlib.contextmanager
def started(command: list[str], environment: dict[str, str], log: Path, url: str) -> Iterator[int]:
    """Start a program, wait until it answers at the URL, stop all its processes whatever happens; its pid.

    Raises:
        RuntimeError: it did not come up; the text carries the end of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    try:
        try:
            _wait(process, url)
        except TimeoutError:
            end = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{command[0]} did not come up; its log ends:\n{end}") from None
        yield process.pid
    finally:
        _stop(process)


def free_ports() -> tuple[int, int]:
    """Two ports of this machine that nobody listens on now."""
    with socket.socket() as one, socket.socket() as other:
        one.bind((HOST, 0))
        other.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]


def _wait(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the program to end, and end what is left of its process tree."""
    processes = tree(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
