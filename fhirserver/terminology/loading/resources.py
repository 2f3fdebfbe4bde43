"""FHIR files: CodeSystem, ValueSet and ConceptMap in JSON, NDJSON and XML, in Bundles and in packages."""

import gzip
import re
import tarfile
from collections.abc import Iterator

import msgspec

from fhirserver.errors import MalformedBody
from fhirserver.model import json
from fhirserver.model.definitions import Definitions
from fhirserver.model.definitions.package import PackageError
from fhirserver.model.definitions.package import resources as packaged
from fhirserver.model.json import Resource
from fhirserver.model.xml import parse as parse_xml
from fhirserver.terminology.catalogue import TYPES
from fhirserver.terminology.code_systems import Listed, listed
from fhirserver.terminology.concepts import Concept
from fhirserver.terminology.loading.content import Content, Options, System
from fhirserver.terminology.loading.folder import Folder, Unreadable

LARGE = 2000
"""Code systems of more concepts are loaded as rows; smaller ones are stored as the resources they are."""
_FILES = r".*\.(json|ndjson|xml|tgz)"


def read(folder: Folder, options: Options, definitions: Definitions) -> Content:
    """What the files have of the three types; other resources are left out.

    Raises:
        Unreadable: a file cannot be read, or there is nothing of these types.
    """
    systems: list[System] = []
    kept: list[Resource] = []
    for name in folder.find_all(_FILES):
        for resource in _resources(folder, name, definitions):
            if resource.get("resourceType") not in TYPES:
                continue
            if options.version:
                resource["version"] = options.version
            made = listed(resource) if resource["resourceType"] == "CodeSystem" else None
            if made and len(made.concepts) > LARGE and made.head.complete:
                systems.append(_system(made))
            else:
                kept.append(resource)
    if not systems and not kept:
        raise Unreadable(f"{folder.path} has no CodeSystem, ValueSet or ConceptMap")
    return Content(tuple(systems), tuple(kept))


def _system(made: Listed) -> System:
    def concepts() -> Iterator[Concept]:
        yield from made.concepts.values()

    return System(made.head, concepts, {c.code: c.parents for c in made.concepts.values() if c.parents})


def _resources(folder: Folder, name: str, definitions: Definitions) -> Iterator[Resource]:
    if name.endswith(".tgz"):
        try:
            yield from packaged(folder.path / name if folder.path.is_dir() else folder.path, *TYPES)
        except (PackageError, tarfile.TarError, gzip.BadGzipFile) as error:
            raise Unreadable(str(error)) from None
        return
    with folder.open(name) as file:
        body = file.read()
    try:
        if name.endswith(".ndjson"):
            for line in body.splitlines():
                if line.strip():
                    yield from _inside(json.parse_resource(line))
        elif re.search(r"\.xml$", name):
            yield from _inside(parse_xml(body, definitions))
        else:
            yield from _inside(json.parse_resource(body))
    except (MalformedBody, msgspec.DecodeError) as error:
        raise Unreadable(f"{name} is not FHIR: {error}") from None


def _inside(resource: Resource) -> Iterator[Resource]:
    if resource["resourceType"] == "Bundle":
        for entry in resource.get("entry", ()):
            if isinstance(entry.get("resource"), dict):
                yield entry["resource"]
    else:
        yield resource
