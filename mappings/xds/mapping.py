"""A submission -> the transaction Bundle of what it carries."""

from dataclasses import dataclass, field

from mappings import cda
from mappings.cda.context import Context, referenced
from mappings.cda.datatypes import URI
from mappings.cda.document_reference import attachment_of, binary, document_to_reference, unique
from mappings.cda.patient import (
    disagreeing_traits,
    patient_identifier,
    patient_role_to_patient,
    record_target,
)
from mappings.cda.relatives import relatives
from mappings.core.bundle import full_url, mention, post, prune, transaction
from mappings.core.effects import Effects
from mappings.core.identity import ins_values, is_ins
from mappings.core.result import Element, Held, Issue, Mapped, Unreadable
from mappings.core.source import Source
from mappings.xds.arrivals import arrival, sender
from mappings.xds.datatypes import cx_to_identifier, source_patient_info, unique_id_to_identifier
from mappings.xds.document_entry import elsewhere, entry_to_reference
from mappings.xds.kept import ASSOCIATION
from mappings.xds.lists import ASSUMED, folder_additions, folder_to_list, submission_set_to_list
from mappings.xds.metadata import RegistryObject
from mappings.xds.submission import Document, Submission, Subset
from mappings.xds.versions import document_url, superseded

RELATION = {
    "RPLC": "replaces",
    "XFRM_RPLC": "replaces",
    "APND": "appends",
    "XFRM": "transforms",
    "IsSnapshotOf": "transforms",
}
"""Association type -> relatesTo.code (MHD's ConceptMap AssociationTypeVsRelatesTo)."""

WITHOUT_CODE = {"XFRM_RPLC", "IsSnapshotOf"}
"""These say more than relatesTo.code can."""

_XML = {"text/xml", "application/xml", "application/xslt+xml"}


@dataclass(slots=True)
class _Building:
    """What is gathered on the way: the patient (identifiers and ``reference``), entries, remarks; the CDA
    documents by fullUrl, which document of the submission is replaced by which, whether documents are sent to
    the recipients that they name. ``sender`` is agent and reason of a Provenance."""

    context: Context
    patient: Element
    sender: Element
    entries: list[Element] = field(default_factory=list)
    clinical: list[Element] = field(default_factory=list)
    relatives: list[Element] = field(default_factory=list)
    demographics: Element = field(default_factory=dict)
    documents: dict[str, cda.ClinicalDocument] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    assumed: dict[str, set[str]] = field(default_factory=dict)
    sends: bool = True


def to_bundle(submission: Submission, source: Source, *, sends: bool = True) -> Mapped:
    """Map a submission: a List per submission set and folder, a DocumentReference and Binary per document,
    and the coded content of the CDA documents that are current. With ``sends``, a Communication for each
    recipient that these name: where what brings the submission is none itself.

    Lists and DocumentReferences are created when unknown, else left as they are. A signature is a Binary in
    the List, never a DocumentReference.

    Raises:
        Held: the patient differs within the submission or from a CDA document's, nothing identifies the
            patient, or a CDA document names itself otherwise than its entry does.
        Unreadable: a uniqueId that is neither an OID nor a UUID.
    """
    context = Context(source, issues=list(submission.issues))
    identifiers = _patient_identifiers(submission)
    identifier = patient_identifier(identifiers, "XDSSubmissionSet.patientId", context)
    url = full_url("Patient", identifier["system"], identifier["value"])
    sent = sender(submission.assertion, context)
    building = _Building(context, {"identifier": identifiers, "reference": url}, sent, sends=sends)
    _read_documents(submission, building)
    for subset in submission.subsets:
        _add_subset(subset, building)
    patient = building.demographics or _demographics(submission, identifiers, context)
    for trait in disagreeing_traits(patient):
        context.warn_at("sourcePatientInfo", f"{trait} disagrees with the digits of the INS", "business-rule")
    asserted = [*building.entries, *building.clinical]
    entries = [mention(url, patient, identifier), *building.relatives]
    entries += [*referenced(context.mentioned, asserted), *asserted]
    return Mapped(
        bundle=transaction(entries),
        issues=list(dict.fromkeys(context.issues)),
        unread=_unread(submission),
        cleared=cda.cleared(building.clinical),
        patient=f"{identifier['system']}|{identifier['value']}",
        effects=Effects(assumed=building.assumed),
    )


