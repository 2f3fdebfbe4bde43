"""The embedded engine: SecantusDB as a child process on a private port, with its files in the data directory.

It is GPL-2.0-only and runs apart from this program; it is started, watched and stopped here.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import structlog

from fhirserver.storage.database import DatabaseError

START_SECONDS = 60.0
OPEN_SECONDS = 600.0
"""How long it may take to open its files: half a minute for a million resources, longer on a busy machine."""
STOP_SECONDS = 30.0
CACHE = "4G"
"""Four times the default. What has not been committed stays in the cache, and at a fifth of it the engine
stands still: a transaction of 10,000 small resources takes more than 400 MB (``commit.EMBEDDED_MOST``)."""
URI = "mongodb://127.0.0.1:{port}/?replicaSet=secantus"
RUNNING = "engine.running"
"""File that says who runs here: the pid of the server, the pid of the engine, the engine's port."""
LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")

log = structlog.get_logger()


class EmbeddedEngine:
    """The engine's process. ``port`` stays the same when the process had to be started again."""

    def __init__(self, data_dir: Path, cache: str = CACHE) -> None:
        self.data_dir = data_dir
        self.cache = cache
        self.port = 0
        self._process: subprocess.Popen[str] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None

    @property
    def uri(self) -> str:
        return URI.format(port=self.port)

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self) -> None:
        """Start the engine and watch over it: when it dies, it is started again on the same files and port.

        Raises:
            DatabaseError: not installed, or it does not come up; the text carries its last words.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._launch()
        self._watcher = threading.Thread(target=self._watch, name="embedded-engine", daemon=True)
        self._watcher.start()

    @classmethod
    def running(cls, data_dir: Path) -> str:
        """The URI of the engine that a server runs on this directory, "" when there is none.

        An engine whose server was killed is on its way out and does not count.
        """
        try:
            server, _, port = (int(part) for part in (data_dir / RUNNING).read_text().split())
            os.kill(server, 0)
            with socket.create_connection(("127.0.0.1", port), 1):
                pass
        except (OSError, ValueError):
            return ""
        return URI.format(port=port)

    def stop(self) -> None:
        """Stop the engine cleanly (its files are consistent without, too: every commit is synced)."""
        self._stopping.set()
        process = self._process
        if process and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        (self.data_dir / RUNNING).unlink(missing_ok=True)

    def _launch(self) -> None:
        command = _executable()
        log_path = self.data_dir / "engine.log"
        deadline = time.monotonic() + START_SECONDS
        while True:
            offset = log_path.stat().st_size if log_path.exists() else 0
            with log_path.open("a") as output:
                self._process = subprocess.Popen(  # noqa: S603 (our own command line)
                    [
                        *command,
                        *("--host", "127.0.0.1"),
                        *("--port", str(self.port)),
                        *("--storage-path", str(self.data_dir / "db")),
                        *("--cache-size", self.cache),
                        "--sync-on-commit",
                    ],
                    stdout=output,
                    stderr=output,
                    stdin=subprocess.DEVNULL,
                    text=True,
                    start_new_session=True,
                )
            if self._await_listening(log_path, offset, time.monotonic() + OPEN_SECONDS):
                (self.data_dir / RUNNING).write_text(f"{os.getpid()} {self.pid} {self.port}\n")
                log.info(
                    "embedded engine started", port=self.port, pid=self.pid, directory=str(self.data_dir)
                )
                return
            if time.monotonic() > deadline or self._stopping.is_set():
                raise DatabaseError(
                    f"The embedded engine did not start in {self.data_dir}; its log ends: {_tail(log_path)}"
                )
            # An engine whose server was killed needs a moment to let go of the directory.
            time.sleep(0.5)

    def _await_listening(self, log_path: Path, offset: int, deadline: float) -> bool:
        assert self._process is not None
        while time.monotonic() < deadline:
            with log_path.open() as lines:
                lines.seek(offset)
                if found := LISTENING.search(lines.read()):
                    self.port = int(found[1])
                    return True
            if self._process.poll() is not None:
                return False
            time.sleep(0.02)
        self._process.kill()
        return False

    def _watch(self) -> None:
        while not self._stopping.is_set():
            process = self._process
            assert process is not None
            code = process.wait()
            if self._stopping.is_set():
                return
            log.error("embedded engine ended; starting it again", code=code)
            try:
                self._launch()
            except DatabaseError as error:
                log.error("embedded engine cannot be started again", reason=str(error))
                # Nothing is served without a database: end, so that the operator's supervisor sees it.
                os.kill(os.getpid(), signal.SIGTERM)
                return


def _executable() -> list[str]:
    """The engine's command. setpriv (util-linux) lets it end when the server is killed: no orphan keeps the
    directory."""
    beside = Path(sys.executable).with_name("secantusd-py")
    found = str(beside) if beside.exists() else shutil.which("secantusd-py")
    if not found:
        raise DatabaseError(
            "The embedded engine is not installed: pip install 'fhirserver[embedded]', "
            "or give FHIRSERVER_MONGODB_URI a MongoDB replica set"
        )
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", found] if setpriv else [found]


def _tail(path: Path) -> str:
    return (
        path.read_text(errors="replace")[-500:].strip().replace("\n", " | ") if path.exists() else "(empty)"
    )
