"""MSH[Provenance], EVN[Provenance]: where the resources of a message come from.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-msh-to-provenance-source.html
"""

from urllib.parse import quote

from mappings.core.bundle import post, prune
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import DATA_ABSENT
from mappings.hl7v2.people import hd_to_reference, practitioners
from mappings.hl7v2.reader import Message
from mappings.hl7v2.segment import Field
from mappings.hl7v2.tables import TERMINOLOGY


def add_provenance(context: Context) -> None:
    """Add one Provenance for all entries so far; ``recorded`` is the message's time, never the clock's."""
    message = context.message
    evn = message.find("EVN")
    recorded = (_instant(evn[2], context) if evn else None) or _instant(message.msh[7], context)
    if evn:
        evn.mark_read(1)
    operators = practitioners(evn, 5, context) if evn else []
    of_orders = _of_orders(message, context)
    sender = hd_to_reference(message.msh[4], context) or hd_to_reference(message.msh[3], context)
    control_id = message.msh[10].text
    application = str(message.msh[3][1]) or str(message.msh[3][2])
    identifier = {
        "system": f"urn:x-hl7v2:{quote(context.source.name, safe='')}:control-id",
        "value": control_id,
    }
    targets = [e["fullUrl"] for e in context.entries if e["resource"]["resourceType"] != "Provenance"]
    provenance: Element = prune(
        {
            "resourceType": "Provenance",
            "target": [{"reference": url} for url in dict.fromkeys(targets)],
            "occurredDateTime": _date_time(evn[6], context) if evn else None,
            "recorded": recorded,
            # 1..1 in FHIR: a time nobody sent is said to be unknown
            "_recorded": None if recorded else {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]},
            "activity": context.table_concept("0003", message.trigger),
            "agent": [
                _agent("author", sender or {"display": context.source.name}),
                *(_agent("enterer", who) for who in operators),
                *of_orders,
                _agent("assembler", {"type": "Device", "display": "mappings.hl7v2"}),
            ],
            "entity": [
                {
                    "role": "source",
                    "what": {
                        "identifier": identifier if control_id else None,
                        "display": " ".join(filter(None, (application, message.event))),
                    },
                }
            ],
        }
    )
    url = context.url("Provenance", *message.msh.raw.split(message.delimiters.field))
    context.entries.append(post(url, provenance))


def _of_orders(message: Message, context: Context) -> list[Element]:
    """ORC[Provenance]: who entered and who verified the orders of the message, each once."""
    agents = [
        _agent(kind, who)
        for orc in message.all("ORC")
        for number, kind in ((10, "enterer"), (11, "verifier"))
        for who in practitioners(orc, number, context)
    ]
    return [agent for position, agent in enumerate(agents) if agent not in agents[:position]]


def _agent(kind: str, who: Element) -> Element:
    coding = {"system": f"{TERMINOLOGY}provenance-participant-type", "code": kind}
    return {"type": {"coding": [coding]}, "who": who}


def _instant(value: Field, context: Context) -> str | None:
    """As instant; a day is its midnight in the message's zone, because Provenance must say when."""
    time = context.time(value)
    if time is None:
        return None
    if len(time.date) < 10:
        return None
    if not time.clock:
        time = type(time)(time.date, "00:00:00").in_zone(context.zone)
    return time.instant()


def _date_time(value: Field, context: Context) -> str | None:
    time = context.time(value)
    return time.date_time() if time else None
