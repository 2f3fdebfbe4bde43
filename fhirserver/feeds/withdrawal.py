"""Documents that an input takes back (HL7v2 result or document deleted): by whom, and what goes with them.

CI-SIS, application error 901; DMP TD3.3c. ``$withdraw`` is the same over FHIR.
"""

from fhirserver.feeds.entries import Entry
from fhirserver.interactions.authorship import may_withdraw, parties
from fhirserver.model.json import Resource
from fhirserver.server import Server
from mappings.core.result import Held, Issue

_GONE = "entered-in-error"


async def withdrawn(entries: list[Entry], server: Server) -> tuple[list[str], list[Issue]]:
    """The references of the stored documents that entries withdraw, and remarks.

    An input that names nobody is taken for its sender's, who is known to the inbox; a remark says so.

    Raises:
        Held: it names authors and organizations, and none of them made the document.
        Unavailable.
    """
    references: list[str] = []
    issues: list[Issue] = []
    known = _known(entries)
    for entry in entries:
        if entry.type != "DocumentReference" or entry.found is None or not entry.is_stored or entry.dropped:
            continue
        stored: Resource = entry.found.resource
        if not entry.asserts or entry.resource.get("status") != _GONE or stored.get("status") == _GONE:
            continue
        asks = await parties(entry.resource, server, known)
        if not (asks[0] or asks[1]):
            text = "The document is withdrawn by nobody in particular: the sender's word is taken"
            issues.append(Issue("information", "informational", text, "DocumentReference.author"))
        elif not may_withdraw(server.settings.document_withdrawal, await parties(stored, server), asks):
            text = "901 Only the author of a document, or the same organization, can withdraw it"
            raise Held(text, Issue("error", "forbidden", text, "DocumentReference.author"))
        references.append(entry.found.stored.reference)
    return references, issues


def _known(entries: list[Entry]) -> dict[str, Resource]:
    """What the input says of practitioners and organizations, by the references it has for them."""
    known = {}
    for entry in entries:
        known[entry.url] = entry.resource
        if entry.id and not entry.is_stored:
            known[f"{entry.type}/{entry.id}"] = entry.resource
    return known
