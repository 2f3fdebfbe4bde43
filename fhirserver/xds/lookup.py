"""The stored resources behind the ids of a document registry, found by the searches of the FHIR API."""

from collections.abc import Iterable, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from fhirserver.model import json, reference
from fhirserver.model.json import Resource
from fhirserver.operations.match import escape
from fhirserver.request import Request
from fhirserver.server import Server
from fhirserver.xds.request import XDSRefusal
from mappings.cda.datatypes import URI
from mappings.core.codes import OID
from mappings.xds import export
from mappings.xds.datatypes import cx_to_identifier, unique_id_to_identifier
from mappings.xds.ebrs import RegistryError

Pairs = list[tuple[str, str]]

SCANNED: Final = 20_000
"""So many resources a query looks at, at most."""
TOGETHER: Final = 50
"""So many ids are looked for in one search."""
_DIGITS: Final = len(str(1 << 128))


async def search(type: str, pairs: Sequence[tuple[str, str]], server: Server) -> list[Resource]:
    """All matches of a search, as it is answered to anybody.

    Raises:
        XDSRefusal: they are too many.
        FHIRError: the search is refused or cannot be done.
    """
    query: Pairs = [*pairs, ("_count", str(server.settings.page_max))]
    found: list[Resource] = []
    while query:
        result = await server.perform(Request("GET", type, query=tuple(query)))
        bundle: dict[str, Any] = json.stored(result.body)
        found += (e["resource"] for e in bundle.get("entry", ()) if e["search"]["mode"] == "match")
        if len(found) > SCANNED:
            raise too_many(SCANNED)
        links = (link["url"] for link in bundle.get("link", ()) if link["relation"] == "next")
        query = parse_qsl(urlsplit(next(links, "")).query)
    return found


def too_many(most: int) -> XDSRefusal:
    return XDSRefusal(
        RegistryError("XDSTooManyResults", f"The query finds more than {most} objects: ask for fewer")
    )


async def of_patient(cx: str, parameter: str, server: Server) -> str:
    """The value of a search's patient parameter for a patientId; "" when nobody has it.

    An id under this server's own OID (setting xds_source_id) is a logical id.

    Raises:
        XDSRefusal: it is no CX with an authority.
    """
    identifier = cx_to_identifier(cx)
    if identifier is None:
        text = f"A value of {parameter} is not 'id^^^&OID&ISO'"
        raise XDSRefusal(RegistryError("XDSRegistryError", text, parameter))
    if identifier["system"] == f"urn:oid:{server.settings.xds_source_id}":
        known = reference.is_id(identifier["value"])
        return f"Patient/{identifier['value']}" if known else ""
    token = f"{escape(identifier['system'])}|{escape(identifier['value'])}"
    patients = await search("Patient", [("identifier", token)], server)
    return ",".join(f"Patient/{patient['id']}" for patient in patients)


async def by_entry_uuid(type: str, uuids: Iterable[str], server: Server) -> list[Resource]:
    """The resources with these entryUUIDs (``urn:uuid:...``), former ones and logicalIDs, each once."""
    wanted = list(dict.fromkeys(uuids))
    tokens = [
        name for each in wanted for name in (each, f"urn:uuid:{each.removeprefix('urn:uuid:').upper()}")
    ]
    ids = [id for each in wanted for id in export.logical_ids(each, type)]
    found = await _by_identifier(type, [{"system": URI, "value": token} for token in tokens], server)
    found += await _by_id(type, ids, server)
    return _once(found)


async def by_unique_id(type: str, values: Sequence[str], server: Server) -> list[Resource]:
    """The resources with these uniqueIds (``oid``, ``oid^extension``), each once.

    Raises:
        XDSRefusal: a value is none.
    """
    identifiers: list[Resource] = []
    ids: list[str] = []
    for value in values:
        identifier = unique_id_to_identifier(value)
        if identifier is None:
            text = f"{value[:64]!r} is no uniqueId (an OID, also with ^ and an extension)"
            raise XDSRefusal(RegistryError("XDSRegistryError", text, "uniqueId"))
        identifiers.append(identifier)
        if (uuid := _uuid_of(value)) is not None:
            identifiers.append({"system": URI, "value": f"urn:uuid:{uuid}"})
            ids += export.logical_ids(uuid, type)
    found = await _by_identifier(type, identifiers, server)
    ours = await _by_id(type, ids, server)
    return _once([*found, *(each for each in ours if export.unique_id(each) in values)])


async def by_reference(names: Iterable[str], server: Server) -> dict[str, Resource]:
    """What is here of literal references, by the reference as written."""
    parsed = {name: reference.parse(name, server.base_url) for name in names}
    local = {name: p for name, p in parsed.items() if p.is_local and p.type in server.types}
    found = await server.repository.find_many([(p.type, p.id) for p in local.values()])
    return {
        name: json.stored(stored.body)
        for name, stored in zip(local, found, strict=True)
        if stored is not None and not stored.deleted
    }


async def _by_identifier(type: str, identifiers: list[Resource], server: Server) -> list[Resource]:
    found: list[Resource] = []
    tokens = [f"{escape(i['system'])}|{escape(i['value'])}" for i in identifiers]
    for start in range(0, len(tokens), TOGETHER):
        together = ",".join(tokens[start : start + TOGETHER])
        found += await search(type, [("identifier", together)], server)
    return found


async def _by_id(type: str, ids: list[str], server: Server) -> list[Resource]:
    found: list[Resource] = []
    for start in range(0, len(ids), TOGETHER):
        found += await search(type, [("_id", ",".join(ids[start : start + TOGETHER]))], server)
    return found


def _uuid_of(value: str) -> str | None:
    """The UUID that a uniqueId under 2.25 is."""
    number = value.removeprefix("2.25.")
    if number == value or not OID.fullmatch(value) or "." in number or len(number) > _DIGITS:
        return None
    if int(number) >= 1 << 128:
        return None
    text = f"{int(number):032x}"
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _once(found: list[Resource]) -> list[Resource]:
    return list({f"{each['resourceType']}/{each['id']}": each for each in found}.values())
