"""The associations of a document registry, read from Lists (members) and DocumentReferences (relations)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from fhirserver.model.json import Resource
from fhirserver.server import Server
from fhirserver.xds.lookup import TOGETHER, by_entry_uuid, by_reference, search
from mappings.cda.datatypes import URI
from mappings.core.codes import UUID
from mappings.xds import export
from mappings.xds.export.packages import LIST_TYPES

_KINDS: Final = f"{LIST_TYPES}|submissionset,{LIST_TYPES}|folder"


@dataclass(frozen=True, slots=True)
class Association:
    """``type`` is HasMember, RPLC ...; source and target are entryUUIDs, of ``one`` and ``other`` (None: it
    is not here); ``status`` is the SubmissionSetStatus of a member."""

    type: str
    source: str
    target: str
    status: str
    one: Resource
    other: Resource | None

    @property
    def id(self) -> str:
        return export.association_id(self.type, self.source, self.target)


async def of(resources: Sequence[Resource], server: Server) -> list[Association]:
    """All associations that have one of these documents, submission sets or folders as source or target."""
    lists = await containing(resources, server)
    documents = [each for each in resources if each["resourceType"] == "DocumentReference"]
    documents += await _relating_to(documents, server)
    found = [*await members(_once([*resources, *lists]), server), *await relations(_once(documents), server)]
    ids = {export.entry_id(each) for each in resources}
    return [each for each in found if each.source in ids or each.target in ids]


async def containing(resources: Iterable[Resource], server: Server) -> list[Resource]:
    """The submission sets and folders that have one of these as a member."""
    names = [f"{each['resourceType']}/{each['id']}" for each in resources]
    uuids = [export.entry_id(each) for each in resources]
    found: list[Resource] = []
    for start in range(0, len(names), TOGETHER):
        together = ",".join(names[start : start + TOGETHER])
        tokens = ",".join(f"{URI}|{uuid}" for uuid in uuids[start : start + TOGETHER])
        found += await search("List", [("item", together), ("code", _KINDS)], server)
        # A submission may have had a member that was registered before: it named it by its entryUUID.
        found += await search("List", [("item:identifier", tokens), ("code", _KINDS)], server)
    return _once(found)


async def members(resources: Iterable[Resource], server: Server) -> list[Association]:
    """What the submission sets and folders among these have as members; signatures are none."""
    lists = [each for each in resources if export.kind_of(each) in ("SubmissionSet", "Folder")]
    items = [(each, entry.get("item", {})) for each in lists for entry in each.get("entry", ())]
    known = await by_reference((item["reference"] for _, item in items if "reference" in item), server)
    known |= await _by_name([item for _, item in items], server)
    found = []
    for each, item in items:
        named = str(item.get("identifier", {}).get("value", ""))
        other = known.get(item.get("reference", named))
        if other is not None and export.kind_of(other):
            target = export.entry_id(other)
        elif "reference" not in item and UUID.fullmatch(named.removeprefix("urn:uuid:")):
            target = named
        else:
            continue
        is_set = export.kind_of(each) == "SubmissionSet"
        status = ("Original" if "reference" in item else "Reference") if is_set else ""
        found.append(Association("HasMember", export.entry_id(each), target, status, each, other))
    return found


async def _by_name(items: Iterable[Resource], server: Server) -> dict[str, Resource]:
    """The documents that a submission names as members by their entryUUIDs: others have registered them."""
    wanted = {
        value
        for item in items
        if "reference" not in item
        and UUID.fullmatch(
            (value := str(item.get("identifier", {}).get("value", ""))).removeprefix("urn:uuid:")
        )
    }
    documents = await by_entry_uuid("DocumentReference", wanted, server) if wanted else []
    return {uuid: each for each in documents for uuid in (_uuids(each) & wanted)}


def _uuids(document: Resource) -> set[str]:
    """Its entryUUIDs, former ones too."""
    values = {str(identifier.get("value", "")) for identifier in document.get("identifier", ())}
    return values | {export.entry_id(document)}


async def relations(documents: Iterable[Resource], server: Server) -> list[Association]:
    """What these documents replace, append to, transform, sign."""
    stated = [(each, relation) for each in documents for relation in each.get("relatesTo", ())]
    names = (r["target"]["reference"] for _, r in stated if "reference" in r.get("target", {}))
    known = await by_reference(names, server)
    found = []
    for each, relation in stated:
        target = relation.get("target", {})
        other = known.get(target.get("reference", ""))
        named = str(target.get("identifier", {}).get("value", ""))
        if other is not None:
            id = export.entry_id(other)
        elif UUID.fullmatch(named.removeprefix("urn:uuid:")):
            id = named
        else:
            continue  # a uniqueId of a document that is not here: an association has no words for it
        found.append(Association(export.relation_type(relation), export.entry_id(each), id, "", each, other))
    return found


async def _relating_to(documents: Sequence[Resource], server: Server) -> list[Resource]:
    found: list[Resource] = []
    names = [f"DocumentReference/{each['id']}" for each in documents]
    for start in range(0, len(names), TOGETHER):
        together = ",".join(names[start : start + TOGETHER])
        found += await search("DocumentReference", [("relatesto", together)], server)
    return found


def _once(resources: Iterable[Resource]) -> list[Resource]:
    return list({f"{each['resourceType']}/{each['id']}": each for each in resources}.values())
