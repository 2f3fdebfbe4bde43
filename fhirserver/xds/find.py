"""Registry Stored Query (ITI-18): what a document registry has, told from the resources that are stored.

https://profiles.ihe.net/ITI/TF/Volume2/ITI-18.html, docs/feeds/xds.md
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from fhirserver.model.json import Resource
from fhirserver.server import Server
from fhirserver.xds import associations, criteria
from fhirserver.xds.associations import Association
from fhirserver.xds.criteria import ENTRY, FOLDER, SET
from fhirserver.xds.listing import listing
from fhirserver.xds.lookup import by_entry_uuid, by_unique_id, too_many
from fhirserver.xds.records import check_record
from fhirserver.xds.request import SOAPRequest, XDSRefusal
from fhirserver.xds.versions import versions
from mappings.cda.xml import Node
from mappings.xds import export
from mappings.xds.ebrs import RegistryError
from mappings.xds.query import LEAF_CLASS, NotAQuery, Query, adhoc_query_response, read_query


@dataclass(slots=True)
class Found:
    """What a query answers: documents, submission sets and folders, and associations."""

    resources: list[Resource] = field(default_factory=list)
    associations: list[Association] = field(default_factory=list)


async def find(request: SOAPRequest) -> Node:
    """Answer an AdhocQueryRequest.

    Raises:
        XDSRefusal: the query is unknown or not as it must be, or finds too much.
        FHIRError: it cannot be done.
    """
    try:
        query = read_query(request.body)
    except NotAQuery as error:
        raise XDSRefusal(RegistryError(error.code, str(error), error.location)) from None
    server = request.server
    found = await _QUERIES[query.stored.name](query, server)
    subjects = {each.get("subject", {}).get("reference", "") for each in found.resources}
    ends = (end for link in found.associations for end in (link.one, link.other) if end is not None)
    linked = {each.get("subject", {}).get("reference", "") for each in ends}
    request.touched.extend(sorted(name for name in subjects | linked if name.startswith("Patient/")))
    await check_record(request)
    names_patient = any(name.endswith("atientId") for name in query.values)
    if len(subjects) > 1 and query.return_type == LEAF_CLASS and not names_patient:
        text = "The objects are of several patients: ask for those of one, or for ObjectRefs"
        raise XDSRefusal(RegistryError("XDSResultNotSinglePatient", text))
    most = server.settings.xds_results_max * (1 if query.return_type == LEAF_CLASS else 20)
    if len(found.resources) + len(found.associations) > most:
        raise too_many(most)
    if query.return_type == LEAF_CLASS:
        return adhoc_query_response(await listing(found.resources, found.associations, server))
    registry = export.Registry()
    for id in (*map(export.entry_id, found.resources), *(each.id for each in found.associations)):
        registry.reference(id)
    return adhoc_query_response(registry.objects)


async def _find_documents(query: Query, server: Server) -> Found:
    return Found(await criteria.documents(query, f"{ENTRY}PatientId", server))


async def _find_submission_sets(query: Query, server: Server) -> Found:
    return Found(await criteria.packages(query, "submissionset", f"{SET}PatientId", server))


async def _find_folders(query: Query, server: Server) -> Found:
    return Found(await criteria.packages(query, "folder", f"{FOLDER}PatientId", server))


async def _get_all(query: Query, server: Server) -> Found:
    found = await criteria.documents(query, "$patientId", server)
    for kind in ("submissionset", "folder"):
        found += await criteria.packages(query, kind, "$patientId", server)
    return Found(found, await _associations(found, query, server))


async def _get_documents(query: Query, server: Server) -> Found:
    return Found(await _named("DocumentReference", ENTRY, query, server))


async def _get_folders(query: Query, server: Server) -> Found:
    return Found(_of_kind("Folder", await _named("List", FOLDER, query, server)))


async def _get_associations(query: Query, server: Server) -> Found:
    return Found([], await _associations(await _by_uuid(query, server), query, server))


async def _get_documents_and_associations(query: Query, server: Server) -> Found:
    found = await _named("DocumentReference", ENTRY, query, server)
    return Found(found, await _associations(found, query, server))


async def _get_submission_sets(query: Query, server: Server) -> Found:
    named = await _by_uuid(query, server)
    sets = _of_kind("SubmissionSet", await associations.containing(named, server))
    ids = {export.entry_id(each) for each in named}
    links = [each for each in await associations.members(sets, server) if each.target in ids]
    return Found(sets, links) if criteria.is_approved(query) else Found()


async def _get_submission_set_and_contents(query: Query, server: Server) -> Found:
    return await _with_contents(
        _of_kind("SubmissionSet", await _named("List", SET, query, server)), query, server
    )


async def _get_folder_and_contents(query: Query, server: Server) -> Found:
    return await _with_contents(
        _of_kind("Folder", await _named("List", FOLDER, query, server)), query, server
    )


async def _get_folders_for_document(query: Query, server: Server) -> Found:
    named = await _named("DocumentReference", ENTRY, query, server)
    if not criteria.is_approved(query):
        return Found()
    return Found(_of_kind("Folder", await associations.containing(named, server)))


async def _get_related_documents(query: Query, server: Server) -> Found:
    named = await _named("DocumentReference", ENTRY, query, server)
    types = query.all("$AssociationTypes")
    links = [
        each
        for each in await _associations(named, query, server)
        if each.type != "HasMember" and export.association_type(each.type) in types and each.other is not None
    ]
    related = [end for each in links for end in (each.one, each.other) if end is not None]
    return Found(_once(related), links) if criteria.asks_for_stable(query) else Found()


_QUERIES: Final[dict[str, Callable[[Query, Server], Awaitable[Found]]]] = {
    "FindDocuments": _find_documents,
    "FindDocumentsByReferenceId": _find_documents,
    "FindSubmissionSets": _find_submission_sets,
    "FindFolders": _find_folders,
    "GetAll": _get_all,
    "GetDocuments": _get_documents,
    "GetFolders": _get_folders,
    "GetAssociations": _get_associations,
    "GetDocumentsAndAssociations": _get_documents_and_associations,
    "GetSubmissionSets": _get_submission_sets,
    "GetSubmissionSetAndContents": _get_submission_set_and_contents,
    "GetFolderAndContents": _get_folder_and_contents,
    "GetFoldersForDocument": _get_folders_for_document,
    "GetRelatedDocuments": _get_related_documents,
}


async def _named(type: str, prefix: str, query: Query, server: Server) -> list[Resource]:
    """The resources that a query names by entryUUID, uniqueId or logicalID."""
    if unique := query.all(f"{prefix}UniqueId"):
        return await by_unique_id(type, unique, server)
    if logical := query.all(f"{prefix}LogicalID"):
        wanted = set(logical)
        found = await by_entry_uuid(type, logical, server)
        found = [each for each in found if export.logical_id(each) in wanted]
        if query.metadata_level == 2:
            return [version for each in found for version in await versions(each, server)]
        return found
    return await _of_uuids(type, query.all(f"{prefix}EntryUUID"), query, server)


async def _by_uuid(query: Query, server: Server) -> list[Resource]:
    uuids = query.all("$uuid")
    found = await _of_uuids("DocumentReference", uuids, query, server)
    found += await _of_uuids("List", uuids, query, server)
    return [each for each in found if export.kind_of(each)]


async def _of_uuids(type: str, uuids: Sequence[str], query: Query, server: Server) -> list[Resource]:
    """The resources with these entryUUIDs; with metadata level 2 also as they were when they had them."""
    found = await by_entry_uuid(type, uuids, server)
    if query.metadata_level == 2:
        found = [version for each in found for version in await versions(each, server)]
    return [each for each in found if export.entry_id(each) in uuids]


async def _associations(resources: Sequence[Resource], query: Query, server: Server) -> list[Association]:
    return await associations.of(resources, server) if criteria.is_approved(query) else []


async def _with_contents(packages: list[Resource], query: Query, server: Server) -> Found:
    """Submission sets or folders with their members that a query wants, and how these hang together."""
    links = await associations.members(packages, server)
    inside = [each.other for each in links if each.other is not None]
    documents = _of_kind("DocumentEntry", inside)
    wanted = await criteria.among(documents, query, server)
    found = _once([*packages, *wanted, *_of_kind("Folder", inside)])
    ids = {export.entry_id(each) for each in found}
    links += await associations.members(_of_kind("Folder", inside), server)
    links += await associations.relations(wanted, server)
    # A member that is not here by a reference is one that another submission registered.
    links = [each for each in links if each.target in ids or (each.other is None and each.source in ids)]
    return Found(
        found, list({each.id: each for each in links}.values()) if criteria.is_approved(query) else []
    )


def _of_kind(kind: str, resources: Iterable[Resource]) -> list[Resource]:
    return [each for each in resources if export.kind_of(each) == kind]


def _once(resources: Iterable[Resource]) -> list[Resource]:
    return list({f"{each['resourceType']}/{each['id']}": each for each in resources}.values())
