"""Where ``$import`` reads from: files in directories that the operator named, and http(s) URLs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from fhirserver.errors import BadRequest, Forbidden, Unprocessable
from fhirserver.outbound import Outbound, Refused, Unreachable

CHUNK = 256 * 1024
SECONDS = 60.0


class Sources:
    """``allowed`` are URL prefixes: ``file:///srv/import`` for a directory, or http(s) ones (none: any public
    address)."""

    def __init__(self, allowed: Sequence[str], max_line: int) -> None:
        self._folders = [Path(urlsplit(a).path).resolve() for a in allowed if a.startswith("file:")]
        self._outbound = Outbound(a for a in allowed if not a.startswith("file:"))
        self._max_line = max_line

    async def close(self) -> None:
        await self._outbound.close()

    def check(self, url: str) -> None:
        """Raises Forbidden, BadRequest when the URL may not or cannot be read."""
        if url.startswith("file:"):
            self._path(url)
            return
        try:
            self._outbound.check(url)
        except Refused as reason:
            raise Forbidden(f"The input cannot be read: {reason}") from None

    async def lines(self, url: str, offset: int) -> AsyncIterator[tuple[bytes, int]]:
        """The lines from a position on, each with the position after it.

        Raises:
            Forbidden, BadRequest, Unprocessable: it may not be read, is not there, or a line is too long.
        """
        position, rest = offset, b""
        async for part in self._file(url, offset) if url.startswith("file:") else self._http(url, offset):
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                position += len(line) + 1
                yield line, position
            if len(rest) > self._max_line:
                raise Unprocessable(f"A line after byte {position} is longer than {self._max_line} bytes")
        if rest:
            yield rest, position + len(rest)

    async def _file(self, url: str, offset: int) -> AsyncIterator[bytes]:
        try:
            with await asyncio.to_thread(self._path(url).open, "rb") as file:
                file.seek(offset)
                while part := await asyncio.to_thread(file.read, CHUNK):
                    yield part
        except OSError as error:
            raise Unprocessable(f"{url} cannot be read: {error.strerror}") from None

    async def _http(self, url: str, offset: int) -> AsyncIterator[bytes]:
        host = url.split("/", 3)[2]
        headers = {"Host": host, "Accept": "application/fhir+ndjson"}
        try:
            async with self._outbound.stream("GET", url, headers, b"", SECONDS) as (status, parts):
                if status != 200:
                    raise Unprocessable(f"{url} was answered with {status}")
                async for part in parts:
                    skipped = min(offset, len(part))
                    offset -= skipped
                    if len(part) > skipped:
                        yield part[skipped:]
        except Refused as reason:
            raise Forbidden(f"The input cannot be read: {reason}") from None
        except Unreachable as reason:
            raise Unprocessable(f"{url} cannot be read: {reason}") from None

    def _path(self, url: str) -> Path:
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise BadRequest(f"{url[:200]} is not a file URL such as file:///srv/import/Patient.ndjson")
        path = Path(unquote(parts.path)).resolve()
        if not any(path.is_relative_to(folder) for folder in self._folders):
            raise Forbidden("The input is not in a directory that import_sources names")
        return path
