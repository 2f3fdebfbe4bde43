"""The CodeSystem, ValueSet and ConceptMap resources of the FHIR packages, each read when it is asked for, and
those of single files.

A package is unpacked once into one file of the cache, without narratives, with an index of what is where: a
process maps the file and decodes what it needs.
"""

import hashlib
import logging
import mmap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from fhirserver.errors import FHIRError
from fhirserver.model import json
from fhirserver.model.definitions.package import PackageError, read, resources, write_atomically
from fhirserver.model.json import Resource
from fhirserver.terminology.catalogue import OID, TYPES, Entry, about

_FORMAT = 3
"""Part of the cache's name: to be raised with every change to what is kept or how."""
_LENGTH = 8

_log = logging.getLogger(__name__)


class _Row(msgspec.Struct, frozen=True, array_like=True):
    type: str
    url: str
    version: str
    status: str
    value_set: str
    supplements: str
    about: tuple[str, ...]
    oids: tuple[str, ...]
    offset: int
    length: int


class Packages:
    """Every package of a directory, and files of single resources."""

    def __init__(
        self, files: Sequence[Path] = (), cache: Path = Path(), resources: Sequence[Path] = ()
    ) -> None:
        """Unpack what has not been unpacked before, and read ``resources``, JSON files of one resource each.

        What is broken is left out, with a warning.
        """
        self.entries: list[Entry] = []
        self._content: dict[str, mmap.mmap | bytes] = {}
        self._alone: dict[str, Resource] = {}
        for file in files:
            try:
                self._open(file, cache)
            except PackageError as error:
                _log.warning("The terminology of %s is not known: %s", file.name, error)
        for file in resources:
            try:
                resource = json.parse(file.read_bytes())
            except (OSError, FHIRError) as error:
                _log.warning("The terminology of %s is not known: %s", file, error)
                continue
            if isinstance(resource, dict) and resource.get("resourceType") in TYPES and resource.get("url"):
                self._alone[str(file)] = resource
                self.entries.append(replace(entry_of(resource), place=(str(file),)))

    def _open(self, file: Path, cache: Path) -> None:
        digest = hashlib.sha256(read(file)).hexdigest()
        unpacked = cache / f"terminology-{digest[:16]}-{_FORMAT}.bin"
        content: mmap.mmap | bytes
        try:
            with unpacked.open("rb") as opened:
                content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, ValueError):
            content = _unpack(file)
            try:
                cache.mkdir(parents=True, exist_ok=True)
                write_atomically(unpacked, content)
            except OSError as error:
                _log.warning("%s cannot be kept unpacked in %s: %s", file.name, cache, error.strerror)
        start = _LENGTH + int.from_bytes(content[:_LENGTH])
        self._content[file.name] = content
        for row in msgspec.msgpack.decode(content[_LENGTH:start], type=list[_Row]):
            place = (file.name, start + row.offset, row.length)
            self.entries.append(
                Entry(
                    row.type,
                    row.url,
                    row.version,
                    "package",
                    place,
                    row.status,
                    row.value_set,
                    row.supplements,
                    row.about,
                    row.oids,
                )
            )

    def resource(self, entry: Entry) -> Resource:
        """The content of one of ``entries``."""
        if len(entry.place) == 1:
            return self._alone[str(entry.place[0])]
        name, offset, length = entry.place
        assert isinstance(name, str)
        assert isinstance(offset, int)
        assert isinstance(length, int)
        return json.stored(self._content[name][offset : offset + length])


def in_directory(directory: Path) -> list[Path]:
    """The packages of a directory, in the order of their names."""
    return sorted(directory.glob("*.tgz"))


def resources_in(directory: Path, packages: Path) -> list[Path]:
    """The JSON files below a directory, without those of the packages in it."""
    return [file for file in sorted(directory.rglob("*.json")) if packages not in file.parents]


def entry_of(resource: Resource) -> Entry:
    """What the catalogue needs to know of a resource; ``place`` is empty."""
    groups = [group for group in resource.get("group", ()) if isinstance(group, dict)]
    ends = [resource.get(f"{end}{kind}") for end in ("source", "target") for kind in ("Uri", "Canonical")]
    identifiers = resource.get("identifier", ())
    oids = (
        [i.get("value") for i in identifiers if isinstance(i, dict)] if isinstance(identifiers, list) else []
    )
    is_system = resource["resourceType"] == "CodeSystem"
    return Entry(
        resource["resourceType"],
        resource.get("url", ""),
        resource.get("version", ""),
        "package",
        (),
        resource.get("status", ""),
        resource.get("valueSet", "") if is_system else "",
        resource.get("supplements", ""),
        about([*ends, *(group.get(end) for group in groups for end in ("source", "target"))]),
        tuple(oid for oid in oids if is_system and isinstance(oid, str) and oid.startswith(OID)),
    )


def _unpack(file: Path) -> bytes:
    """Eight bytes of length, the index, then the resources one after the other."""
    rows, bodies, offset = [], [], 0
    for resource in resources(file, *TYPES):
        resource.pop("text", None)
        entry = entry_of(resource)
        if entry.url:
            body = json.format(resource)
            bodies.append(body)
            rows.append(
                _Row(
                    entry.type,
                    entry.url,
                    entry.version,
                    entry.status,
                    entry.value_set,
                    entry.supplements,
                    entry.about,
                    entry.oids,
                    offset,
                    len(body),
                )
            )
            offset += len(body)
    index = msgspec.msgpack.encode(rows)
    return b"".join((len(index).to_bytes(_LENGTH), index, *bodies))
