"""Files and folders, taken in through the same inbox as every feed."""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.markup import escape as plain
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fhirserver.errors import FHIRError
from fhirserver.feeds.folders import Folder, submissions
from fhirserver.feeds.receive import Receipt, Receiver
from fhirserver.feeds.resources import NDJSON, XML
from fhirserver.feeds.sniff import START, Kind, members, sniff
from mappings import hl7v2
from mappings.core.result import Issue

CHANNEL = "file"
HL7V2_SUFFIXES = (".hl7", ".er7")
"""What is called so is taken for HL7v2 even when nothing in it says so: it fails, and is kept."""
PENDING = 32
"""So many inputs may wait for their processing while the next are read."""
LINES = 200
LINES_BYTES = 2 * 1024 * 1024
"""An input is at most so many lines or bytes of NDJSON (and always one line)."""
SEVERITY = ("duplicate", "processed", "warnings", "held", "received", "failed")
"""Statuses from good to bad; a file has the worst of its inputs."""


@dataclass(slots=True)
class FileResult:
    """What became of a file: its worst status ("unknown": of no kind taken in), why, inputs by status."""

    name: str
    status: str = "unknown"
    reasons: list[str] = field(default_factory=list)
    inputs: Counter[str] = field(default_factory=Counter)

    def add(self, status: str, issues: Iterable[Mapping[str, str]]) -> None:
        if self.status == "unknown" or SEVERITY.index(status) > SEVERITY.index(self.status):
            self.status = status
        self.inputs[status] += 1
        self.reasons += [
            f"{i['text']} ({i['location']})" if i["location"] else i["text"]
            for i in issues
            if i["severity"] == "error" and status in ("held", "failed")
        ]


@dataclass(slots=True)
class Summary:
    """What became of the files, in their order."""

    files: list[FileResult] = field(default_factory=list)

    @property
    def counts(self) -> Counter[str]:
        """Inputs by status."""
        return sum((file.inputs for file in self.files), Counter())

    @property
    def exit_code(self) -> int:
        """0: all is stored; 1: something is held or failed; 2: there was nothing to take in."""
        known = [file for file in self.files if file.status != "unknown"]
        if not known:
            return 2
        return int(any(file.status in ("held", "failed", "received") for file in known))


