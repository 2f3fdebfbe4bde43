"""What feeds received: every input is stored raw and durably before it is acknowledged.

An item is *received* until its processing ends in another status. Equal input is stored once: a resend of
what was processed, or still is, becomes an item *duplicate* that names the first one; a resend of what was
held or failed opens that item again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from bson import Binary, Int64
from pymongo import InsertOne, UpdateOne
from pymongo.errors import PyMongoError

from fhirserver.errors import NotFound, Unavailable
from fhirserver.storage.blobs import Blobs
from fhirserver.storage.database import Collection, Database
from fhirserver.storage.grouping import Duplicate, GroupWriter
from fhirserver.storage.sequence import Sequence as Numbers

Document = dict[str, Any]

STATUSES = ("received", "processed", "warnings", "held", "failed", "duplicate", "cancelled")
"""``warnings``: processed, and there is something to look at; ``cancelled``: a person decided against it."""
OPEN_AGAIN = ("held", "failed")

INLINE = 1024 * 1024
"""Content beyond this many bytes is kept in the blob store."""
REMARKS = 500
"""So many issues and unread fields are kept of one input."""
SCAN = 50_000
"""So many items are looked through for one page of a list."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an input.

    ``issues`` are ``{severity, code, text, location}``, ``unread`` the fields sent and never looked at,
    ``resources`` references with versions, ``acknowledgement`` the HL7v2 code it is answered with, ``awaits``
    the identifiers (``system|value``) of a document whose arrival opens a held input again.
    """

    status: str
    issues: Sequence[Mapping[str, str]] = ()
    unread: Sequence[str] = ()
    resources: Sequence[str] = ()
    acknowledgement: str = ""
    awaits: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One input.

    ``channel`` is the way it came (mllp, http, file), ``kind`` what it is (hl7v2, cda, xdm, fhir),
    ``patients`` the keys whose inputs stay in order, ``order`` when it came in microseconds since 1970,
    ``identity`` what makes it the same as another one with these bytes (by default the bytes alone),
    ``reused`` that its identity had come before with other bytes, ``remarks`` the issues found on arrival,
    ``first`` the item that it repeats.
    """

    id: str
    channel: str
    kind: str
    source: str
    sha256: str
    size: int
    content_type: str = ""
    identity: str = ""
    control_id: str = ""
    application: str = ""
    facility: str = ""
    event: str = ""
    patients: tuple[str, ...] = ()
    order: int = 0
    seq: int = 0
    owner: str = ""
    attempts: int = 0
    first: str = ""
    reused: bool = False
    remarks: tuple[Mapping[str, str], ...] = ()
    finished: datetime | None = None
    outcome: Outcome = field(default_factory=lambda: Outcome("received"))

    @property
    def status(self) -> str:
        return self.outcome.status

    @property
    def received(self) -> datetime:
        return datetime.fromtimestamp(self.order / 1_000_000, UTC)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; "" and None do not narrow."""

    status: str = ""
    kind: str = ""
    source: str = ""
    control_id: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Items, newest first; ``next`` is where the next page begins (0: there is none)."""

    items: list[Item]
    next: int = 0


