"""Reading the inbox: one item, lists, what waits, what is counted by source and by code."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo.errors import PyMongoError

from fhirserver.errors import NotFound, Unavailable
from fhirserver.storage.database import Collection, Database
from fhirserver.storage.gathering import Gathering
from fhirserver.storage.items import (
    SEPARATOR,
    Document,
    Item,
    code_key,
    control_key,
    from_documents,
)
from fhirserver.storage.sequence import Sequence as Numbers

SCAN = 50_000
"""So many items are looked through for one page of a list."""
WINDOW, LARGEST_WINDOW = 64, 4096
COUNTED = 100_000
"""So many of the newest inputs are counted by source."""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; "" and None do not narrow.

    ``patients`` are keys as items have them (``number|authority``), or numbers alone, one of which is theirs;
    ``resource`` is a reference (``Patient/1``) that it became, where it became anything.
    """

    status: str = ""
    kind: str = ""
    source: str = ""
    control_id: str = ""
    patients: tuple[str, ...] = ()
    resource: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Items, newest first; ``next`` is where the next page begins (0: there is none)."""

    items: list[Item]
    next: int = 0


@dataclass(frozen=True, slots=True)
class UnmappedCode:
    """A code that a source sends and no map knows: in how many inputs, one of them, and how many are held."""

    source: str
    system: str
    code: str
    display: str
    count: int
    held: int
    item: str


class Listing:
    """The inbox as people and programs look at it. Every method raises Unavailable."""

    def __init__(self, database: Database, numbers: Numbers) -> None:
        self.items: Collection = database.collection("inbox")
        self.waiting_rows: Collection = database.collection("inbox.waiting")
        self.outcomes: Collection = database.collection("inbox.outcomes")
        self.numbers = numbers
        self._awaited: Gathering[str, list[str]] = Gathering(self._who_awaits)

    async def get(self, id: str) -> Item:
        """Raises NotFound."""
        for item in await self._found({"_id": id}):
            return item
        raise NotFound(f"There is no item {id[:64]} in the inbox")

    async def waiting(self) -> list[Item]:
        """All items whose processing has not ended, in order of receipt."""
        rows = {row["_id"]: row async for row in _find(self.waiting_rows, {})}
        items = [item async for item in self._of_ids(rows)]
        return sorted(items, key=lambda item: item.order)

    async def is_waiting(self, id: str) -> bool:
        return bool([row async for row in _find(self.waiting_rows, {"_id": id})])

    async def awaiting(self, identifiers: Sequence[str]) -> Sequence[Item]:
        """The held items that wait for a document with one of these identifiers, in order of receipt."""
        asked = await self._awaited.ask_all(identifiers)
        ids = dict.fromkeys(id for found in asked.values() for id in found)
        return _in_order([item async for item in self._of_ids(ids)])

    async def _who_awaits(self, identifiers: Sequence[str]) -> dict[str, list[str]]:
        """The ids of the held items that wait for each of the documents."""
        # The embedded engine uses the index for this condition alone.
        wanted = {"awaits": {"$in": list(identifiers)}}
        rows = [row async for row in _find(self.outcomes, wanted, {"status": 1, "awaits": 1})]
        held = [row for row in rows if row["status"] == "held"]
        return {one: [row["_id"] for row in held if one in row["awaits"]] for one in identifiers}

    async def with_code(self, source: str, system: str, code: str) -> Sequence[Item]:
        """The items with an unmapped code, in order of receipt."""
        return await self._of_outcomes({"codes": code_key(source, system, code)}, lambda row: True)

    async def waits_for(self, item: Item) -> bool:
        """Whether an earlier input of the same patient, with another owner, is still to be processed."""
        if not item.patients:
            return False
        rows = _find(self.waiting_rows, {"patients": {"$in": list(item.patients)}})
        return any([row["order"] < item.order and row["owner"] != item.owner async for row in rows])

    async def lag(self) -> float:
        """Seconds since the oldest unfinished input was received; 0 when there is none."""
        orders = [int(row["order"]) async for row in _find(self.waiting_rows, {}, {"order": 1})]
        oldest = datetime.fromtimestamp(min(orders) / 1_000_000, UTC) if orders else None
        return max(0.0, (datetime.now(UTC) - oldest).total_seconds()) if oldest else 0.0

    async def by_keys(self, keys: Sequence[str]) -> list[tuple[Item, Document]]:
        """The items with one of these keys, each with its document."""
        documents = [row async for row in _find(self.items, {"key": {"$in": list(keys)}}, {"raw": 0})]
        return list(zip(await self._joined(documents), documents, strict=True))

    # --- lists

    async def list(self, filters: Filters, limit: int, before: int = 0) -> Page:
        """Items newest first, from below the position ``before`` (0: from the newest)."""
        top = before or await self.numbers.end() + 1
        direct = await self._direct(filters)
        if direct is not None:
            found = [item for item in direct if item.seq < top and _matches(item, filters)]
            return _page(sorted(found, key=lambda item: -item.seq), limit)
        window, scanned = max(2 * limit, WINDOW), 0
        found = []
        while top > 1 and len(found) <= limit and scanned < SCAN:
            low = max(1, top - window)
            items = sorted(await self._window(filters.status, low, top), key=lambda item: -item.seq)
            found += [item for item in items if _matches(item, filters)]
            scanned += len(items)
            if filters.since and items and items[-1].received < filters.since:
                top = 1
                break
            top, window = low, min(window * 4, LARGEST_WINDOW if not filters.status else 2**40)
        page = _page(found, limit)
        return page if page.next or top <= 1 else Page(page.items, top)

    async def _direct(self, filters: Filters) -> "Iterable[Item] | None":
        """All candidates, where an index or a small collection gives them; None where there are windows.

        A range of a field with several values also finds what has one value above and one below it. The exact
        question, ``$elemMatch``, is one that the embedded engine scans for.
        """
        if filters.control_id:
            start = control_key(filters.control_id)
            bounds = {"$gte": start, "$lt": start[:-1] + chr(ord(SEPARATOR) + 1)}
            return [
                item for item in await self._found({"key": bounds}) if item.control_id == filters.control_id
            ]
        if filters.patients:
            several = [item for key in filters.patients for item in await self._of_patient(key)]
            return {item.id: item for item in several}.values()
        return await self.waiting() if filters.status == "received" else None

    async def _of_patient(self, key: str) -> "Sequence[Item]":
        if "|" in key:
            return await self._found({"patients": key})
        found = await self._found({"patients": {"$gte": f"{key}|", "$lt": f"{key}}}"}})
        return [item for item in found if any(own.startswith(f"{key}|") for own in item.patients)]

    async def _window(self, status: str, low: int, top: int) -> "Iterable[Item]":
        bounds = {"$gte": low, "$lt": top}
        if not status:
            return await self._found({"seq": bounds})
        return await self._of_outcomes({"status": status, "seq": bounds}, lambda row: True)

    # --- counts

    async def by_source(self, since: int = 0) -> dict[str, Counter[str]]:
        """How many of the newest inputs of each source are in which status.

        ``since`` is the position from which on they count; by default the last ``COUNTED``.
        """
        low = since or max(0, await self.numbers.end() - COUNTED)
        counts: dict[str, Counter[str]] = {}
        stages: list[Document] = [
            {"$match": {"seq": {"$gte": low}}},
            {"$group": {"_id": {"source": "$source", "status": "$status"}, "n": {"$sum": 1}}},
        ]
        try:
            async for row in await self.outcomes.aggregate(stages):
                counts.setdefault(row["_id"]["source"], Counter())[row["_id"]["status"]] = row["n"]
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        for item in await self.waiting():
            counts.setdefault(item.source, Counter())["received"] += 1
        return counts

    async def unmapped(self, source: str = "") -> "Sequence[UnmappedCode]":
        """The codes that no map knows, the most frequent first; of one source or of all."""
        wanted: Document = {"$gte": f"{source}{SEPARATOR}" if source else ""}
        if source:
            wanted["$lt"] = f"{source}{chr(ord(SEPARATOR) + 1)}"
        counts: Counter[tuple[str, str, str]] = Counter()
        held: Counter[tuple[str, str, str]] = Counter()
        first: dict[tuple[str, str, str], tuple[str, str]] = {}
        rows = _find(
            self.outcomes, {"codes": {"$elemMatch": wanted}}, {"unmapped": 1, "source": 1, "status": 1}
        )
        async for row in rows:
            for one in row["unmapped"]:
                key = (row["source"], one["system"], one["code"])
                counts[key] += 1
                held[key] += row["status"] == "held"
                first.setdefault(key, (one.get("display", ""), row["_id"]))
        return [
            UnmappedCode(*key, first[key][0], count, held[key], first[key][1])
            for key, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
            if not source or key[0] == source
        ]

    # --- documents to items

    async def _found(self, wanted: Document) -> "Sequence[Item]":
        return await self._joined([row async for row in _find(self.items, wanted, {"raw": 0})])

    async def _of_outcomes(self, wanted: Document, chosen: Callable[[Document], bool]) -> "Sequence[Item]":
        """The items of some outcomes that count: those of items that wait again do not."""
        ids = [row["_id"] async for row in _find(self.outcomes, wanted, {"status": 1}) if chosen(row)]
        return _in_order([item async for item in self._of_ids(ids)])

    async def _of_ids(self, ids: Iterable[str]) -> AsyncIterator[Item]:
        ids = list(ids)
        for start in range(0, len(ids), LARGEST_WINDOW):
            for item in await self._found({"_id": {"$in": ids[start : start + LARGEST_WINDOW]}}):
                yield item

    async def _joined(self, documents: "Sequence[Document]") -> "Sequence[Item]":
        if not documents:
            return []
        ids = {"_id": {"$in": [document["_id"] for document in documents]}}
        # What waits is asked for first: it is removed after the outcome is there, so nothing is in neither.
        waiting = {row["_id"]: row async for row in _find(self.waiting_rows, ids)}
        outcomes = {row["_id"]: row async for row in _find(self.outcomes, ids)}
        return [from_documents(d, waiting.get(d["_id"]), outcomes.get(d["_id"])) for d in documents]


async def _find(
    collection: Collection, wanted: Document, fields: Document | None = None
) -> AsyncIterator[Document]:
    try:
        async for document in collection.find(wanted, fields):
            yield document
    except PyMongoError:
        raise Unavailable("The database does not answer now") from None


def _page(found: "Sequence[Item]", limit: int) -> Page:
    kept = [*found[:limit]]
    return Page(kept, kept[-1].seq if len(found) > limit else 0)


def _matches(item: Item, filters: Filters) -> bool:
    became = item.outcome.resources
    return (
        filters.status in ("", item.status)
        and filters.kind in ("", item.kind)
        and filters.source in ("", item.source)
        and (not filters.resource or not became or any(r.startswith(f"{filters.resource}/") for r in became))
        and (filters.since is None or item.received >= filters.since)
    )


def _in_order(items: Iterable[Item]) -> list[Item]:
    """By receipt, without those that wait to be processed again: their outcome counts no more."""
    return sorted((item for item in items if item.status != "received"), key=lambda item: item.order)
