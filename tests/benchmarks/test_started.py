import os
import sys
from pathlib import Path

import pytest

from benchmarks.load import HOST
from benchmarks.server import free_ports, started

LISTEN = (
    "import http.server as h; h.HTTPServer(('127.0.0.1', {port}), h.SimpleHTTPRequestHandler).serve_forever()"
)


def test_a_program_answers_and_is_gone_at_the_end(tmp_path: Path) -> None:
    port, _ = free_ports()
    command = [sys.executable, "-c", LISTEN.format(port=port)]
    with started(command, dict(os.environ), tmp_path / "log", f"http://{HOST}:{port}/") as pid:
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_program_that_does_not_come_up_is_told_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('out of paper')"]
    with (
        pytest.raises(RuntimeError, match=r"(?s)did not come up.*out of paper"),
        started(command, dict(os.environ), tmp_path / "log", f"http://{HOST}:1/"),
    ):
        pass
