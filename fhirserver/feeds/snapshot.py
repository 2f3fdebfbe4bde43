"""Lists that a source states as a whole: what it does not list any more is not so any more, for this source.

Nothing is deleted: an allergy becomes inactive, a relative's period ends, a number becomes old.
"""

from typing import Any, Final

from fhirserver.feeds.entries import Entry
from fhirserver.feeds.lateness import Newer
from fhirserver.feeds.lookup import Found
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.server import Server
from mappings.core.effects import Snapshot
from mappings.core.result import Issue

_MOST: Final = 1000
"""So many listed resources of a patient are looked at."""
_CLINICAL: Final = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"


async def find_lists(entries: list[Entry], snapshots: list[Snapshot], server: Server) -> list[Found]:
    """What is stored of the lists that the input states; entries that say the same are found by it.

    Raises:
        Unavailable.
    """
    by_url = {entry.url: entry for entry in entries}
    stored: list[Found] = []
    for snapshot in snapshots:
        patient = by_url.get(snapshot.patient)
        if patient is None or patient.found is None or not patient.is_stored:
            continue
        if snapshot.type == "Patient":
            _old_numbers(patient)
        elif snapshot.type in server.types:
            stored += await _listed(snapshot, patient.found.stored.reference, server)
    _recognise(entries, stored)
    return stored


def end_what_is_not_listed(
    entries: list[Entry], stored: list[Found], newer: Newer
) -> tuple[dict[str, tuple[Found, Resource]], list[Issue]]:
    """What is stored of the lists and not among the entries, by reference, with what it becomes.

    The input's Provenance names it too. A late list ends nothing.
    """
    if newer.references:
        return {}, _inactive_when_new(entries, newer)
    told = next((entry for entry in entries if entry.type == "Provenance"), None)
    time = str(told.resource.get("recorded", "")) if told else ""
    there = {entry.found.stored.reference for entry in entries if entry.found}
    changes = {
        found.stored.reference: (found, now)
        for found in stored
        if found.stored.reference not in there and (now := _ended(found.resource, time)) is not None
    }
    if told and changes:
        targets = [*told.resource["target"], *({"reference": reference} for reference in changes)]
        told.resource = {**told.resource, "target": targets}
    return changes, []


async def _listed(snapshot: Snapshot, patient: str, server: Server) -> list[Found]:
    query = server.compile(snapshot.type, [("patient", patient)])
    page = await server.repository.search(query, None, _MOST)
    found = [Found(stored, json.stored(stored.body)) for stored in page.resources]
    return [f for f in found if f.resource.get("meta", {}).get("source") == snapshot.source]


def _recognise(entries: list[Entry], stored: list[Found]) -> None:
    """Take an entry that was not found for the stored one that says the same of the same patient.

    The identifiers that the mappings derive are made of the patient's number, which changes: with a merge, or
    when the national identity comes to be known.
    """
    taken = {entry.found.stored.reference for entry in entries if entry.found}
    by_content = {_content(f.resource): f for f in stored if f.stored.reference not in taken}
    for entry in entries:
        if entry.type == "AllergyIntolerance" and entry.asserts and entry.found is None:
            found = by_content.pop(_content(entry.resource), None)
            if found is not None:
                entry.found, entry.id = found, found.stored.id


def _inactive_when_new(entries: list[Entry], newer: Newer) -> list[Issue]:
    """What a late list has and a later one had not was so once: it is new, and over."""
    count = 0
    for entry in entries:
        if entry.type == "AllergyIntolerance" and not entry.is_stored and newer.lists(entry.type):
            entry.resource = _inactive(entry.resource)
            count += 1
    text = f"{count} allergies are not in a later list of the source: inactive"
    return [Issue("information", "informational", text, "EVN-2")] if count else []


def _old_numbers(patient: Entry) -> None:
    """Let the stored numbers that a list of a patient's numbers (PID-3) leaves out be old ones: those of the
    systems it has a number of."""
    sent = patient.resource.get("identifier", [])
    systems = {i.get("system") for i in sent}
    known = {(i.get("system"), i.get("value")) for i in sent}
    gone = [
        i
        for i in patient.stored.get("identifier", ())
        if i.get("system") in systems
        and (i.get("system"), i.get("value")) not in known
        and i.get("use") != "old"
    ]
    if gone:
        patient.resource = {
            **patient.resource,
            "identifier": [*sent, *({**i, "use": "old"} for i in gone)],
        }


def _ended(resource: Resource, time: str) -> Resource | None:
    if resource["resourceType"] == "AllergyIntolerance":
        return _inactive(resource) if _is_active(resource) else None
    if resource["resourceType"] == "RelatedPerson" and resource.get("active", True):
        period = {**resource.get("period", {}), "end": time} if time else resource.get("period")
        return {**resource, "active": False} | ({"period": period} if period else {})
    return None


def _is_active(allergy: Resource) -> bool:
    codings = allergy.get("clinicalStatus", {}).get("coding", ())
    return any(coding.get("code") == "active" for coding in codings)


def _inactive(allergy: Resource) -> Resource:
    if not _is_active(allergy):
        return allergy
    return {**allergy, "clinicalStatus": {"coding": [{"system": _CLINICAL, "code": "inactive"}]}}


def _content(allergy: Resource) -> Any:
    code = allergy.get("code", {})
    codings = [(c.get("system"), c.get("code")) for c in code.get("coding", ())]
    return tuple(codings) or " ".join(str(code.get("text", "")).casefold().split())
