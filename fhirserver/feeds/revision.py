"""A new version of registered metadata (ITI-57): what is revised, and what becomes of it."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from fhirserver.feeds.lookup import Found, find, identifier_key
from fhirserver.interactions.documents import revised
from fhirserver.model.json import Resource
from fhirserver.operations.xdm import referred
from fhirserver.server import Server
from fhirserver.storage.documents import instant
from fhirserver.storage.repository import now
from mappings.cda.datatypes import URI
from mappings.core.bundle import prune
from mappings.core.result import Element
from mappings.core.times import NotATime, parse
from mappings.core.versions import VERSION_NUMBER
from mappings.xds import export
from mappings.xds.comparison import unchanged
from mappings.xds.datatypes import unique_id_to_identifier
from mappings.xds.document_entry import entry_to_reference
from mappings.xds.kept import SLOT
from mappings.xds.lists import EXTENSION, folder_to_list
from mappings.xds.metadata import RegistryObject, object_of
from mappings.xds.update import (
    IDENTIFIER_ERROR,
    METADATA_ERROR,
    UPDATE_ERROR,
    VERSION_ERROR,
    Revision,
    refused,
)

if TYPE_CHECKING:
    from fhirserver.feeds.metadata_update import Work

_OF_FOLDERS: Final = {"title": "title", "note": "description"}
_EXTENSIONS: Final = {SLOT: "slots", f"{EXTENSION}ihe-designationType": "designationType"}
"""What of a List is an attribute of a Folder, and its name in ``mappings.xds.comparison``."""


async def find_revised(revision: Revision, work: "Work") -> None:
    """Find what is revised, and see that it is that, of this version."""
    found, where = revision.found, where_of(revision.found)
    _check_times(found)
    type = "DocumentReference" if found.kind == "DocumentEntry" else "List"
    key = identifier_key(type, {"system": URI, "value": revision.logical_id})
    matches = (await find([key], work.server)).get(key, [])
    matches = [m for m in matches if m.resource and export.logical_id(m.resource) == revision.logical_id]
    matches = [m for m in matches if export.kind_of(m.resource) == found.kind]
    if len(matches) != 1:
        text = f"There is no {found.kind} with the logicalID {revision.logical_id}"
        raise refused(IDENTIFIER_ERROR, text, where, "not-found")
    stored = await work.take(matches[0], where)
    if stored.resource.get("status") == "entered-in-error":
        raise refused(UPDATE_ERROR, f"The {found.kind} was deleted", where, "business-rule")
    if (version := export.version(stored.resource)) != revision.previous:
        text = f"The registered version is {version}, PreviousVersion says {revision.previous}"
        raise refused(VERSION_ERROR, text, where, "conflict")
    if export.unique_id(stored.resource) != export.unique_id({"masterIdentifier": master_of(found)}):
        text = f"The {found.kind} with this logicalID has another uniqueId"
        raise refused(IDENTIFIER_ERROR, text, where, "business-rule")
    if found.entry_uuid and found.entry_uuid != export.entry_id(stored.resource):
        others = await of_uuid(found.entry_uuid, work.server)
        if others:
            raise refused(IDENTIFIER_ERROR, "The id of the new version is in use", where, "duplicate")
    work.named[found.id] = stored.stored.reference


def _check_times(found: RegistryObject) -> None:
    """What is no time would be left out, and with it the one that is stored."""
    for name in ("creationTime", "serviceStartTime", "serviceStopTime"):
        try:
            parse(found.slot(name) or "2000")
        except NotATime as error:
            raise refused(
                METADATA_ERROR, f"{name} is not a time: {error}", where_of(found), "value"
            ) from None


async def revise(revision: Revision, work: "Work") -> None:
    found = revision.found
    stored = work.found[work.named[found.id]]
    before = work.now(stored)
    if found.kind == "DocumentEntry":
        attachment: Resource = before.get("content", [{}])[0].get("attachment", {})
        _check_content(found, attachment)
        sent = entry_to_reference(found, master_of(found), dict(attachment), work.patient, work.context)
        after = revised(before, sent, await _same(found, before, work))
    else:
        listed = folder_to_list(found, {}, [], work.patient, work.context)
        after = _revised_folder(before, listed, await _same(found, before, work))
    work.changed[stored.stored.reference] = {**after, "identifier": _identifiers(before, revision)}
    work.members.append(stored.stored.reference)


def _check_content(found: RegistryObject, attachment: Resource) -> None:
    """A document's bytes never change: other ones are a document that replaces it."""
    size, digest = found.slot("size"), found.slot("hash").lower()
    told = export.hexadecimal(attachment.get("hash", ""))
    if (size and "size" in attachment and size != str(attachment["size"])) or (
        digest and told and digest != told
    ):
        text = "The size or hash is not that of the document: its content is not updated but replaced"
        raise refused(UPDATE_ERROR, text, where_of(found), "business-rule")


