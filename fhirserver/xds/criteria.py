"""The parameters of a stored query as searches of the FHIR API, and what these cannot tell.

IHE ITI TF-2 3.18.4.1.2.3.7; docs/feeds/xds.md
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from fhirserver.model.json import Resource
from fhirserver.operations.match import escape
from fhirserver.operations.xdm import referred
from fhirserver.server import Server
from fhirserver.xds.lookup import TOGETHER, Pairs, of_patient, search
from fhirserver.xds.versions import versions
from mappings.core.codes import OID
from mappings.core.times import parse
from mappings.xds import export
from mappings.xds.datatypes import system_of_scheme
from mappings.xds.export.ebrim import APPROVED, ARCHIVED, DELETED, DEPRECATED, STABLE
from mappings.xds.export.packages import LIST_TYPES
from mappings.xds.query import Query, is_open

ENTRY: Final = "$XDSDocumentEntry"
SET: Final = "$XDSSubmissionSet"
FOLDER: Final = "$XDSFolder"
ONLINE: Final = "urn:ihe:iti:2010:DocumentAvailability:Online"

_DAY: Final = timedelta(days=1)
_FIRST: Final = "00000101000000"
_CODES: Final = {
    f"{ENTRY}ClassCode": "category",
    f"{ENTRY}TypeCode": "type",
    f"{ENTRY}PracticeSettingCode": "setting",
    f"{ENTRY}HealthcareFacilityTypeCode": "facility",
    f"{ENTRY}EventCodeList": "event",
    f"{ENTRY}ConfidentialityCode": "security-label",
    f"{ENTRY}FormatCode": "format",
    f"{SET}ContentType": "designationType",
    f"{FOLDER}CodeList": "designationType",
}
_STATUS: Final = {
    APPROVED: ("current",),
    DEPRECATED: ("superseded",),
    ARCHIVED: ("current", "superseded"),
    DELETED: ("entered-in-error",),
}
_LIST_STATUS: Final = {
    APPROVED: ("current",),
    DEPRECATED: ("retired",),
    ARCHIVED: ("current", "retired"),
    DELETED: ("entered-in-error",),
}


async def documents(query: Query, patient: str, server: Server) -> list[Resource]:
    """The documents of a patient (a parameter's name) that a query asks for, the newest first."""
    if not asks_for_stable(query) or not _asks_for_online(query):
        return []
    statuses = query.all(f"{ENTRY}Status")
    who = await of_patient(query.one(patient), patient, server)
    wanted = _statuses(statuses, _STATUS)
    if not who or not wanted:
        return []
    pairs: Pairs = [("patient", who), ("status", ",".join(wanted)), *codes(query)]
    if ARCHIVED not in statuses and DELETED not in statuses:
        pairs.append(("isArchived", "false"))
    pairs += times(query, f"{ENTRY}ServiceStartTime", "period-start")
    pairs += times(query, f"{ENTRY}ServiceStopTime", "period-end")
    created = times(query, f"{ENTRY}CreationTime", "creation")
    found = await search("DocumentReference", [*pairs, *created], server)
    if created:
        # The creationTime of a document that does not say when its file was made is its own date.
        dated = [("date", value) for _, value in created]
        found += await search("DocumentReference", [*pairs, ("creation:missing", "true"), *dated], server)
    if query.metadata_level == 2 and DEPRECATED in statuses:
        found += await _former(who, query, server)
    found = [
        each
        for each in found
        if export.status(each) in statuses
        and _is_referred_to(each, query)
        and all(_is_within(value, query, f"{ENTRY}{name}") for name, value in _document_times(each).items())
    ]
    found = await _written_by(found, query.all(f"{ENTRY}AuthorPerson"), server)
    return sorted(found, key=_created, reverse=True)


async def _former(who: str, query: Query, server: Server) -> list[Resource]:
    """What documents were before their metadata were updated; by codes they are found as they are now."""
    found = await search("DocumentReference", [("patient", who), *codes(query)], server)
    revised = [each for each in found if export.version(each) > 1]
    return [version for each in revised for version in (await versions(each, server))[1:]]


async def packages(query: Query, kind: str, patient: str, server: Server) -> list[Resource]:
    """The submission sets or folders (``kind``) of a patient that a query asks for, the newest first."""
    prefix = SET if kind == "submissionset" else FOLDER
    statuses = query.all(f"{prefix}Status")
    who = await of_patient(query.one(patient), patient, server)
    wanted = _statuses(statuses, _LIST_STATUS)
    if not who or not wanted:
        return []
    pairs = [("patient", who), ("code", f"{LIST_TYPES}|{kind}"), ("status", ",".join(wanted))]
    pairs += codes(query, prefix)
    dated = f"{SET}SubmissionTime" if kind == "submissionset" else f"{FOLDER}LastUpdateTime"
    pairs += times(query, dated, "date")
    found = [
        each
        for each in await search("List", pairs, server)
        if export.status(each) in statuses and _is_within(export.dtm(each.get("date", "")), query, dated)
    ]
    if sources := query.all(f"{SET}SourceId"):
        own = register(server)
        found = [each for each in found if export.source_id(each, own) in sources]
    found = await _written_by(found, query.all(f"{SET}AuthorPerson"), server)
    return sorted(found, key=lambda each: str(each.get("date", "")), reverse=True)


async def among(documents: list[Resource], query: Query, server: Server) -> list[Resource]:
    """Those of some documents with the codes and type that a query wants."""
    if not asks_for_stable(query) or not documents or not (wanted := codes(query)):
        return documents if asks_for_stable(query) else []
    found: set[str] = set()
    for start in range(0, len(documents), TOGETHER):
        ids = ",".join(each["id"] for each in documents[start : start + TOGETHER])
        found |= {each["id"] for each in await search("DocumentReference", [("_id", ids), *wanted], server)}
    return [each for each in documents if each["id"] in found]


def codes(query: Query, prefix: str = ENTRY) -> Pairs:
    """The codes of a query; each list of values is a parameter of its own."""
    return [
        (parameter, ",".join(token for value in group for token in _tokens(value)))
        for name, parameter in _CODES.items()
        if name.startswith(prefix)
        for group in joined(query, name)
    ]


def joined(query: Query, name: str) -> tuple[tuple[str, ...], ...]:
    """The lists of a parameter that all count; those of others are one."""
    groups = query.values.get(name, ())
    if query.stored.parameters[name].all_of if name in query.stored.parameters else False:
        return groups
    together = tuple(value for group in groups for value in group)
    return (together,) if together else ()


def times(query: Query, name: str, parameter: str) -> Pairs:
    """What may be within the times of a query: a day more, because FHIR has a day begin where people are."""
    pairs = []
    for end, prefix, more in ((f"{name}From", "ge", -_DAY), (f"{name}To", "lt", _DAY)):
        if value := _limit(query, end):
            moment = datetime.fromisoformat(_instant(value))
            with suppress(OverflowError):  # before all, or after all, that could be found
                pairs.append((parameter, prefix + (moment + more).isoformat()))
    return pairs


def asks_for_stable(query: Query) -> bool:
    """Whether documents that do not change are wanted: there are no others here."""
    types = query.all(f"{ENTRY}Type")
    return not types or STABLE in types


def is_approved(query: Query) -> bool:
    """Whether valid associations are wanted: there are no others here."""
    statuses = query.all("$XDSAssociationStatus")
    return not statuses or APPROVED in statuses


def register(server: Server) -> export.Register:
    """This server as a registry."""
    return export.Register(server.settings.xds_source_id, server.settings.xds_repository_id)


def like(text: str, pattern: str) -> bool:
    """SQL's LIKE in any case: ``%`` is any characters, ``_`` is one."""
    text, pieces = text.casefold(), pattern.casefold().split("%")
    first, *rest = pieces
    if not rest:
        return len(text) == len(first) and _at(text, first, 0)
    if not _at(text, first, 0):
        return False
    at = len(first)
    *middle, last = rest
    for piece in middle:
        found = next((i for i in range(at, len(text) - len(piece) + 1) if _at(text, piece, i)), None)
        if found is None:
            return False
        at = found + len(piece)
    return len(text) - len(last) >= at and _at(text, last, len(text) - len(last))


def _at(text: str, piece: str, start: int) -> bool:
    if start + len(piece) > len(text):
        return False
    if "_" not in piece:
        return text.startswith(piece, start)
    return all(p in ("_", t) for p, t in zip(piece, text[start:], strict=False))


def _statuses(asked: tuple[str, ...], known: dict[str, tuple[str, ...]]) -> list[str]:
    return list(dict.fromkeys(status for each in asked for status in known.get(each, ())))


def _asks_for_online(query: Query) -> bool:
    asked = query.all(f"{ENTRY}DocumentAvailability")
    return not asked or ONLINE in asked


def _tokens(value: str) -> list[str]:
    """``code^^scheme`` as search values: the scheme is an OID, the URI it has in FHIR, or a name."""
    code, _, scheme = value.split("^")
    systems = [system_of_scheme(scheme, code) or scheme]
    if OID.fullmatch(scheme):
        systems.append(f"urn:oid:{scheme}")
    return [f"{escape(system)}|{escape(code)}" for system in dict.fromkeys(systems)]


def _instant(value: str) -> str:
    """The first moment of a time, as FHIR writes it; XDS times are in UTC."""
    time = parse(value)
    year, month, day = [*time.date.split("-"), "01", "01"][:3]
    clock = (time.clock or "00:00:00").replace(":60", ":59")  # a leap second
    return f"{year}-{month}-{day}T{clock}{time.offset or '+00:00'}"


def _created(document: Resource) -> str:
    content: Resource = next(iter(document.get("content", ())), {})
    attachment: Resource = content.get("attachment", {})
    return export.dtm(attachment.get("creation") or document.get("date", ""))


def _document_times(document: Resource) -> dict[str, str]:
    """The times of a document, as DTM."""
    period = document.get("context", {}).get("period", {})
    return {
        "CreationTime": _created(document),
        "ServiceStartTime": export.dtm(period.get("start", "")),
        "ServiceStopTime": export.dtm(period.get("end", "")),
    }


def _limit(query: Query, name: str) -> str:
    value = query.one(name)
    return "" if is_open(name, value) else value


def _is_within(time: str, query: Query, name: str) -> bool:
    """Whether a DTM is From or later and before To; it is its first moment: 2024 is 20240101000000."""
    start, end = _limit(query, f"{name}From"), _limit(query, f"{name}To")
    if not (start or end):
        return True
    moment = time + _FIRST[len(time) :]
    after = not start or export.dtm(_instant(start)) <= moment
    return bool(time) and after and (not end or moment < export.dtm(_instant(end)))


def _is_referred_to(document: Resource, query: Query) -> bool:
    """Whether each list of referenceIds has one of the document's."""
    groups = joined(query, f"{ENTRY}ReferenceIdList")
    own = [_reference_id(value) for value in export.reference_ids(document)] if groups else []
    return all(
        any(_is_same(_reference_id(value), each) for value in group for each in own) for group in groups
    )


def _reference_id(value: str) -> tuple[str, str, str]:
    """CXi as its number, authority and type."""
    parts = [*value.split("^"), "", "", "", ""]
    return parts[0], parts[3], parts[4]


def _is_same(asked: tuple[str, str, str], own: tuple[str, str, str]) -> bool:
    return all(not wanted or wanted == has for wanted, has in zip(asked, own, strict=True))


async def _written_by(found: list[Resource], patterns: tuple[str, ...], server: Server) -> list[Resource]:
    """Those with an author (as XCN) like one of the patterns."""
    if not patterns:
        return found
    known = await referred(found, server)

    def is_by(resource: Resource) -> bool:
        resolve: Callable[[str], Resource | None] = export.within(resource, known.get)
        if resource["resourceType"] == "List":
            authors = export.package_authors(resource, resolve)
        else:
            authors = [export.author_slots(author, resolve) for author in resource.get("author", ())]
        persons = [person for slots in authors for person in slots.get("authorPerson", ())]
        return any(like(person, pattern) for person in persons for pattern in patterns)

    return [each for each in found if is_by(each)]
