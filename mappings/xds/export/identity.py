"""The entryUUID, logicalID and version of a DocumentReference or List, also of one that came without."""

import uuid
from typing import Final

from mappings.core.bundle import full_url
from mappings.core.codes import UUID
from mappings.core.result import Element
from mappings.core.versions import VERSION_NUMBER
from mappings.xds.export import datatypes

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-."
"""What a logical id is made of."""
_BASE: Final = len(_ALPHABET) + 1
_LONGEST: Final = 20
_LIST: Final = 1 << 121


def entry_id(resource: Element) -> str:
    """The entryUUID (``urn:uuid:...``), the same one each time.

    That of a resource that came without is made of its logical id, so that ``logical_ids`` finds it again; of
    an id of more than 20 characters that is no UUID it cannot be.
    """
    return datatypes.entry_uuid(resource.get("identifier", [])) or f"urn:uuid:{_own(resource)}"


def unique_id(resource: Element) -> str:
    """The uniqueId: masterIdentifier, a List's usual identifier, else one made as the entryUUID is."""
    usual = (i for i in resource.get("identifier", ()) if i.get("use") == "usual")
    named: Element = resource.get("masterIdentifier") or next(usual, {})
    return datatypes.unique_id(named) or f"2.25.{_own(resource).int}"


def logical_ids(entry_uuid: str, type: str) -> list[str]:
    """The logical ids of which ``entry_id`` would make this entryUUID, for a resource type."""
    bare = entry_uuid.lower().removeprefix("urn:uuid:")
    if not UUID.fullmatch(bare):
        return []
    value = uuid.UUID(bare)
    if value.version != 8:
        return [bare]
    number = _number(value)
    if bool(number & _LIST) != (type == "List"):
        return [bare]
    number &= _LIST - 1
    characters = []
    while number:
        number, place = divmod(number, _BASE)
        if not place:
            return [bare]
        characters.append(_ALPHABET[place - 1])
    return [bare, "".join(characters)] if characters else [bare]


def logical_id(resource: Element) -> str:
    """The id that stays while the metadata change: the entryUUID of their first version."""
    for identifier in resource.get("identifier", ()):
        value = str(identifier.get("value", ""))
        if (
            identifier.get("use") == "secondary"
            and identifier.get("system") == datatypes.URI
            and "type" not in identifier
            and UUID.fullmatch(value.removeprefix("urn:uuid:"))
        ):
            return value.lower()
    return entry_id(resource)


def version_id(logical_id: str, number: int) -> str:
    """The entryUUID that is given to a version of metadata that came without one."""
    return full_url("entryUUID", logical_id, str(number))


def version(resource: Element) -> int:
    """Which version of the metadata it is; the first one does not say so."""
    for identifier in resource.get("identifier", ()):
        if identifier.get("use") == "official" and identifier.get("system") == datatypes.URI:
            for extension in identifier.get("extension", ()):
                if extension.get("url") == VERSION_NUMBER:
                    return int(extension.get("valueInteger", 1))
    return 1


def _own(resource: Element) -> uuid.UUID:
    """A UUID made of the logical id: itself, or one that spells it (version 8, RFC 9562: 122 bits to use)."""
    id, is_list = str(resource.get("id", "")), resource.get("resourceType") == "List"
    if UUID.fullmatch(id):
        return uuid.UUID(id)
    if not 0 < len(id) <= _LONGEST or any(character not in _ALPHABET for character in id):
        return uuid.uuid5(uuid.NAMESPACE_URL, f"{resource.get('resourceType', '')}/{id}")
    number = _LIST if is_list else 0
    for place, character in enumerate(id):
        number += (_ALPHABET.index(character) + 1) * _BASE**place
    high, middle, low = number >> 74, number >> 62 & 0xFFF, number & (1 << 62) - 1
    return uuid.UUID(int=high << 80 | 8 << 76 | middle << 64 | 2 << 62 | low)


def _number(value: uuid.UUID) -> int:
    high, middle, low = value.int >> 80, value.int >> 64 & 0xFFF, value.int & (1 << 62) - 1
    return high << 74 | middle << 62 | low
