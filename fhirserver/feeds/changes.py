"""Changes: an input that states a part of a resource (``ifMatch: *``) needs the resource to be here.

A document's status or visibility, the cancellation of an order, the delivery of a message.
"""

from collections.abc import Iterable

from fhirserver.feeds.documents import ParentUnknown
from fhirserver.feeds.entries import Entry
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
    """Look whether what is changed is of the patient whom the input is about.

    References in entries are those to stored resources by now.

    Raises:
        Held: it is another patient's.
    """
    for entry in entries:
        if not entry.changes or entry.found is None:
            continue
        sent, stored = (r.get("subject", {}).get("reference") for r in (entry.resource, entry.found.resource))
        if sent and stored and sent != stored:
            text = f"The {entry.type} that this changes is another patient's"
            raise Held(text, Issue("error", "conflict", text, f"{entry.type}.subject"))
