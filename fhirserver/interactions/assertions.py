"""What documents assert, and taking it back when they are replaced or withdrawn.

The Provenance of a document's content names the document as its source and the content as its targets.
https://hl7.org/fhir/R4/provenance.html
"""

import asyncio
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Final

from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.storage.documents import Stored

if TYPE_CHECKING:
    from fhirserver.server import Server

NULLIFY: Final = {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "NULLIFY"}
_MOST: Final = 200
"""So many Provenances of one document or resource are looked at."""
_ERROR: Final = "entered-in-error"
_TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem/"
_STATUS: Final = ("Immunization", "Observation", "DiagnosticReport", "Procedure", "Specimen")
"""What happened once: a version that says no more of it corrects an error."""
_CLINICAL: Final = {"AllergyIntolerance": "allergyintolerance", "Condition": "condition"}
"""What lasts: a version that says no more of it leaves it inactive; the type's name in its code systems."""


async def taken_back(
    documents: Collection[str], kept: Collection[str], server: "Server", *, in_error: bool = False
) -> list[tuple[Stored, Resource]]:
    """What only these documents asserted, but for what is ``kept`` (references), and what becomes of it.

    ``in_error``: the documents never should have been, so nothing they asserted was right.

    Raises:
        Unavailable.
    """
    found = await asyncio.gather(*(_targets(document, server) for document in documents))
    candidates = [reference for targets in found for reference in targets if reference not in kept]
    candidates = list(dict.fromkeys(candidates))
    asserted = await asyncio.gather(*(_asserted_elsewhere(c, documents, server) for c in candidates))
    gone = [c for c, elsewhere in zip(candidates, asserted, strict=True) if not elsewhere]
    stored = await _read(gone, server)
    changes = ((one, retracted(json.stored(one.body), in_error=in_error)) for one in stored)
    return [(one, resource) for one, resource in changes if resource is not None]


def retracted(resource: Resource, *, in_error: bool = False) -> Resource | None:
    """A resource that nobody asserts any more; None when that changes nothing."""
    type = resource["resourceType"]
    if type in _STATUS:
        changed = {**resource, "status": _ERROR}
    elif type == "MedicationStatement":
        # R4 has no "inactive" here, and nobody has said that the treatment was stopped.
        changed = {**resource, "status": _ERROR if in_error else "unknown"}
    elif type == "Communication" and in_error:  # else it was sent, of whichever version
        changed = {**resource, "status": _ERROR}
    elif type in _CLINICAL:
        changed = _inactive(resource, f"{_TERMINOLOGY}{_CLINICAL[type]}", in_error)
    else:
        return None
    return changed if changed != resource else None


def _inactive(resource: Resource, system: str, in_error: bool) -> Resource:
    def coded(name: str, code: str) -> Resource:
        return {"coding": [{"system": f"{system}-{name}", "code": code}]}

    if in_error:
        # ait-2, con-5: what was entered in error has no clinical status
        left = {name: value for name, value in resource.items() if name != "clinicalStatus"}
        return {
            **left,
            "verificationStatus": coded("ver-status" if "condition" in system else "verification", _ERROR),
        }
    verification = resource.get("verificationStatus", {}).get("coding", [{}])[0].get("code")
    if verification in (_ERROR, "refuted"):
        return resource
    status = resource.get("clinicalStatus", {}).get("coding", [{}])[0].get("code")
    if status in ("inactive", "resolved", "remission"):
        return resource
    return {**resource, "clinicalStatus": coded("clinical", "inactive")}


def provenance(
    targets: Iterable[str], documents: Iterable[str], agents: list[Resource], recorded: str, reason: str = ""
) -> Resource:
    """The Provenance of taking back: what (``targets``), because which documents are no longer valid."""
    made: Resource = {
        "resourceType": "Provenance",
        "target": [{"reference": reference} for reference in targets],
        "recorded": recorded,
        "activity": {"coding": [NULLIFY]},
        "agent": agents,
        "entity": [{"role": "removal", "what": {"reference": reference}} for reference in documents],
    }
    if reason:
        made["reason"] = [{"text": reason}]
    return made


async def _targets(document: str, server: "Server") -> list[str]:
    """The content of a document, as its Provenances name it."""
    provenances = await _provenances([("entity", document)], server)
    return [
        target["reference"]
        for each in provenances
        if document in _sources(each)
        for target in each.get("target", ())
        if target.get("reference", document) != document
    ]


async def _asserted_elsewhere(reference: str, documents: Collection[str], server: "Server") -> bool:
    """Whether another document, that is current, asserts it, too."""
    provenances = await _provenances([("target", reference)], server)
    others = {source for each in provenances for source in _sources(each)} - set(documents)
    stored = await _read([name for name in others if name.startswith("DocumentReference/")], server)
    return any(json.stored(one.body).get("status") == "current" for one in stored)


async def _provenances(pairs: list[tuple[str, str]], server: "Server") -> list[Resource]:
    if "Provenance" not in server.types:
        return []
    page = await server.repository.search(server.compile("Provenance", pairs), None, _MOST)
    return [json.stored(stored.body) for stored in page.resources]


def _sources(provenance: Resource) -> set[Any]:
    entities = (entity for entity in provenance.get("entity", ()) if entity.get("role") == "source")
    return {entity.get("what", {}).get("reference") for entity in entities} - {None}


async def _read(references: Iterable[str], server: "Server") -> list[Stored]:
    pairs = [(type, id) for type, _, id in (name.partition("/") for name in references) if id]
    stored = await server.repository.find_many(pairs)
    return [one for one in stored if one is not None and not one.deleted]