def _patient_identifiers(submission: Submission) -> list[Element]:
    """The patientId that all objects have, then the identifiers at the source.

    Raises:
        Held: they have different ones (XDSPatientIdDoesNotMatch).
    """
    found: list[Element] = []
    sources: list[Element] = []
    for subset in submission.subsets:
        entries = [document.entry for document in subset.documents]
        for registry_object in (subset.submission_set, *entries, *subset.folders):
            identifier = cx_to_identifier(registry_object.patient_id)
            where = f"{registry_object.kind} {registry_object.id!r}"
            if identifier is None:
                text = f"The patientId of {where} has no assigning authority that is an OID"
                raise Held(text, Issue("error", "value", text, where))
            if found and identifier != found[0]:
                text = f"The patientId of {where} is not that of the submission set"
                raise Held(text, Issue("error", "business-rule", text, where, "XDSPatientIdDoesNotMatch"))
            found.append(identifier)
            if at_source := cx_to_identifier(registry_object.slot("sourcePatientId")):
                sources.append(at_source)
    return unique([found[0], *sources])


def _demographics(submission: Submission, identifiers: list[Element], context: Context) -> Element:
    """The patient as the first entry with sourcePatientInfo describes it."""
    entries = [document.entry for subset in submission.subsets for document in subset.documents]
    described = next((entry for entry in entries if entry.slots.get("sourcePatientInfo")), None)
    values = [] if described is None else described.slots["sourcePatientInfo"]
    traits = source_patient_info(values, "sourcePatientInfo", context)
    patient: Element = prune({"resourceType": "Patient", "identifier": identifiers, **traits})
    return patient


def _read_documents(submission: Submission, building: _Building) -> None:
    urls: dict[tuple[str, str], str] = {}
    for subset in submission.subsets:
        for document in subset.documents:
            if document.entry.is_signature:
                continue
            url = urls[subset.path, document.entry.id] = document_url(_master(document.entry))
            if (read := _clinical_document(document, building.context)) is not None:
                building.documents[url] = read
    building.replaced = superseded(submission, urls, building.documents)


def _add_subset(subset: Subset, building: _Building) -> None:
    urls: dict[str, str] = {}
    for found in (subset.submission_set, *(d.entry for d in subset.documents), *subset.folders):
        kind = "DocumentReference" if found.kind == "DocumentEntry" else "List"
        kind = "Binary" if found.is_signature else kind
        master = _master(found)
        parts = ("signature",) if kind == "Binary" else ()
        urls[found.id] = full_url(kind, master["system"], master["value"], *parts)
    for document in subset.documents:
        if document.entry.is_signature:
            building.entries += _signature(document, urls[subset.submission_set.id])
        else:
            _add_document(document, subset, urls, building)
    for found in (subset.submission_set, *subset.folders):
        convert = submission_set_to_list if found is subset.submission_set else folder_to_list
        master = _master(found)
        members = _members(found, subset, urls, building.context)
        resource = convert(found, master, members, building.patient, building.context)
        building.entries.append(mention(urls[found.id], resource, master))
    for addition in folder_additions(subset, urls, building.patient):
        building.entries.append(addition)
        building.assumed[addition["fullUrl"]] = set(ASSUMED)


