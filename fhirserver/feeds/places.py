"""What becomes of a stored resource with what an entry says of it; of a visit, where the patient has been.

The places stand in the order in which the patient came to them. Each lasts until the next begins; the last
one until the Encounter ends. Planned places are no history, and are gone when the patient moves.
"""

from datetime import tzinfo
from typing import Any

from fhirserver.feeds.entries import Entry
from fhirserver.feeds.merge import merge, says, withdraw
from fhirserver.model import temporal
from fhirserver.model.json import Resource
from mappings.core.effects import Movement

_OVER = frozenset({"finished", "cancelled", "entered-in-error"})


def joined(entry: Entry, zone: tzinfo) -> Resource:
    """What is stored, without what the entry takes back, with what it says. ``zone``: of bare dates."""
    before = withdraw(entry.stored, entry.withdrawn)
    sent = {n: value for n, value in entry.resource.items() if n not in entry.assumed or n not in before}
    resource = merge(before, sent, entry.cleared)
    if entry.movement:
        resource = after(before, sent.get("location", []), resource, entry.movement, zone)
    return resource


def contradicted(entry: Entry, made: Resource) -> bool:
    """Whether the start or end of a stay was left out, because it would end before it begins."""
    if entry.type != "Encounter":
        return False
    said = {name for name in entry.stored.get("period", {}) if f"period.{name}" not in entry.cleared}
    return not (said | entry.resource.get("period", {}).keys()) <= made.get("period", {}).keys()


def after(
    stored: Resource, places: list[Any], merged: Resource, movement: Movement, zone: tzinfo
) -> Resource:
    """``merged`` with the places that follow from those that are stored, those sent and what happened."""
    before: list[Any] = stored.get("location", [])
    planned = [place for place in places if place.get("status") == "planned"]
    history = [dict(place) for place in before if place.get("status") != "planned"]
    moves = [dict(place) for place in places if place.get("status") != "planned"]
    match movement.action:
        case "insert":
            for move in moves:
                history = _insert(history, move, zone)
        case "update":
            history = _update(history, moves)
        case "cancel":
            history = _cancel(history, movement, moves)
        case _ if not history:
            history = moves
    if not planned and not moves:
        planned = [place for place in before if place.get("status") == "planned"]
    merged = _in_order(stored, merged, zone)
    result = {**merged, "location": [*_chained(history, merged, zone), *planned]}
    if not result["location"]:
        del result["location"]
    return _with_class(stored, result, movement, zone)


def _insert(history: list[Any], move: Resource, zone: tzinfo) -> list[Any]:
    """Put a place where it belongs in time; one of the same movement replaces it."""
    movement = move.get("extension")
    if movement:
        history = [place for place in history if place.get("extension") != movement]
    elif "start" not in move.get("period", {}):  # where the patient came from
        return history if any(_same(place, move) for place in history) else [move, *history]
    position = sum(1 for place in history if not _starts_after(place, move, zone))
    before = history[position - 1] if position else None
    if before and not movement and _same(before, move):
        return history
    behind = history[position] if position < len(history) else None
    if behind and not movement and _same(behind, move) and not _start(behind):
        return [*history[:position], {**behind, "period": move["period"]}, *history[position + 1 :]]
    return [*history[:position], move, *history[position:]]


def _update(history: list[Any], moves: list[Any]) -> list[Any]:
    """Say of the last place which one it is: a correction, no move."""
    now = next((move for move in moves if move.get("status") == "active"), None)
    if now is None or (history and _same(history[-1], now)):
        return history
    return [*history[:-1], {**history[-1], "location": now["location"]}] if history else moves


def _cancel(history: list[Any], movement: Movement, moves: list[Any]) -> list[Any]:
    """Take back a movement; without an identifier the last one, unless the patient is there."""
    if movement.identifier:
        taken_back = {"extension": [{"valueIdentifier": movement.identifier}]}
        return [place for place in history if not says(place, taken_back)] or moves
    now = next((move for move in moves if move.get("status") == "active"), None)
    if now is None or not history or _same(history[-1], now):
        return history or moves
    if len(history) > 1:
        history = history[:-1]
    return _update(history, moves)


def _in_order(stored: Resource, merged: Resource, zone: tzinfo) -> Resource:
    """Without the start or end of the stay that is stored, where it contradicts the one that is sent."""
    period = merged.get("period", {})
    if is_in_order(period.get("start"), period.get("end"), zone):
        return merged
    gone = "start" if period["start"] == stored.get("period", {}).get("start") else "end"
    return {**merged, "period": {name: time for name, time in period.items() if name != gone}}


def is_in_order(start: str | None, end: str | None, zone: tzinfo) -> bool:
    """Whether a time may be followed by another one; what is not said may."""
    # An interval ends where the next one begins.
    return not (start and end) or temporal.interval(start, zone).low < temporal.interval(end, zone).high


def _chained(history: list[Any], encounter: Resource, zone: tzinfo) -> list[Any]:
    """Let each place last until the next begins, and the last one as long as the Encounter."""
    over = encounter.get("status") in _OVER
    chained = []
    for position, place in enumerate(history):
        last = position == len(history) - 1
        end = encounter.get("period", {}).get("end") if last else _start(history[position + 1])
        period = {name: time for name, time in place.get("period", {}).items() if name == "start"}
        if last and not over:
            end = None
        elif not end:
            end = place.get("period", {}).get("end")
        made = {**place, "status": "completed" if over or not last else "active"}
        in_order = is_in_order(period.get("start"), end, zone)
        made["period"] = period | ({"end": end} if end and in_order else {})
        if not made["period"]:
            del made["period"]
        chained.append(made)
    return chained


def _with_class(stored: Resource, encounter: Resource, movement: Movement, zone: tzinfo) -> Resource:
    """A04 to A07: the class that the Encounter had until now belongs to its history."""
    if "class" not in stored or stored["class"] == encounter["class"]:
        return encounter
    earlier = stored.get("classHistory", [])
    start = earlier[-1]["period"].get("end") if earlier else stored.get("period", {}).get("start")
    if not movement.time:
        return encounter
    if not is_in_order(start, movement.time, zone):
        start = None
    period = {name: time for name, time in (("start", start), ("end", movement.time)) if time}
    return {**encounter, "classHistory": [*earlier, {"class": stored["class"], "period": period}]}


def _same(one: Resource, other: Resource) -> bool:
    return bool(one.get("location") == other.get("location"))


def _start(place: Resource) -> str | None:
    start: str | None = place.get("period", {}).get("start")
    return start


def _starts_after(one: Resource, other: Resource, zone: tzinfo) -> bool:
    """Whether one begins later; of a place with only an end, whether it ends later than the other begins."""
    here, there = _start(one) or one.get("period", {}).get("end"), _start(other)
    if not here or not there:
        return False
    return temporal.interval(here, zone).low > temporal.interval(there, zone).low
