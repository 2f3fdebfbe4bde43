"""The one door: every interaction, whoever asks for it, comes through ``Server.perform``."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import structlog
from cryptography.fernet import Fernet, InvalidToken

from fhirserver import interactions, search
from fhirserver.bulk.sources import Sources
from fhirserver.errors import (
    BadRequest,
    FHIRError,
    Forbidden,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    TypeNotServed,
    VersionConflict,
)
from fhirserver.interactions import deferred
from fhirserver.interactions.publications import Publishing
from fhirserver.interactions.unit import Unit
from fhirserver.jobs import Runner
from fhirserver.model import outcome, xml
from fhirserver.model.definitions import Definitions
from fhirserver.model.json import Resource
from fhirserver.model.media_types import NDJSON
from fhirserver.operations import OPERATIONS, job_status, registry
from fhirserver.request import Request, Result
from fhirserver.search.query import Query
from fhirserver.search_parameters import SearchParameters
from fhirserver.settings import Settings
from fhirserver.storage.blobs import Blobs
from fhirserver.storage.commit import Conflict
from fhirserver.storage.repository import Repository
from fhirserver.stored_profiles import StoredProfiles, concerns
from fhirserver.subscriptions import Subscriptions
from fhirserver.terminology import Terminology
from fhirserver.validation import Validator, located

ATTEMPTS = 24
CONTENT = ("create", "update")
"""The interactions that take a Binary's content as a stream."""
ROUTES = interactions.ROUTES | job_status.ROUTES
SHAPES = frozenset(shape for _, shape in ROUTES)

log = structlog.get_logger()


