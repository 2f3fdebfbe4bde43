"""The sources in effect: which of them an input is of, and what is defined of it.

The database has the definitions; every process looks for changes once a second. What the sources file names
is put into the database by whoever sees a change of the file, and is not changed through the API.
"""

import asyncio
import contextlib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from fhirserver.errors import BadRequest, FHIRError, NotFound, Unavailable, VersionConflict
from fhirserver.feeds.code_maps import CodeMaps, id_of
from fhirserver.feeds.definition import Sender, SourceDefinition, dump, parse
from fhirserver.feeds.envelope import Envelope
from fhirserver.feeds.origin import Origin
from fhirserver.feeds.senders import TRUSTED, Senders, domain_of
from fhirserver.server import Server
from fhirserver.settings import Settings
from fhirserver.storage.items import Item
from fhirserver.storage.sources import SourceVersion, SourceVersions
from mappings.core.source import Source

LOOK_SECONDS: Final = 1.0
REMEMBERED: Final = 4096

log = structlog.get_logger()


class Catalog:
    """The sources as one process knows them."""

    def __init__(self, server: Server, versions: SourceVersions, settings: Settings) -> None:
        self.versions = versions
        self.codes = CodeMaps(server)
        self._settings = settings
        self._senders = Senders({}, settings)
        self._identified: dict[tuple[str, str, str, Origin], Sender] = {}
        self._revision = -1
        self._file_state: tuple[int, int] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read what there is, then look for changes until ``stop``.

        Raises:
            BadRequest: the sources file is not as it must be.
            Unavailable.
        """
        await self._apply_file()
        await self.refresh()
        self._task = asyncio.create_task(self._look(), name="sources")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    # --- whose is it

    def identify(self, envelope: Envelope, origin: Origin) -> Sender:
        """The source of an input, as ``Senders.identify`` tells it."""
        key = (envelope.source, envelope.application, envelope.facility, origin)
        if (sender := self._identified.get(key)) is None:
            if len(self._identified) >= REMEMBERED:
                self._identified.clear()
            sender = self._identified[key] = self._senders.identify(envelope, origin)
        return sender

    def sender(self, item: Item) -> Sender:
        """The source of a stored input, as it is defined now."""
        if (sender := self._senders.named.get(item.source)) is not None:
            return sender
        envelope = Envelope(item.kind, item.source, application=item.application, facility=item.facility)
        return self.identify(envelope, Origin(TRUSTED))

    async def source(self, item: Item) -> Source:
        """What the mappings need to know. Raises Unavailable."""
        sender = self.sender(item)
        codes = await self.codes.codes((id_of(sender.name), *sender.definition.code_maps))
        return sender.definition.source(domain_of(item.application, item.facility, item.source), codes)

    # --- definitions

    async def put(self, name: str, value: Any, *, seen: int | None = None) -> SourceVersion:
        """Define a source, from the next input on.

        Raises:
            BadRequest: it is not as it must be.
            VersionConflict: it is the sources file's, or ``seen`` is not the current version.
        """
        definition = parse(name, value)
        await self._check_ours(name)
        version = await self.versions.put(name, dump(definition), "api", seen=seen)
        await self.refresh()
        return version

    async def delete(self, name: str) -> None:
        """Raises NotFound, VersionConflict (it is the sources file's)."""
        await self._check_ours(name)
        await self.versions.delete(name, "api")
        await self.refresh()

    async def _check_ours(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            if (await self.versions.get(name)).origin == "file":
                raise VersionConflict(f"The source {name} is defined in the sources file: change it there")

    async def refresh(self) -> None:
        """Take over what has changed. Raises Unavailable."""
        revision = await self.versions.revision()
        if revision != self._revision:
            usable = {}
            for one in await self.versions.all():
                try:
                    usable[one.name] = parse(one.name, one.definition)
                except BadRequest as error:
                    # A pre-mapping may be installed on another machine only.
                    log.error("source not usable here", source=one.name, reason=str(error))
                    usable[one.name] = SourceDefinition.model_validate({"intake": "hold"})
            self._senders = Senders(usable, self._settings)
            self._identified.clear()
            self._revision = revision
        await self.codes.refresh()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._apply_file()
                await self.refresh()
            except Unavailable:
                log.warning("sources not looked at: the database does not answer")
            except FHIRError as error:
                log.error("sources file not taken: the sources stay as they were", reason=str(error))

    # --- the file

    async def _apply_file(self) -> None:
        """Define what the sources file defines, where it has changed. Raises BadRequest, Unavailable."""
        path = self._settings.sources_file
        if path is None:
            return
        state = _state(path)
        if state == self._file_state:
            return
        try:
            definitions = read_file(path)
        except BadRequest:
            self._file_state = state  # a file at fault is told of once
            raise
        stored = await self.versions.all()
        for name, definition in definitions.items():
            await self.versions.put(name, dump(definition), "file")
        for one in stored:
            if one.origin == "file" and one.name not in definitions:
                await self.versions.delete(one.name, "file")
        self._file_state = state


def read_file(path: Path) -> dict[str, SourceDefinition]:
    """The definitions in a sources file: a table ``[sources.NAME]`` each.

    Raises:
        BadRequest: it cannot be read, is no TOML, or says something that is not known.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{path} is no TOML: {error}") from None
    sources = content.pop("sources", {})
    if content or not isinstance(sources, Mapping):
        raise BadRequest(f"{path}: there are tables [sources.NAME], nothing else")
    return {name: parse(name, value, where=f"{path}: ") for name, value in sources.items()}


def _state(path: Path) -> tuple[int, int]:
    """Raises BadRequest."""
    try:
        found = path.stat()
    except OSError as error:
        raise BadRequest(f"{path} cannot be read: {error.strerror}") from None
    return found.st_mtime_ns, found.st_size
