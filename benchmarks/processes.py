"""CPU time of a server and of the database engine that it starts. Linux: /proc/<pid>/stat."""

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
            command = Path(f"/proc/{process}/cmdline").read_bytes().lower()
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            continue  # it ended meanwhile
        seconds = (int(fields[11]) + int(fields[12])) / _TICKS
        if b"secantus" in command or b"mongod" in command:
            database += seconds
        else:
            app += seconds
    return CPU(app, database)


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


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
