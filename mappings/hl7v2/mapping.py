"""Messages to Bundles: which trigger event maps how. https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html"""

from collections.abc import Callable
from typing import Final

from mappings.core.bundle import transaction
from mappings.core.result import Element, Held, Issue, Mapped, NoMapping
from mappings.core.source import Source
from mappings.hl7v2.adt import ADT_EVENTS
from mappings.hl7v2.clearing import cleared
from mappings.hl7v2.clinical import CLINICAL_EVENTS
from mappings.hl7v2.context import Context, context_of
from mappings.hl7v2.metadata import is_kept_out
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.provenance import add_provenance
from mappings.hl7v2.reader import Message

_ENVELOPE: Final = (5, 6, 8, 9, 11, 12, 13, 15, 16, 17, 18, 19, 21)
"""MSH fields that are about the transport, not about anyone's health."""


_KEPT_OUT: Final = "Not meant for the shared record (DESTDMP is N): nothing of the message is stored in it"


def to_bundle(message: Message, source: Source) -> Mapped:
    """Map a message to a transaction Bundle; the same message always gives the same Bundle.

    Raises:
        NoMapping: its trigger event has none.
        Held: a person must decide: nobody or another person is identified, or content cannot be read.
    """
    event = message.event
    mapping = EVENTS.get(event)
    if mapping is None:
        where = (
            "MSH-9.2"
            if any(known.partition("^")[0] == event.partition("^")[0] for known in EVENTS)
            else "MSH-9"
        )
        text = f"There is no mapping for {event[:20] or 'a message without MSH-9'}"
        raise NoMapping(text, Issue("error", "not-supported", text, where))
    _check_whole(message)
    context = context_of(message, source)
    if is_kept_out(message, context):
        context.issue("warning", "business-rule", _KEPT_OUT, "OBX-5")
        empty = {"resourceType": "Bundle", "type": "transaction"}
        return Mapped(empty, list(dict.fromkeys(context.issues)))
    subject = mapping(message, context)
    if context.entries:
        add_provenance(context)
    _report_repetitions(context)
    bundle = transaction(context.entries)
    for entry in bundle["entry"]:
        request = entry["request"]
        if request["method"] == "PUT" and "ifMatch" not in request and (names := cleared(entry["resource"])):
            context.cleared.setdefault(entry["fullUrl"], set()).update(names)
    if not context.entries:
        del bundle["entry"]
    message.msh.mark_read(*_ENVELOPE)
    return Mapped(
        bundle=bundle,
        issues=list(dict.fromkeys(context.issues)),
        unread=message.unread(),
        cleared=context.cleared,
        patient=subject.key if subject else "",
        unmapped=context.unmapped,
        effects=context.effects,
    )


EVENTS: Final[dict[str, Callable[[Message, Context], Subject | None]]] = {
    **ADT_EVENTS,
    **CLINICAL_EVENTS,
}
"""Message code and trigger event -> how its entries are made."""


def _check_whole(message: Message) -> None:
    """Raises Held: the message is a fragment (DSC, or ADD and MSH-14); half a message would say what nobody
    said."""
    dsc = message.find("DSC")
    if dsc is not None and str(dsc[1]) and str(dsc[2]).upper() != "I":
        text = "The message goes on in another one"
        raise Held(text, Issue("error", "incomplete", text, "DSC-1"))
    if message.find("ADD") is not None and message.msh[14]:
        text = "The message continues another one, with which it did not come"
        raise Held(text, Issue("error", "incomplete", text, "MSH-14"))


def _report_repetitions(context: Context) -> None:
    """Say where a message states the same thing twice, differently: the first is kept."""
    first: dict[str, Element] = {}
    for entry in context.entries:
        kept = first.setdefault(entry["fullUrl"], entry)
        if kept["resource"] != entry["resource"] and entry["request"]["method"] == "PUT":
            text = f"The same {entry['resource']['resourceType']} twice, differently: the first is kept"
            context.issue("warning", "duplicate", text, "")
