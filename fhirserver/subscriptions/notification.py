"""What a subscriber is sent: https://hl7.org/fhir/uv/subscriptions-backport/notifications.html"""

import uuid
from collections.abc import Iterable
from typing import Any

from fhirserver.model import json
from fhirserver.storage.documents import Stored, instant
from fhirserver.storage.outbox import Delivery, Event
from fhirserver.storage.repository import now
from fhirserver.subscriptions import topics
from fhirserver.subscriptions.definition import Definition

METHODS = {"create": "POST", "update": "PUT", "delete": "DELETE"}
STATUSES = {"create": "201", "update": "200", "delete": "204"}


def status(
    definition: Definition, delivery: Delivery, kind: str, base_url: str, events: Iterable[Event] = ()
) -> dict[str, Any]:
    """A SubscriptionStatus as R4's Parameters; ``kind`` is handshake, heartbeat, event-notification,
    query-status or query-event."""
    parameters: list[dict[str, Any]] = [
        {
            "name": "subscription",
            "valueReference": {"reference": f"{base_url}/Subscription/{definition.id}"},
        }
    ]
    if definition.topic:
        parameters.append({"name": "topic", "valueCanonical": definition.topic})
    parameters += [
        {"name": "status", "valueCode": definition.status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(delivery.last)},
    ]
    for event in events:
        parts: list[dict[str, Any]] = [
            {"name": "event-number", "valueString": str(event.number)},
            {"name": "timestamp", "valueInstant": instant(event.at)},
        ]
        if definition.content != "empty":
            parts.append({"name": "focus", "valueReference": {"reference": f"{base_url}/{event.reference}"}})
        parameters.append({"name": "notification-event", "part": parts})
    if error := definition.error or delivery.error:
        parameters.append({"name": "error", "valueCodeableConcept": {"text": error}})
    return {
        "resourceType": "Parameters",
        "meta": {"profile": [topics.STATUS_PROFILE]},
        "parameter": parameters,
    }


def bundle(
    definition: Definition,
    delivery: Delivery,
    kind: str,
    base_url: str,
    events: Iterable[tuple[Event, Stored | None]] = (),
) -> bytes:
    """A notification: the status, then the resource of each event as far as the subscription wants it.

    The second of each pair is the version the event is about, None when it is not to be carried.
    """
    pairs = list(events)
    told = status(definition, delivery, kind, base_url, [event for event, _ in pairs])
    entries = [
        b'{"fullUrl":"urn:uuid:%s","resource":' % str(uuid.uuid4()).encode()
        + json.format(told)
        + b',"request":{"method":"GET","url":'
        + json.format(f"{base_url}/Subscription/{definition.id}/$status")
        + b'},"response":{"status":"200"}}'
    ]
    if definition.content != "empty":
        entries += [_entry(event, stored, base_url) for event, stored in pairs]
    head = {
        "resourceType": "Bundle",
        "meta": {"profile": [topics.NOTIFICATION_PROFILE]},
        "type": "history",
        "timestamp": instant(now()),
    }
    return json.format(head)[:-1] + b',"entry":[' + b",".join(entries) + b"]}"


def _entry(event: Event, stored: Stored | None, base_url: str) -> bytes:
    request = {
        "method": METHODS[event.change],
        "url": event.type if event.change == "create" else event.reference,
    }
    facts = {"request": request, "response": {"status": STATUSES[event.change]}}
    entry = b'{"fullUrl":' + json.format(f"{base_url}/{event.reference}")
    if stored is not None and not stored.deleted:
        entry += b',"resource":' + stored.body
    return entry + b"," + json.format(facts)[1:]
