"""Conditions on codes that are not listed: what a value set or a hierarchy has is looked up first."""

import asyncio
from typing import Protocol

from fhirserver.errors import BadRequest, TooCostly
from fhirserver.search import query as q
from fhirserver.search.criteria import any_of
from fhirserver.search.values import shown

MOST = 10_000
"""So many codes are searched for at once."""


class Terminology(Protocol):
    """Who knows the codes. Both raise FHIRError, and LookupError when the set or the code is not known."""

    async def codes(self, value_set: str) -> list[tuple[str, str]]:
        """System and code of everything in a value set."""
        ...

    async def related(self, system: str, code: str, above: bool = False) -> list[tuple[str, str]]:
        """System and code of everything at or below a code, or at or above it."""
        ...


def has_coded(condition: q.Condition) -> bool:
    match condition:
        case q.And(parts) | q.Or(parts):
            return any(map(has_coded, parts))
        case q.Not(inner) | q.Refers(condition=inner) | q.Referred(condition=inner):
            return has_coded(inner)
        case _:
            return isinstance(condition, q.Coded)


async def listed(terminology: Terminology | None, condition: q.Condition) -> q.Condition:
    """The condition without Coded.

    Raises:
        BadRequest: a value set or a code is not known.
        TooCostly: it stands for too many codes.
    """
    match condition:
        case q.And(parts):
            return q.And(tuple(await asyncio.gather(*(listed(terminology, part) for part in parts))))
        case q.Or(parts):
            return any_of(await asyncio.gather(*(listed(terminology, part) for part in parts)))
        case q.Not(inner):
            return q.Not(await listed(terminology, inner))
        case q.Refers(parameter, type, inner):
            return q.Refers(parameter, type, await listed(terminology, inner))
        case q.Referred(type, source, parameter, inner):
            return q.Referred(type, source, parameter, await listed(terminology, inner))
        case q.Coded():
            return await _keys(terminology, condition)
        case _:
            return condition


async def _keys(terminology: Terminology | None, asked: q.Coded) -> q.Condition:
    what = f"{asked.relation} {shown(asked.value)}"
    if terminology is None:
        raise BadRequest(f"{what}: there is no terminology here")
    try:
        if asked.relation == "in":
            codes = await terminology.codes(asked.value)
        else:
            codes = await terminology.related(asked.system, asked.value, asked.relation == "above")
    except LookupError:
        known = (
            "the value set" if asked.relation == "in" else f"the code, or its system {shown(asked.system)},"
        )
        raise BadRequest(f"{asked.parameter}:{what}: {known} is not known here") from None
    if len(codes) > MOST:
        raise TooCostly(f"{asked.parameter}:{what} stands for {len(codes)} codes; {MOST} are the most")
    return any_of([asked.condition(system, code) for system, code in codes])
