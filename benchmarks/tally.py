"""What becomes of every file below a folder, counted by sub-folder: ``python -m benchmarks.tally FOLDER``.

Each file goes through the inbox of a server of its own, on an engine in a temporary directory.
"""

import argparse
import asyncio
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

import structlog
from rich.console import Console
from rich.table import Table

from fhirserver import logs, settings
from fhirserver.app import open_parts
from fhirserver.feeds.files import SEVERITY, FileResult, Import
from fhirserver.settings import Settings
from fhirserver.storage.embedded import EmbeddedEngine

STATUSES = (*SEVERITY, "unknown")


async def results(folder: Path, chosen: Settings) -> list[FileResult]:
    async with open_parts(chosen, listen=False) as parts:
        summary = await Import(parts.receiver, lambda result: None).run([folder])
    return summary.files


def by_folder(files: list[FileResult], folder: Path) -> dict[str, Counter[str]]:
    """Statuses of the files below each folder; a file has the worst status of its messages."""
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    for file in files:
        tally[str(Path(file.name).parent.relative_to(folder))][file.status] += 1
    return dict(sorted(tally.items()))


def print_tally(tally: dict[str, Counter[str]], console: Console) -> None:
    table = Table("folder", "files", *STATUSES)
    total: Counter[str] = sum(tally.values(), Counter())
    for name, counts in [*tally.items(), ("all", total)]:
        table.add_row(name, str(counts.total()), *(str(counts[status] or "") for status in STATUSES))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--reasons", action="store_true", help="why, for each file that is held or failed")
    arguments = parser.parse_args()
    logs.configure("error")
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    console = Console(width=160)
    with tempfile.TemporaryDirectory() as directory:
        engine = EmbeddedEngine(Path(directory))
        engine.start()
        try:
            chosen = settings.load({"mongodb_uri": engine.uri, "embedded": True})
            files = asyncio.run(results(arguments.folder, chosen))
        finally:
            engine.stop()
    print_tally(by_folder(files, arguments.folder), console)
    if arguments.reasons:
        for file in files:
            if file.status in ("held", "failed"):
                reason = "; ".join(dict.fromkeys(file.reasons))
                console.print(f"{file.status}  {file.name}: {reason}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()
