"""What is published: into the inbox, through the pipeline of every submission, and answered.

Provide and Register Document Set-b (ITI-41), Register Document Set-b (ITI-42): IHE ITI TF-2 3.41, 3.42.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from lxml import etree

from fhirserver.feeds.envelope import Envelope, open_envelope
from fhirserver.feeds.lookup import find, identifier_key
from fhirserver.feeds.receive import Receipt
from fhirserver.xds import references
from fhirserver.xds.records import other_patient
from fhirserver.xds.request import SOAPRequest, XDSRefusal
from mappings.cda.xml import Node
from mappings.core.result import Issue, Unreadable
from mappings.xds.completeness import missing_attributes
from mappings.xds.datatypes import cx_to_identifier
from mappings.xds.ebrs import RegistryError, registry_response
from mappings.xds.metadata import Metadata, metadata_of
from mappings.xds.provide import REGISTER, metadata_node

INBOX: Final = "/admin/inbox"
KIND: Final = "xds"
_METADATA: Final = frozenset(
    ("structure", "required", "value", "invariant", "invalid", "duplicate", "not-found")
)
"""Codes of issues that are about what was sent."""
_TOUCHED: Final = ("Patient/", "DocumentReference/", "List/")
_DONE: Final = frozenset(("processed", "warnings", "duplicate"))


async def publish(request: SOAPRequest) -> Node:
    """Store the message as it came, have it processed, and say what became of it.

    A message that comes again byte for byte, or whose documents are known, changes nothing and succeeds.

    Raises:
        XDSRefusal: it is held, or failed; or it is not processed yet.
        Unavailable: it is not stored.
    """
    envelope = replace(
        open_envelope(KIND, etree.tostring(metadata_node(request.body)), request.origin.channel),
        event=request.action.rpartition(":")[2],
    )
    envelope = await _checked(envelope, request)
    receipt = await request.receive(KIND, envelope)
    return await answer_of(receipt, request, "Registry" if request.action == REGISTER else "Repository")


async def answer_of(receipt: Receipt, request: SOAPRequest, side: str) -> Node:
    """The RegistryResponse of what became of an input; ``side`` is Registry or Repository.

    Raises:
        XDSRefusal: it was not done, or not yet.
    """
    outcome = await receipt.outcome()
    item = receipt.item.first or receipt.item.id
    request.headers["Location"] = f"{INBOX}/{item}"
    touched = (r.partition("/_history/")[0] for r in outcome.resources if r.startswith(_TOUCHED))
    request.touched.extend(touched)
    if outcome.status in _DONE:
        return registry_response(_not_saved(outcome.unread))
    if outcome.status == "received":
        text = f"Stored (inbox item {item}), not processed yet: it need not be sent again"
        raise XDSRefusal(RegistryError(f"XDS{side}Busy", text))
    errors = [
        RegistryError(
            _code(issue, side),
            f"{issue['text']} (inbox item {item}: {outcome.status})",
            issue["location"],
        )
        for issue in outcome.issues
        if issue["severity"] == "error"
    ]
    text = f"A person has to decide (inbox item {item}: {outcome.status})"
    raise XDSRefusal(*errors or [RegistryError(f"XDS{side}Error", text)])


async def _checked(envelope: Envelope, request: SOAPRequest) -> Envelope:
    """The envelope with what is refused or held at the door; what a person replays passes."""
    try:
        metadata = metadata_of(copy.deepcopy(metadata_node(request.body)))
    except Unreadable:
        return envelope  # the mapping says why
    settings = request.server.settings
    if issue := other_patient(metadata, request):
        refusal = "AE" if settings.xds_assertions == "require" else ""
        envelope = replace(envelope, issues=(*envelope.issues, issue), refusal=refusal)
    side = "Registry" if request.action == REGISTER else "Repository"
    if settings.xds_metadata == "complete" and (
        missing := missing_attributes(metadata, f"XDS{side}MetadataError")
    ):
        return replace(envelope, issues=(*envelope.issues, *missing), refusal="AE")
    if dangling := references.dangling(metadata, f"XDS{side}MetadataError"):
        return replace(envelope, issues=(*envelope.issues, *dangling), refusal="AE")
    if foreign := await references.foreign(metadata, request.server):
        return replace(envelope, issues=(*envelope.issues, *foreign), held=True)
    if settings.xds_unknown_patients == "hold" and not await _is_known(metadata, request):
        text = "The patient is not known here"
        issue = Issue("error", "not-found", text, "patientId", "XDSUnknownPatientId")
        return replace(envelope, issues=(*envelope.issues, issue), held=True)
    return envelope


async def _is_known(metadata: Metadata, request: SOAPRequest) -> bool:
    """Whether the patient is stored. Raises Unavailable."""
    identifier = cx_to_identifier(metadata.submission_set.patient_id)
    if identifier is None:
        return True  # the mapping says why it cannot be taken
    found = await find([identifier_key("Patient", identifier)], request.server)
    return any(each.resource for matches in found.values() for each in matches)


def _code(issue: Mapping[str, str], side: str) -> str:
    if fault := issue.get("fault", ""):
        return fault
    return f"XDS{side}{'MetadataError' if issue['code'] in _METADATA else 'Error'}"


def _not_saved(unread: Sequence[str]) -> list[RegistryError]:
    """A warning where the metadata said more than is kept outside of the inbox."""
    if not unread:
        return []
    text = f"Codes or identifiers of schemes that are not read: {', '.join(unread)}"
    return [RegistryError("XDSExtraMetadataNotSaved", text, severity="Warning")]
