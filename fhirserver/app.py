"""The composition root: the only place where parts are put together."""

import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.applications import Starlette

from fhirserver import logs, search, settings
from fhirserver.bulk.export import Export
from fhirserver.bulk.importing import Import
from fhirserver.bulk.reindex import Reindex
from fhirserver.feeds.mail import MailListener
from fhirserver.feeds.mllp import Listener
from fhirserver.feeds.publishing import Publishing
from fhirserver.feeds.receive import Receiver
from fhirserver.http import app as http_app
from fhirserver.http.forwarded import BASE_PATH
from fhirserver.interactions import deferred
from fhirserver.jobs import Kind, Runner
from fhirserver.model import definitions, json
from fhirserver.model.definitions import Definitions
from fhirserver.outbound import Outbound
from fhirserver.search.query import Index
from fhirserver.search_parameters import SearchParameters
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage import structure_definitions
from fhirserver.storage.blobs import Blobs
from fhirserver.storage.concepts import Concepts
from fhirserver.storage.database import Database
from fhirserver.storage.inbox import Inbox
from fhirserver.storage.jobs import Jobs
from fhirserver.storage.repository import Repository
from fhirserver.storage.secrets import shared_secret
from fhirserver.stored_profiles import StoredProfiles
from fhirserver.subscriptions import Subscriptions
from fhirserver.terminology import AtOnce, Packages, Remote, Terminology, in_directory, resources_in
from fhirserver.validation import Policy, Validator
from fhirserver.validation.evaluation import evaluator
from fhirserver.validation.knowledge import Codes

PR_SET_PDEATHSIG = 1
NEW_OBJECTS = 10_000
"""So many are made before the garbage collector looks at them; Python's own 700 are a message or two."""


@dataclass(slots=True)
class Parts:
    """What one server process is made of, open."""

    settings: Settings
    database: Database
    server: Server
    inbox: Inbox
    receiver: Receiver
    mllp_port: int = 0
    mllp_ports: tuple[tuple[int, bool], ...] = ()
    """All ports of the HL7v2 listener, and whether each speaks TLS."""
    smtp_port: int = 0


def load_definitions(settings: Settings) -> Definitions:
    """Raises PackageError when the official package is not there: `fhirserver definitions` fetches it."""
    cache = settings.packages_dir / ".cache"
    return definitions.load(settings.packages_dir / definitions.PACKAGE, cache)


def load_packages(settings: Settings) -> Packages:
    """The terminology of the packages and of the profiles' directory."""
    return Packages(
        in_directory(settings.packages_dir),
        settings.packages_dir / ".cache",
        resources_in(settings.profiles_dir, settings.packages_dir),
    )


def load_validator(settings: Settings, compiled: Definitions, codes: Codes | None = None) -> Validator:
    """The validator with the operator's profiles: those of packages and of the profiles' directory.

    ``codes`` knows the value sets and code systems that the definitions do not list.
    """
    directories = (settings.profiles_dir, settings.packages_dir)
    more = definitions.operators(*directories, settings.packages_dir / ".cache")
    policy = Policy(settings.profile_policy, settings.required_profiles)
    return Validator(compiled, more, policy, codes)


@contextlib.asynccontextmanager
async def open_parts(settings: Settings, *, listen: bool = True) -> AsyncIterator[Parts]:
    """Open the parts of a process and close them in the opposite order.

    ``settings.mongodb_uri`` must be set: the embedded engine is started before (``cli``), because several
    processes share it. Without ``listen`` there is no MLLP listener.

    Raises:
        DatabaseError: the database cannot be used.
        PackageError: the definitions are missing.
    """
    compiled = load_definitions(settings)
    base_url = settings.base_url or f"http://{_host(settings.host)}:{settings.http_port}{BASE_PATH}"
    indexer = search.Indexer(
        compiled,
        base_url,
        settings.timezone,
        settings.resource_types,
        settings.text_search,
        evaluator(compiled),
    )

    def index(type: str, body: bytes) -> Index:
        return indexer.index(json.stored(body))

    database = Database(
        settings.mongodb_uri,
        settings.database,
        settings.embedded,
        settings.search_seconds,
        settings.search_documents,
    )
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(database.close)
        await database.prepare(settings.resource_types)
        repository = Repository(database, index)
        blobs = Blobs(database)
        secret = await shared_secret(database)
        await repository.start()
        stack.push_async_callback(repository.stop)
        subscriptions = await stack.enter_async_context(
            _subscriptions(settings, repository, indexer, base_url, deliver=listen)
        )
        terminology = await stack.enter_async_context(_terminology(settings, database))
        server = Server(
            settings,
            compiled,
            load_validator(settings, compiled, AtOnce(terminology)),
            indexer,
            repository,
            blobs,
            base_url,
            secret,
            subscriptions,
        )
        server.terminology = terminology
        server.search_parameters = await stack.enter_async_context(
            _search_parameters(settings, repository, indexer)
        )
        server.stored_profiles = await stack.enter_async_context(_stored_profiles(server))
        if listen:
            await stack.enter_async_context(_jobs(server))
        inbox = Inbox(database, blobs)
        receiver = Receiver(server, inbox, settings)
        server.publishing = Publishing(server, settings)
        await receiver.start(deliver=listen)
        stack.push_async_callback(receiver.stop)
        parts = Parts(settings, database, server, inbox, receiver)
        if listen and settings.mllp_port >= 0:
            listener = Listener(receiver, settings)
            parts.mllp_port = await listener.start()
            parts.mllp_ports = tuple(zip(listener.ports, listener.encrypted, strict=True))
            stack.push_async_callback(listener.stop)
        if listen and settings.smtp_port >= 0:
            mail = MailListener(receiver, settings)
            parts.smtp_port = await mail.start()
            stack.push_async_callback(mail.stop)
        yield parts


