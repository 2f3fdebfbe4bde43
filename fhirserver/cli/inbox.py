"""``fhirserver inbox``: what feeds received, what became of it, and what people decide about it."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape as plain
from rich.table import Table

from fhirserver import logs
from fhirserver.app import Parts, open_parts
from fhirserver.cli.opening import DataDir, MongoDB, fail, open_database, settings_of
from fhirserver.errors import FHIRError
from fhirserver.settings import Settings
from fhirserver.storage.items import STATUSES, Item, Outcome
from fhirserver.storage.listing import Filters
from mappings.core.source import Coding
from mappings.hl7v2.display import display

inbox = typer.Typer(help="See what feeds received, and decide about it.", no_args_is_help=True)

Status = Annotated[str, typer.Option(help=f"Only those of this status: {', '.join(STATUSES)}.")]
Source = Annotated[str, typer.Option(help="Only those of this source.")]
Patient = Annotated[
    str, typer.Option(help="Only those of this patient: number, number|authority, Patient/id.")
]
Since = Annotated[str, typer.Option(help="Only those received since then: 2026-03-01 or 2026-03-01T08:00.")]
Ids = Annotated[list[str], typer.Argument(help="Ids of items.")]

WIDE = 200
"""Columns of what is not printed on a terminal: nothing of an id is cut off."""

console = Console(width=None if sys.stdout.isatty() else WIDE)


@inbox.command("list")
def list_(
    status: Status = "",
    source: Source = "",
    patient: Patient = "",
    since: Since = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 30,
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """List items, newest first."""
    filters = _filters(status, source, patient, since)

    async def show(parts: Parts) -> int:
        page = await parts.inbox.list(await parts.receiver.of_patient(filters), limit)
        table = Table(box=None)
        for name in ("id", "status", "event"):
            table.add_column(name, no_wrap=True)
        for name in ("received", "source", "control id", "first issue"):
            table.add_column(name, overflow="fold")
        for item in page.items:
            issue = next(iter(item.outcome.issues), None)
            row = (item.id, item.status, item.event or item.kind, _when(item), item.source, item.control_id)
            table.add_row(*map(plain, row), plain(issue["text"][:60]) if issue else "")
        console.print(table)
        if page.next:
            console.print("There are more: narrow the list, or raise --limit.")
        return 0

    _run(show, data_dir, mongodb_uri)


@inbox.command()
def show(
    id: Annotated[str, typer.Argument(help="Id of an item.")],
    raw: Annotated[
        bool, typer.Option("--raw", help="Write the bytes as they were received, nothing else.")
    ] = False,
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """Show an item: the message segment by segment, its issues, and what it became."""

    async def print_item(parts: Parts) -> int:
        item = await parts.inbox.get(id)
        content = await parts.inbox.raw(item)
        if raw:
            typer.get_binary_stream("stdout").write(content)
            return 0
        _print_item(item, parts.server.base_url)
        if item.kind == "hl7v2":
            for segment in display(content, parts.receiver.charset(item)):
                console.print(f"[bold]{plain(segment.name)}[/]")
                for name, value in segment.fields:
                    console.print(f"  {name:<12} {plain(value)}", soft_wrap=True, highlight=False)
        return 0

    _run(print_item, data_dir, mongodb_uri)


@inbox.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of items; or say which with --status.")] = None,
    status: Status = "",
    source: Source = "",
    patient: Patient = "",
    since: Since = "",
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """Process items again, in the order of their receipt; exit code 1 when some are held or failed again."""
    if not ids and not status:
        fail("Say which: ids, or --status held (failed, warnings, processed, cancelled)", 2)
    filters = _filters(status, source, patient, since)

    async def work(parts: Parts) -> int:
        if ids:
            found = sorted([await parts.inbox.get(id) for id in ids], key=lambda item: item.order)
            opened = [await parts.receiver.replay(item.id) for item in found]
        else:
            opened = await parts.receiver.replay_all(await parts.receiver.of_patient(filters))
        return await _await_outcomes(parts, opened)

    _run(work, data_dir, mongodb_uri)


@inbox.command()
def hold(ids: Ids, data_dir: DataDir = None, mongodb_uri: MongoDB = None) -> None:
    """Keep items from being processed, until they are replayed or cancelled."""
    _run(_settle(ids, "held"), data_dir, mongodb_uri)


@inbox.command()
def cancel(ids: Ids, data_dir: DataDir = None, mongodb_uri: MongoDB = None) -> None:
    """Decide against items: they stay, and wait for nobody any more."""
    _run(_settle(ids, "cancelled"), data_dir, mongodb_uri)


@inbox.command()
def stats(data_dir: DataDir = None, mongodb_uri: MongoDB = None) -> None:
    """Count the newest items by source and status, and say how long the oldest has waited."""

    async def count(parts: Parts) -> int:
        by_source = await parts.inbox.by_source()
        table = Table("source", *STATUSES, box=None)
        for name in sorted(by_source):
            table.add_row(plain(name), *(str(by_source[name][status] or "") for status in STATUSES))
        console.print(table)
        console.print(f"The oldest that waits was received {await parts.inbox.lag():.0f} s ago.")
        return 0

    _run(count, data_dir, mongodb_uri)


@inbox.command()
def unmapped(source: Source = "", data_dir: DataDir = None, mongodb_uri: MongoDB = None) -> None:
    """List the codes that no map knows, by source, the most frequent first."""

    async def work(parts: Parts) -> int:
        table = Table(box=None)
        for name in ("inputs", "held", "source", "system", "code", "display", "seen in"):
            table.add_column(name, overflow="fold")
        for one in await parts.inbox.unmapped(source):
            texts = (one.source, one.system, one.code, one.display, one.item)
            table.add_row(str(one.count), str(one.held or ""), *map(plain, texts))
        console.print(table)
        return 0

    _run(work, data_dir, mongodb_uri)


@inbox.command("map")
def map_(
    source: Annotated[str, typer.Argument(help="The source that sends the code.")],
    system: Annotated[str, typer.Argument(help='System of the code, as `unmapped` lists it ("" for none).')],
    code: Annotated[str, typer.Argument(help="The code.")],
    target_system: Annotated[
        str, typer.Argument(help='System of what it stands for ("" for a table of FHIR).')
    ],
    target_code: Annotated[str, typer.Argument(help="What it stands for.")],
    display: Annotated[str, typer.Option(help="Display of what it stands for.")] = "",
    data_dir: DataDir = None,
    mongodb_uri: MongoDB = None,
) -> None:
    """Map a code of a source (an entry in its ConceptMap); what has it is processed again, in order."""

    async def work(parts: Parts) -> int:
        target = Coding(target_code, target_system, display)
        return await _await_outcomes(parts, await parts.receiver.map_code(source, system, code, "", target))

    _run(work, data_dir, mongodb_uri)


def _run(work: Callable[[Parts], Awaitable[int]], data_dir: DataDir, mongodb_uri: MongoDB) -> None:
    """Work with the parts of a server on its database; one that runs there goes on."""
    chosen = settings_of({"data_dir": data_dir, "mongodb_uri": mongodb_uri})
    logs.configure("error")

    async def opened(ready: Settings) -> int:
        async with open_parts(ready, listen=False) as parts:
            return await work(parts)

    with open_database(chosen, attach=True) as ready:
        try:
            code = asyncio.run(opened(ready))
        except FHIRError as error:
            fail(str(error))
    raise typer.Exit(code)


def _settle(ids: list[str], status: str) -> Callable[[Parts], Awaitable[int]]:
    async def work(parts: Parts) -> int:
        for id in ids:
            item = await parts.receiver.settle(id, status)
            console.print(f"{item.id} {item.status}")
        return 0

    return work


async def _await_outcomes(parts: Parts, items: list[Item]) -> int:
    worst = 0
    for item in items:
        outcome = await parts.receiver.outcome(item)
        _print_outcome(item, outcome)
        worst = max(worst, int(outcome.status in ("held", "failed", "received")))
    console.print(f"{len(items)} processed again")
    return worst


def _print_outcome(item: Item, outcome: Outcome) -> None:
    reasons = [plain(i["text"]) for i in outcome.issues if i["severity"] == "error"]
    console.print(f"{item.id} {outcome.status} {'; '.join(reasons)}".rstrip(), soft_wrap=True)


def _print_item(item: Item, base_url: str) -> None:
    rows = {
        "status": f"{item.status}, {item.attempts} attempts",
        "received": f"{_when(item)} {item.origin}",
        "source": item.source,
        "event": f"{item.event or item.kind} {item.control_id}".strip(),
        "answered": item.outcome.acknowledgement,
        "repeats": item.first,
        "awaits": ", ".join(item.outcome.awaits),
        "not read": ", ".join(item.outcome.unread),
    }
    for name, value in rows.items():
        if value:
            console.print(f"[bold]{name:<9}[/] {plain(value)}", soft_wrap=True, highlight=False)
    for severity in ("error", "warning", "information"):
        for issue in item.outcome.issues:
            if issue["severity"] == severity:
                where = f"{issue['location']}: " if issue.get("location") else ""
                console.print(f"{severity:<9} {plain(where + issue['text'])}", soft_wrap=True)
    for one in item.outcome.unmapped:
        console.print(f"unmapped  {plain(one['system'])} {plain(one['code'])} {plain(one['display'])}")
    for reference in item.outcome.resources:
        console.print(f"became    {base_url}/{plain(reference)}", soft_wrap=True)


def _filters(status: str, source: str, patient: str, since: str) -> Filters:
    if status and status not in STATUSES:
        fail(f"--status {status} is none of {', '.join(STATUSES)}", 2)
    moment = None
    if since:
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            fail(f"--since {since} is no time such as 2026-03-01 or 2026-03-01T08:00:00Z", 2)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Filters(status, "", source, "", tuple(filter(None, [patient])), since=moment)


def _when(item: Item) -> str:
    return item.received.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
