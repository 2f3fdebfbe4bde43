"""What an input says of a resource, joined with what is stored of it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fhirserver.model import json
from fhirserver.model.json import Resource

_UNITED: Final = {
    "identifier": ("system", "value"),
    "extension": ("url",),
    "modifierExtension": ("url",),
}
_UNITED_OF_PATIENT: Final = {
    **_UNITED,
    "name": ("use",),
    "telecom": ("system", "use"),
    "address": ("use",),
}
"""List -> what items of one kind have in common: those sent replace those stored of the same kind."""


def merge(stored: Resource, sent: Resource, cleared: Iterable[str] = ()) -> Resource:
    """Elements sent replace, absent ones stay, cleared ones go.

    Some lists are united: identifiers by system and value, extensions by url, and a Patient's names,
    addresses and telecoms by use. A sender that does not know an item of another kind does not retract it.
    ``id`` and ``meta`` stay as stored; of what ``meta`` lacks there, the sent parts are added.
    """
    merged = dict(stored)
    united = _UNITED_OF_PATIENT if sent.get("resourceType") == "Patient" else _UNITED
    for name in cleared:
        if name not in sent:
            merged.pop(name, None)
    for name, value in sent.items():
        if name in united and isinstance(value, list):
            before = [] if name in cleared else stored.get(name, [])
            merged[name] = _unite(before, value, united[name])
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
    """The stored items, in the place of those of a kind that is sent the sent ones, then the new kinds."""
    kinds: dict[tuple[Any, ...], list[Any]] = {}
    for item in sent:
        kinds.setdefault(_kind(item, names), []).append(item)
    sent_kinds = set(kinds)
    united: list[Any] = []
    for item in stored:
        kind = _kind(item, names)
        united += kinds.pop(kind, []) if kind in sent_kinds else [item]
    return united + [item for items in kinds.values() for item in items]


def _kind(item: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(item.get(name) for name in names)
