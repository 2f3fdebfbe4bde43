"""Changes: an input that states a part of a resource (``ifMatch: *``) needs the resource to be here.

A document's status or visibility, the cancellation of an order, the delivery of a message.
"""

from collections.abc import Iterable

from fhirserver.feeds.documents import ParentUnknown
from fhirserver.feeds.entries import Entry
from fhirserver.model.json import Resource
from mappings.core.result import Held, Issue


def check_stored(entries: Iterable[Entry]) -> None:
    """Look whether what is changed was found.

    Raises:
        ParentUnknown: a document is not here; the input waits for it.
        Held: another resource is not here.
    """
    for entry in entries:
        if not entry.changes or entry.is_stored:
            continue
        text = f"The {entry.type} that this changes is not here"
        issue = Issue("error", "not-found", text, f"{entry.type}.identifier")
        if entry.type == "DocumentReference" and entry.key:
            raise ParentUnknown(text, issue, (entry.key.token,))
        raise Held(text, issue)


def check_patients(entries: Iterable[Entry]) -> None:
    """Look whether what is changed, and an appointment, is of the patient whom the input is about.

    References in entries are those to stored resources by now.

    Raises:
        Held: it is another patient's.
    """
    for entry in entries:
        if entry.found is None or not (entry.changes or entry.type == "Appointment"):
            continue
        sent, stored = _patients(entry.resource), _patients(entry.found.resource)
        if sent and stored and sent.isdisjoint(stored):
            text = f"The stored {entry.type} is another patient's"
            raise Held(text, Issue("error", "conflict", text, entry.type))


def _patients(resource: Resource) -> set[str]:
    """References to the subject of a resource, or to the patients who take part in it."""
    actors = [part.get("actor", {}) for part in resource.get("participant", ())]
    references = (element.get("reference", "") for element in (resource.get("subject", {}), *actors))
    return {reference for reference in references if reference.startswith(("Patient/", "urn:"))}
