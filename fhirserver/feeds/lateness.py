"""Messages that come late: an older one must not undo what a newer one of the same source has said.

When something happened is ``Provenance.recorded``: EVN-2, else MSH-7. Clocks of different sources differ, so
only messages of one source are compared, and only those of one kind (ADT with ADT, results with results).
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Final

from fhirserver.feeds.entries import Entry
from fhirserver.feeds.merge import absent, equal
from fhirserver.feeds.places import is_in_order, joined
from fhirserver.model import json
from fhirserver.model.json import Resource
from fhirserver.search.query import Range
from fhirserver.server import Server
from mappings.core.effects import Movement
from mappings.core.result import Issue

_FILLED: Final = frozenset(
    {"Patient", "RelatedPerson", "Encounter", "AllergyIntolerance", "Condition", "Practitioner"}
)
"""To these a late message adds what is absent; of other resources it says what was once, and changes none."""
_APART: Final = frozenset({"Binary", "DocumentReference", "List", "Provenance"})
"""Documents have versions of their own."""

_FINALITY: Final = {
    "registered": 0,
    "partial": 1,
    "preliminary": 1,
    "final": 2,
    "amended": 3,
    "appended": 3,
    "corrected": 3,
}
"""Status of an Observation or DiagnosticReport -> what it does not go back behind."""


@dataclass(slots=True)
class Newer:
    """What newer messages of the same source were about: references. ``lists`` says that one of them was
    about allergies or relatives, so that it had a later list of them."""

    references: set[str] = field(default_factory=set)

    def lists(self, type: str) -> bool:
        return any(reference.startswith(f"{type}/") for reference in self.references)


async def keep_what_is_newer(
    entries: list[Entry], server: Server, zone: tzinfo, *, snapshot: bool
) -> tuple[Newer, list[Issue]]:
    """Let a late message only add what is absent, or nothing; an issue says so.

    Args:
        snapshot: the message has lists, whose effects depend on whether it is late.

    Raises:
        Unavailable.
    """
    issues = _keep_final(entries)
    event = next((e.resource for e in entries if e.type == "Provenance" and _trigger(e.resource)), None)
    changing = [entry for entry in entries if _changes(entry, zone)]
    patients = [e for e in entries if e.type == "Patient" and e.is_stored and snapshot]
    if event is None or not (changing or patients):
        return Newer(), issues
    newer = await _newer(event, [e.found.stored.reference for e in (*changing, *patients) if e.found], server)
    late = [e for e in changing if e.found and e.found.stored.reference in newer.references]
    for entry in late:
        _hold_back(entry, zone)
    if late:
        types = ", ".join(sorted({entry.type for entry in late}))
        text = f"The message is older than what is stored ({types}): it only adds what is absent"
        issues.append(Issue("information", "informational", text, "EVN-2"))
    return newer, issues


def _keep_final(entries: list[Entry]) -> list[Issue]:
    """Leave out results that are less final than what is stored: P after F, F after C."""
    kept = 0
    for entry in entries:
        if entry.type in ("Observation", "DiagnosticReport") and entry.asserts and entry.is_stored:
            sent, stored = entry.resource.get("status"), entry.stored.get("status")
            wrong = stored == "entered-in-error" and sent in ("registered", "partial", "preliminary")
            if wrong or _FINALITY.get(str(sent), 9) < _FINALITY.get(str(stored), 0):
                entry.dropped = True
                kept += 1
    text = f"{kept} results are less final than what is stored: left out"
    return [Issue("information", "informational", text, "OBX-11")] if kept else []


def _changes(entry: Entry, zone: tzinfo) -> bool:
    if not entry.asserts or not entry.is_stored or entry.dropped or entry.type in _APART:
        return False
    return not equal(joined(entry, zone), entry.stored)


async def _newer(event: Resource, references: list[str], server: Server) -> Newer:
    """What newer messages of the same source and kind, about one of these, were about."""
    newer = Newer()
    recorded, source = event.get("recorded"), _source(event)
    if not recorded or not source:
        return newer
    later = server.compile("Provenance", [("recorded", f"gt{recorded}")]).condition
    assert isinstance(later, Range)
    keys = [f"target|{reference}" for reference in dict.fromkeys(references)]
    for stored in await server.repository.lookups.beyond("Provenance", keys, later):
        other = json.stored(stored.body)
        if _source(other) == source and _kind(other) == _kind(event):
            newer.references |= set(_targets(other))
    return newer


def _hold_back(entry: Entry, zone: tzinfo) -> None:
    """Let an entry only add: elements that are absent, places the patient has been in before."""
    if entry.type not in _FILLED:
        entry.dropped = True
        return
    entry.resource, entry.cleared = _with_parts(entry.stored, entry.resource, zone), set()
    entry.withdrawn = {}
    movement = entry.movement
    if movement and movement.action == "update":
        entry.movement = Movement("none", movement.time)
    if movement and movement.action == "cancel" and not movement.identifier:
        entry.movement = Movement("none", movement.time)


def _with_parts(stored: Resource, sent: Resource, zone: tzinfo) -> Resource:
    """What is absent, and of a period or stay the parts that are; the places for their history."""
    added = absent(stored, sent)
    if sent.get("resourceType") == "Encounter":
        for name in ("period", "hospitalization"):
            if name in sent and name in stored:
                added[name] = {**sent[name], **stored[name]}
        period = added.get("period", {})
        if not is_in_order(period.get("start"), period.get("end"), zone):
            added["period"] = stored["period"]
        if "location" in sent:
            added["location"] = sent["location"]
    return added


def _trigger(provenance: Resource) -> str:
    """The event of a message (HL7 table 0003, or a text); "" of another Provenance."""
    activity = provenance.get("activity", {})
    codings: Iterable[Resource] = activity.get("coding", ())
    code = next((str(c["code"]) for c in codings if str(c.get("system", "")).endswith("v2-0003")), "")
    return code or str(activity.get("text", ""))  # an event that the table lacks: Z99


def _kind(provenance: Resource) -> str:
    """The first letter of the event tells visits from results; Z99 (PAM France) is about visits."""
    trigger = _trigger(provenance)
    return "A" if trigger == "Z99" else trigger[:1]


def _source(provenance: Resource) -> str:
    """The system of the control ids of the sender."""
    entities = provenance.get("entity", [{}])
    return str(entities[0].get("what", {}).get("identifier", {}).get("system", ""))


def _targets(provenance: Resource) -> Iterable[str]:
    for target in provenance.get("target", ()):
        yield "/".join(str(target.get("reference", "")).split("/")[:2])
