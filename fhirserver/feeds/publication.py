"""What a published submission is about, before it is mapped: its parts are valid, its patient is known."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from fhirserver.errors import Issue, NotFound, PreconditionFailed, Unprocessable
from fhirserver.feeds.lookup import find, find_ids, identifier_key, identifiers, survivor_of
from fhirserver.interactions import claims, prepare
from fhirserver.interactions.criteria import single_match
from fhirserver.interactions.unit import Unit
from fhirserver.model import reference
from fhirserver.model.json import Resource
from fhirserver.server import Server
from fhirserver.validation.messages import Language
from mappings import mhd
from mappings.core.identity import ins_values
from mappings.mhd.submission import list_type

_PARTS: Final = frozenset(("List", "DocumentReference", "Binary", "Patient"))


def check_parts(bundle: Resource, server: Server, language: Language) -> tuple[Resource, list[Issue]]:
    """The Bundle with the claims that hold, and what there is to say of the others.

    Raises:
        Invalid: a part is not valid; all issues of all parts.
        Unprocessable: a claim does not hold, and the setting ``mhd_profiles`` refuses that.
    """
    level = claims.level_of(bundle)
    errors: list[Issue] = []
    refused: list[Issue] = []
    told: list[Issue] = []
    entries = []
    for position, entry in enumerate(bundle.get("entry", ())):
        resource = entry.get("resource", {})
        if entry["request"]["method"] == "POST" and resource.get("resourceType") in _PARTS:
            place = f"Bundle.entry[{position}].resource"
            promised = _promised(resource, level)
            try:
                resource, issues = claims.checked(
                    resource, server, place=place, promised=promised, language=language
                )
                told += issues
            except Unprocessable as error:
                refused += error.issues
            found = server.validator.validate(resource, location=place, language=language)
            errors += [issue for issue in found if issue.severity in ("error", "fatal")]
            entry = {**entry, "resource": resource}
        entries.append(entry)
    if errors:
        raise prepare.Invalid("The submission is not valid", issues=errors)
    if refused:
        raise Unprocessable("A claimed profile does not hold", issues=refused)
    return {**bundle, "entry": entries}, told


def _promised(resource: Resource, level: claims.Level | None) -> str:
    """What the Bundle's profile says of a resource of it."""
    if level is None or resource["resourceType"] not in ("DocumentReference", "List"):
        return ""
    if resource["resourceType"] == "DocumentReference":
        return level.document
    return {"submissionset": level.submission, "folder": level.folder}.get(list_type(resource), "")


async def find_subject(submission: mhd.Submission, server: Server) -> mhd.Subject | None:
    """The one patient that all parts of a submission are about; None where none names one.

    Raises:
        Unprocessable: several patients (XDSPatientIdDoesNotMatch), or one who is not here
            (XDSUnknownPatientId).
    """
    found: dict[str, tuple[mhd.Subject, str]] = {}
    for subject, place in submission.subjects():
        one = await _subject(subject, place, submission, server)
        found.setdefault(one.reference, (one, place))
    if len(found) > 1:
        _, place = list(found.values())[1]
        raise _refusal("XDSPatientIdDoesNotMatch: the submission is about several patients", place)
    about = next((subject for subject, _ in found.values()), None)
    for part in submission.documents if about else ():
        _check_source_patient(part, about)
    return about


async def knows_patient(document: Resource, server: Server) -> bool:
    """Whether a document, which need not be valid, names a patient who is here. Raises Unavailable."""
    match document.get("subject"):
        case {"reference": str(url)}:
            named = reference.parse(url, server.base_url)
            wanted = [("Patient", named.id)] if named.type == "Patient" and named.is_local else []
            return any(found.resource for found in (await find_ids(wanted, server)).values())
        case {"identifier": {"value": str(value), **rest}} if value:
            key = identifier_key("Patient", {"system": rest.get("system", ""), "value": value})
            found = (await find([key], server)).get(key, [])
            return any(one.resource for one in found)
        case _:
            return False


async def _subject(subject: Resource, place: str, submission: mhd.Submission, server: Server) -> mhd.Subject:
    url = str(subject.get("reference", ""))
    if url in submission.patients:
        return mhd.Subject(url, submission.patients[url].resource["identifier"])
    if url.startswith("#"):
        return await _by_identifiers(_contained(url, place, submission), place, server)
    if not url and "identifier" in subject:
        return await _by_identifiers([subject["identifier"]], place, server)
    type, mark, criteria = url.partition("?")
    if mark and type == "Patient":
        found = await single_match("Patient", criteria, server, Unit(server.repository))
        if found is None:
            raise _refusal("XDSUnknownPatientId: the reference matches no patient", place)
        url = found.reference
    parsed = reference.parse(url, server.base_url)
    if parsed.type != "Patient" or not parsed.id or parsed.base not in ("", server.base_url):
        if url.startswith("urn:"):
            return mhd.Subject(url)  # a patient of the Bundle who has no identifier
        raise _refusal("XDSUnknownPatientId: the subject is no patient of this server", place)
    stored = (await find_ids([("Patient", parsed.id)], server)).get(("Patient", parsed.id))
    if stored is None or not stored.resource:
        raise _refusal("XDSUnknownPatientId: there is no such patient", place)
    left = await survivor_of(stored, server)
    return mhd.Subject(left.stored.reference, list(identifiers(left.resource)))