def _add_document(document: Document, subset: Subset, urls: dict[str, str], building: _Building) -> None:
    entry, context, master = document.entry, building.context, _master(document.entry)
    url = urls[entry.id]
    binaries = []
    if document.data is None:
        attachment = elsewhere(entry, master)
    else:
        binaries = [binary(document.data, entry.mime_type, master, "document")]
        attachment = attachment_of(binaries[0], document.data)
    reference = entry_to_reference(entry, master, attachment, building.patient, context)
    clinical: list[Element] = []
    if url in building.replaced:
        reference["status"] = "superseded"
    if (document_cda := building.documents.get(url)) is not None:
        described, binaries = _described_by_cda(document_cda, entry, building)
        reference = _completed(reference, described)
        if reference["status"] == "current":
            clinical, issues = cda.clinical_entries(
                document_cda,
                patient=building.patient["reference"],
                document_reference=url,
                source=context.source,
                labels=reference.get("securityLabel", ()) if building.sends else None,
            )
            context.issues += issues
    relations = _relates_to(entry, subset, urls, reference.get("relatesTo", []), context)
    if relations := _with_versions(relations, url, building):
        reference["relatesTo"] = relations
    submission = urls[subset.submission_set.id]
    came = arrival(
        reference, url, submission, clinical, document_cda, building.patient, context, building.sender
    )
    building.entries += [mention(url, reference, master), *binaries]
    building.clinical += [*clinical, came]


def _with_versions(relations: list[Element], url: str, building: _Building) -> list[Element]:
    """Also what a version of the submission replaces and does not say; what it says of one is its entry."""
    for older, newer in building.replaced.items():
        if newer != url:
            continue
        master = building.documents[older].unique_identifier if older in building.documents else None
        for relation in relations:
            if master and relation["target"].get("identifier") == master:
                relation["target"] = {"reference": older}
        if not any(relation["target"].get("reference") == older for relation in relations):
            relations = [*relations, {"code": "replaces", "target": {"reference": older}}]
    return relations


def _clinical_document(document: Document, context: Context) -> cda.ClinicalDocument | None:
    """The CDA document, when it is one; other XML stays a file."""
    if document.entry.mime_type not in _XML or document.data is None:
        return None
    try:
        return cda.read(document.data)
    except Unreadable as error:
        location = f"DocumentEntry {document.entry.id!r}"
        context.warn_at(location, f"Kept as a file, it cannot be read as CDA: {error}", "processing")
        return None


def _described_by_cda(
    document: cda.ClinicalDocument, entry: RegistryObject, building: _Building
) -> tuple[Element, list[Element]]:
    """The DocumentReference that the CDA header would give, and its Binary entries.

    Raises:
        Held: it is another document, or another patient's, than the entry says.
    """
    where = f"DocumentEntry {entry.id!r}"
    if document.unique_identifier != _master(entry):
        text = f"The CDA document of {where} has another id than the entry's uniqueId"
        raise Held(text, Issue("error", "business-rule", text, where, "InvalidDocumentContent"))
    ours, theirs = building.patient["identifier"][0], document.patient_identifiers
    numbers = {i["value"] for i in theirs if i["system"] == ours["system"]}
    if is_ins(ours):
        numbers |= ins_values(theirs)
    if numbers and ours["value"] not in numbers:
        text = f"The CDA document of {where} is about another patient than the submission"
        raise Held(text, Issue("error", "business-rule", text, where, "XDSPatientIdDoesNotMatch"))
    context = Context(
        building.context.source, document.narrative, building.context.issues, building.context.mentioned
    )
    patient = patient_role_to_patient(record_target(document), context)
    patient["identifier"] = unique([*building.patient["identifier"], *patient.get("identifier", [])])
    building.demographics = building.demographics or patient
    building.relatives += relatives(document, building.patient["reference"], context)
    return document_to_reference(document, patient, building.patient["reference"], context)


def _completed(reference: Element, described: Element) -> Element:
    """The metadata's DocumentReference with what only the CDA header says; labels of both."""
    completed = {**described, **reference}
    completed["identifier"] = unique([*reference.get("identifier", []), *described.get("identifier", [])])
    completed["securityLabel"] = unique(
        [*reference.get("securityLabel", []), *_other_labels(reference, described)]
    )
    completed["extension"] = unique([*reference.get("extension", []), *described.get("extension", [])])
    completed["context"] = {**described.get("context", {}), **reference.get("context", {})}
    content = described["content"][0]
    first = reference["content"][0]
    attachment = {**content["attachment"], **first["attachment"]}
    completed["content"] = [{**content, **first, "attachment": attachment}, *described["content"][1:]]
    pruned: Element = prune(completed)
    return pruned


