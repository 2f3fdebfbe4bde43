"""NDJSON files that a job writes: continued where they were saved last, never with half a line."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType

CHUNK = 256 * 1024


class Missing(Exception):
    """The file is not as long as it was saved: another machine wrote it. The job begins again."""


class Output:
    """An NDJSON file open for writing; the caller remembers ``sync``'s size, and begins there again."""

    def __init__(self, path: Path, size: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab")
        if self._file.tell() < size:
            self._file.close()
            raise Missing
        self._file.truncate(size)
        self._file.seek(size)

    def __enter__(self) -> "Output":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, body: bytes) -> None:
        """Add a line; ``body`` is JSON without line breaks."""
        self._file.write(body)
        self._file.write(b"\n")

    async def sync(self) -> int:
        """Make what was written durable; the size of the file."""
        await asyncio.to_thread(self._sync)
        return self._file.tell()

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


async def stream(path: Path, size: int) -> AsyncGenerator[bytes, None]:
    """The first ``size`` bytes of a file, in pieces."""
    with await asyncio.to_thread(path.open, "rb") as file:
        while size > 0 and (part := await asyncio.to_thread(file.read, min(CHUNK, size))):
            size -= len(part)
            yield part


async def lines(path: Path, size: int) -> AsyncGenerator[bytes, None]:
    """The lines of the first ``size`` bytes of a file."""
    rest = b""
    async for part in stream(path, size):
        *whole, rest = (rest + part).split(b"\n")
        for line in whole:
            yield line


async def remove(folder: Path) -> None:
    """Remove a job's folder; one that is not there is removed already."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
