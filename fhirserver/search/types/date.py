"""Date parameters: both the value in the resource and the one that is searched are intervals of time.

| prefix | the resource's value |
| - | - |
| eq | lies inside |
| ne | does not lie inside |
| gt, lt | reaches beyond the end, starts before the beginning |
| ge, le | reaches beyond the beginning, starts before the end: gt or eq, or overlapping |
| sa, eb | starts after the end, ends before the beginning |
| ap | overlaps, with a tenth of the time between then and now more on either side |

https://hl7.org/fhir/R4/search.html#date, https://hl7.org/fhir/R4/search.html#prefix
"""

import time
from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.model import temporal
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition, Index, Or, Range
from fhirserver.search.types import ordered
from fhirserver.search.values import Prefix, prefixed


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index a date, dateTime, instant, Period or Timing; a Timing without calendar time is left out."""
    if type == "Period":
        interval = temporal.period(value, site.zone)
    elif type == "Timing":
        limits = temporal.timing(value, site.zone)
        if limits is None:
            return
        interval = limits
    else:
        interval = temporal.interval(value, site.zone)
    ordered.write(index, code, *interval)


def compare(parameter: Parameter, value: str, site: Site) -> Condition:
    prefix, interval = parse(value, site)
    return condition(parameter.code, prefix, interval)


def condition(code: str, prefix: Prefix, interval: temporal.Interval, name: str = "") -> Condition:
    """The values of ``code`` (or of the interval ``name``) that stand in this relation to an interval."""
    a, b = interval
    match prefix:
        case "eq":
            return ordered.within(code, low=("$gte", a), high=("$lte", b), name=name)
        case "ne":
            before = ordered.within(code, low=("$lt", a), name=name)
            return Or((before, ordered.within(code, high=("$gt", b), name=name)))
        case "gt":
            return ordered.within(code, high=("$gt", b), name=name)
        case "lt":
            return ordered.within(code, low=("$lt", a), name=name)
        case "ge":
            return ordered.within(code, high=("$gt", a), name=name)
        case "le":
            return ordered.within(code, low=("$lt", b), name=name)
        case "sa":
            return ordered.within(code, low=("$gte", b), name=name)
        case "eb":
            return ordered.within(code, high=("$lte", a), name=name)
        case "ap":
            a, b = approximately(interval)
            return ordered.within(code, low=("$lt", b), high=("$gt", a), name=name)


def parse(value: str, site: Site) -> tuple[Prefix, temporal.Interval]:
    """A prefix and the time that it is about.

    Raises:
        BadRequest: the prefix is unknown or the rest is not a date.
    """
    prefix, text = prefixed(value)
    try:
        return prefix, temporal.interval(text, site.zone)
    except temporal.NotTemporal as error:
        hint = " (a + in a URL must be written %2B)" if " " in text else ""
        raise BadRequest(f"{error}{hint}") from None


def approximately(interval: temporal.Interval) -> temporal.Interval:
    """The time with a tenth of what lies between it and now more on either side."""
    a, b = map(temporal.microseconds, interval)
    now = time.time_ns() // 1000
    gap = max(0, a - now, now - b) // 10
    return temporal.Interval(temporal.bound(a - gap), temporal.bound(b + gap))


def present(parameter: Parameter) -> Condition:
    return Range(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": compare}
