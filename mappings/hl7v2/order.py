"""ORC[ServiceRequest], OBR[ServiceRequest], TQ1[ServiceRequest]: what was ordered.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-orc-to-servicerequest.html
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from mappings.core.bundle import change, mention, prune, put
from mappings.core.result import Element
from mappings.hl7v2.context import Context
from mappings.hl7v2.datatypes import (
    cwe_to_codeable_concept,
    dr_to_period,
    dtm_to_date_time,
    ei_to_identifier,
)
from mappings.hl7v2.groups import Order
from mappings.hl7v2.observation import annotation
from mappings.hl7v2.participation import participants
from mappings.hl7v2.patient import Subject
from mappings.hl7v2.people import practitioners, xon_to_reference
from mappings.hl7v2.segment import Field, Segment
from mappings.hl7v2.specimen import eip

# 0119 Order Control -> request-status; those that decide whatever ORC-5 says
ORDER_CONTROL: Final = (
    dict.fromkeys(("CA", "OC", "CR", "DC", "OD", "DR", "RP", "RU", "RQ"), "revoked")
    | dict.fromkeys(("HD", "OH", "HR"), "on-hold")
    | {"DE": "entered-in-error"}
)
# 0119 Order Control: those that leave the order as ORC-5 says, active when that says nothing
_KEEPS: Final = frozenset(
    (
        "NW", "OK", "RO", "XO", "XR", "XX", "CH", "PA", "RE", "SC", "SN", "SR", "SS", "NA", "AF", "RL", "OE",
        "OR", "RR", "RF", "PR", "LI", "UN", "UA", "UC", "UD", "UF", "UH", "UM", "UR", "UX", "FU", "CN", "PY",
    )
)  # fmt: skip

_CHANGES: Final = ORDER_CONTROL.keys() | {"SC", "SR", "SS", "RL", "OE", "OR", "OK"}
"""Table 0119: what is said of an order without its detail segment."""

# 0038 Order Status -> request-status
ORDER_STATUS: Final = {
    "A": "active",
    "CA": "revoked",
    "CM": "completed",
    "DC": "revoked",
    "ER": "entered-in-error",
    "HD": "on-hold",
    "IP": "active",
    "RP": "revoked",
    "SC": "active",
}

# 0485 Extended Priority (and TQ.6 of earlier versions) -> request-priority
PRIORITY: Final = {
    "S": "stat",
    "STAT": "stat",
    "A": "asap",
    "ASAP": "asap",
    "R": "routine",
    "ROUTINE": "routine",
    "P": "routine",
    "C": "urgent",
    "T": "urgent",
    "U": "urgent",
    "URGENT": "urgent",
}

_REPLACES: Final = frozenset({"RO", "XO", "XX"})
"""ORC-1 of orders that take the place of the one in ORC-8."""


class ServiceRequests:
    """Adds the ServiceRequests of a message.

    An order is the same by its placer's number, else its filler's; where one message has a number on
    different services, by the number and the service. ``assert_it`` says that the message orders something;
    results only mention what was ordered.
    """

    def __init__(self, orders: Iterable[Order], context: Context, *, assert_it: bool) -> None:
        self._context = context
        self._assert_it = assert_it
        self._services: dict[tuple[str, str], set[str]] = defaultdict(set)
        for order in orders:
            if (number := _number(order, context)) and order.obr is not None:
                self._services[_pair(number)].add(order.obr[4].raw)

    def add(
        self,
        order: Order,
        subject: Subject,
        encounter: Element | None,
        specimens: list[Element],
        information: list[Element],
    ) -> Element | None:
        """Add the entry of an order and give a reference to it; None when there is nothing to identify it.

        ``information`` are references to the Observations sent with it.
        """
        context = self._context
        if self._assert_it and order.obr is None and not changes_status(order):
            where = order.orc.location if order.orc else "ORC"
            context.issue(
                "warning", "not-supported", "An order of a kind that has no mapping: left out", where
            )
            return None
        number = _number(order, context)
        request = order_to_service_request(order, subject, context)
        if self._assert_it and (note := annotation(order.notes, context)):  # with results it is about these
            request["note"] = [*request.get("note", []), note]
        request |= prune({"encounter": encounter, "specimen": specimens, "supportingInfo": information}) or {}
        if not self._assert_it and not (_is_placed(order) or "requester" in request):
            return None
        key = self._key(number, order, subject)
        if number is not None and key != number:
            # A number that several share finds none of them: it is that of the whole.
            request["requisition"] = request.get("requisition", number)
        if key != number:
            request["identifier"] = [key]
        url = context.url("ServiceRequest", key["system"], key["value"])
        if not self._assert_it:
            entry = mention(url, request, key)
        elif order.obr is None:
            entry = change(url, request, key)
        else:
            entry = put(url, request, key)
        context.entries.append(entry)
        return {"reference": url}

    def _key(self, number: Element | None, order: Order, subject: Subject) -> Element:
        obr = order.obr
        service = obr[4].raw if obr else ""
        if number is None:
            when = (str(obr[7]) or str(obr[6])) if obr else ""
            return self._context.derived("ServiceRequest", subject.key, service, when)
        if len(self._services[_pair(number)]) > 1:
            return self._context.derived("ServiceRequest", *_pair(number), service)
        return number


def order_to_service_request(order: Order, subject: Subject, context: Context) -> Element:
    """ServiceRequest of ORC, OBR, TQ1, DG1 and PRT; either of ORC and OBR may be missing."""
    obr, orc = order.obr, order.orc
    requesters = [
        *(practitioners(orc, 12, context) if orc else []),
        *(practitioners(obr, 16, context) if obr else []),
        *(who for _, who in participants(order.participations, ("OP", "ORD"), context)),
        *([xon_to_reference(orc[21], context)] if orc else []),
    ]
    performers = [who for _, who in participants(order.participations, ("PO", "PP", "PB", "SPRF"), context)]
    parent = identifier_of_eip(orc[8], context) if orc else None
    parents = [{"type": "ServiceRequest", "identifier": parent}] if parent else []
    replaces = orc is not None and str(orc[1]).upper() in _REPLACES
    information = obr[13].text if obr else ""
    request: Element = prune(
        {
            "resourceType": "ServiceRequest",
            "meta": security_of(orc, context),
            "identifier": order_identifiers(order, context),
            "basedOn": [] if replaces else parents,
            "replaces": parents if replaces else [],
            "requisition": _group(orc[4], context) if orc else None,
            **_status(order, context),
            "intent": "reflex-order" if obr and str(obr[11]).upper() == "G" else "order",
            "category": [cwe_to_codeable_concept(obr[24], context, "0074")] if obr else [],
            **priority(order, context),
            "code": cwe_to_codeable_concept(obr[4], context) if obr else None,
            "subject": subject.reference,
            **_occurrence(order, context),
            "authoredOn": dtm_to_date_time(orc[9], context) if orc else None,
            "requester": next((who for who in requesters if who), None),
            "performer": performers,
            "locationCode": [cwe_to_codeable_concept(orc[29], context, "0482")] if orc else [],
            "reasonCode": [
                *([cwe_to_codeable_concept(cwe, context) for cwe in obr.all(31)] if obr else []),
                *(dg1_to_concept(dg1, context) for dg1 in order.diagnoses),
            ],
            "note": [{"text": information}] if information else [],
        }
    )
    return request


def order_identifiers(order: Order, context: Context) -> list[Element]:
    """The placer's and the filler's number, of ORC, else of OBR."""
    segments = [segment for segment in (order.orc, order.obr) if segment]
    found = []
    for number, kind in ((2, "PLAC"), (3, "FILL")):
        identifiers = (ei_to_identifier(segment[number], context, kind) for segment in segments)
        found += [identifier for identifier in identifiers if identifier][:1]
    return found


def security_of(orc: Segment | None, context: Context) -> Element | None:
    """``meta.security`` of ORC-28 (table 0177)."""
    concept = cwe_to_codeable_concept(orc[28], context, "0177") if orc else None
    return {"security": concept["coding"]} if concept and "coding" in concept else None


def changes_status(order: Order) -> bool:
    """Whether an order says no more than what becomes of one that was sent before."""
    return order.orc is not None and str(order.orc[1]).upper() in _CHANGES


def _is_placed(order: Order) -> bool:
    return any(segment and segment[2] for segment in (order.orc, order.obr))


def _number(order: Order, context: Context) -> Element | None:
    return next(iter(order_identifiers(order, context)), None)


def _pair(identifier: Element) -> tuple[str, str]:
    return identifier["system"], identifier["value"]


def _status(order: Order, context: Context) -> Element:
    """ORC-1 where it decides, else ORC-5, else active; a final result completes its order."""
    orc, obr = order.orc, order.obr
    default = "completed" if obr and str(obr[25]).upper() in {"F", "C"} else "active"
    if orc is None:
        return {"status": default}
    control = str(orc[1]).upper()
    if control and control not in _KEEPS and control not in ORDER_CONTROL:
        context.warn(f"Code {control[:40]!r} of table 0119 has no mapping", orc[1], "code-invalid")
    if control in ORDER_CONTROL:
        orc.mark_read(5)
        return {"status": ORDER_CONTROL[control]}
    return context.code("status", orc[5], ORDER_STATUS, "0038", default)


def priority(order: Order, context: Context) -> Element:
    values = [tq1[9][1] for tq1 in order.timings]
    values += [order.obr[27][6], order.obr[5]] if order.obr else []
    values += [order.orc[7][6]] if order.orc else []
    value = next((value for value in values if value), None)
    return context.code("priority", value, PRIORITY, "0485") if value is not None else {}


def _occurrence(order: Order, context: Context) -> Element:
    """When it is to be done: TQ1-7 and 8, else the quantity/timing of earlier versions, else OBR-36 or 6."""
    for tq1 in order.timings:
        tq1.mark_read(1)
        if period := dr_to_period(tq1[7], tq1[8], context):
            return _when(period)
    if order.obr is not None:
        obr = order.obr
        if period := dr_to_period(obr[27][4], obr[27][5], context):
            return _when(period)
        return {"occurrenceDateTime": dtm_to_date_time(obr[36], context) or dtm_to_date_time(obr[6], context)}
    return {}


def _when(period: Element) -> Element:
    return {"occurrencePeriod": period} if "end" in period else {"occurrenceDateTime": period.get("start")}


def dg1_to_concept(dg1: Segment, context: Context) -> Element | None:
    dg1.mark_read(1)
    concept = cwe_to_codeable_concept(dg1[3], context)
    if text := dg1[4].text:
        concept = {**(concept or {}), "text": text}
    return concept


def _group(number: Field, context: Context) -> Element | None:
    """ORC-4: an EI until version 2.8, an EIP since."""
    is_pair = number[1][2] or number[2][2]
    return identifier_of_eip(number, context) if is_pair else ei_to_identifier(number, context)


def identifier_of_eip(pair: Field, context: Context) -> Element | None:
    """The placer's half of an EIP, else the filler's."""
    return eip(pair[1], context, "PLAC") or eip(pair[2], context, "FILL")
