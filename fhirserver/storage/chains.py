"""Chains: a condition on other resources becomes keys or ids of the resource itself, before the search runs.

Each step is a search of its own, of at most ``MOST`` resources. Where the rest of the search is narrow, that
is read first, and a chain only looks at what these resources refer to, or at what refers to them.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from fhirserver.errors import TooCostly
from fhirserver.search import query as q
from fhirserver.search.contained import alone, inside
from fhirserver.search.criteria import any_of
from fhirserver.storage.coded import has_coded, listed
from fhirserver.storage.database import Database, run
from fhirserver.storage.documents import Document
from fhirserver.storage.drivers import choose
from fhirserver.storage.filters import exactly

MOST = 5000
STEPS = 64
"""So many steps one search may have, whatever their order; so many levels a hierarchy."""


async def resolve(database: Database, type: str, condition: q.Condition) -> q.Condition:
    """The condition without Coded, Refers, Referred and Within.

    Raises:
        BadRequest: a value set or a code is not known.
        TooCostly: a step matches more than ``MOST`` resources, or there are too many steps.
    """
    if has_coded(condition):
        condition = await listed(database.codes, condition)
    steps = _steps(condition)
    if not steps:
        return condition
    if steps > STEPS:
        raise TooCostly(f"The search has {steps} chains; {STEPS} are the most")
    match condition:
        case q.And(parts):
            return q.And(await _each(database, type, await _narrowed(database, type, parts)))
        case q.Or(parts):
            return any_of(await _each(database, type, parts))
        case q.Not(inner):
            return q.Not(await resolve(database, type, inner))
        case q.Refers(parameter, target, inner):
            found = _refers(parameter, target, await _ids(database, target, inner))
            return any_of([found, inside(target, inner, parameter)]) if alone(inner) else found
        case q.Referred(own, source, parameter, inner):
            return _ids_of(await _referred(database, source, inner, parameter, own))
        case q.Within():
            return await _within(database, type, condition)
        case _:
            return condition


async def _within(database: Database, own: str, within: q.Within) -> q.Condition:
    """The resource itself and those below it, level by level, or above: what refers to one of them.

    Of what is part of them itself (``Location?partof:below``) the ids are found on the way.
    """
    type, part = within.type, within.part
    found = {within.id: None}
    level = [within.id]
    parts: dict[str, None] = {}
    for _ in range(STEPS):
        if within.above:
            next = await _referred(database, type, _ids_of(level), part, type)
        else:
            next = await _ids(database, type, _refers(part, type, level))
            parts |= dict.fromkeys(next)
        level = [id for id in next if id not in found]
        found |= dict.fromkeys(level)
        if not level and not within.above and (own, within.parameter) == (type, part):
            return _ids_of(parts)
        if not level:
            return _refers(within.parameter, type, found)
        if len(found) > MOST:
            break
    raise TooCostly(f"{type}/{within.id[:64]} is in a hierarchy of more than {MOST} or {STEPS} levels")


async def _each(database: Database, type: str, parts: Iterable[q.Condition]) -> tuple[q.Condition, ...]:
    return tuple(await asyncio.gather(*(resolve(database, type, part) for part in parts)))


async def _narrowed(database: Database, type: str, parts: tuple[q.Condition, ...]) -> tuple[q.Condition, ...]:
    """The parts of an And, its chains confined to what the others find, if these find little."""
    plain = q.And(tuple(part for part in parts if not _steps(part)))
    if not plain.all or not choose(plain).selective:
        return parts
    try:
        return tuple([await _confined(database, type, plain, part) for part in parts])
    except TooCostly:
        return parts


async def _confined(database: Database, type: str, plain: q.Condition, part: q.Condition) -> q.Condition:
    match part:
        case q.Refers(parameter, target, inner):
            known = _ids_of(await _referred(database, type, plain, parameter, target))
            stored = replace(part, condition=q.And((known, inner)))
            return q.Or((stored, inside(target, inner, parameter))) if alone(inner) else stored
        case q.Referred(own, _, parameter, inner):
            known = _refers(parameter, own, await _ids(database, type, plain))
            return replace(part, condition=q.And((known, inner)))
        case _:
            return part


def _refers(parameter: str, target: str, ids: Iterable[str]) -> q.Condition:
    keys = tuple(f"{parameter}|{target}/{id}" for id in ids)
    return q.Keys(keys) if keys else q.Nothing()


def _ids_of(ids: Iterable[str]) -> q.Condition:
    found = tuple(ids)
    return q.Ids(found) if found else q.Nothing()


async def _ids(database: Database, type: str, condition: q.Condition) -> list[str]:
    """The ids of the resources that meet a condition."""
    return [row["_id"] for row in await _read(database, type, condition, {"_id": 1})]


async def _referred(
    database: Database, source: str, condition: q.Condition, parameter: str, target: str
) -> list[str]:
    """The ids of the target type that resources of the source type refer to, those that meet a condition."""
    start = f"{parameter}|{target}/"
    end = start[:-1] + "0"  # what sorts after every id
    inside = {"$and": [{"$gte": ["$$key", start]}, {"$lt": ["$$key", end]}]}
    fields = {"keys": {"$filter": {"input": "$keys", "as": "key", "cond": inside}}}
    rows = await _read(database, source, q.And((condition, q.KeyRange(start, end))), fields)
    # A reference to a version has a second key without it.
    ids = (key[len(start) :].partition("/")[0] for row in rows for key in row["keys"])
    return list(dict.fromkeys(ids))


async def _read(database: Database, type: str, condition: q.Condition, fields: Document) -> list[Document]:
    condition = await resolve(database, type, condition)
    collection = database.collection(type)
    driver = choose(condition)
    rest: list[Document] = [{"$match": exactly(condition)}, {"$limit": MOST + 1}, {"$project": fields}]
    found = await asyncio.gather(*(run(collection, [{"$match": f}, *rest]) for f in driver.filters))
    rows = list({row["_id"]: row for part in found for row in part}.values())
    if len(rows) > MOST:
        raise TooCostly(
            f"A step of the chain matches more than {MOST} resources of type {type}; add criteria that "
            "narrow it, such as a patient or an identifier"
        )
    return rows


def _steps(condition: q.Condition) -> int:
    """How many steps to other resources the condition has."""
    match condition:
        case q.And(parts) | q.Or(parts):
            return sum(map(_steps, parts))
        case q.Not(inner):
            return _steps(inner)
        case q.Refers() | q.Referred():
            return 1 + _steps(condition.condition)
        case q.Within():
            return 1
        case _:
            return 0
