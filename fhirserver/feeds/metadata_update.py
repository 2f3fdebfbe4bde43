"""Update Document Set (ITI-57): one transaction of what a submission changes of registered metadata.

IHE XDS Metadata Update; DMP TD3.3 (mask, delete, archive). What a document becomes is
``interactions.documents``; docs/feeds/xds.md
"""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from fhirserver.feeds import status_update
from fhirserver.feeds.lookup import Found, find, identifier_key, key_of, named
from fhirserver.feeds.merge import point
from fhirserver.feeds.resources import Done, perform_bundle
from fhirserver.feeds.revision import find_revised, master_of, of_uuid, revise, where_of
from fhirserver.feeds.rounds import in_rounds
from fhirserver.interactions import assertions
from fhirserver.interactions.authorship import Party, parties
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.server import Server
from fhirserver.storage.documents import instant
from fhirserver.storage.items import Item
from fhirserver.storage.repository import now
from mappings.cda.context import Context
from mappings.cda.xml import Node
from mappings.core.bundle import KEY_SYSTEM
from mappings.core.codes import UUID
from mappings.core.result import Element, Unreadable
from mappings.core.source import Source
from mappings.xds.datatypes import cx_to_identifier
from mappings.xds.lists import submission_set_to_list
from mappings.xds.update import (
    METADATA_ERROR,
    PATIENT_ERROR,
    Update,
    read_update,
    refused,
)
from mappings.xds.vihf import Assertion, assertion_of, read_assertion

_UPDATE: Final = {"system": assertions.NULLIFY["system"], "code": "UPDATE"}


@dataclass(slots=True)
class Work:
    """One update on its way to a transaction.

    ``found`` is what it is about, by reference, ``changed`` what of that it changes and how; ``named`` are
    the references of what the submission's own ids stand for. ``asks``: identifiers of who asks, and of the
    organizations; ``is_asserted``: as the security header has it. ``gone``, ``deleted``: references of
    documents that are no longer valid, or never were. ``memberships``: folder and item of associations whose
    availability changes.
    """

    update: Update
    server: Server
    context: Context
    seed: str
    patient: Element = field(default_factory=dict)
    asks: tuple[set[Party], set[Party]] = field(default_factory=lambda: (set(), set()))
    is_asserted: bool = False
    found: dict[str, Found] = field(default_factory=dict)
    changed: dict[str, Resource] = field(default_factory=dict)
    named: dict[str, str] = field(default_factory=dict)
    members: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    memberships: dict[str, tuple[Found, Resource]] = field(default_factory=dict)

    async def find(self, uuid: str, where: str) -> Found:
        """What is registered under an entryUUID, or under an id of the submission.

        Raises:
            MappingError: nothing is, or several, or it is another patient's.
        """
        if uuid in self.named:
            return self.found[self.named[uuid]]
        matches = await of_uuid(uuid.lower(), self.server) if UUID.fullmatch(uuid[-36:]) else []
        if len(matches) != 1:
            text = "Several objects have this id" if matches else "There is no object with this id"
            raise refused("UnresolvedReferenceException", f"{text}: {uuid[:100]}", where, "not-found")
        return await self.take(matches[0], where)

    async def take(self, found: Found, where: str) -> Found:
        """Make it a part of the work. Raises MappingError: it is another patient's."""
        reference = found.stored.reference
        if reference not in self.found:
            await _check_patient(found.resource, self, where)
            self.found[reference] = found
        return self.found[reference]

    def now(self, found: Found) -> Resource:
        """What it has become by now."""
        return self.changed.get(found.stored.reference, found.resource)


async def perform(raw: bytes, item: Item, source: Source, server: Server) -> Done:
    """Do all of what a request asks, or nothing.

    Raises:
        MappingError: it is refused; the issue's ``fault`` is the code of the RegistryError.
        Unavailable, VersionConflict.
        FHIRError: what it would lead to is refused.
    """
    update, security = await asyncio.to_thread(read_update, raw, item.content_type)
    stated = _assertion(security)

    async def attempt(_: int) -> Done:
        work = Work(update, server, Context(source, issues=list(update.issues)), item.id)
        if stated is not None:
            people = {(i["system"], i["value"]) for i in (stated.subject,) if i}
            organizations = {(i["system"], i["value"]) for i in (stated.structure,) if i}
            work.asks, work.is_asserted = (people, organizations), True
        bundle = await _bundle(work)
        if bundle is None:
            return Done("processed", work.context.issues)
        done = await perform_bundle(bundle, server)
        warned = any(issue.severity != "information" for issue in work.context.issues)
        return Done("warnings" if warned else "processed", work.context.issues, done.references)

    return await in_rounds(attempt)


def _assertion(security: Node | None) -> Assertion | None:
    """Who asks, as the security header says; the door has refused it where it must be right."""
    try:
        node = None if security is None else assertion_of(security)
        return None if node is None else read_assertion(node)
    except Unreadable:
        return None


