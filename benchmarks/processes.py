"""CPU time and memory of a server and of the database engine that it starts. Linux: /proc/<pid>."""

import contextlib
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class CPU:
    """Seconds of CPU, user and system, since the processes began."""

    app: float
    database: float

    def since(self, earlier: "CPU") -> "CPU":
        return CPU(self.app - earlier.app, self.database - earlier.database)


def cpu(pid: int) -> CPU:
    """CPU of the process tree under a server: its own processes, and the engine's (by command line)."""
    app = database = 0.0
    for process in tree(pid):
        try:
            engine = _is_engine(process)
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue  # it ended meanwhile
        seconds = (int(fields[11]) + int(fields[12])) / _TICKS
        if engine:
            database += seconds
        else:
            app += seconds
    return CPU(app, database)


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory in MiB, now and at most since ``forget_peaks``; that of several processes is added."""

    app: float
    app_peak: float
    database: float
    database_peak: float


def memory(pid: int) -> Memory:
    """Memory of the process tree under a server, told apart as the CPU is."""
    sums = {(engine, name): 0.0 for engine in (False, True) for name in ("VmRSS", "VmHWM")}
    for process in tree(pid):
        try:
            engine, lines = _is_engine(process), _lines(f"/proc/{process}/status")
        except FileNotFoundError:
            continue  # it ended meanwhile
        for name, _, value in (line.partition(":") for line in lines):
            if (engine, name) in sums:
                sums[engine, name] += int(value.split()[0]) / 1024
    return Memory(sums[False, "VmRSS"], sums[False, "VmHWM"], sums[True, "VmRSS"], sums[True, "VmHWM"])


def forget_peaks(pid: int) -> None:
    """Let the peaks of the process tree begin at what is resident now (proc_pid_clear_refs(5))."""
    for process in tree(pid):
        with contextlib.suppress(FileNotFoundError):  # it ended meanwhile
            Path(f"/proc/{process}/clear_refs").write_text("5")


def others() -> float:
    """Seconds of CPU that programs other than this one and what it started and ended have used since boot."""
    user, nice, system, _, _, *interrupts = (int(n) for n in _lines("/proc/stat")[0].split()[1:8])
    return (user + nice + system + sum(interrupts)) / _TICKS - sum(os.times()[:4])


def machine() -> str:
    """The processor, its cores and the memory, in one line."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = next(
        (int(line.split()[1]) for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), 0
    )
    return f"{model}, {os.cpu_count()} cores, {memory / 2**20:.0f} GiB; Python {platform.python_version()}"


def commit() -> str:
    """The commit of the checkout, with a mark when files differ from it."""
    try:
        output = subprocess.run(
            ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return output.strip()


def tree(pid: int) -> list[int]:
    """The process and all that descend from it, those that ended meanwhile left out."""
    found = [pid]
    for process in found:
        for path in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                found += [int(child) for child in path.read_text().split()]
            except FileNotFoundError:
                continue  # the thread ended meanwhile
    return found


def _is_engine(pid: int) -> bool:
    command = Path(f"/proc/{pid}/cmdline").read_bytes().lower()
    return b"secantus" in command or b"mongod" in command


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