async def _by_identifiers(given: list[Resource], place: str, server: Server) -> mhd.Subject:
    keys = [identifier_key("Patient", i) for i in given if isinstance(i, dict) and i.get("value")]
    found = await find(keys, server)
    matches = {match.stored.reference: match for each in found.values() for match in each if match.resource}
    left = {(s := await survivor_of(m, server)).stored.reference: s for m in matches.values()}
    if not left:
        raise _refusal("XDSUnknownPatientId: nobody here has the patient's identifier", place)
    if len(left) > 1:
        raise _refusal("XDSPatientIdDoesNotMatch: the identifiers are those of several patients", place)
    [one] = left.values()
    return mhd.Subject(one.stored.reference, list(identifiers(one.resource)))


def _contained(url: str, place: str, submission: mhd.Submission) -> list[Resource]:
    parts = (*submission.lists, *submission.documents)
    resource = next(p.resource for p in parts if place.startswith(f"{p.place}."))
    return _identifiers(resource, url)


def _identifiers(resource: Resource, url: str) -> list[Resource]:
    """Those of a contained resource."""
    inside = (c for c in resource.get("contained", ()) if f"#{c.get('id')}" == url)
    found: Resource = next(inside, {})
    return list(found.get("identifier", ()))


def _check_source_patient(part: mhd.Part, subject: mhd.Subject | None) -> None:
    """Raises Unprocessable where the patient at the source has another INS."""
    url = str(part.resource.get("context", {}).get("sourcePatientInfo", {}).get("reference", ""))
    came = ins_values(_identifiers(part.resource, url))
    here = ins_values(subject.identifiers) if subject else set()
    if came and here and came.isdisjoint(here):
        place = f"{part.place}.context.sourcePatientInfo"
        raise _refusal("XDSPatientIdDoesNotMatch: the patient at the source has another INS", place)


async def check_members(submission: mhd.Submission, subject: mhd.Subject | None, server: Server) -> None:
    """Raises Unprocessable where a list of the submission has another patient's document as a member."""
    places: dict[tuple[str, str], str] = {}
    for part in submission.lists:
        for index, entry in enumerate(part.resource.get("entry", ())):
            parsed = reference.parse(str(entry["item"].get("reference", "")), server.base_url)
            if parsed.type == "DocumentReference" and parsed.id and parsed.base in ("", server.base_url):
                places.setdefault((parsed.type, parsed.id), f"{part.place}.entry[{index}].item")
    if not places or subject is None:
        return
    for address, found in (await find_ids(list(places), server)).items():
        about = found.resource.get("subject", {}).get("reference")
        if about and about != subject.reference:
            raise _refusal("XDSPatientIdDoesNotMatch: the member is another patient's", places[address])


async def name_targets(submission: mhd.Submission, server: Server) -> mhd.Submission:
    """The submission whose documents name what they relate to by identifier, as other channels do.

    Raises:
        NotFound: a target is not here.
        Unprocessable: it has no identifier, so nothing can say that it is replaced.
    """
    documents = []
    for part in submission.documents:
        relations = []
        for index, relation in enumerate(part.resource.get("relatesTo", ())):
            place = f"{part.place}.relatesTo[{index}].target"
            relations.append({**relation, "target": await _target(relation["target"], place, server)})
        resource = {**part.resource, "relatesTo": relations} if relations else part.resource
        documents.append(replace(part, resource=resource))
    return replace(submission, documents=documents)


async def _target(target: Resource, place: str, server: Server) -> Resource:
    url = str(target.get("reference", ""))
    type, mark, criteria = url.partition("?")
    if mark and type == "DocumentReference":
        found = await single_match(type, criteria, server, Unit(server.repository))
        if found is None:
            raise PreconditionFailed("The conditional reference matches no document", expression=place)
        url = found.reference
    parsed = reference.parse(url, server.base_url)
    if parsed.type != "DocumentReference" or not parsed.id or parsed.base not in ("", server.base_url):
        return target
    stored = (await find_ids([(parsed.type, parsed.id)], server)).get((parsed.type, parsed.id))
    if stored is None or not stored.resource:
        raise NotFound("The related document is not here", expression=place)
    own = stored.resource.get("masterIdentifier") or next(iter(stored.resource.get("identifier", ())), None)
    if not own or not own.get("value"):
        raise _refusal("The related document has no identifier to be named by", place)
    named = {k: own[k] for k in ("system", "value") if k in own}
    rest = {k: v for k, v in target.items() if k not in ("reference", "identifier")}
    return {**rest, "type": "DocumentReference", "identifier": named}


async def addressed(entry: Resource, server: Server) -> Resource:
    """The entry, naming by its id the document that its criteria match, if they match one."""
    request = entry["request"]
    type, mark, criteria = str(request["url"]).lstrip("/").partition("?")
    if type != "DocumentReference" or not mark or request["method"] not in ("PATCH", "PUT"):
        return entry
    found = await single_match(type, criteria, server, Unit(server.repository))
    return {**entry, "request": {**request, "url": found.reference}} if found else entry


def is_apart(entry: Resource, written: Collection[str]) -> bool:
    """Whether an entry beside a submission does something of its own.

    MHD has a replacing Bundle also set the status of what it replaces: that is done already.
    """
    request = entry["request"]
    return request["method"] not in ("PATCH", "PUT") or str(request["url"]).lstrip("/") not in written


def _refusal(text: str, place: str) -> Unprocessable:
    return Unprocessable(text, issues=[Issue("error", "business-rule", text, place)])
