"""Update Document Set (ITI-57): into the inbox like every submission, and what became of it.

https://profiles.ihe.net/ITI/TF/Volume2/ITI-57.html, docs/feeds/xds.md
"""

import copy
from dataclasses import replace
from typing import Final

from fhirserver.feeds.envelope import open_envelope
from fhirserver.xds.publish import answer_of
from fhirserver.xds.request import SOAPRequest
from mappings.cda.xml import Node
from mappings.core.result import Issue, Unreadable
from mappings.xds.completeness import missing_attributes
from mappings.xds.metadata import metadata_of

KIND: Final = "xds-update"


def _missing(request: SOAPRequest) -> list[Issue]:
    """What XDS requires and the metadata do not have: what is not sent would be gone."""
    try:
        metadata = metadata_of(copy.deepcopy(request.body))
    except Unreadable:
        return []  # processing says why
    return missing_attributes(metadata, "XDSRegistryMetadataError")


async def update(request: SOAPRequest) -> Node:
    """Store the message as it came, have it processed, and say what became of it.

    Raises:
        XDSRefusal: it was refused, or is not done yet.
        Unavailable: it is not stored.
    """
    envelope = replace(
        open_envelope(KIND, request.message.envelope, request.origin.channel),
        event=request.action.rpartition(":")[2],
    )
    if request.server.settings.xds_metadata == "complete" and (missing := _missing(request)):
        envelope = replace(envelope, issues=(*envelope.issues, *missing), refusal="AE")
    receipt = await request.receiver.receive(
        request.raw,
        KIND,
        request.origin,
        content_type=request.content_type,
        issues=request.remarks,
        envelope=request.receiver.admit(envelope, request.origin),
    )
    return await answer_of(receipt, request, "Registry")
