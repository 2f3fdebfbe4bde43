"""A condition as a filter that is exact on both engines, whatever index was used before."""

import math

from fhirserver.search import query as q
from fhirserver.search.types.near import EARTH
from fhirserver.storage.documents import Document


def exactly(condition: q.Condition) -> Document:
    """The whole condition as a match; a deletion has no ``seq`` and never matches."""
    return {"seq": {"$gt": 0}, "$and": [_exact(condition)]}


def _exact(condition: q.Condition) -> Document:
    match condition:
        case q.Everything():
            return {}
        case q.Nothing():
            return {"_id": {"$in": []}}
        case q.Ids(ids):
            return {"_id": {"$in": list(ids)}}
        case q.Keys(keys):
            return {"keys": {"$in": list(keys)}}
        case q.KeyRange(low, high, pattern):
            return {"keys": {"$elemMatch": _bounds(low, high, pattern)}}
        case q.Range(low, high, pattern):
            return {"sorted": {"$elemMatch": _bounds(low, high, pattern)}}
        case q.Interval(parameter, low, high):
            wanted: Document = {"p": parameter}
            for name, sides in (("l", low), ("h", high)):
                if sides:
                    wanted[name] = dict(sides)
            return {"intervals": {"$elemMatch": wanted}}
        case q.Updated(low, high):
            limits = {op: v for op, v in (("$gte", low), ("$lt", high)) if v is not None}
            return {"updated": limits} if limits else {}
        case q.Contained(type, inner, parameter):
            by: Document = {"by": parameter} if parameter else {}
            return {"contained": {"$elemMatch": {"type": type, **by, "$and": [_exact(inner)]}}}
        case q.Near():
            return {"$expr": _near(condition)}
        case q.And(parts):
            return {"$and": [_exact(part) for part in parts]} if parts else {}
        case q.Or(parts):
            return {"$or": [_exact(part) for part in parts]} if parts else {"_id": {"$in": []}}
        case q.Not(inner):
            return {"$nor": [_exact(inner)]}
        case q.Coded() | q.Refers() | q.Referred() | q.Within():
            raise TypeError("chains and codes are resolved before a filter is made")


def _near(near: q.Near) -> Document:
    """The haversine formula, as ``search.types.near.metres`` has it."""
    latitude = {"$degreesToRadians": {"$toDouble": "$$point.l"}}
    longitude = {"$degreesToRadians": {"$toDouble": "$$point.h"}}
    here = math.radians(near.latitude)

    def half_sine(angle: Document, other: float) -> Document:
        return {"$pow": [{"$sin": {"$divide": [{"$subtract": [angle, other]}, 2]}}, 2]}

    across = half_sine(longitude, math.radians(near.longitude))
    half = {"$add": [half_sine(latitude, here), {"$multiply": [math.cos(here), {"$cos": latitude}, across]}]}
    metres = {"$multiply": [2 * EARTH, {"$asin": {"$sqrt": {"$min": [1, half]}}}]}
    # A deletion has no intervals, and MongoDB may ask for these before it asks for ``seq``.
    intervals = {"$ifNull": ["$intervals", []]}
    points = {"$filter": {"input": intervals, "as": "point", "cond": {"$eq": ["$$point.p", near.name]}}}
    close = {"$map": {"input": points, "as": "point", "in": {"$lte": [metres, near.distance]}}}
    return {"$anyElementTrue": [close]}


def _bounds(low: str, high: str, pattern: str) -> Document:
    return {"$gte": low, "$lt": high, **({"$regex": pattern} if pattern else {})}