async def _same(found: RegistryObject, stored: Resource, work: "Work") -> frozenset[str]:
    """The elements about which the metadata say what a stored query tells of them."""
    known = await referred([stored], work.server)
    settings = work.server.settings
    register = export.Register(settings.xds_source_id, settings.xds_repository_id)
    registry = export.Registry()
    if found.kind == "DocumentEntry":
        export.reference_to_entry(stored, export.File(0, ""), registry, known.get, [], register)
    else:
        export.list_to_package(stored, registry, known.get, register)
    return unchanged(object_of(registry.objects, found.kind), found, work.context)


def _revised_folder(stored: Resource, sent: Resource, same: Collection[str]) -> Resource:
    """The folder with other metadata; its members stay, and it was changed now."""
    said = [name for name, what in _OF_FOLDERS.items() if what not in same]
    changed = {name: value for name, value in stored.items() if name not in said}
    changed |= {name: sent[name] for name in said if name in sent}
    told = [url for url, what in _EXTENSIONS.items() if what not in same]
    others = [e for e in stored.get("extension", ()) if e.get("url") not in told]
    changed["extension"] = [*others, *(e for e in sent.get("extension", ()) if e.get("url") in told)]
    changed["date"] = instant(now())
    pruned: Resource = prune(changed)
    return pruned


def _identifiers(stored: Resource, revision: Revision) -> list[Resource]:
    """The identifiers with the entryUUID of the next version; former ones are old, the logicalID stays."""
    version, logical = revision.previous + 1, export.logical_id(stored)
    former = export.entry_id(stored)
    uuid = revision.found.entry_uuid
    if not uuid or uuid in (former, logical):
        uuid = export.version_id(logical, version)
    new = {
        "use": "official",
        "system": URI,
        "value": uuid,
        "extension": [{"url": VERSION_NUMBER, "valueInteger": version}],
    }
    kept = []
    for identifier in stored.get("identifier", ()):
        if identifier.get("system") == URI and str(identifier.get("value", "")).lower() == former:
            identifier = {**identifier, "use": "old"}
        kept.append(identifier)
    values = {i.get("value") for i in kept if i.get("use") == "secondary"}
    if logical not in values:
        kept.append({"use": "secondary", "system": URI, "value": logical})
    return [new, *kept]


async def of_uuid(uuid: str, server: Server) -> list[Found]:
    """The documents and lists that have, or had, this entryUUID."""
    uuid = f"urn:uuid:{uuid.removeprefix('urn:uuid:')}"
    keys = [identifier_key(type, {"system": URI, "value": uuid}) for type in ("DocumentReference", "List")]
    found: dict[Any, list[Found]] = await find(keys, server)
    return [match for matches in found.values() for match in matches if match.resource]


def master_of(found: RegistryObject) -> Element:
    identifier = unique_id_to_identifier(found.unique_id)
    if identifier is None:
        text = f"The uniqueId of {where_of(found)} is neither an OID nor a UUID"
        raise refused(METADATA_ERROR, text, where_of(found), "value")
    return identifier


def where_of(found: RegistryObject) -> str:
    return f"{found.kind} {found.id!r}"
