"""A Subscription resource, read: what it watches and where it tells. https://hl7.org/fhir/R4/subscription.html"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from fhirserver import search
from fhirserver.errors import FHIRError, Unprocessable
from fhirserver.model.json import Resource
from fhirserver.outbound import Outbound, Refused
from fhirserver.search.match import decidable
from fhirserver.search.query import And, Condition
from fhirserver.subscriptions import topics

LIVE = ("requested", "active", "error")
"""Statuses in which changes are kept for a subscription."""
CHANNELS = ("rest-hook", "websocket")
JSON = "application/fhir+json"
PAYLOADS = (JSON, "application/json")
CONTENTS = ("empty", "id-only", "full-resource")
SECONDS = 30
MAX_SECONDS = 120
MAX_EVENTS = 100

_criteria = re.compile(r"([A-Z][A-Za-z]+)(?:\?(.*))?", re.ASCII | re.DOTALL).fullmatch
_header = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*)").fullmatch
_OWN_HEADERS = ("host", "content-length", "content-type", "transfer-encoding", "connection", "upgrade")


@dataclass(frozen=True, slots=True)
class Definition:
    """What a Subscription asks for.

    ``topic`` is the canonical URL of a topic-based subscription, "" for one with R4's criteria. ``content``
    says how much of a resource a notification carries (empty, id-only, full-resource); ``heartbeat`` and
    ``seconds`` (how long an answer may take) are seconds, ``count`` the most events in one notification.
    """

    id: str
    version: int
    status: str
    error: str
    end: str
    type: str
    condition: Condition
    topic: str
    channel: str
    endpoint: str
    content: str
    headers: Mapping[str, str]
    heartbeat: int
    seconds: int
    count: int


def read(
    resource: Resource, version: int, indexer: search.Indexer, outbound: Outbound, types: Container[str]
) -> Definition:
    """Read a valid Subscription; ``types`` are the resource types that are on.

    Raises:
        Unprocessable: this server could not do what it asks; the issue says what and where.
    """
    criteria, filters = resource["criteria"], _extensions(resource.get("_criteria"), topics.FILTER)
    topic = criteria if criteria in topics.TOPICS else ""
    if topic:
        type = topics.TOPICS[topic]
        texts = [str(text) for text in filters]
    else:
        type, texts = _resource_criteria(criteria, filters)
    if type not in types or type == "Subscription":
        raise _refused(f"Changes of {type} cannot be subscribed to here", "criteria")
    conditions = [_condition(type, text, topic, indexer) for text in texts]
    channel = resource["channel"]
    kind, endpoint = channel["type"], channel.get("endpoint", "")
    if kind not in CHANNELS:
        raise _refused(
            f"The channel {kind} is not offered here; {' and '.join(CHANNELS)} are", "channel.type"
        )
    if kind == "rest-hook":
        try:
            outbound.check(endpoint)
        except Refused as reason:
            raise _refused(f"Channel rest-hook: {reason}", "channel.endpoint") from None
    return Definition(
        id=resource.get("id", ""),
        version=version,
        status=resource["status"],
        error=resource.get("error", ""),
        end=resource.get("end", ""),
        type=type,
        condition=conditions[0] if len(conditions) == 1 else And(tuple(conditions)),
        topic=topic,
        channel=kind,
        endpoint=endpoint,
        content=_content(channel, topic),
        headers=_headers(channel.get("header", ())),
        heartbeat=_number(channel, topics.HEARTBEAT, 0, 2**31),
        seconds=_number(channel, topics.TIMEOUT, SECONDS, MAX_SECONDS),
        count=_number(channel, topics.MAX_COUNT, 1, MAX_EVENTS),
    )


def _resource_criteria(criteria: str, filters: list[Any]) -> tuple[str, list[str]]:
    found = _criteria(criteria)
    if found is None or filters:
        known = ", ".join(topics.TOPICS)
        raise _refused(
            "The criteria are neither a search such as Observation?code=1975-2 nor one of the topics known "
            f"here: {known}",
            "criteria",
        )
    return found[1], [criteria]


def _condition(type: str, text: str, topic: str, indexer: search.Indexer) -> Condition:
    """The condition of a search ``Type?parameters``; a filter of a topic must be about the topic's type."""
    found = _criteria(text)
    if found is None or found[1] != type:
        raise _refused(f"A filter of the topic {topic} begins with {type}?", "criteria.extension")
    try:
        pairs = parse_qsl(found[2] or "", keep_blank_values=True, errors="strict", max_num_fields=100)
        condition = search.compile(type, pairs, indexer=indexer).condition
    except FHIRError as error:
        raise _refused(f"The criteria cannot be used: {error}", "criteria") from None
    except ValueError:
        raise _refused(
            "The criteria are not percent-encoded UTF-8 or have too many parts", "criteria"
        ) from None
    if not decidable(condition):
        raise _refused("The criteria follow references; only the resource itself can be watched", "criteria")
    return condition


def _content(channel: Resource, topic: str) -> str:
    """How much a notification carries; in R4 alone: nothing, or with a payload the resource."""
    payload = channel.get("payload", "")
    if payload and payload.partition(";")[0].strip() not in PAYLOADS:
        raise _refused(f"The payload {payload} is not made here; {JSON} is", "channel.payload")
    if not topic:
        if channel["type"] == "websocket":
            return "empty"
        return "full-resource" if payload else "empty"
    stated = [str(v) for v in _extensions(channel.get("_payload"), topics.CONTENT)]
    content = stated[0] if stated else "id-only"
    if content not in CONTENTS:
        raise _refused(f"The payload content is none of {', '.join(CONTENTS)}", "channel.payload")
    return content


def _headers(texts: Iterable[str]) -> dict[str, str]:
    headers = {}
    for position, text in enumerate(texts):
        found = _header(text)
        if found is None or found[1].lower() in _OWN_HEADERS:
            raise _refused(
                "A header is written as 'Name: value' and is none that HTTP itself needs",
                f"channel.header[{position}]",
            )
        headers[found[1]] = found[2].strip()
    return headers


def _number(channel: Resource, url: str, default: int, most: int) -> int:
    for value in _extensions(channel, url):
        if not isinstance(value, int) or not 0 < value <= most:
            raise _refused(f"{url.rpartition('/')[2]} is from 1 to {most}", "channel.extension")
        return value
    return default


def _extensions(element: Any, url: str) -> list[Any]:
    """The values of an element's extensions with this URL."""
    given = element.get("extension", ()) if isinstance(element, dict) else ()
    return [v for e in given if e.get("url") == url for name, v in e.items() if name.startswith("value")]


def _refused(text: str, path: str) -> Unprocessable:
    return Unprocessable(text, expression=f"Subscription.{path}")
