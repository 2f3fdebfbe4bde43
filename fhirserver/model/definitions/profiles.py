"""StructureDefinitions that constrain a type or define an extension, kept as they are needed for validation.

https://hl7.org/fhir/R4/profiling.html
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from fhirserver.errors import FHIRError
from fhirserver.model import json
from fhirserver.model.definitions.package import PACKAGE, PackageError, resources, write_atomically
from fhirserver.model.definitions.value_sets import ValueSet, ValueSets

CHECKED = ("required", "extensible")
"""The strengths of bindings that say something about a code."""
_TERMINOLOGY = ("ValueSet", "CodeSystem")

_log = logging.getLogger(__name__)

_STRUCTURE = (
    "url", "version", "name", "type", "kind", "abstract", "derivation", "baseDefinition", "context",
    "contextInvariant",
)  # fmt: skip
_ELEMENT = frozenset((
    "id", "path", "sliceName", "slicing", "min", "max", "type", "binding", "contentReference", "maxLength",
    "isModifier", "extension",
))  # fmt: skip
_VALUES = ("fixed", "pattern", "minValue", "maxValue")
_CONSTRAINT = ("key", "severity", "human", "expression", "source")


def is_profile(resource: Mapping[str, Any]) -> bool:
    """Whether a StructureDefinition constrains a type; others define one, or a logical model."""
    return resource.get("derivation") == "constraint" and resource.get("kind") != "logical"


def is_usable(resource: Mapping[str, Any]) -> bool:
    """Whether it is a StructureDefinition of a profile that can be named."""
    if resource.get("resourceType") != "StructureDefinition" or not isinstance(resource.get("url"), str):
        return False
    # What says to specialise the very type it is about constrains it.
    own = str(resource.get("baseDefinition", "")).rpartition("/")[2] == resource.get("type")
    return is_profile(resource) or (own and resource.get("kind") != "logical")


def trimmed(resource: Mapping[str, Any]) -> dict[str, Any]:
    """A profile without what says nothing to a validator: texts, mappings, examples, must-support."""
    kept = {name: resource[name] for name in _STRUCTURE if name in resource}
    for view in ("snapshot", "differential"):
        elements = resource.get(view, {}).get("element")
        if elements:
            kept[view] = {"element": [_element(e) for e in elements]}
            break
    return kept


def _element(element: Mapping[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in element.items() if k in _ELEMENT or k.lstrip("_").startswith(_VALUES)}
    if "constraint" in element:
        kept["constraint"] = [
            {name: c[name] for name in _CONSTRAINT if name in c} for c in element["constraint"]
        ]
    return kept


class Operators(msgspec.Struct, frozen=True):
    """What packages and files of the operator add: profiles as trimmed JSON by url, the value sets these bind
    to as far as they can be expanded."""

    profiles: dict[str, bytes] = {}
    value_sets: dict[str, ValueSet] = {}


def operators(directory: Path, packages: Path, cache: Path) -> Operators:
    """What the ``*.json`` files in ``directory`` and the ``*.tgz`` in ``packages`` define.

    A file that cannot be read is logged and left out: it must not keep a server from starting. The result is
    kept in ``cache`` by what the files are.
    """
    archives = sorted(file for file in packages.glob("*.tgz") if file.name != PACKAGE)
    files = [f for f in sorted(directory.rglob("*.json")) if packages not in f.parents]
    if not archives and not files:
        return Operators()
    digest = hashlib.sha256(b"2")
    for file in (packages / PACKAGE, *archives, *files):
        stated = file.stat() if file.exists() else None
        digest.update(repr((str(file), stated and (stated.st_size, stated.st_mtime_ns))).encode())
    kept = cache / f"operators-{digest.hexdigest()[:16]}.msgpack"
    try:
        return msgspec.msgpack.decode(kept.read_bytes(), type=Operators)
    except (OSError, msgspec.DecodeError):
        found = _read(packages / PACKAGE, archives, files)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, msgspec.msgpack.encode(found))
    except OSError as error:
        _log.warning("The compiled profiles cannot be kept in %s: %s", cache, error.strerror)
    return found


def _read(core: Path, archives: list[Path], files: list[Path]) -> Operators:
    profiles: dict[str, bytes] = {}
    value_sets, bound = ValueSets(), set[str]()
    for resource in _resources(core, archives, files):
        if resource.get("resourceType") in ("ValueSet", "CodeSystem"):
            value_sets.add(resource)
        elif is_usable(resource):
            profile = trimmed(resource)
            profiles[resource["url"]] = json.format(profile)
            bound |= bound_by(profile)
    return Operators(profiles, value_sets.expand(sorted(bound - {""})))


def _resources(core: Path, archives: list[Path], files: list[Path]) -> Iterator[dict[str, Any]]:
    for archive in (core, *archives):
        kinds = _TERMINOLOGY if archive == core else ("StructureDefinition", *_TERMINOLOGY)
        try:
            yield from (r for r in resources(archive, *kinds) if isinstance(r.get("url"), str))
        except PackageError as error:
            _log.warning("The package %s is left out: %s", archive.name, error)
    for file in files:
        try:
            resource = json.parse(file.read_bytes())
        except (OSError, FHIRError) as error:
            _log.warning("The file %s is left out: %s", file, error)
            continue
        if isinstance(resource, dict) and isinstance(resource.get("url"), str):
            yield resource


def bound_by(profile: Mapping[str, Any]) -> set[str]:
    """The value sets that a profile's codes have to, or should, be in."""
    elements = (e for view in ("snapshot", "differential") for e in profile.get(view, {}).get("element", ()))
    bindings = (e.get("binding", {}) for e in elements)
    return {b.get("valueSet", "").partition("|")[0] for b in bindings if b.get("strength") in CHECKED}
