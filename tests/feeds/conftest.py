"""A receiver on the embedded engine, over the wire, with an empty database for every test."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from fhirserver import search
from fhirserver.feeds.process import Processing
from fhirserver.feeds.receive import Receiver
from fhirserver.model import json
from fhirserver.model.definitions import Definitions
from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.blobs import Blobs
from fhirserver.storage.database import Database
from fhirserver.storage.inbox import Inbox
from fhirserver.storage.items import Item, Outcome
from fhirserver.storage.repository import Repository
from fhirserver.validation import Validator
from tests.feeds.submissions import Person

TYPES = (
    *("Patient", "RelatedPerson", "Practitioner", "PractitionerRole", "Organization", "Encounter"),
    *("AllergyIntolerance", "Immunization", "Observation", "DiagnosticReport", "Specimen", "Provenance"),
    *("Account", "Condition", "Consent", "MedicationRequest", "MedicationStatement", "Procedure"),
    *(
        "DocumentReference",
        "Binary",
        "List",
        "Bundle",
        "Communication",
        "ConceptMap",
        "ServiceRequest",
        "Appointment",
    ),
)
SECRET = b"vN0y8nGzk7M1ZCkE3dA2lRZgJ3nJ0mY1o0eXx1pQ7hE="
_numbers = itertools.count()


@dataclass(frozen=True)
class Feed:
    """One process: its server, inbox and receiver, and short ways to use them."""

    server: Server
    inbox: Inbox
    receiver: Receiver
    settings: Settings

    async def take(self, raw: bytes, kind: str = "hl7v2", **options: Any) -> tuple[Item, Outcome]:
        """Receive an input and wait for what becomes of it."""
        receipt = await self.receiver.receive(raw, kind, "test", **options)
        return receipt.item, await receipt.outcome()

    async def search(self, type: str, **query: str) -> list[Resource]:
        pairs = tuple((name.replace("__", ":"), value) for name, value in query.items())
        bundle = json.stored((await self.server.perform(Request("GET", type, pairs))).body)
        return [entry["resource"] for entry in bundle.get("entry", ())]

    async def only(self, type: str, **query: str) -> Resource:
        found = await self.search(type, **query)
        assert len(found) == 1, f"{len(found)} of {type}"
        return found[0]

    async def put(self, resource: Resource) -> None:
        path = f"{resource['resourceType']}/{resource['id']}"
        await self.server.perform(Request("PUT", path, resource=resource))


OpenFeed = Callable[..., AbstractAsyncContextManager[Feed]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def indexer(definitions: Definitions) -> search.Indexer:
    return search.Indexer(definitions, "http://test/fhir", "Europe/Paris")


@pytest.fixture
def open_feed(
    make_settings: Callable[..., Settings],
    definitions: Definitions,
    validator: Validator,
    indexer: search.Indexer,
) -> OpenFeed:
    """Opens a process on the test's database; several of them are several processes."""
    name = f"feed{next(_numbers)}"

    @contextlib.asynccontextmanager
    async def opened(
        processing: Callable[[Server, Settings], Processing] = Processing,
        types: tuple[str, ...] = TYPES,
        **options: Any,
    ) -> AsyncIterator[Feed]:
        settings = make_settings(database=name, resource_types=types, **options)
        database = Database(settings.mongodb_uri, name, embedded=True)
        await database.prepare(("Patient", "DocumentReference"))  # indexes are for speed
        repository = Repository(database, lambda type, body: indexer.index(json.stored(body)))
        blobs = Blobs(database)
        server = Server(
            settings, definitions, validator, indexer, repository, blobs, "http://test/fhir", SECRET
        )
        await repository.start()
        inbox = Inbox(database, blobs)
        receiver = Receiver(server, inbox, settings, processing(server, settings))
        await receiver.start()
        try:
            yield Feed(server, inbox, receiver, settings)
        finally:
            await receiver.stop()
            await repository.stop()
            await database.close()

    return opened


@pytest.fixture
async def feed(open_feed: OpenFeed) -> AsyncIterator[Feed]:
    async with open_feed() as feed:
        yield feed


@pytest.fixture
def person(client: httpx2.Client) -> Person:
    """A patient of the server that the whole run has, and what is published about them."""
    return Person(client)
