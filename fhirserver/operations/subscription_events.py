"""https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-events.html"""

from dataclasses import replace
from typing import TYPE_CHECKING

from fhirserver.errors import BadRequest
from fhirserver.operations import inputs
from fhirserver.operations.subscription_status import defined, served
from fhirserver.request import Request, Result
from fhirserver.subscriptions import notification
from fhirserver.subscriptions.definition import CONTENTS
from fhirserver.subscriptions.delivery import carried

if TYPE_CHECKING:
    from fhirserver.server import Server

MAX_EVENTS = 100
"""So many events are answered at once; a client asks again from the number after the last."""


async def subscription_events(request: Request, server: "Server") -> Result:
    """What was, or will be, delivered to a subscription: events by number, both ends included."""
    subscriptions = served(server)
    given = inputs.read(request, server, ("eventsSinceNumber", "eventsUntilNumber", "content"))
    definition = await defined(request.id, server)
    content = given.text("content") or definition.content
    if content not in CONTENTS:
        raise BadRequest(f"content={content[:40]} is none of {', '.join(CONTENTS)}", expression="content")
    # What is asked for cannot be more than what the subscriber would be sent.
    content = CONTENTS[min(CONTENTS.index(content), CONTENTS.index(definition.content))]
    row = (await subscriptions.outbox.deliveries([definition.id]))[definition.id]
    first = given.number("eventsSinceNumber", row.purged + 1)
    last = min(given.number("eventsUntilNumber", row.last), first + MAX_EVENTS - 1)
    events = await subscriptions.outbox.events(definition.id, first, last)
    pairs = await carried(content, events, server.repository)
    told = replace(definition, content=content)
    return Result(200, notification.bundle(told, row, "query-event", request.base_url, pairs))