class Import:
    """Takes files in, in order; processing goes on while the next are read."""

    def __init__(self, receiver: Receiver, progress: Callable[[FileResult], None]) -> None:
        self._receiver = receiver
        self._progress = progress
        self._limit = receiver.settings.max_body
        self._pending: deque[Awaitable[None]] = deque()

    async def run(self, paths: Iterable[Path]) -> Summary:
        summary = Summary()
        files = list(walk(paths))
        unpacked = submissions(files)
        for path in files:
            folder = unpacked.get(path)
            if folder is not None and path != folder.files[0]:
                continue
            result = FileResult(str(folder.content if folder else path))
            summary.files.append(result)
            try:
                await (self._folder(folder, result) if folder else self._file(path, result))
            except OSError as error:
                result.add("failed", [_remark(f"It cannot be read: {error.strerror}")])
            self._pending.append(self._told(result))
            await self._settle(PENDING)
        await self._settle(0)
        return summary

    async def _folder(self, folder: Folder, result: FileResult) -> None:
        if folder.size > self._limit:
            result.add("failed", [_remark(f"It is larger than {self._limit} bytes (max_body)")])
            return
        await self._receive(folder.pack(), "xdm", result)

    async def _file(self, path: Path, result: FileResult) -> None:
        with path.open("rb") as content:
            start = content.read(START)
            content.seek(0)
            kind = sniff(start, whole=False)
            if kind == "ndjson":
                await self._lines(content, result)
                return
            if kind == "" and path.suffix.lower() not in HL7V2_SUFFIXES:
                return
            raw = content.read(self._limit + 1)
        if len(raw) > self._limit:
            result.add("failed", [_remark(f"It is larger than {self._limit} bytes (max_body)")])
            return
        await self._bytes(raw, result, nested=False)

    async def _bytes(self, raw: bytes, result: FileResult, *, nested: bool) -> None:
        kind: Kind = sniff(raw)
        match kind:
            case "hl7v2" | "":
                batch = hl7v2.split(raw)
                for message in batch.messages or [raw]:
                    issues = batch.issues if batch.messages else []
                    await self._receive(message, "hl7v2", result, issues=issues)
            case "cda" | "xdm" | "xds" | "mail":
                await self._receive(raw, kind, result)
            case "ebrim":
                result.add("failed", [_remark("XDS metadata without its documents: take in the XDM zip")])
            case "json":
                await self._receive(raw, "fhir", result)
            case "xml":
                await self._receive(raw, "fhir", result, content_type=XML)
            case "ndjson":
                await self._receive(raw, "fhir", result, content_type=NDJSON)
            case "zip" if not nested:
                try:
                    for _, member in members(raw):
                        if sniff(member):
                            await self._bytes(member, result, nested=True)
                except FHIRError as error:
                    result.add("failed", [_remark(str(error))])

    async def _lines(self, content: BinaryIO, result: FileResult) -> None:
        """NDJSON of any size, some lines at a time."""
        lines: list[bytes] = []
        size = 0
        for line in content:
            lines.append(line)
            size += len(line)
            if len(lines) >= LINES or size >= LINES_BYTES:
                await self._receive(b"".join(lines), "fhir", result, content_type=NDJSON)
                lines, size = [], 0
        if any(line.strip() for line in lines):
            await self._receive(b"".join(lines), "fhir", result, content_type=NDJSON)

    async def _receive(
        self,
        raw: bytes,
        kind: str,
        result: FileResult,
        *,
        content_type: str = "",
        issues: list[Issue] | None = None,
    ) -> None:
        await self._receiver.room()
        try:
            receipt = await self._receiver.receive(
                raw, kind, CHANNEL, content_type=content_type, issues=issues or []
            )
        except FHIRError as error:
            result.add("failed", [_remark(str(error))])
            return
        self._pending.append(asyncio.ensure_future(_became(receipt, result)))
        await self._settle(PENDING)

    async def _settle(self, limit: int) -> None:
        while len(self._pending) > limit:
            await self._pending.popleft()

    async def _told(self, result: FileResult) -> None:
        """Awaited after the inputs of the file, which stand before it."""
        self._progress(result)


async def import_paths(paths: Iterable[Path], receiver: Receiver, console: Console) -> int:
    """Take in files and folders, print what became of them, give the exit code (see Summary)."""

    files = list(walk(paths))
    columns = (TextColumn("Importing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True)
    task = bar.add_task("", total=len(files))

    def progress(result: FileResult) -> None:
        bar.advance(task)
        if result.status in ("held", "failed", "received"):
            reason = "; ".join(dict.fromkeys(result.reasons)) or "it is not processed yet"
            console.print(
                f"[yellow]{result.status:<10}[/] {plain(result.name)}: {plain(reason[:500])}", soft_wrap=True
            )

    with bar:
        summary = await Import(receiver, progress).run(files)
    counts = ", ".join(f"{summary.counts[status]} {status}" for status in SEVERITY if summary.counts[status])
    unknown = [file.name for file in summary.files if file.status == "unknown"]
    console.print(
        f"{len(summary.files) - len(unknown)} files: {counts or 'nothing to take in'}", soft_wrap=True
    )
    if unknown:
        more = f" and {len(unknown) - 5} more" if len(unknown) > 5 else ""
        console.print(
            f"{len(unknown)} files are of no known kind: {plain(', '.join(unknown[:5]))}{more}",
            soft_wrap=True,
        )
    return summary.exit_code


def walk(paths: Iterable[Path]) -> Iterator[Path]:
    """The files, and those in the folders at every depth, sorted; hidden ones are left out."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        for found in sorted(path.rglob("*")):
            inner = found.relative_to(path).parts
            if found.is_file() and not any(part.startswith(".") for part in inner):
                yield found


async def _became(receipt: Receipt, result: FileResult) -> None:
    outcome = await receipt.outcome()
    status = "duplicate" if receipt.item.status == "duplicate" else outcome.status
    result.add(status, outcome.issues)


def _remark(text: str) -> dict[str, str]:
    return {"severity": "error", "code": "processing", "text": text, "location": ""}