async def _bundle(work: Work) -> Resource | None:
    """The transaction; None when it has been done already."""
    own, server = work.update.submission_set, work.server
    id = named(work.seed, "SubmissionSet")
    master = master_of(own)
    known = (await find([identifier_key("List", master)], server)).values()
    stored = {match.stored.id for matches in known for match in matches if match.resource}
    if id in stored:
        return None
    if stored:
        text = "A submission set with this uniqueId is registered already"
        raise refused("XDSDuplicateUniqueIdInRegistry", text, "SubmissionSet", "duplicate")
    identifier = cx_to_identifier(own.patient_id)
    if identifier is None:
        text = "The patientId of the submission set has no assigning authority that is an OID"
        raise refused(METADATA_ERROR, text, "patientId", "value")
    work.patient = {"identifier": [identifier], "reference": ""}
    for revision in work.update.revisions:
        if cx_to_identifier(revision.found.patient_id) != identifier:
            text = "The patientId is not that of the submission set"
            raise refused("XDSPatientIdDoesNotMatch", text, where_of(revision.found), "business-rule")
        await find_revised(revision, work)
    for revision in work.update.revisions:
        await revise(revision, work)
    for change in work.update.statuses:
        if not await status_update.find_membership(change.target, work):
            await work.find(change.target, "UpdateAvailabilityStatus")
    for link in work.update.links:
        await work.find(link.source, "Association")
    listed = submission_set_to_list(own, master, [], work.patient, work.context)
    if not work.is_asserted:
        work.asks = await _authors(listed, work)
    for change in work.update.statuses:
        await status_update.change(change.target, change.original, change.new, work)
    for link in work.update.links:
        await status_update.link(link, work)
    listed["subject"] = {"reference": work.patient["reference"]}
    if work.members:
        listed["entry"] = [{"item": {"reference": reference}} for reference in work.members]
    return await _transaction({**listed, "id": id}, work)


async def _transaction(listed: Resource, work: Work) -> Resource:
    """Everything that is written, in one commit: what changes, what came of that, and the record of both."""
    targets, created = await _mentioned(work)
    changes = [(work.found[name].stored, resource) for name, resource in work.changed.items()]
    records = []
    url = f"List/{listed['id']}"
    for gone, in_error in ((work.deleted, True), (work.gone, False)):
        kept = {stored.reference for stored, _ in changes}
        taken = await assertions.taken_back(gone, kept, work.server, in_error=in_error)
        changes += taken
        written = [*(stored.reference for stored, _ in taken), *(gone if in_error else ())]
        if written:
            records.append(
                assertions.provenance(written, gone, _agents(work), instant(now()), listed.get("title", ""))
            )
    if work.changed:
        derived = {"role": "derivation", "what": {"reference": url}}
        record = assertions.provenance(work.changed, (), _agents(work), instant(now()))
        records.append({**record, "activity": {"coding": [_UPDATE]}, "entity": [derived]})
    entries = [
        *created,
        *(_put(resource, stored.reference, ifMatch=stored.etag) for stored, resource in changes),
        _put(listed, url),
    ]
    if "Provenance" in work.server.types:
        for number, record in enumerate(records):
            id = named(work.seed, "Provenance", str(number))
            entries.append(_put({**record, "id": id}, f"Provenance/{id}"))
    pointed = [{**entry, "resource": point(entry["resource"], targets)} for entry in entries]
    return {"resourceType": "Bundle", "type": "transaction", "entry": pointed}


# --- whose, and who


async def _check_patient(resource: Resource, work: Work, where: str) -> None:
    """Raises MappingError: it is not known to be of the submission's patient."""
    [identifier] = work.patient["identifier"]
    subject: Resource = resource.get("subject", {})
    name = str(subject.get("reference", ""))
    own = {"system": f"urn:oid:{work.server.settings.xds_source_id}", "value": name.rpartition("/")[2]}
    numbers = [own, *([subject["identifier"]] if "identifier" in subject else [])]
    if name.startswith("Patient/"):
        stored = await work.server.repository.find("Patient", name.removeprefix("Patient/"))
        if stored is not None and not stored.deleted:
            numbers += json.stored(stored.body).get("identifier", [])
    if all(
        number.get("system") != identifier["system"] or number.get("value") != identifier["value"]
        for number in numbers
    ):
        text = "The registered object is not of the patient of the submission set"
        raise refused(PATIENT_ERROR, text, where, "business-rule")
    work.patient["reference"] = name


async def _authors(listed: Resource, work: Work) -> tuple[set[Party], set[Party]]:
    """Who submits, as the submission set says: where nobody asserts it, it is the sender's word."""
    organizations = (e.get("valueReference") for e in listed.get("extension", ()) if "authorOrg" in e["url"])
    authors = [each for each in (listed.get("source"), *organizations) if each]
    known = {entry["fullUrl"]: entry["resource"] for entry in work.context.mentioned}
    return await parties({"author": authors}, work.server, known)


def _agents(work: Work) -> list[Resource]:
    named = [
        {"who": {"identifier": {"system": system, "value": value} if system else {"value": value}}}
        for system, value in sorted(work.asks[0] | work.asks[1])
        if not system.startswith(KEY_SYSTEM)
    ]
    return named or [{"who": {"display": work.context.source.name}}]


# --- the transaction's parts


async def _mentioned(work: Work) -> tuple[dict[str, str], list[Resource]]:
    """The persons and organizations that the metadata name: where they are, and entries for new ones."""
    entries = {entry["fullUrl"]: entry for entry in work.context.mentioned}
    keys = {url: key for url, entry in entries.items() if (key := key_of(entry)) is not None}
    found = await find(keys.values(), work.server)
    targets: dict[str, str] = {}
    created = []
    for url, entry in entries.items():
        key = keys.get(url)
        matches = [match for match in found.get(key, ()) if match.resource] if key else []
        if matches:
            targets[url] = matches[-1].stored.reference
        elif key and key.id:
            targets[url] = f"{key.type}/{key.id}"
            created.append(_put({**entry["resource"], "id": key.id}, targets[url]))
        else:
            created.append(entry)
    return targets, created


def _put(resource: Resource, reference: str, **conditions: str) -> Resource:
    request = {"method": "PUT", "url": reference, **conditions}
    return {"fullUrl": reference, "resource": resource, "request": request}
