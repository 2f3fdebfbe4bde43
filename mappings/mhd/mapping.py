"""A submission of IHE MHD -> the transaction Bundle of what it carries, as from every other channel.

A DocumentReference is stored as the client describes it; what a CDA document inside says is read as if it
had come by XDM.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from mappings import cda
from mappings.cda.context import Context, referenced
from mappings.cda.document_reference import relates_to, set_identifier, unique
from mappings.cda.xml import parse
from mappings.core.bundle import full_url, mention, post, transaction
from mappings.core.identity import ins_values
from mappings.core.result import Element, Held, Issue, Mapped, Unreadable
from mappings.core.source import Source
from mappings.mhd.submission import Part, Submission, content_of, decoded, sha1
from mappings.xds.arrivals import arrival

URI: Final = "urn:ietf:rfc:3986"
_XML: Final = ("text/xml", "application/xml", "application/xslt+xml", "application/hl7-cda+xml")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a submission is about: a reference to the stored Patient or the fullUrl of its entry, and all the
    identifiers of it."""

    reference: str
    identifiers: list[Element] = field(default_factory=list)


@dataclass(slots=True)
class _Building:
    submission: Submission
    subject: Subject | None
    context: Context
    entries: list[Element] = field(default_factory=list)
    clinical: list[Element] = field(default_factory=list)


def to_bundle(submission: Submission, subject: Subject | None, source: Source) -> Mapped:
    """Map a submission. ``relatesTo`` names its targets by identifier where they are stored documents.

    Raises:
        Held: a CDA document is about another patient than the submission.
        Unreadable: what is said to be XML is none, or not safe to read.
    """
    building = _Building(submission, subject, Context(source))
    for part in submission.documents:
        _add_document(part, building)
    for part in submission.lists:
        building.entries.append(_list_entry(part, subject))
    patients = [
        mention(part.url, _created(part.resource), part.resource["identifier"][0])
        for part in submission.patients.values()
    ]
    context, asserted = building.context, [*building.entries, *building.clinical]
    entries = [*patients, *referenced(context.mentioned, asserted), *asserted]
    return Mapped(
        bundle=transaction(entries),
        issues=list(dict.fromkeys(context.issues)),
        cleared=cda.cleared(building.clinical),
    )


def _list_entry(part: Part, subject: Subject | None) -> Element:
    resource = _about(_created(part.resource), subject)
    identifiers = [i for i in resource.get("identifier", ()) if i.get("value")]
    unique_id = next((i for i in identifiers if i.get("use") == "usual"), None)
    if unique_id is None and identifiers:
        unique_id = identifiers[0]
    return mention(part.url, resource, unique_id) if unique_id else post(part.url, resource)


def _add_document(part: Part, building: _Building) -> None:
    context, subject = building.context, building.subject
    document = _about(_created(part.resource), subject)
    contents = [_content(c, part, i, building) for i, c in enumerate(document.get("content", ()))]
    document["content"] = [content for content, _ in contents]
    read = _clinical_document(part, [data for _, data in contents], document, building)
    clinical: list[Element] = []
    if read is not None and subject is not None:
        document = _completed(document, read)
        if document.get("status") == "current":
            clinical, issues = cda.clinical_entries(
                read,
                patient=subject.reference,
                document_reference=part.url,
                source=context.source,
                labels=document.get("securityLabel", ()),
            )
            context.issues += issues
    sets = building.submission.sets
    if sets:
        author: Element = {"identifier": [], "reference": ""}
        if subject is not None:
            author = {"identifier": subject.identifiers, "reference": subject.reference}
        came = arrival(document, part.url, sets[0].url, clinical, read, author, context)
        building.clinical += [*clinical, came]
    master = document.get("masterIdentifier", {})
    made = mention(part.url, document, master) if master.get("value") else post(part.url, document)
    building.entries.append(made)


def _content(
    content: Element, part: Part, index: int, building: _Building
) -> tuple[Element, tuple[str, bytes] | None]:
    """The content with what its file says of itself, and the file with its media type where it is here."""
    attachment = dict(content.get("attachment", {}))
    url = str(attachment.get("url", ""))
    binary = building.submission.binaries.get(url)
    if binary is not None:
        data = content_of(binary.resource)
        resource = {"securityContext": {"reference": part.url}, **_created(binary.resource)}
        entry = post(binary.url, resource)
        if entry not in building.entries:
            building.entries.append(entry)
        media_type = str(attachment.get("contentType") or binary.resource.get("contentType", ""))
    elif "data" in attachment and not url:
        data = decoded(attachment["data"])
        media_type = str(attachment.get("contentType", ""))
        if data is not None:
            url = full_url("Binary", part.url, str(index))
            del attachment["data"]
            building.entries.append(post(url, _binary(data, media_type, part)))
            attachment["url"] = url
    else:
        return content, None
    if data is None:
        return content, None
    attachment = {**attachment, "size": len(data), "hash": sha1(data)}
    return {**content, "attachment": attachment}, (media_type.partition(";")[0].strip().lower(), data)


