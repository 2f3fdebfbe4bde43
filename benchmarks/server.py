"""A server of its own for the measurement: on free ports, with an empty database, stopped at the end."""

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

START_SECONDS = 90.0
STOP_SECONDS = 30.0
PROCESSED_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers; ``pid`` is its first process."""

    pid: int
    http_port: int
    mllp_port: int

    def inbox_when_processed(self) -> str:
        """Wait until nothing in the inbox waits, then say how many items have which status.

        Raises:
            RuntimeError: it takes longer than two minutes.
        """
        deadline = time.monotonic() + PROCESSED_SECONDS
        while time.monotonic() < deadline:
            with urllib.request.urlopen(
                f"http://{HOST}:{self.http_port}/inbox?limit=1", timeout=30
            ) as answer:
                counts = json.load(answer)["counts"]
            if not counts["received"]:
                return ", ".join(f"{count} {status}" for status, count in counts.items() if count)
            time.sleep(0.1)
        raise RuntimeError(f"{counts['received']} messages are still not processed")


@contextlib.contextmanager
def running(workers: int) -> Iterator[RunningServer]:
    """Start ``fhirserver serve``, wait until it answers, stop all its processes whatever happens.

    Raises:
        RuntimeError: it did not come up; the text carries the end of its log.
    """
    http_port, mllp_port = _free_ports()
    program = Path(sys.executable).with_name("fhirserver")
    command = [str(program), "serve", "--http-port", str(http_port), "--mllp-port", str(mllp_port)]
    with TemporaryDirectory(prefix="fhirserver-bench-") as folder:
        # Nobody's settings but these: an operator's variables could name a database that is in use.
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("FHIRSERVER_")
        }
        environment |= {"FHIRSERVER_WORKERS": str(workers), "FHIRSERVER_LOG_LEVEL": "warning"}
        log = Path(folder, "server.log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, "--data-dir", f"{folder}/data"],
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        try:
            _wait(process, http_port, log)
            yield RunningServer(process.pid, http_port, mllp_port)
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/fhir/metadata", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(
        f"The server did not come up; its log ends:\n{log.read_text(errors='replace')[-2000:]}"
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to end, and end what is left of its process tree."""
    processes = tree(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind((HOST, 0))
        other.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]
