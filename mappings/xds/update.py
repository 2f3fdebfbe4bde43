"""Update Document Set (ITI-57): what a submission changes of the metadata that are registered.

IHE ITI TF-2 3.57 and XDS Metadata Update, https://profiles.ihe.net/ITI/TF/Volume2/ITI-57.html; DMP TD3.3
"""

import copy
from dataclasses import dataclass, field, replace
from typing import Final

from mappings.cda.xml import Node
from mappings.core.codes import UUID
from mappings.core.result import Issue, MappingError, Unreadable
from mappings.xds.ebrs import LCM
from mappings.xds.metadata import Association, Metadata, RegistryObject, metadata_of
from mappings.xds.soap import envelope, mime
from mappings.xds.soap.faults import Fault

METADATA_ERROR: Final = "XDSRegistryMetadataError"
UPDATE_ERROR: Final = "XDSMetadataUpdateError"
VERSION_ERROR: Final = "XDSMetadataVersionError"
IDENTIFIER_ERROR: Final = "XDSMetadataIdentifierError"
OPERATION_ERROR: Final = "XDSMetadataUpdateOperationError"
PATIENT_ERROR: Final = "XDSPatientIDReconciliationError"

_REQUEST: Final = f"{{{LCM}}}SubmitObjectsRequest"
_RELATIONS: Final = ("HasMember", "RPLC", "APND", "XFRM", "XFRM_RPLC", "signs", "IsSnapshotOf")


@dataclass(frozen=True, slots=True)
class Revision:
    """Other metadata of a DocumentEntry or Folder, instead of those of version ``previous``."""

    found: RegistryObject
    previous: int

    @property
    def logical_id(self) -> str:
        return self.found.logical_id.lower()


@dataclass(frozen=True, slots=True)
class StatusChange:
    """``target`` is an entryUUID, ``original`` and ``new`` are URNs of an availabilityStatus."""

    target: str
    original: str
    new: str


@dataclass(frozen=True, slots=True)
class Update:
    """What one request changes; ``links`` are associations between what is registered."""

    submission_set: RegistryObject
    revisions: list[Revision] = field(default_factory=list)
    statuses: list[StatusChange] = field(default_factory=list)
    links: list[Association] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def refused(fault: str, text: str, location: str = "", code: str = "processing") -> MappingError:
    """The update cannot be done; ``fault`` is the code of the RegistryError."""
    return MappingError(text, Issue("error", code, text, location, fault))


def read_update(raw: bytes, content_type: str = "") -> tuple[Update, Node | None]:
    """Read a whole HTTP body, as it was stored; beside it the security header.

    Raises:
        MappingError: it is no such message, or asks for what is no update.
    """
    try:
        message = mime.read(raw, content_type)
        asked = envelope.read(message.envelope, message.action)
    except (Fault, mime.UnknownMediaType) as error:
        raise Unreadable(str(error)) from None
    except envelope.VersionMismatch:
        raise Unreadable("The message is SOAP 1.1; 1.2 is read") from None
    if asked.body.tag != _REQUEST:
        raise refused(METADATA_ERROR, f"The body is no SubmitObjectsRequest but {str(asked.body.tag)[:200]}")
    try:
        metadata = metadata_of(copy.deepcopy(asked.body))
    except Unreadable as error:
        issues = (replace(issue, fault=issue.fault or METADATA_ERROR) for issue in error.issues)
        raise Unreadable(str(error), *issues) from None
    return update_of(metadata), asked.security


def update_of(metadata: Metadata) -> Update:
    """What the associations of the submission set say is to be done. Raises MappingError."""
    own = metadata.submission_set
    update = Update(own, issues=metadata.issues)
    objects = {found.id: found for found in (*metadata.entries, *metadata.folders)}
    links = {each.id: each for each in metadata.associations if each.source != own.id}
    for each in metadata.associations:
        if each.source != own.id:
            continue
        if each.type == "UpdateAvailabilityStatus":
            update.statuses.append(_status_change(each))
        elif each.type in ("HasMember", "SubmitAssociation") and each.target in links:
            pass  # what it points to is among the links, whatever points to them
        elif each.type == "HasMember" and each.target in objects:
            update.revisions.append(_revision(objects.pop(each.target), each))
        else:
            text = f"{each.type} from the submission set to {each.target[:100]!r} is no update that is known"
            raise refused(OPERATION_ERROR, text, "Association")
    for found in objects.values():
        text = (
            f"{found.kind} {found.id!r} is no member of the submission set: nothing says what to do with it"
        )
        raise refused(OPERATION_ERROR, text, f"{found.kind} {found.id!r}")
    for each in links.values():
        if each.type not in _RELATIONS:
            text = f"An association of type {each.type[:64]!r} cannot be submitted"
            raise refused(OPERATION_ERROR, text, "Association")
        update.links.append(each)
    if not (update.revisions or update.statuses or update.links):
        raise refused(OPERATION_ERROR, "The submission set changes nothing", "SubmissionSet")
    return update


def _revision(found: RegistryObject, member: Association) -> Revision:
    where = f"{found.kind} {found.id!r}"
    slots = {name.casefold(): values for name, values in member.slots.items()}
    previous = next(iter(slots.get("previousversion", [])), "")
    if not UUID.fullmatch(found.logical_id.removeprefix("urn:uuid:")):
        text = f"{where} has no lid: it is not known what it is an update of"
        raise refused(IDENTIFIER_ERROR, text, where, "required")
    if not previous.isascii() or not previous.isdigit():
        text = f"The association of {where} with the submission set has no PreviousVersion that is a number"
        raise refused(VERSION_ERROR, text, where, "required")
    if next(iter(slots.get("associationpropagation", [])), "yes").casefold() != "yes":
        text = f"{where}: AssociationPropagation is always yes here, its memberships and relations stay"
        raise refused(OPERATION_ERROR, text, where, "not-supported")
    return Revision(found, int(previous[:9]))


def _status_change(change: Association) -> StatusChange:
    slots = {name.casefold(): values for name, values in change.slots.items()}
    original, new = (next(iter(slots.get(name, [])), "") for name in ("originalstatus", "newstatus"))
    if not original or not new:
        text = "UpdateAvailabilityStatus has no OriginalStatus or no NewStatus"
        raise refused(UPDATE_ERROR, text, "Association", "required")
    return StatusChange(change.target.lower(), original, new)