def _other_labels(reference: Element, described: Element) -> list[Element]:
    """The header's labels whose codes the metadata do not have; displays differ in wording."""
    known = {_code(label) for label in reference.get("securityLabel", [])}
    return [label for label in described.get("securityLabel", []) if _code(label) not in known]


def _code(label: Element) -> tuple[str, str]:
    coding: Element = next(iter(label.get("coding", [])), {})
    return coding.get("system", ""), coding.get("code", "")


def _relates_to(
    entry: RegistryObject, subset: Subset, urls: dict[str, str], from_cda: list[Element], context: Context
) -> list[Element]:
    """Associations from this entry, then what the CDA header says.

    Where both say the same kind of relation, the CDA's target is kept: it names a uniqueId, while the
    entryUUID of an association changes with every update of the metadata.
    """
    relations = []
    for association in subset.associations:
        code = RELATION.get(association.type)
        if association.source != entry.id or code is None:
            continue
        if association.target in urls:
            target: Element = {"reference": urls[association.target]}
        else:
            target = {"type": "DocumentReference"}
            target["identifier"] = {"system": URI, "value": association.target.lower()}
            if any(relation["code"] == code for relation in from_cda):
                text = f"{association.type} {association.target} is taken from the CDA header instead"
                context.issues.append(
                    Issue("information", "informational", text, f"DocumentEntry {entry.id!r}")
                )
                continue
        relation: Element = {"code": code, "target": target}
        if association.type in WITHOUT_CODE:
            relation["extension"] = [{"url": ASSOCIATION, "valueCode": association.type}]
        relations.append(relation)
    inside = {relation["code"] for relation in relations if "reference" in relation["target"]}
    return relations + [relation for relation in from_cda if relation["code"] not in inside]


def _members(found: RegistryObject, subset: Subset, urls: dict[str, str], context: Context) -> list[Element]:
    """HasMember associations -> List.entry; a member that was registered before is named by its entryUUID."""
    targets = [a.target for a in subset.associations if a.type == "HasMember" and a.source == found.id]
    if found is subset.submission_set:
        for document in subset.documents:
            if document.entry.id not in targets:
                where = f"DocumentEntry {document.entry.id!r}"
                context.warn_at(where, "No association makes it a member of the submission set", "structure")
                targets.append(document.entry.id)
    signatures = {d.entry.id: d for d in subset.documents if d.entry.is_signature}
    members: list[Element] = []
    for target in dict.fromkeys(targets):
        if target not in urls:
            members.append({"item": {"identifier": {"system": URI, "value": target.lower()}}})
        elif target in signatures:
            item: Element = {"reference": urls[target]}
            if signatures[target].data is None:
                item = {"identifier": _master(signatures[target].entry)}
            members.append({"flag": {"text": "signature"}, "item": item})
        else:
            members.append({"item": {"reference": urls[target]}})
    return members


def _unread(submission: Submission) -> list[str]:
    found = (
        each
        for subset in submission.subsets
        for each in (subset.submission_set, *(d.entry for d in subset.documents), *subset.folders)
    )
    return sorted({scheme for each in found for scheme in each.unread})


def _signature(document: Document, list_url: str) -> list[Element]:
    """The Binary entry of a signature, read by who may read the submission set; none when it is elsewhere."""
    if document.data is None:
        return []
    master = _master(document.entry)
    entry = binary(document.data, document.entry.mime_type, master, "signature")
    resource = {**entry["resource"], "securityContext": {"reference": list_url}}
    return [post(entry["fullUrl"], resource)]


def _master(found: RegistryObject) -> Element:
    """The uniqueId as Identifier. Raises Unreadable when it is neither an OID nor a UUID."""
    identifier = unique_id_to_identifier(found.unique_id)
    if identifier is None:
        where = f"{found.kind} {found.id!r}"
        text = f"The uniqueId of {where} is neither an OID nor a UUID"
        raise Unreadable(text, Issue("error", "value", text, where))
    return identifier