class Server:
    """The parts an interaction needs, and the way in."""

    def __init__(
        self,
        settings: Settings,
        definitions: Definitions,
        validator: Validator,
        indexer: search.Indexer,
        repository: Repository,
        blobs: Blobs,
        base_url: str,
        secret: bytes,
        subscriptions: Subscriptions | None = None,
    ) -> None:
        self.settings = settings
        self.definitions = definitions
        self.validator = validator
        self.indexer = indexer
        self.repository = repository
        self.blobs = blobs
        self.base_url = base_url
        self.subscriptions = subscriptions
        self.jobs: Runner | None = None
        self.publishing: Publishing | None = None
        self.terminology = Terminology()
        self.search_parameters: SearchParameters | None = None
        self.stored_profiles: StoredProfiles | None = None
        self.sources = Sources(settings.import_sources, settings.max_body)
        self.types = frozenset(settings.resource_types)
        self._box = Fernet(secret)

    async def perform(self, request: Request) -> Result:
        """Do what is asked.

        Raises:
            FHIRError: it is refused or cannot be done; ``answer`` turns that into an answer.
        """
        interaction = self.route(request)
        if not request.base_url:
            request.base_url = self.base_url
        if request.format == NDJSON and request.interaction not in (*interactions.STREAMED, job_status.FILE):
            raise NotAcceptable("application/fhir+ndjson is made of searches only")
        if self.jobs and request.interaction in deferred.DEFERRED and request.prefers(deferred.PREFERENCE):
            return await deferred.defer(request, self.jobs, self)
        if request.content is not None and request.interaction in CONTENT:
            request.blob = await self.blobs.put_stream(request.content)
        result = await interaction(request, self)
        if self.stored_profiles and concerns(request.type, request.method):
            await self.stored_profiles.refresh()
        return result

    async def answer(self, request: Request) -> Result:
        """Do what is asked; a refusal or a failure is an answer too."""
        try:
            return await self.perform(request)
        except FHIRError as error:
            error.issues = tuple(located(error.issues, request.body))
            return refusal(error)
        except Exception as error:
            # The text of an unforeseen error may quote a resource: only its kind and place are told.
            log.error(
                "unforeseen error", kind=type(error).__name__, method=request.method, where=where(error)
            )
            return refusal(FHIRError(f"Unforeseen error ({type(error).__name__}); it was logged"))

    def route(self, request: Request) -> interactions.Interaction:
        """Find the interaction of a path and fill in type, id and version.

        Raises:
            NotFound, TypeNotServed, MethodNotAllowed: no such route, type or method.
        """
        segments = [s for s in request.path.split("/") if s] if request.path.strip("/") else []
        if segments and segments[-1].startswith("$"):
            return self._operation(segments, request)
        shape = interactions.shape_of(segments)
        method = "GET" if request.method == "HEAD" else request.method
        if shape not in SHAPES:
            if segments and "{type}" in shape:
                self.check_type(segments[0])
            raise NotFound(f"There is nothing at /{request.path.strip('/')[:200]}")
        for name, segment in zip(shape.split("/"), segments, strict=False):
            if name == "{type}":
                self.check_type(segment)
                request.type = segment
            elif name == "{id}":
                request.id = segment
            elif name == "{vid}":
                request.version = segment
            elif name == "{member}":
                if segment != "*":
                    self.check_type(segment)
                request.member = segment
        found = ROUTES.get((method, shape))
        if found is not None:
            request.interaction, interaction = found
            return interaction
        if method == "OPTIONS":
            request.interaction = "options"
            return interactions.options
        allowed = ", ".join(interactions.methods(shape, ROUTES))
        raise MethodNotAllowed(
            f"{request.method} is not possible here; possible are {allowed}", headers={"Allow": allowed}
        )

    def _operation(self, segments: list[str], request: Request) -> interactions.Interaction:
        """Find the operation (``$name``) of a path: https://hl7.org/fhir/R4/operations.html#request"""
        *place, name = segments
        if len(place) >= len(registry.LEVELS):
            raise NotFound(f"There is nothing at /{request.path.strip('/')[:200]}")
        if place:
            self.check_type(place[0])
        request.type, request.id = ([*place, "", ""])[:2]
        level = registry.LEVELS[len(place)]
        operation = registry.find(OPERATIONS, name[1:], level, request.type)
        request.interaction = "operation"
        allowed = {"Allow": ", ".join(sorted({*operation.methods, "OPTIONS"}))}
        if request.method == "OPTIONS":
            return _options(allowed)
        if ("GET" if request.method == "HEAD" else request.method) not in operation.methods:
            raise MethodNotAllowed(
                f"{request.method} is not possible here; possible are {allowed['Allow']}", headers=allowed
            )
        if operation.admin and not self.settings.admin_operations:
            raise Forbidden(f"${operation.code} is for administrators: the setting admin_operations is off")
        return operation.levels[level]

    def check_type(self, type: str) -> None:
        """Raises TypeNotServed with the types that are on."""
        if type not in self.types:
            known = "is off" if type in self.definitions.resource_types else "is no FHIR R4 resource type"
            raise TypeNotServed(f"{type[:64]} {known}; served are {', '.join(sorted(self.types))}")

    @property
    def operations(self) -> tuple[registry.Operation, ...]:
        """What /metadata tells of: those that are on."""
        return tuple(o for o in OPERATIONS if self.settings.admin_operations or not o.admin)

    def unit(self, request: Request) -> Unit:
        """Where the request's writes go: the transaction's unit, else one of its own."""
        return request.unit or Unit(self.repository)

    async def repeat(self, attempt: Callable[[], Awaitable[Result]], request: Request) -> Result:
        """Decide again while others change what was read; a transaction does that for its entries."""
        if request.unit is not None:
            return await attempt()
        for round in range(ATTEMPTS):
            try:
                return await attempt()
            except Conflict:
                await asyncio.sleep(0.002 * 2 ** min(round, 6))
        raise VersionConflict("Others keep changing the same resources; try again")

    def compile(
        self,
        type: str,
        pairs: Sequence[tuple[str, str]],
        *,
        lenient: bool = False,
        types: Sequence[str] = (),
        contained: bool = False,
    ) -> Query:
        """``types`` are all that are searched, where ``type`` is one of several; ``contained`` allows
        ``_contained``."""
        return search.compile(
            type,
            list(pairs),
            indexer=self.indexer,
            lenient=lenient,
            default_count=self.settings.page_size,
            max_count=self.settings.page_max,
            types=types,
            contained=contained,
        )

    def parse_xml(self, body: bytes) -> Resource:
        return xml.parse(body, self.definitions)

    def seal(self, value: Any) -> str:
        """Encrypt and sign a value for a link: the server keeps nothing, the client can change nothing."""
        return self._box.encrypt(msgspec.msgpack.encode(value)).decode()

    def unseal(self, token: str) -> Any:
        """Raises BadRequest when the token is not one of this server's."""
        try:
            return msgspec.msgpack.decode(self._box.decrypt(token.encode()))
        except (InvalidToken, ValueError, msgspec.DecodeError):
            raise BadRequest("The page token is not one of this server's") from None


def refusal(error: FHIRError) -> Result:
    """An error as an answer: its status, an OperationOutcome, its headers."""
    result = Result(error.status, outcome.body(error.issues), headers=dict(error.headers))
    result.etag = result.headers.pop("ETag", "")
    return result


def _options(headers: dict[str, str]) -> interactions.Interaction:
    async def options(request: Request, server: Server) -> Result:
        return Result(204, headers=headers)

    return options


def where(error: Exception) -> str:
    """File, line and function of the last frames; no values."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    return " < ".join(f"{f.filename.rsplit('/', 2)[-1]}:{f.lineno} {f.name}" for f in reversed(frames))
