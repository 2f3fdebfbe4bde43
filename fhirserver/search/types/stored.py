"""``_id`` and ``_lastUpdated``: storage has both as fields of their own, so nothing is indexed for them."""

from collections.abc import Mapping

from fhirserver.errors import BadRequest
from fhirserver.model import temporal
from fhirserver.model.reference import is_id
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition, Everything, Ids, Not, Nothing, Updated
from fhirserver.search.types import date
from fhirserver.search.types.registry import Match
from fhirserver.search.values import shown, unescape


def has_id(parameter: Parameter, value: str, site: Site) -> Condition:
    """A logical id; what cannot be one matches nothing, as any other id that does not exist."""
    id = unescape(value)
    return Ids((id,)) if is_id(id) else Nothing()


def never_missing(parameter: Parameter, value: str, site: Site) -> Condition:
    """Every resource has an id, and an instant."""
    match value:
        case "true":
            return Nothing()
        case "false":
            return Everything()
        case _:
            raise BadRequest(f"{shown(value)} is not true or false")


def updated(parameter: Parameter, value: str, site: Site) -> Condition:
    """The instant of the version, a point in time, against an interval."""
    prefix, interval = date.parse(value, site)
    a, b = map(temporal.microseconds, interval)
    match prefix:
        case "eq":
            return Updated(a, b)
        case "ne":
            return Not(Updated(a, b))
        case "gt" | "sa":
            return Updated(low=b)
        case "lt" | "eb":
            return Updated(high=a)
        case "ge":
            return Updated(low=a)
        case "le":
            return Updated(high=b)
        case "ap":
            return Updated(*map(temporal.microseconds, date.approximately(interval)))


MODIFIERS: Mapping[str, Mapping[str, Match]] = {
    "_id": {"": has_id, "not": has_id, "missing": never_missing},
    "_lastUpdated": {"": updated, "missing": never_missing},
}
