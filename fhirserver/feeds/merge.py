"""What an input says of a resource, joined with what is stored of it."""

from collections.abc import Iterable, Mapping
from typing import Any

from fhirserver.model import json
from fhirserver.model.json import Resource


def merge(stored: Resource, sent: Resource, cleared: Iterable[str] = ()) -> Resource:
    """Elements sent replace, absent ones stay, cleared ones go.

    Identifiers are united by system and value, extensions by url: a sender that does not know one does not
    retract it. ``id`` and ``meta`` stay as stored; of what ``meta`` lacks there, the sent parts are added.
    """
    merged = dict(stored)
    for name in cleared:
        if name not in sent:
            merged.pop(name, None)
    for name, value in sent.items():
        if name == "identifier" and isinstance(value, list):
            merged[name] = _unite(stored.get(name, []), value, ("system", "value"))
        elif name in ("extension", "modifierExtension"):
            merged[name] = _replace_by_url(stored.get(name, []), value)
        elif name == "meta":
            merged[name] = {**value, **stored.get("meta", {})}
        elif name not in ("id", "resourceType"):
            merged[name] = value
    return merged


def point(value: Any, targets: Mapping[str, str]) -> Any:
    """A copy whose references and attachment urls to a target's key are the target.

    Mapped Bundles refer to their entries by fullUrl there and nowhere else.
    """
    if isinstance(value, dict):
        return {
            name: targets.get(part, part)
            if name in ("reference", "url") and isinstance(part, str)
            else point(part, targets)
            for name, part in value.items()
        }
    if isinstance(value, list):
        return [point(part, targets) for part in value]
    return value


def equal(one: Resource, other: Resource) -> bool:
    """Whether both say the same, in whatever order their elements stand."""
    return json.format_sorted(one) == json.format_sorted(other)


def _unite(stored: list[Any], sent: list[Any], names: tuple[str, ...]) -> list[Any]:
    """The stored ones, each in the version sent where one is sent, then the new ones."""

    def key(identifier: Any) -> tuple[Any, ...]:
        return tuple(identifier.get(name) for name in names)

    newer = {key(identifier): identifier for identifier in sent}
    known = {key(identifier) for identifier in stored}
    united = [newer.get(key(identifier), identifier) for identifier in stored]
    return united + [identifier for k, identifier in newer.items() if k not in known]


def _replace_by_url(stored: list[Any], sent: list[Any]) -> list[Any]:
    """All stored extensions of a url give way to those sent of it."""
    urls = {extension.get("url") for extension in sent}
    return [extension for extension in stored if extension.get("url") not in urls] + list(sent)