def _binary(data: bytes, media_type: str, part: Part) -> Element:
    attachment = part.resource["content"][0]["attachment"]
    return {
        "resourceType": "Binary",
        "contentType": media_type or "application/octet-stream",
        "securityContext": {"reference": part.url},
        "data": attachment["data"],
    }


def _clinical_document(
    part: Part, files: list[Any], document: Element, building: _Building
) -> cda.ClinicalDocument | None:
    """The CDA document among the files; other XML stays a file.

    Raises:
        Held: it is about another patient.
        Unreadable: what is said to be XML is none, or not safe to read.
    """
    context = building.context
    for media_type, data in filter(None, files):
        if media_type not in _XML:
            continue
        try:
            parse(data)
        except Unreadable as error:
            raise Unreadable(
                str(error), Issue("error", "structure", str(error), f"{part.place}.content")
            ) from None
        try:
            read = cda.read(data)
        except Unreadable as error:
            text = f"Kept as a file, it cannot be read as CDA: {error}"
            context.issues.append(Issue("warning", "processing", text, f"{part.place}.content"))
            return None
        _check_patient(read, part, building.subject)
        master = document.get("masterIdentifier", {})
        if master.get("value") and _plain(master) != _plain(read.unique_identifier):
            text = "The CDA document has another id than masterIdentifier"
            context.issues.append(Issue("warning", "business-rule", text, f"{part.place}.masterIdentifier"))
        return read
    return None


def _plain(identifier: Element) -> tuple[str, str]:
    return str(identifier.get("system", "")), str(identifier.get("value", "")).lower()


def _check_patient(read: cda.ClinicalDocument, part: Part, subject: Subject | None) -> None:
    if subject is None:
        return
    theirs, ours = read.patient_identifiers, subject.identifiers
    here, came = ins_values(ours), ins_values(theirs)
    if here and came:
        apart = here.isdisjoint(came)
    else:
        shared = {i.get("system") for i in ours} & {i.get("system") for i in theirs}
        numbers = [
            {(i.get("system"), i.get("value")) for i in each if i.get("system") in shared}
            for each in (ours, theirs)
        ]
        apart = bool(shared) and numbers[0].isdisjoint(numbers[1])
    if apart:
        text = "XDSPatientIdDoesNotMatch: the CDA document is about another patient than the submission"
        raise Held(text, Issue("error", "business-rule", text, f"{part.place}.content"))


def _completed(document: Element, read: cda.ClinicalDocument) -> Element:
    """With what only the CDA header says of versions."""
    identifiers = unique([*document.get("identifier", []), set_identifier(read)])
    if identifiers:
        document = {**document, "identifier": identifiers}
    if not document.get("relatesTo") and (relations := relates_to(read)):
        document = {**document, "relatesTo": relations}
    return document


def _about(resource: Element, subject: Subject | None) -> Element:
    """With the patient of the server as subject; one that is contained stays as the source's view."""
    if subject is None:
        return resource
    given = resource.get("subject", {})
    display = {k: v for k, v in given.items() if k == "display"}
    about = {**resource, "subject": {"reference": subject.reference, **display}}
    url = str(given.get("reference", ""))
    if not url.startswith("#") or _refers(about, url):
        return about
    if about["resourceType"] == "DocumentReference":
        source = {"sourcePatientInfo": {"reference": url}}
        return {**about, "context": {**source, **about.get("context", {})}}
    others = [one for one in about["contained"] if f"#{one.get('id')}" != url]
    return {k: v for k, v in {**about, "contained": others}.items() if v}


def _refers(value: Any, url: str) -> bool:
    if isinstance(value, dict):
        return value.get("reference") == url or any(_refers(part, url) for part in value.values())
    return isinstance(value, list) and any(_refers(part, url) for part in value)


def _created(resource: Element) -> Element:
    """Without what the server gives a resource that is created."""
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated")}
    rest = {k: v for k, v in resource.items() if k not in ("id", "meta")}
    return {**rest, "meta": meta} if meta else rest
