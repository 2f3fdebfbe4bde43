"""What an input says of a resource, joined with what is stored of it."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fhirserver.model import json
from fhirserver.model.json import Resource

_UNITED: Final = {
    "identifier": ("system", "value"),
    "extension": ("url",),
    "modifierExtension": ("url",),
}
_UNITED_OF: Final = {
    "Patient": {
        **_UNITED,
        "name": ("use",),
        "telecom": ("system", "use"),
        "address": ("use",),
        "link": ("type", "other"),
    },
    "List": {**_UNITED, "entry": ("item",)},
    "Encounter": {**_UNITED, "participant": ("type",), "account": ("reference",)},
}
"""List -> what items of one kind have in common: those sent replace those stored of the same kind."""

_JOINED_OF: Final = {"Encounter": ("period", "hospitalization"), "DocumentReference": ("context",)}
"""Elements of which an input may say a part: what it does not say of them stays."""


_WITH_OLD_NUMBERS: Final = ("Patient", "Encounter", "Account")

_LINKS: Final = frozenset({"reference", "url"})
_CHOICE: Final = re.compile(r"\A_|(?:Age|Boolean|DateTime|Integer|Period|String)\Z")


def merge(stored: Resource, sent: Resource, cleared: Iterable[str] = ()) -> Resource:
    """Elements sent replace, absent ones stay, cleared ones go (``period.end``: of an element the part).

    Some lists are united: identifiers by system and value, extensions by url, a Patient's names, addresses
    and telecoms by use. A sender that does not know an item of another kind does not retract it. ``id`` and
    ``meta`` stay as stored; of what ``meta`` lacks there, the sent parts are added, and its tags are united
    by system. A number of a Patient, Encounter or Account that is old stays old: a sender that has not heard
    of it yet still sends it. A component that is sent as unknown stays as stored.
    """
    return _merge(stored, sent, cleared, old_stays=sent.get("resourceType") in _WITH_OLD_NUMBERS)


def absent(stored: Resource, sent: Resource) -> Resource:
    """What is sent of elements that are not stored, and of kinds that are not stored in lists that unite."""
    united = _merge(sent, stored, (), old_stays=False)
    taken = {_element(name) for name in stored}
    return {
        name: united[name]
        for name in sent
        if name in stored or name == "resourceType" or _element(name) not in taken
    }


def withdraw(stored: Resource, withdrawn: Mapping[str, list[Any]]) -> Resource:
    """Without the items of lists that say all that one of the withdrawn ones says."""
    kept = dict(stored)
    for name, patterns in withdrawn.items():
        items = [item for item in stored.get(name, ()) if not any(says(item, p) for p in patterns)]
        kept.pop(name, None)
        if items:
            kept[name] = items
    return kept


def says(item: Any, pattern: Any) -> bool:
    """Whether an element has all that the pattern has."""
    if isinstance(pattern, dict):
        return isinstance(item, dict) and all(
            name in item and says(item[name], part) for name, part in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(item, list) and all(any(says(one, part) for one in item) for part in pattern)
    return bool(item == pattern)


def point(value: Any, targets: Mapping[str, str]) -> Any:
    """A copy whose references and attachment urls to a target's key are the target.

    Mapped Bundles refer to their entries by fullUrl there and nowhere else.
    """
    kind = value.__class__
    if kind is dict:
        made = {}
        for name, part in value.items():
            if part.__class__ is str:
                made[name] = targets.get(part, part) if name in _LINKS else part
            else:
                made[name] = point(part, targets)
        return made
    if kind is list:
        return [part if part.__class__ is str else point(part, targets) for part in value]
    return value


def unrefer(value: Any, urls: frozenset[str]) -> Any:
    """A copy without references to one of these; what has nothing left is left out (None)."""
    if isinstance(value, dict):
        if value.get("reference") in urls:
            return None
        parts = {name: kept for name, part in value.items() if (kept := unrefer(part, urls)) is not None}
        # What an Encounter lists are diagnoses: without the Condition it lists nothing.
        lost = "condition" in value and "condition" not in parts
        return None if lost or (value and not parts) else parts
    if isinstance(value, list):
        items = [kept for part in value if (kept := unrefer(part, urls)) is not None]
        return items or (None if value else items)
    return value


def equal(one: Resource, other: Resource) -> bool:
    """Whether both say the same, in whatever order their elements stand."""
    return json.format_sorted(one) == json.format_sorted(other)


def _merge(stored: Resource, sent: Resource, cleared: Iterable[str], *, old_stays: bool) -> Resource:
    type = sent.get("resourceType", "")
    united, joined = _UNITED_OF.get(type, _UNITED), _JOINED_OF.get(type, ())
    merged = _without(stored, [name for name in cleared if name not in sent])
    for name, value in sent.items():
        if name in united and isinstance(value, list):
            before = [] if name in cleared else stored.get(name, [])
            if old_stays and name == "identifier":
                value = _still_old(before, value)
            merged[name] = _unite(before, value, united[name])
        elif name == "component":
            merged[name] = _known_stay(stored.get(name, []), value)
        elif name == "meta":
            merged[name] = _meta(stored.get("meta", {}), value)
        elif name in joined and isinstance(merged.get(name), dict):
            merged[name] = {**merged[name], **value}
        elif name not in ("id", "resourceType"):
            merged[name] = value
    return merged


def _without(stored: Resource, cleared: Iterable[str]) -> Resource:
    kept = dict(stored)
    for path in cleared:
        name, _, part = path.partition(".")
        if not part:
            kept.pop(name, None)
        elif isinstance(kept.get(name), dict):
            kept[name] = {key: value for key, value in kept[name].items() if key != part}
            if not kept[name]:
                del kept[name]
    return kept


def _meta(stored: Resource, sent: Resource) -> Resource:
    meta = {**sent, **stored}
    if "tag" in sent:
        meta["tag"] = _unite(stored.get("tag", []), sent["tag"], ("system",))
    return meta


def _still_old(stored: list[Any], sent: list[Any]) -> list[Any]:
    old = {(i.get("system"), i.get("value")) for i in stored if i.get("use") == "old"}
    return [
        {"use": "old", **i} if (i.get("system"), i.get("value")) in old else i for i in sent
    ]  # a use that is sent counts


def _known_stay(stored: list[Any], sent: list[Any]) -> list[Any]:
    """The components sent; one that is sent as unknown (the blood pressure that is not corrected) is the
    stored one of its code."""
    known = {_codes(item): item for item in stored if "dataAbsentReason" not in item}
    return [known.get(_codes(item), item) if item.get("dataAbsentReason") else item for item in sent]


def _codes(component: Resource) -> frozenset[tuple[Any, Any]]:
    return frozenset((c.get("system"), c.get("code")) for c in component["code"].get("coding", ()))


def _unite(stored: list[Any], sent: list[Any], names: tuple[str, ...]) -> list[Any]:
    """The stored items, in the place of those of a kind that is sent the sent ones, then the new kinds."""
    kinds: dict[Any, list[Any]] = {}
    for item in sent:
        kinds.setdefault(_kind(item, names), []).append(item)
    sent_kinds = set(kinds)
    united: list[Any] = []
    for item in stored:
        kind = _kind(item, names)
        united += kinds.pop(kind, []) if kind in sent_kinds else [item]
    return united + [item for items in kinds.values() for item in items]


def _kind(item: Any, names: tuple[str, ...]) -> bytes:
    return json.format_sorted({name: item[name] for name in names if name in item})


def _element(name: str) -> str:
    """The element that a property is of: ``deceasedBoolean`` and ``deceasedDateTime`` are one."""
    return _CHOICE.sub("", name)
