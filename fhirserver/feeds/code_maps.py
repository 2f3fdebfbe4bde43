"""The code maps of sources: ConceptMaps in the store, read by the mappings as plain tables.

A source has one of its own, ``ConceptMap/`` ``id_of(name)``, which people fill code by code, and may name
others. They are resources like all: versioned, and changed through the FHIR API as well.
"""

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from fhirserver.errors import PreconditionFailed, VersionConflict
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.storage.documents import Stored
from mappings.core.source import Code, Coding

TYPE: Final = "ConceptMap"
ATTEMPTS: Final = 8
MISSED: Final = 200
"""So many ids without a ConceptMap are remembered and looked at again."""
_MAPS_TO: Final = frozenset(
    {"relatedto", "equivalent", "equal", "wider", "subsumes", "narrower", "specializes", "inexact"}
)
"""Equivalences that name a code to use; ``unmatched`` and ``disjoint`` name none."""


def id_of(name: str) -> str:
    """The id of the ConceptMap that is a source's own."""
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", name).strip("-")[:40]
    return f"codes-{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def table(concept_map: Resource) -> dict[Code, Coding]:
    """What a ConceptMap says, its first target that names a code; what is malformed in it says nothing."""
    codes: dict[Code, Coding] = {}
    for group in _dicts(concept_map.get("group")):
        for element in _dicts(group.get("element")):
            targets = (t for t in _dicts(element.get("target")) if t.get("equivalence") in _MAPS_TO)
            target = next((t for t in targets if t.get("code")), None)
            if target is not None and element.get("code"):
                code = (str(group.get("source", "")), str(element["code"]))
                codes[code] = Coding(
                    str(target["code"]), str(group.get("target", "")), str(target.get("display", ""))
                )
    return codes


def with_code(concept_map: Resource | None, name: str, code: Code, display: str, target: Coding) -> Resource:
    """The source's own ConceptMap with one code mapped, or mapped anew."""
    made: Resource = concept_map or {
        "resourceType": TYPE,
        "id": id_of(name),
        "url": f"urn:x-fhirserver:codes:{quote(name, safe='')}",
        "name": "CodesOfASource",
        "title": f"Codes of {name}",
        "status": "active",
    }
    groups = [_without(group, code) for group in _dicts(made.get("group"))]
    groups = [group for group in groups if group.get("element")]
    group = next(
        (g for g in groups if (g.get("source", ""), g.get("target", "")) == (code[0], target.system)), None
    )
    if group is None:
        group = {"source": code[0], "target": target.system}
        groups.append(group)
    to = {"code": target.code, "display": target.display, "equivalence": "equivalent"}
    element = {"code": code[1], "display": display, "target": [_filled(to)]}
    group["element"] = [*group.get("element", ()), _filled(element)]
    return {**made, "group": [_filled(group) for group in groups]}


class CodeMaps:
    """The code maps that this process uses, as they were when it last looked."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._tables: dict[str, tuple[int, Mapping[Code, Coding]]] = {}
        self._merged: dict[tuple[str, ...], Mapping[Code, Coding]] = {}

    async def codes(self, ids: Iterable[str]) -> Mapping[Code, Coding]:
        """What the ConceptMaps of these ids say together; the first that knows a code counts.

        Raises:
            Unavailable: one of them was never looked at, and the database does not answer.
        """
        ids = tuple(ids)
        if (merged := self._merged.get(ids)) is None:
            await self._read([id for id in ids if id not in self._tables])
            merged = {}
            for id in reversed(ids):
                merged = {**merged, **self._table(id)}
            self._merged[ids] = merged
        return merged

    def _table(self, id: str) -> Mapping[Code, Coding]:
        return self._tables.get(id, (0, {}))[1]

    async def refresh(self) -> None:
        """Look again at all that are used. Raises Unavailable."""
        if self._tables:
            await self._read(list(self._tables))

    async def add(self, name: str, code: Code, display: str, target: Coding) -> None:
        """Map one code in the source's own ConceptMap.

        Raises:
            FHIRError: the type ConceptMap is off, or the entry is refused.
        """
        self._server.check_type(TYPE)
        id = id_of(name)
        for round in range(ATTEMPTS):
            stored = await self._server.repository.find(TYPE, id)
            known = json.stored(stored.body) if stored and not stored.deleted else None
            headers = {"if-match": stored.etag} if stored else {"if-none-match": "*"}
            changed = with_code(known, name, code, display, target)
            try:
                await self._server.perform(Request("PUT", f"{TYPE}/{id}", resource=changed, headers=headers))
                break
            except (VersionConflict, PreconditionFailed):
                if round == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(0.01 * 2**round)
        await self._read([id])

    async def _read(self, ids: list[str]) -> None:
        stored: list[Stored | None] = [None] * len(ids)
        if TYPE in self._server.types:
            stored = await self._server.repository.find_many([(TYPE, id) for id in ids])
        changed = False
        if sum(not version for version, _ in self._tables.values()) > MISSED:
            # Anybody can write a name into MSH-3: what is remembered of those without a map is bounded.
            self._tables = {id: kept for id, kept in self._tables.items() if kept[0]}
            changed = True
        for id, one in zip(ids, stored, strict=True):
            version = one.version if one else 0
            if id not in self._tables or self._tables[id][0] != version:
                self._tables[id] = (version, table(json.stored(one.body)) if one and not one.deleted else {})
                changed = True
        if changed:
            self._merged.clear()


def _without(group: Resource, code: Code) -> Resource:
    """The group without the elements that map the code."""
    if group.get("source", "") != code[0]:
        return group
    return {**group, "element": [e for e in _dicts(group.get("element")) if e.get("code") != code[1]]}


def _filled(element: Resource) -> Resource:
    return {name: value for name, value in element.items() if value}


def _dicts(value: Any) -> list[Resource]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
