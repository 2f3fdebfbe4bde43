"""What the associations of a submission name: objects of it, or registered ones of the same patient.

IHE ITI TF-2 3.42.4.1.3, https://profiles.ihe.net/ITI/TF/Volume2/ITI-42.html
"""

from typing import Final

from fhirserver.model.json import Resource
from fhirserver.server import Server
from fhirserver.xds.lookup import by_entry_uuid, of_patient
from mappings.core.codes import UUID
from mappings.core.result import Issue
from mappings.xds import export
from mappings.xds.datatypes import cx_to_identifier
from mappings.xds.metadata import Association, Metadata

_UNRESOLVED: Final = "UnresolvedReferenceException"
_MISMATCH: Final = "XDSPatientIdDoesNotMatch"
_DEPRECATED: Final = "XDSRegistryDeprecatedDocumentError"
_ON_CURRENT: Final = frozenset(("APND", "XFRM", "XFRM_RPLC"))
"""Relations to what is Approved; of a replacement is decided when it is processed."""


def dangling(metadata: Metadata, fault: str) -> list[Issue]:
    """Associations of an object with itself, or with a name that nothing in the submission has."""
    own = _own(metadata)
    issues = []
    for each in metadata.associations:
        if each.source == each.target:
            text = f"The {each.type} association is of {each.source[:100]!r} with itself"
            issues.append(Issue("error", "invalid", text, _where(each), fault))
        for name in (each.source, each.target):
            if name not in own and not _is_uuid(name):
                text = f"The {each.type} association names {name[:100]!r}, which is not in the submission"
                issues.append(Issue("error", "not-found", text, _where(each), _UNRESOLVED))
    return issues


async def foreign(metadata: Metadata, server: Server) -> list[Issue]:
    """Registered members and folders that are not here or another patient's; what is added to a document that
    was replaced.

    Raises:
        Unavailable.
    """
    own = _own(metadata)
    asked: dict[str, Association] = {}
    for each in metadata.associations:
        if each.type == "HasMember" or each.type in _ON_CURRENT:
            asked |= {name.lower(): each for name in (each.source, each.target) if name not in own}
    if not asked or cx_to_identifier(metadata.submission_set.patient_id) is None:
        return []  # the mapping says why it cannot be taken
    found = await by_entry_uuid("DocumentReference", asked, server)
    found += await by_entry_uuid("List", asked, server)
    patients = (await of_patient(metadata.submission_set.patient_id, "patientId", server)).split(",")
    issues = []
    for name, association in asked.items():
        named = next((each for each in found if name in _names(each)), None)
        is_member = association.type == "HasMember"
        if named is None and is_member:
            text, fault = f"There is nothing with the entryUUID {name}", _UNRESOLVED
        elif named and is_member and named.get("subject", {}).get("reference") not in patients:
            text, fault = f"What has the entryUUID {name} is another patient's", _MISMATCH
        elif named and not is_member and named.get("status") != "current":
            text, fault = f"{association.type} of a document that is not current: {name}", _DEPRECATED
        else:
            continue
        issues.append(Issue("error", "not-found", text, _where(association), fault))
    return issues


def _own(metadata: Metadata) -> set[str]:
    named = {each.id for each in (metadata.submission_set, *metadata.entries, *metadata.folders)}
    return (named | {each.id for each in metadata.associations}) - {""}


def _is_uuid(name: str) -> bool:
    return UUID.fullmatch(name.removeprefix("urn:uuid:")) is not None


def _names(resource: Resource) -> set[str]:
    """All entryUUIDs that a resource has, or had."""
    values = {str(identifier.get("value", "")).lower() for identifier in resource.get("identifier", ())}
    return values | {export.entry_id(resource), f"urn:uuid:{resource['id']}"}


def _where(association: Association) -> str:
    return f"Association {association.id!r}"
