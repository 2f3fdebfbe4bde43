"""Nothing acknowledged is lost: the server and its engine are killed while clients write.

After each kill everything comes back, every acknowledged write is there, no transaction is half applied,
every acknowledged message reaches a final status, and the index agrees with the bodies.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fhirserver import search
from fhirserver.model import json as fhir_json
from fhirserver.model.definitions import Definitions
from fhirserver.storage.database import Database
from fhirserver.storage.embedded import EmbeddedEngine
from tests.live import free_port

WRITING = 1.5
FINAL = {"processed", "warnings", "held", "failed", "duplicate", "cancelled"}
VT, FS, CR = b"\x0b", b"\x1c", b"\r"


class Killable:
    """A server process of its own on a data directory, with ports that stay the same."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.http, self.mllp = directory, free_port(), free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def start(self) -> None:
        command = [sys.executable, "-m", "fhirserver", "serve", "--data-dir", str(self.directory)]
        command += ["--http-port", str(self.http), "--mllp-port", str(self.mllp)]
        with (self.directory / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.await_ready()

    def await_ready(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                if self.get("/health/ready")["status"] == "ready":
                    return
            time.sleep(0.1)
        raise AssertionError((self.directory / "server.log").read_text()[-2000:])

    def kill_server(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def kill_engine(self) -> None:
        os.kill(self.engine_pid(), signal.SIGKILL)

    def engine_pid(self) -> int:
        return int((self.directory / "engine.running").read_text().split()[1])

    def stop(self) -> None:
        assert self.process
        self.process.terminate()
        self.process.wait(60)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.origin}{path}", timeout=10) as answer:
            return json.load(answer)


class Writers:
    """Clients that write until told to stop and remember what was acknowledged."""

    def __init__(self, server: Killable) -> None:
        self.server = server
        self.pairs: list[str] = []
        self.updates: dict[str, int] = {}
        self.messages: list[str] = []
        self._numbers = itertools.count(1)
        self._stop = threading.Event()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._stop.clear()
        work = (self._transactions, self._transactions, self._updates, self._mllp, self._mllp)
        threads = [threading.Thread(target=target) for target in work]
        for thread in threads:
            thread.start()
        yield
        self._stop.set()
        for thread in threads:
            thread.join(60)

    def _send(self, method: str, path: str, body: dict[str, Any]) -> bool:
        request = urllib.request.Request(
            self.server.origin + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/fhir+json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                answer.read()
                return True
        except (OSError, urllib.error.URLError):
            time.sleep(0.02)
            return False

    def _transactions(self) -> None:
        while not self._stop.is_set():
            mark = f"pair-{next(self._numbers)}"
            patient = {
                "resourceType": "Patient",
                "id": mark,
                "identifier": [{"system": "urn:d", "value": mark}],
            }
            observation = {
                "resourceType": "Observation",
                "id": mark,
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": f"Patient/{mark}"},
            }
            entries = [
                {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{mark}"}}
                for r in (patient, observation)
            ]
            if self._send(
                "POST", "/fhir", {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            ):
                self.pairs.append(mark)

    def _updates(self) -> None:
        while not self._stop.is_set():
            n = next(self._numbers)
            body = {"resourceType": "Patient", "id": "counter", "multipleBirthInteger": n}
            if self._send("PUT", "/fhir/Patient/counter", body):
                self.updates["counter"] = n

    def _mllp(self) -> None:
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.server.mllp), 5) as connection:
                    connection.settimeout(20)
                    while not self._stop.is_set():
                        self._message(connection)
            except (OSError, EOFError):
                time.sleep(0.05)

    def _message(self, connection: socket.socket) -> None:
        control = f"D{next(self._numbers)}"
        segments = (
            rf"MSH|^~\&|HIS|HOSP|DMP|FR|20260101120000+0100||ADT^A28^ADT_A05|{control}|P|2.5",
            "EVN||20260101120000+0100",
            f"PID|||{control}^^^HOSP^PI||DUPONT^ANNE^^^^^L||19800101|F",
        )
        connection.sendall(VT + "\r".join(segments).encode() + CR + FS + CR)
        answer = b""
        while FS not in answer:
            part = connection.recv(4096)
            if not part:
                raise EOFError
            answer += part
        if b"MSA|AA|" + control.encode() in answer:
            self.messages.append(control)


def test_killed_while_writing(tmp_path: Path, definitions: Definitions) -> None:
    server = Killable(tmp_path)
    writers = Writers(server)
    server.start()
    try:
        with writers.running():
            time.sleep(WRITING)
            server.kill_server()
            server.start()
            time.sleep(WRITING)
            server.kill_engine()
            time.sleep(0.5)
            server.await_ready()
            time.sleep(WRITING)
            engine = server.engine_pid()
            server.kill_server()
            with contextlib.suppress(ProcessLookupError):
                os.kill(engine, signal.SIGKILL)
            server.start()
            time.sleep(WRITING)
        assert min(len(writers.pairs), len(writers.messages), len(writers.updates)) > 0
        _every_acknowledged_pair_is_there(server, writers)
        _every_acknowledged_message_is_final(server, writers)
        assert server.get("/fhir/Patient/counter")["multipleBirthInteger"] >= writers.updates["counter"]
        uri = EmbeddedEngine.running(tmp_path)
        asyncio.run(_index_agrees_and_no_half_pair(uri, server, definitions))
    finally:
        server.stop()


def _every_acknowledged_pair_is_there(server: Killable, writers: Writers) -> None:
    for mark in writers.pairs:
        assert server.get(f"/fhir/Patient/{mark}")["id"] == mark
    found = server.get(f"/fhir/Observation?patient={writers.pairs[-1]}")
    assert found["total"] == 1


def _every_acknowledged_message_is_final(server: Killable, writers: Writers) -> None:
    deadline = time.monotonic() + 60
    while server.get("/admin/inbox?status=received&limit=1")["items"] and time.monotonic() < deadline:
        time.sleep(0.2)
    for control in writers.messages:
        rows = server.get(f"/admin/inbox?control-id={control}")["items"]
        assert rows, f"{control} was acknowledged and is not in the inbox"
        assert {row["status"] for row in rows} <= FINAL
        found = server.get(f"/fhir/Patient?identifier={control}")
        assert found["total"] == 1, f"{control}: {found['total']} patients"


async def _index_agrees_and_no_half_pair(uri: str, server: Killable, definitions: Definitions) -> None:
    indexer = search.Indexer(definitions, f"{server.origin}/fhir", "Europe/Paris")
    database = Database(uri, "fhirserver", embedded=True)
    ids: dict[str, set[str]] = {}
    try:
        for type in ("Patient", "Observation", "Provenance"):
            ids[type] = set()
            async for document in database.collection(type).find({}):
                ids[type].add(document["_id"])
                index = indexer.index(fhir_json.stored(bytes(document["body"])))
                assert (document["keys"], document["sorted"]) == (index.keys, index.sorted)
                assert f'"versionId":"{document["version"]}"'.encode() in document["body"]
    finally:
        await database.close()
    pairs = {type: {id for id in ids[type] if id.startswith("pair-")} for type in ("Patient", "Observation")}
    assert pairs["Patient"] == pairs["Observation"]
