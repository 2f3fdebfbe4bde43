import os
import subprocess
import sys
import time

from benchmarks.processes import CPU, cpu, machine

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
