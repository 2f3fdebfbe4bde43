"""Every transaction leaves an AuditEvent: who, what, whose, what for. IHE ITI TF-1 9 (ATNA), TF-2 3.20

The messages of each transaction: IHE ITI TF-2 3.18.5.1, 3.41.5.1, 3.42.5.1, 3.43.5.1, 3.57.5.1.
"""

import base64
from collections.abc import Iterable
from typing import Final

from lxml import etree

from fhirserver.model.json import Resource
from fhirserver.request import Request
from fhirserver.storage.documents import instant
from fhirserver.storage.repository import now
from fhirserver.xds.request import SOAPRequest
from mappings.cda.xml import Node
from mappings.core.bundle import prune
from mappings.core.result import Element
from mappings.xds.datatypes import cx_to_identifier
from mappings.xds.ebrs import RegistryError
from mappings.xds.metadata import SET_PATIENT_ID
from mappings.xds.vihf import Assertion

TYPE: Final = "AuditEvent"
LONGEST_QUERY: Final = 64 * 1024
"""Bytes of a query that is kept."""
LONGEST_ID: Final = 1000
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_EVENT: Final = "urn:ihe:event-type-code"
_KIND: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"

EVENTS: Final = {
    "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b": ("C", "110107", "Import", "ITI-41"),
    "urn:ihe:iti:2007:RegisterDocumentSet-b": ("C", "110107", "Import", "ITI-42"),
    "urn:ihe:iti:2007:RetrieveDocumentSet": ("R", "110106", "Export", "ITI-43"),
    "urn:ihe:iti:2007:RegistryStoredQuery": ("E", "110112", "Query", "ITI-18"),
    "urn:ihe:iti:2010:UpdateDocumentSet": ("U", "110107", "Import", "ITI-57"),
}
"""wsa:Action -> action, DICOM event id and its display, transaction."""
_ENTITIES: Final = {"Patient": ("1", "1"), "DocumentReference": ("2", "3"), "List": ("2", "20")}
"""Resource type -> audit-entity-type and object-role: a person who is the patient, an object that is a report
or a job."""


async def trace(request: SOAPRequest, errors: Iterable[RegistryError] = ()) -> None:
    """Store the AuditEvent of a transaction that was performed, or of the attempt that failed.

    Nothing where the type AuditEvent is off.

    Raises:
        Unavailable: it is not stored: what was asked must not be handed out.
    """
    if TYPE in request.server.types:
        event = audit_event(request, [error.code for error in errors], instant(now()))
        await request.server.perform(Request("POST", TYPE, resource=event))


def audit_event(request: SOAPRequest, faults: list[str], recorded: str) -> Resource:
    """The AuditEvent of a request, with the codes of what it failed for."""
    action, code, display, transaction = EVENTS[request.action]
    assertion = request.assertion
    event: Resource = prune(
        {
            "resourceType": TYPE,
            "type": {"system": _DCM, "code": code, "display": display},
            "subtype": [{"system": _EVENT, "code": transaction}],
            "action": action,
            "recorded": recorded,
            "outcome": "4" if faults else "0",
            "outcomeDesc": ", ".join(dict.fromkeys(faults)),
            "purposeOfEvent": [_purpose(assertion)] if assertion else [],
            "agent": [_who(request), _here()],
            "source": {"observer": {"display": "fhirserver"}},
            "entity": [*_entities(request.touched), *_patient_meant(request), *_query(request)],
        }
    )
    return event


def _purpose(assertion: Assertion) -> Element:
    coding = [assertion.purpose] if assertion.purpose else []
    return {"coding": coding, "text": assertion.justification}


def _who(request: SOAPRequest) -> Element:
    """Who asks: a person, as the assertion says; a machine at an address otherwise."""
    assertion, address = request.assertion, request.origin.address
    agent: Element = {
        "type": {"coding": [{"system": _DCM, "code": "110153", "display": "Source Role ID"}]},
        "requestor": True,
        "network": {"address": address, "type": "2"} if address else None,
    }
    if assertion is None:
        return agent
    who = {"type": "Practitioner", "identifier": assertion.subject, "display": assertion.name}
    return agent | {
        "role": [{"coding": [role]} for role in assertion.roles],
        "who": who if assertion.subject else {"display": assertion.organization},
        "altId": assertion.software["name"],
        "name": assertion.name,
    }


def _here() -> Element:
    return {
        "type": {"coding": [{"system": _DCM, "code": "110152", "display": "Destination Role ID"}]},
        "who": {"display": "fhirserver"},
        "requestor": False,
    }


def _entities(touched: Iterable[str]) -> list[Element]:
    found = []
    for reference in dict.fromkeys(touched):
        kind, role = _ENTITIES[reference.partition("/")[0]]
        found.append(_entity({"reference": reference}, kind, role))
    return found


def _patient_meant(request: SOAPRequest) -> list[Element]:
    """The patient whom the message or its assertion names, where the transaction has touched none."""
    if any(reference.startswith("Patient/") for reference in request.touched):
        return []
    named = _patient_id(request.body)
    patient = cx_to_identifier(named) if len(named) <= LONGEST_ID else None
    patient = patient or (request.assertion.patient if request.assertion else None)
    if patient is None:
        return []
    return [_entity({"type": "Patient", "identifier": patient}, *_ENTITIES["Patient"])]


def _patient_id(body: Node) -> str:
    """The patientId of a submission set, or of a stored query; "" where none is named."""
    for node in body.iter("{*}ExternalIdentifier"):
        if node.get("identificationScheme") == SET_PATIENT_ID:
            return node.get("value") or ""
    for node in body.iter("{*}Slot"):
        if (node.get("name") or "").lower().endswith("patientid"):
            return (node.findtext("{*}ValueList/{*}Value") or "").strip("'() \n")
    return ""


def _query(request: SOAPRequest) -> list[Element]:
    """The stored query as it was asked, IHE ITI TF-2 3.18.5.1; one that is far too long is not kept."""
    if not request.action.endswith(":RegistryStoredQuery"):
        return []
    asked = etree.tostring(request.body, with_tail=False)
    if len(asked) > LONGEST_QUERY:
        return []
    id = next((q.get("id", "") for q in request.body.iter("{*}AdhocQuery")), "").strip()
    what = {"identifier": {"value": id[:100]}}
    return [_entity(what, "2", "24") | {"query": base64.b64encode(asked).decode("ascii")}]


def _entity(what: Element, kind: str, role: str) -> Element:
    return {
        "what": what,
        "type": {"system": _KIND, "code": kind},
        "role": {"system": _ROLE, "code": role},
    }
