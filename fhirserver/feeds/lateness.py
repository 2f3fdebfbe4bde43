"""Messages that come late: an older ADT must not undo what a newer one of the same source has said.

When something happened is ``Provenance.recorded``: EVN-2, else MSH-7. Clocks of different sources differ, so
only messages of one source are compared.
"""

import re
from collections.abc import Iterable
from typing import Final

from fhirserver.feeds.entries import Entry
from fhirserver.feeds.lookup import Found
from fhirserver.feeds.merge import equal, merge
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.server import Server
from mappings.core.result import Issue

_NEWER: Final = 50
"""So many newer messages are looked through for one of the source."""
_CHOICE: Final = re.compile(r"\A_|(?:Boolean|DateTime|Integer)\Z")


async def keep_what_is_newer(entries: list[Entry], server: Server) -> Iterable[Issue]:
    """Let a late ADT only add to the Patient what is absent there; an issue says so.

    Raises:
        Unavailable.
    """
    events = [e.resource for e in entries if e.type == "Provenance" and _trigger(e.resource).startswith("A")]
    for entry in entries:
        if entry.type != "Patient" or not entry.asserts or not entry.found or not entry.found.resource:
            continue
        stored = entry.found.resource
        if not events or equal(merge(stored, entry.resource, entry.cleared), stored):
            continue
        if await _is_late(events[0], entry.found, server):
            entry.resource, entry.cleared = _absent(stored, entry.resource), set()
            text = "The message is older than what is stored: of the patient it only adds what is absent"
            return [Issue("information", "informational", text, "EVN-2")]
    return []


async def _is_late(event: Resource, patient: Found, server: Server) -> bool:
    """Whether a newer ADT of the same source has been processed for the patient."""
    if not event.get("recorded") or not _source(event):
        return False
    wanted = [("target", patient.stored.reference), ("recorded", f"gt{event['recorded']}")]
    page = await server.repository.search(server.compile("Provenance", wanted), None, _NEWER)
    newer = (json.stored(stored.body) for stored in page.resources)
    return any(_source(other) == _source(event) and _trigger(other).startswith("A") for other in newer)


def _absent(stored: Resource, sent: Resource) -> Resource:
    """What is sent of elements that are not stored, and of kinds that are not stored in lists that unite."""
    united = merge(sent, stored)
    taken = {_element(name) for name in stored}
    return {
        name: united[name]
        for name in sent
        if name in stored or name == "resourceType" or _element(name) not in taken
    }


def _element(name: str) -> str:
    """The element that a property is of: ``deceasedBoolean`` and ``deceasedDateTime`` are one."""
    return _CHOICE.sub("", name)


def _trigger(provenance: Resource) -> str:
    codings = provenance.get("activity", {}).get("coding", [{}])
    return str(codings[0].get("code", ""))


def _source(provenance: Resource) -> str:
    """The system of the control ids of the sender."""
    entities = provenance.get("entity", [{}])
    return str(entities[0].get("what", {}).get("identifier", {}).get("system", ""))
