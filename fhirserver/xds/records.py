"""Whose record an assertion opens (its resource-id), and that nobody else's is written or read with it."""

from typing import Final, Literal

from fhirserver.xds.lookup import by_reference
from fhirserver.xds.request import SOAPRequest, XDSRefusal
from fhirserver.xds.security import LOCATION
from mappings.core.identity import is_ins
from mappings.core.result import Element, Issue
from mappings.xds.datatypes import cx_to_identifier
from mappings.xds.ebrs import RegistryError
from mappings.xds.metadata import Metadata

_FAULT: Final = "XDSPatientIdDoesNotMatch"


def other_patient(metadata: Metadata, request: SOAPRequest) -> Issue | None:
    """What is to be said where the assertion is about another patient than the submission."""
    meant = request.assertion.patient if request.assertion else None
    patient = cx_to_identifier(metadata.submission_set.patient_id)
    if meant is None or patient is None:
        return None
    comparable = meant["system"] == patient["system"] or (is_ins(meant) and is_ins(patient))
    if not comparable or _is_same(meant, patient):
        return None
    severity: Literal["error", "warning"] = (
        "error" if request.server.settings.xds_assertions == "require" else "warning"
    )
    text = "The assertion is about another patient than the submission"
    return Issue(severity, "business-rule", text, LOCATION, _FAULT)


async def check_record(request: SOAPRequest) -> None:
    """Look whether what is to be handed out (``touched``) is of the patient whom a required assertion names.

    Raises:
        XDSRefusal: some of it is of another one, or of somebody who is not known by that identifier.
        Unavailable.
    """
    touched = {reference for reference in request.touched if reference.startswith("Patient/")}
    assertion = request.assertion
    if request.server.settings.xds_assertions != "require" or assertion is None or not touched:
        return
    meant = assertion.patient
    if meant is None:
        return
    for patient in (await by_reference(touched, request.server)).values():
        if not any(_is_same(meant, identifier) for identifier in patient.get("identifier", ())):
            raise XDSRefusal(RegistryError(_FAULT, "The assertion is about another patient", LOCATION))


def _is_same(one: Element, other: Element) -> bool:
    """Whether two identifiers are one; an INS is, whatever its OID."""
    same_kind = one.get("system") == other.get("system") or (is_ins(one) and is_ins(other))
    return same_kind and one.get("value") == other.get("value")
