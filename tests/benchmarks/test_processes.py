import os
import subprocess
import sys
import time

import pytest

from benchmarks.processes import CPU, cpu, forget_peaks, machine, memory, others

HOLD = "import sys\nheld = bytearray(b'x') * 50_000_000\ndel held\nprint(flush=True)\ninput()"
BURN = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"


def test_the_engine_is_told_apart_from_the_server() -> None:
    before = cpu(os.getpid())
    children = [
        subprocess.Popen([sys.executable, "-c", BURN, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in ("worker", "secantus")
    ]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        time.sleep(0.02)  # the kernel counts in ticks of 10 ms
        spent = cpu(os.getpid()).since(before)
    finally:
        for child in children:
            child.communicate(b"\n")
    assert spent.app >= 0.28
    assert 0.28 <= spent.database < 0.6


def test_a_difference() -> None:
    assert CPU(3.0, 5.0).since(CPU(1.0, 1.5)) == CPU(2.0, 3.5)


def test_the_machine_is_named() -> None:
    assert f"{os.cpu_count()} cores" in machine()


@pytest.mark.parametrize("name", ["worker", "secantus"])
def test_memory_and_its_peak_are_the_programs_or_the_engines(name: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        child.stdout.readline()
        first = memory(child.pid)
        forget_peaks(child.pid)
        later = memory(child.pid)
    finally:
        child.communicate(b"\n")
    peaks = [
        (m.app_peak, m.database_peak) if name == "worker" else (m.database_peak, m.app_peak)
        for m in (first, later)
    ]
    (peak, none), (forgotten, _) = peaks
    assert none == 0
    assert peak > 50_000_000 / 2**20
    assert forgotten < peak - 40
    assert 0 < later.app + later.database <= forgotten


def test_what_was_started_and_has_ended_is_not_of_others() -> None:
    child = subprocess.Popen([sys.executable, "-c", BURN], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    running, start = others(), time.monotonic()
    child.communicate(b"\n")
    used_meanwhile = (time.monotonic() - start) * (os.cpu_count() or 1)  # by others, at most
    assert others() < running - 0.2 + used_meanwhile
