"""What an update of metadata (ITI-57) changes of availability, and which associations it adds.

IHE XDS Metadata Update; DMP TD3.3c (delete: author or same organization) and TD3.3d (archive).
"""

from typing import TYPE_CHECKING

from fhirserver.feeds.lookup import Found, find, find_ids, identifier_key
from fhirserver.feeds.revision import of_uuid
from fhirserver.interactions.authorship import may_withdraw, parties
from fhirserver.interactions.documents import archived, withdrawn
from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.server import Server
from fhirserver.storage.documents import instant
from fhirserver.storage.repository import now
from mappings.xds import export
from mappings.xds.export.ebrim import APPROVED, ARCHIVED, DELETED, DEPRECATED
from mappings.xds.export.packages import LIST_TYPES
from mappings.xds.kept import ASSOCIATION
from mappings.xds.mapping import RELATION, WITHOUT_CODE
from mappings.xds.metadata import Association
from mappings.xds.update import OPERATION_ERROR, UPDATE_ERROR, refused
from mappings.xds.versions import REPLACES

if TYPE_CHECKING:
    from fhirserver.feeds.metadata_update import Work

_WHERE = "UpdateAvailabilityStatus"
_MOST_FOLDERS = 200
"""So many folders of a patient are looked at."""


async def change(target: str, original: str, new: str, work: "Work") -> None:
    """Change the availabilityStatus of a document, folder, submission set, or membership of a folder.

    Raises:
        MappingError: it is not known, has another status, cannot have the new one, or others made it.
        Unavailable.
    """
    if target in work.memberships:
        _leave(*work.memberships[target], (original, new), work)
        return
    found = await work.find(target, _WHERE)
    before = work.now(found)
    if target != export.entry_id(found.resource) and target not in work.named:
        text = f"{target} is the id of a version that is no longer the current one"
        raise refused(UPDATE_ERROR, text, _WHERE, "conflict")
    if (status := export.status(before)) != original:
        text = f"The availabilityStatus is {status}, not {original[:100]}"
        raise refused(UPDATE_ERROR, text, _WHERE, "conflict")
    if status == DELETED:
        raise refused(UPDATE_ERROR, "A deletion is not taken back", _WHERE, "business-rule")
    name = found.stored.reference
    is_document = found.stored.type == "DocumentReference"
    if new == APPROVED:
        if is_document and before.get("status") == "superseded":
            await _check_not_replaced(name, work.server)
        after = {**before, "status": "current"}
        work.changed[name] = archived(after, False) if status == ARCHIVED else after
    elif new == ARCHIVED:
        work.changed[name] = archived(before, True)
    elif new == DEPRECATED:
        after = archived(before, False) if status == ARCHIVED else before
        work.changed[name] = {**after, "status": "superseded" if is_document else "retired"}
        if is_document:
            work.gone.append(name)
    elif new == DELETED:
        await _check_author(before, work)
        after = withdrawn(before) if is_document else {**before, "status": "entered-in-error"}
        work.changed[name] = after
        if is_document:
            work.deleted.append(name)
    else:
        known = ", ".join((APPROVED, DEPRECATED, ARCHIVED, DELETED))
        raise refused(UPDATE_ERROR, f"There is no status {new[:100]!r}; there are {known}", _WHERE, "value")


async def find_membership(uuid: str, work: "Work") -> bool:
    """Look whether an entryUUID is that of the association of a folder of the patient with a member.

    Associations are no resources: their entryUUIDs are made of those of their ends.

    Raises:
        MappingError, Unavailable.
    """
    server = work.server
    if await of_uuid(uuid, server):
        return False
    [number] = work.patient["identifier"]
    key = identifier_key("Patient", number)
    patients = [match.stored.reference for match in (await find([key], server)).get(key, [])]
    if number["system"] == f"urn:oid:{server.settings.xds_source_id}":
        patients.append(f"Patient/{number['value']}")
    if not patients:
        return False
    pairs = [("patient", ",".join(patients)), ("code", f"{LIST_TYPES}|folder")]
    page = await server.repository.search(server.compile("List", pairs), None, _MOST_FOLDERS)
    for stored in page.resources:
        folder = Found(stored, json.stored(stored.body))
        items = [entry["item"] for entry in folder.resource.get("entry", ())]
        ids = [reference.parse(str(item.get("reference", "")), server.base_url).id for item in items]
        members = await find_ids([("DocumentReference", id) for id in ids if id], server)
        for item, id in zip(items, ids, strict=True):
            member = members.get(("DocumentReference", id))
            if member is None or not member.resource:
                continue
            ends = export.entry_id(folder.resource), export.entry_id(member.resource)
            if export.association_id("HasMember", *ends) == uuid:
                work.memberships[uuid] = await work.take(folder, _WHERE), item
                return True
    return False


