"""Update Document Set (ITI-57): into the inbox like every submission, and what became of it.

https://profiles.ihe.net/ITI/TF/Volume2/ITI-57.html, docs/feeds/xds.md
"""

import copy
from dataclasses import replace
from typing import Final

from fhirserver.feeds.envelope import Envelope, open_envelope
from fhirserver.xds.publish import answer_of
from fhirserver.xds.records import other_patient
from fhirserver.xds.request import SOAPRequest
from mappings.cda.xml import Node
from mappings.core.result import Unreadable
from mappings.xds.completeness import missing_attributes
from mappings.xds.metadata import metadata_of

KIND: Final = "xds-update"


def _checked(envelope: Envelope, request: SOAPRequest) -> Envelope:
    """The envelope with what is refused at the door; what is not sent of metadata would be gone."""
    try:
        metadata = metadata_of(copy.deepcopy(request.body))
    except Unreadable:
        return envelope  # processing says why
    settings = request.server.settings
    refusal = ""
    issues = list(envelope.issues)
    if issue := other_patient(metadata, request):
        issues.append(issue)
        refusal = "AE" if settings.xds_assertions == "require" else ""
    if settings.xds_metadata == "complete" and (
        missing := missing_attributes(metadata, "XDSRegistryMetadataError")
    ):
        issues += missing
        refusal = "AE"
    return replace(envelope, issues=tuple(issues), refusal=refusal or envelope.refusal)


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
    envelope = _checked(envelope, request)
    return await answer_of(await request.receive(KIND, envelope), request, "Registry")