class Inbox:
    """The items of one database. Inputs that arrive together are stored in one write."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._items: Collection = database.collection("inbox")
        self._totals: Collection = database.collection("counters")
        self._blobs = blobs
        self._writer = GroupWriter(self._items, self._count)
        self._numbers = Numbers(database, "inbox")
        self.database = database

    # --- write

    async def receive(self, item: Item, raw: bytes) -> Item:
        """Store an input durably; give the item that stands for it.

        That is the item itself; with ``reused`` when its identity has come before with other bytes; an item
        ``duplicate`` when it repeats one; or the held or failed item that it repeats, opened again unless
        the input is refused again.

        Raises:
            Unavailable: the database does not take it now: it must not be acknowledged.
        """
        item = replace(item, seq=await self._numbers.next())
        content: Document = {"raw": Binary(raw)}
        if len(raw) > INLINE:
            content = {"blob": await self._blobs.put(raw)}
        keys = _keys(item)
        try:
            await self._insert(item, {**content, "key": keys})
        except Duplicate:
            return await self._receive_again(item, content, keys)
        return item

    async def _receive_again(self, item: Item, content: Document, keys: list[str]) -> Item:
        found = {key: d async for d in self._find({"key": {"$in": keys}}) for key in d["key"]}
        same = found.get(keys[-1])
        if same is None:
            item = replace(item, reused=True)
            try:
                await self._insert(item, {**content, "key": keys[-1:]})
            except Duplicate:  # the same bytes a second time, at this very moment
                return await self._receive_again(item, content, keys)
            return item
        first = _from_document(same)
        if first.status in OPEN_AGAIN and item.status == "received":
            again = await self.open_again(first, item.owner)
            if again is not None:
                return again
        if item.status == first.status == "failed":  # refused at first sight, again
            return first
        repeated = replace(item, first=first.id, outcome=replace(first.outcome, status="duplicate"), owner="")
        await self._insert(repeated, {})
        return repeated

    async def open_again(self, item: Item, owner: str) -> Item | None:
        """Make a held or failed item wait for ``owner`` to process it; None when its status has changed."""
        return await self._change(item, "received", owner)

    async def cancel(self, item: Item) -> Item | None:
        """Decide against a held or failed item; None when its status has changed."""
        return await self._change(item, "cancelled", "")

    async def _change(self, item: Item, status: str, owner: str) -> Item | None:
        if item.status not in OPEN_AGAIN:
            return None
        values = {"status": status, **({"owner": owner} if owner else {})}
        try:
            done = await self._items.update_one({"_id": item.id, "status": item.status}, {"$set": values})
        except PyMongoError:
            raise Unavailable("The database does not take the input now") from None
        if not done.matched_count:
            return None
        await self._count({item.status: -1, status: int(status != "received")})
        return replace(item, owner=owner, outcome=replace(item.outcome, status=status))

    async def finish(self, item: Item, outcome: Outcome, attempts: int) -> None:
        """Store what became of an item. Raises Unavailable."""
        values = {
            **_outcome_document(outcome),
            "attempts": attempts,
            "finished": datetime.now(UTC),
        }
        unset = {"owner": 1} if outcome.awaits else {"owner": 1, "awaits": 1}
        operation = UpdateOne({"_id": item.id, "owner": item.owner}, {"$set": values, "$unset": unset})
        await self._writer.write(operation, outcome.status)

    async def _insert(self, item: Item, content: Document) -> None:
        status = "" if item.status == "received" else item.status
        operation = InsertOne({**_to_document(item), **content})
        await self._writer.write(operation, status, size=len(content.get("raw", b"")))

    async def _count(self, changes: Mapping[str, int]) -> None:
        changes = {status: n for status, n in changes.items() if n}
        if changes:
            try:
                await self._totals.update_one({"_id": "inbox status"}, {"$inc": changes}, upsert=True)
            except PyMongoError:
                raise Unavailable("The database does not take the counts now") from None

    # --- read

    async def get(self, id: str) -> Item:
        """Raises NotFound, Unavailable."""
        async for document in self._find({"_id": id}):
            return _from_document(document)
        raise NotFound(f"There is no item {id[:64]} in the inbox")

    async def raw(self, item: Item) -> bytes:
        """The bytes as they were received; of a duplicate, those of the item it repeats."""
        try:
            document = await self._items.find_one({"_id": item.first or item.id}, {"raw": 1, "blob": 1})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        if document is None:
            raise NotFound(f"There is no item {item.id} in the inbox")
        if "blob" in document:
            return await self._blobs.get(document["blob"])
        return bytes(document["raw"])

    async def waiting(self) -> list[Item]:
        """All items whose processing has not ended, in order of receipt."""
        items = [_from_document(document) async for document in self._find({"status": "received"})]
        return sorted(items, key=lambda item: item.order)

    async def awaiting(self, identifiers: Sequence[str]) -> list[Item]:
        """The held items that wait for a document with one of these identifiers, in order of receipt."""
        # The embedded engine uses the index for this condition alone.
        wanted = {"awaits": {"$in": list(identifiers)}}
        items = [_from_document(document) async for document in self._find(wanted)]
        return sorted((item for item in items if item.status == "held"), key=lambda item: item.order)

    async def waits_for(self, item: Item) -> bool:
        """Whether an earlier input of the same patient, with another owner, is still to be processed."""
        if not item.patients:
            return False
        wanted = {"status": "received", "patients": {"$in": list(item.patients)}}
        earlier = {"order": {"$lt": item.order}, "owner": {"$ne": item.owner}}
        stages: list[Document] = [
            {"$match": wanted},
            {"$match": earlier},
            {"$limit": 1},
            {"$project": {"_id": 1}},
        ]
        try:
            return bool([d async for d in await self._items.aggregate(stages)])
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None

    async def counts(self) -> dict[str, int]:
        """Items by status: ``received`` is exact, of the others a killed process may have missed some."""
        try:
            totals = await self._totals.find_one({"_id": "inbox status"}) or {}
            received = await self._items.count_documents({"status": "received"})
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None
        return {s: received if s == "received" else max(0, int(totals.get(s, 0))) for s in STATUSES}

    async def lag(self) -> float:
        """Seconds since the oldest unfinished input was received; 0 when there is none."""
        waiting = await self.waiting()
        return max(0.0, (datetime.now(UTC) - waiting[0].received).total_seconds()) if waiting else 0.0

    async def list(self, filters: Filters, limit: int, before: int = 0) -> Page:
        """Items newest first, from below the position ``before`` (0: from the newest)."""
        top = before or await self._numbers.end() + 1
        window, scanned = max(2 * limit, 64), 0
        found: list[Item] = []
        if filters.control_id:
            items = [_from_document(d) async for d in self._find({"control_id": filters.control_id})]
            found = [i for i in items if i.seq < top and _matches(i, filters)]
            found.sort(key=lambda item: -item.seq)
            return _page(found, limit)
        while top > 1 and len(found) <= limit and scanned < SCAN:
            low = max(1, top - window)
            wanted: Document = {"seq": {"$gte": low, "$lt": top}}
            if filters.status:
                wanted = {"status": filters.status, **wanted}
            items = [_from_document(d) async for d in self._find(wanted)]
            items.sort(key=lambda item: -item.seq)
            found += [item for item in items if _matches(item, filters)]
            scanned += len(items)
            if filters.since and items and items[-1].received < filters.since:
                top = 1
                break
            top, window = low, min(window * 4, 4096 if not filters.status else 2**40)
        page = _page(found, limit)
        return page if page.next or top <= 1 else Page(page.items, top)

    async def _find(self, wanted: Document) -> Any:
        try:
            async for document in self._items.find(wanted, {"raw": 0}):
                yield document
        except PyMongoError:
            raise Unavailable("The database does not answer now") from None


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()


def _keys(item: Item) -> list[str]:
    """What no two items share: the identity with these bytes and, for the first of it, the identity."""
    if not item.identity:
        return [f"{item.kind}:{item.sha256}"]
    return [item.identity, f"{item.identity}:{item.sha256}"]


def _page(found: list[Item], limit: int) -> Page:
    kept = found[:limit]
    return Page(kept, kept[-1].seq if len(found) > limit else 0)


def _matches(item: Item, filters: Filters) -> bool:
    return (
        filters.status in ("", item.status)
        and filters.kind in ("", item.kind)
        and filters.source in ("", item.source)
        and (filters.since is None or item.received >= filters.since)
    )


_TEXTS = (
    *("channel", "kind", "source", "sha256", "content_type", "identity", "control_id"),
    *("application", "facility", "event", "owner", "first"),
)


def _to_document(item: Item) -> Document:
    document: Document = {name: value for name in _TEXTS if (value := getattr(item, name))}
    if item.patients:
        document["patients"] = list(item.patients)
    if item.reused:
        document["reused"] = True
    if item.remarks:
        document["remarks"] = [dict(remark) for remark in item.remarks[:REMARKS]]
    document |= {
        "_id": item.id,
        "size": item.size,
        "order": Int64(item.order),
        "seq": Int64(item.seq),
        "attempts": item.attempts,
    }
    return document | _outcome_document(item.outcome)


def _outcome_document(outcome: Outcome) -> Document:
    return {
        "status": outcome.status,
        "issues": [dict(issue) for issue in outcome.issues[:REMARKS]],
        "unread": list(outcome.unread[:REMARKS]),
        "resources": list(outcome.resources),
        "acknowledgement": outcome.acknowledgement,
        **({"awaits": list(outcome.awaits)} if outcome.awaits else {}),
    }


def _from_document(document: Document) -> Item:
    return Item(
        id=document["_id"],
        size=document["size"],
        patients=tuple(document.get("patients", ())),
        order=int(document["order"]),
        seq=int(document["seq"]),
        attempts=document["attempts"],
        reused=document.get("reused", False),
        remarks=tuple(document.get("remarks", ())),
        finished=document["finished"].replace(tzinfo=UTC) if "finished" in document else None,
        outcome=Outcome(
            document["status"],
            tuple(document["issues"]),
            tuple(document["unread"]),
            tuple(document["resources"]),
            document["acknowledgement"],
            tuple(document.get("awaits", ())),
        ),
        **{name: document.get(name, "") for name in _TEXTS},
    )
