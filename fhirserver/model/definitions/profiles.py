"""StructureDefinitions that constrain a type or define an extension, kept as they are needed for validation.

https://hl7.org/fhir/R4/profiling.html
"""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fhirserver.errors import FHIRError
from fhirserver.model import json
from fhirserver.model.definitions.package import PackageError, resources

_log = logging.getLogger(__name__)

_STRUCTURE = (
    "url", "version", "name", "type", "kind", "abstract", "derivation", "baseDefinition", "context",
)  # fmt: skip
_ELEMENT = frozenset((
    "id", "path", "sliceName", "slicing", "min", "max", "type", "binding", "contentReference", "maxLength",
    "isModifier",
))  # fmt: skip
_VALUES = ("fixed", "pattern", "minValue", "maxValue")
_CONSTRAINT = ("key", "severity", "human", "expression", "source")


def is_profile(resource: Mapping[str, Any]) -> bool:
    """Whether a StructureDefinition constrains a type; others define one, or a logical model."""
    return resource.get("derivation") == "constraint" and resource.get("kind") != "logical"


def is_usable(resource: Mapping[str, Any]) -> bool:
    """Whether it is a StructureDefinition of a profile that can be named."""
    definition = resource.get("resourceType") == "StructureDefinition" and is_profile(resource)
    return definition and isinstance(resource.get("url"), str)


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


def read_profiles(package: Path) -> dict[str, bytes]:
    """The profiles of a package, trimmed and encoded, by canonical url.

    Raises:
        PackageError: the file is not a FHIR package.
    """
    return {
        str(resource["url"]): json.format(trimmed(resource))
        for resource in resources(package, "StructureDefinition")
        if is_usable(resource)
    }


def operators_profiles(directory: Path, except_for: Iterable[str] = ()) -> dict[str, bytes]:
    """The profiles of the ``*.json`` files in ``directory`` and of the ``*.tgz`` in its ``packages``.

    A file that cannot be read is logged and left out: it must not keep a server from starting.
    """
    found: dict[str, bytes] = {}
    for package in sorted((directory / "packages").glob("*.tgz")):
        if package.name in except_for:
            continue
        try:
            found |= read_profiles(package)
        except PackageError as error:
            _log.warning("The package %s is left out: %s", package.name, error)
    for file in sorted(directory.rglob("*.json")):
        if "packages" in file.relative_to(directory).parts:
            continue
        try:
            resource = json.parse(file.read_bytes())
        except (OSError, FHIRError) as error:
            _log.warning("The file %s is left out: %s", file, error)
            continue
        if isinstance(resource, dict) and is_usable(resource):
            found[resource["url"]] = json.format(trimmed(resource))
    return found
