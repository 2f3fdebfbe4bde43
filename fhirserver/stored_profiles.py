"""Profiles that clients have stored as StructureDefinition resources: every process validates with them."""

import asyncio
from typing import Protocol

import structlog

from fhirserver.errors import Unavailable
from fhirserver.model.json import Resource
from fhirserver.storage.structure_definitions import TYPE, StructureDefinitions

REFRESH = 2.0
"""What another process has stored is known here after so many seconds."""

log = structlog.get_logger()


class Known(Protocol):
    """The validator's profiles."""

    def put(self, resource: Resource) -> None: ...
    def remove(self, url: str, version: str | None = None) -> None: ...


class StoredProfiles:
    """Keeps the validator's profiles as they are stored."""

    def __init__(self, definitions: StructureDefinitions, profiles: Known) -> None:
        self._definitions = definitions
        self._profiles = profiles
        self._versions: dict[str, int] = {}
        self._urls: dict[str, tuple[str, str]] = {}
        self._refreshing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Know them before the first write. Raises Unavailable."""
        await self.refresh()
        self._task = asyncio.create_task(self._run(), name="stored profiles")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def refresh(self) -> None:
        """Take in what has changed. Raises Unavailable."""
        async with self._refreshing:
            there = await self._definitions.versions()
            for id in self._versions.keys() - there.keys():
                self._forget(id)
            changed = [id for id, version in there.items() if self._versions.get(id) != version]
            found = await self._definitions.read(changed) if changed else {}
            for id in changed:
                self._forget(id)
                version, resource = found.get(id, (there[id], {}))  # nothing is left of a deleted one
                self._versions[id] = version
                if isinstance(resource.get("url"), str):
                    self._urls[id] = resource["url"], str(resource.get("version", ""))
                    self._profiles.put(resource)

    def _forget(self, id: str) -> None:
        self._versions.pop(id, None)
        named = self._urls.pop(id, None)
        if named is not None and named not in self._urls.values():
            self._profiles.remove(*named)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await self.refresh()
            except Unavailable:
                log.warning("the stored profiles cannot be read now")


def concerns(type: str, method: str) -> bool:
    """Whether a request may have changed them: that of a Bundle may, too."""
    return method in ("PUT", "POST", "PATCH", "DELETE") and type in ("Bundle", TYPE)
