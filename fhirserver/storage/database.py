"""The connection to the database, its collections and their indexes.

One database holds: a collection per resource type (the current versions, with their index), ``history`` (the
versions before), ``locks`` (conditional writes), ``inbox``, ``inbox.waiting`` and ``inbox.outcomes`` (what
feeds received and what became of it), ``sources`` (who sends), ``acknowledgements``, ``events`` and
``deliveries`` (what subscribers are told), ``jobs``, ``blobs`` (GridFS), ``concepts`` (of loaded code
systems), and ``counters``, ``secrets``, ``leases``, ``watchers`` and ``loaded_systems`` of a few documents.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING, AsyncMongoClient, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from fhirserver.storage.coded import Terminology

Document = dict[str, Any]
Collection = AsyncCollection[Document]

RESOURCE_INDEXES: dict[str, Sequence[str]] = {
    # Equality on one key, newest first: reference, token and presence searches.
    "keys_seq": ("keys", "seq"),
    # Ranges over folded strings and over the bounds of intervals. Single: a trailing column loses boundary
    # rows on the embedded engine.
    "sorted": ("sorted",),
    # Listing a type newest first, in windows.
    "seq": ("seq",),
    "updated": ("updated",),
}
OTHER_INDEXES: dict[str, dict[str, Sequence[str]]] = {
    "history": {
        "resource": ("resource",),
        # In windows of time, of one type or of all.
        "type_updated": ("type", "updated"),
        "updated": ("updated",),
        "blob": ("blob",),
    },
    # Whether a blob is still named, before it is purged: here, in history and inbox.
    "Binary": {"blob": ("blob",)},
    "inbox": {
        "blob": ("blob",),
        # What makes an input the same as one before, and its control id: see storage.items.
        "key": ("key",),
        "seq": ("seq",),
        "patients": ("patients",),
    },
    # Whether an earlier input of a patient is still waiting.
    "inbox.waiting": {"patients": ("patients",)},
    "inbox.outcomes": {
        "status_seq": ("status", "seq"),
        # Which held inputs wait for a document.
        "awaits": ("awaits",),
        "codes": ("codes",),
    },
    "acknowledgements": {"status": ("status",)},
    "jobs": {"status": ("status",), "finished": ("finished",)},
    # What concepts of loaded code systems are found by, and their order in the system.
    "concepts": {"keys": ("keys",), "system_n": ("s", "n")},
    "events": {"waiting": ("waiting",), "subscription_number": ("subscription", "number")},
}
UNIQUE_INDEXES = frozenset({("inbox", "key")})
"""Indexes whose values are unique among the documents that have the field."""
SPARSE_INDEXES = (
    UNIQUE_INDEXES
    | {(name, "blob") for name in ("history", "Binary", "inbox")}
    | {("inbox.outcomes", "awaits"), ("inbox.outcomes", "codes")}
)
"""Indexes of only the documents that have the field."""
LOCK_SECONDS = 24 * 3600


_trace: ContextVar[list[tuple[str, list[Document]]] | None] = ContextVar("trace", default=None)


@contextlib.contextmanager
def traced() -> Iterator[list[tuple[str, list[Document]]]]:
    """The pipelines that ``run`` runs inside, by collection."""
    pipelines: list[tuple[str, list[Document]]] = []
    token = _trace.set(pipelines)
    try:
        yield pipelines
    finally:
        _trace.reset(token)


async def run(collection: Collection, stages: list[Document]) -> list[Document]:
    """What a pipeline finds."""
    pipelines = _trace.get()
    if pipelines is not None:
        pipelines.append((collection.name, stages))
    return [document async for document in await collection.aggregate(stages)]


class DatabaseError(Exception):
    """The database cannot be used; the text says why, for an operator."""


@dataclass
class Database:
    """An open database. ``embedded`` says that it is the embedded engine.

    A search may take ``search_seconds``, and look at ``search_documents`` where no index serves it; ``sizes``
    keeps how many documents collections have, and until when that is used. ``codes`` is who knows value sets.
    """

    uri: str
    name: str
    embedded: bool = False
    search_seconds: float = 20.0
    search_documents: int = 50_000
    sizes: dict[str, tuple[int, float]] = field(default_factory=dict, repr=False)
    codes: Terminology | None = field(default=None, repr=False)
    _client: AsyncMongoClient[Document] = field(init=False, repr=False)
    _database: AsyncDatabase[Document] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # The embedded engine walks its remembered replies at each retryable write and is saturated by one
        # connection (domain facts, measured); a real cluster wants the driver's defaults.
        options: Document = {"retryWrites": False, "maxPoolSize": 6} if self.embedded else {}
        self._client = AsyncMongoClient(
            self.uri,
            w="majority",
            journal=True,
            appname="fhirserver",
            serverSelectionTimeoutMS=10_000,
            **options,
        )
        self._database = self._client.get_database(
            self.name,
            write_concern=WriteConcern(w="majority", j=True),
            read_concern=ReadConcern("local" if self.embedded else "majority"),
        )

    @property
    def client(self) -> AsyncMongoClient[Document]:
        return self._client

    @property
    def raw(self) -> AsyncDatabase[Document]:
        return self._database

    def collection(self, name: str) -> Collection:
        return self._database[name]

    async def ping(self) -> None:
        """Raises DatabaseError when the database does not answer."""
        try:
            await self._client.admin.command("ping")
        except PyMongoError as error:
            raise DatabaseError(f"The database does not answer: {type(error).__name__}") from error

    async def prepare(self, types: Iterable[str]) -> None:
        """Create the collections' indexes and verify that the database has them as they are meant.

        Raises:
            DatabaseError: unreachable, not a replica set, or an index of the same name is another one.
        """
        await self.ping()
        hello = await self._client.admin.command("hello")
        if not ("setName" in hello or hello.get("msg") == "isdbgrid"):
            raise DatabaseError(
                "MongoDB must be a replica set or a sharded cluster: transactions need one "
                "(a single node can be a replica set of one: mongod --replSet rs0, then rs.initiate())"
            )
        for name in types:
            await self._ensure(name, RESOURCE_INDEXES)
        for name, indexes in OTHER_INDEXES.items():
            await self._ensure(name, indexes)
        await self.collection("locks").create_index(
            [("at", ASCENDING)], name="expiry", expireAfterSeconds=LOCK_SECONDS
        )

    async def _ensure(self, name: str, indexes: dict[str, Sequence[str]]) -> None:
        collection = self.collection(name)
        present = await collection.index_information()
        for index, fields in indexes.items():
            wanted = [(f, ASCENDING) for f in fields]
            if index not in present:
                options: Document = {"sparse": True} if (name, index) in SPARSE_INDEXES else {}
                options |= {"unique": True} if (name, index) in UNIQUE_INDEXES else {}
                await collection.create_index(wanted, name=index, **options)
                continue
            if [tuple(pair) for pair in present[index]["key"]] != wanted:
                raise DatabaseError(
                    f"Index {index} of collection {name} is {present[index]['key']}, not {wanted}"
                )

    async def close(self) -> None:
        await self._client.close()