@contextlib.asynccontextmanager
async def _subscriptions(
    settings: Settings, repository: Repository, indexer: search.Indexer, base_url: str, *, deliver: bool
) -> AsyncIterator[Subscriptions | None]:
    """None when the type Subscription is off: then a change pays nothing for them."""
    if "Subscription" not in settings.resource_types:
        yield None
        return
    outbound = Outbound(settings.subscription_endpoints)
    subscriptions = Subscriptions(settings, repository, indexer, outbound, base_url)
    await subscriptions.start(deliver=deliver)
    try:
        yield subscriptions
    finally:
        await subscriptions.stop()
        await outbound.close()


@contextlib.asynccontextmanager
async def _search_parameters(
    settings: Settings, repository: Repository, indexer: search.Indexer
) -> AsyncIterator[SearchParameters | None]:
    """None when the type SearchParameter is off: then there are those of FHIR alone."""
    if "SearchParameter" not in settings.resource_types:
        yield None
        return
    search_parameters = SearchParameters(repository, indexer)
    await search_parameters.start()
    try:
        yield search_parameters
    finally:
        await search_parameters.stop()


@contextlib.asynccontextmanager
async def _terminology(settings: Settings, database: Database) -> AsyncIterator[Terminology]:
    """Packages, stored resources, loaded systems and, if there is one, the other terminology server."""
    packages = load_packages(settings)
    url = settings.terminology_server
    outbound = Outbound((url,) if url else ())
    remote = Remote(url, outbound, settings.terminology_seconds) if url else None
    terminology = Terminology(packages, Concepts(database, settings.resource_types), remote)
    database.codes = terminology
    await terminology.start()
    try:
        yield terminology
    finally:
        await terminology.stop()
        await outbound.close()


@contextlib.asynccontextmanager
async def _stored_profiles(server: Server) -> AsyncIterator[StoredProfiles | None]:
    """None when the type StructureDefinition is off."""
    if structure_definitions.TYPE not in server.types:
        yield None
        return
    stored = structure_definitions.StructureDefinitions(server.repository.database)
    profiles = StoredProfiles(stored, server.validator.profiles)
    await profiles.start()
    try:
        yield profiles
    finally:
        await profiles.stop()


@contextlib.asynccontextmanager
async def _jobs(server: Server) -> AsyncIterator[None]:
    """The jobs that this process takes part in, for as long as the server is open."""
    exporting = Export(server, server.settings.files_dir)
    importing = Import(server, server.sources, server.settings.files_dir)
    reindexing = Reindex(server)
    later = deferred.Deferred(server)
    kinds = {
        "export": Kind(exporting.run, exporting.forget),
        "import": Kind(importing.run, importing.forget),
        "reindex": Kind(reindexing.run, reindexing.forget),
        deferred.KIND: Kind(later.run, later.forget),
    }
    process = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    server.jobs = Runner(Jobs(server.repository.database, process), kinds, server.settings.job_keep)
    await server.jobs.start()
    try:
        yield
    finally:
        await server.jobs.stop()
        await server.sources.close()


def create() -> Starlette:
    """The application of a worker process, from the environment (uvicorn's factory)."""
    chosen = settings.load()
    logs.configure(chosen.log_level)
    _end_with_parent()
    return build(chosen)


def build(settings: Settings) -> Starlette:
    return http_app.build(lambda: _lasting(settings))


@contextlib.asynccontextmanager
async def _lasting(settings: Settings) -> AsyncIterator[Parts]:
    """The parts of a process that has nothing else to do.

    What is open by then stays until the process ends: the garbage collector need not look at it again, which
    takes 70 ms each time, and as long nobody is answered.
    """
    async with open_parts(settings) as parts:
        gc.collect()
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS)
        yield parts


def _end_with_parent() -> None:
    """Linux: a worker ends with the process that started it, at once: it must not keep the port."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _host(host: str) -> str:
    return f"[{host}]" if ":" in host else host