def _leave(folder: Found, item: Resource, status: tuple[str, str], work: "Work") -> None:
    """Take a member out of a folder: an association that is no longer valid."""
    if status != (APPROVED, DEPRECATED):
        text = "The membership of a folder is Approved, and can only become Deprecated"
        raise refused(UPDATE_ERROR, text, _WHERE, "business-rule")
    listed = work.now(folder)
    left = [entry for entry in listed.get("entry", ()) if entry.get("item") != item]
    changed = {name: value for name, value in listed.items() if name != "entry"}
    work.changed[folder.stored.reference] = {
        **changed,
        **({"entry": left} if left else {}),
        "date": instant(now()),
    }


async def link(association: Association, work: "Work") -> None:
    """Add a member to a folder, or a relation to a document; one that is there changes nothing.

    Raises:
        MappingError: an end of it is not known, or they cannot be related like that.
        Unavailable.
    """
    where = f"Association {association.id!r}"
    one, other = await work.find(association.source, where), await work.find(association.target, where)
    if association.type == "HasMember":
        _add_member(one, other, work, where)
        return
    if {one.stored.type, other.stored.type} != {"DocumentReference"} or one is other:
        text = f"{association.type} relates a document to another one"
        raise refused(OPERATION_ERROR, text, where, "business-rule")
    if (code := RELATION.get(association.type)) is None:
        text = f"{association.type} of documents that are registered is not taken here"
        raise refused(OPERATION_ERROR, text, where, "not-supported")
    _relate(one, other, code, association, work, where)


def _relate(one: Found, other: Found, code: str, association: Association, work: "Work", where: str) -> None:
    document, target = work.now(one), work.now(other)
    relations = document.get("relatesTo", [])
    name = other.stored.reference
    if any(r.get("code") == code and r.get("target", {}).get("reference") == name for r in relations):
        return
    if association.type in REPLACES:
        if target.get("status") != "current":
            text = "The document to replace is not the current one any more"
            raise refused("XDSReplaceFailed", text, where, "conflict")
        work.changed[name] = {**target, "status": "superseded"}
        work.gone.append(name)
    relation: Resource = {"code": code, "target": {"reference": name}}
    if association.type in WITHOUT_CODE:
        relation["extension"] = [{"url": ASSOCIATION, "valueCode": association.type}]
    work.changed[one.stored.reference] = {**document, "relatesTo": [*relations, relation]}


def _add_member(folder: Found, member: Found, work: "Work", where: str) -> None:
    listed = work.now(folder)
    if export.kind_of(listed) != "Folder" or export.kind_of(member.resource) != "DocumentEntry":
        text = "What is registered is only added to a folder, and only a document is"
        raise refused(OPERATION_ERROR, text, where, "business-rule")
    name = member.stored.reference
    entries = listed.get("entry", [])
    if not any(entry.get("item", {}).get("reference") == name for entry in entries):
        added = [*entries, {"item": {"reference": name}}]
        work.changed[folder.stored.reference] = {**listed, "entry": added, "date": instant(now())}


async def _check_not_replaced(name: str, server: Server) -> None:
    """Raises MappingError: a current document has taken its place."""
    query = server.compile("DocumentReference", [("relatesto", name), ("status", "current")])
    page = await server.repository.search(query, None, 20)
    for stored in page.resources:
        for relation in json.stored(stored.body).get("relatesTo", ()):
            if relation.get("code") == "replaces" and relation["target"].get("reference") == name:
                text = "Another document has replaced this one: it cannot be valid again"
                raise refused(UPDATE_ERROR, text, _WHERE, "business-rule")


async def _check_author(resource: Resource, work: "Work") -> None:
    """Raises MappingError: others made it."""
    source = [resource["source"]] if resource.get("source") else []
    made_by = await parties({**resource, "author": resource.get("author", source)}, work.server)
    if not may_withdraw(work.server.settings.document_withdrawal, made_by, work.asks):
        text = "901 Only the author of a document, or the same organization, can delete it"
        raise refused(UPDATE_ERROR, text, _WHERE, "forbidden")
