"""``near`` of a Location: within a distance of a point on the globe, ``near=48.85|2.35|5|km``.

The distance is that of a great circle (haversine) on a sphere of the Earth's mean radius. A position is a key
for the cell it lies in, in grids of several sizes (``near|1|489|23``: tenths of a degree), and the interval
``near:point`` with latitude and longitude as text. What is asked is found by the few cells that the circle
touches and then measured. https://hl7.org/fhir/R4/location.html#search
"""

import math
from decimal import Decimal, InvalidOperation
from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.model import ucum
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import And, Condition, Index, KeyRange, Keys, Near
from fhirserver.search.values import shown, unescape

EARTH = 6_371_008.8
"""Mean radius in metres."""
DEFAULT = 10_000.0
"""Metres that are near when no distance is given: at the server's discretion."""
GRIDS = (100, 10, 1)
"""Cells per degree, the finest first."""
MOST = 60
"""A circle that touches more cells takes the next larger ones."""

_FORM = "latitude|longitude|distance|unit, such as 48.85|2.35|5|km"


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index a Location.position; one that is not on the globe is left out."""
    latitude, longitude = value.get("latitude"), value.get("longitude")
    if latitude is None or longitude is None or abs(latitude) > 90 or abs(longitude) > 180:
        return
    index.keys += [
        f"{code}|{grid}|{_row(latitude, grid)}|{_column(longitude, grid)}" for grid in range(len(GRIDS))
    ]
    index.intervals.append((f"{code}:point", f"{latitude:f}", f"{longitude:f}"))


def _row(latitude: float | Decimal, grid: int) -> int:
    return math.floor(latitude * GRIDS[grid])


def _column(longitude: float | Decimal, grid: int) -> int:
    """180 degrees east are 180 degrees west."""
    return math.floor(longitude * GRIDS[grid]) % (360 * GRIDS[grid])


def within(parameter: Parameter, value: str, site: Site) -> Condition:
    latitude, longitude, distance = _circle(value)
    code = parameter.code
    cells = _cells(latitude, longitude, distance)
    narrow: Condition = Keys(tuple(f"{code}|{cell}" for cell in cells)) if cells else present(parameter)
    return And((narrow, Near(f"{code}:point", latitude, longitude, distance)))


def _circle(value: str) -> tuple[float, float, float]:
    """Latitude and longitude in degrees and the distance in metres."""
    # In quotes, as _filter has it, a | is escaped; here it always separates.
    parts = [part.strip() for part in unescape(value).split("|")]
    if not 2 <= len(parts) <= 4:
        raise BadRequest(f"{shown(value)} is not {_FORM}")
    latitude, longitude = (_number(part, value) for part in parts[:2])
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise BadRequest(f"{shown(value)}: a latitude is from -90 to 90, a longitude from -180 to 180")
    asked, unit = [*parts[2:], "", ""][:2]
    if not asked:
        return float(latitude), float(longitude), DEFAULT
    understood = ucum.parse(unit or "km")
    if understood is None or understood.dimension != (("m", 1),):
        raise BadRequest(f"{shown(unit)} is not a UCUM unit of length such as km, m or [mi_i]")
    distance = float(understood.to_base(_number(asked, value)))
    if distance < 0:
        raise BadRequest(f"{shown(value)}: a distance is not negative")
    return float(latitude), float(longitude), distance


def _number(text: str, value: str) -> Decimal:
    try:
        number = Decimal(text) if text.isascii() and "_" not in text else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite() or abs(number.adjusted()) > 20:
        raise BadRequest(f"{shown(value)} is not {_FORM}: {shown(text)} is not a number")
    return number


def _cells(latitude: float, longitude: float, distance: float) -> list[str]:
    """The cells around a circle in the finest grid of which few are enough; none if it is too large for all,
    or reaches a pole."""
    angle = distance / EARTH
    # A little more than needed: where a circle just touches a cell, arithmetic may err.
    north = math.degrees(angle) * 1.000001 + 1e-9
    if abs(latitude) + north >= 90:
        return []
    # The meridians that touch the circle: https://en.wikipedia.org/wiki/Spherical_circle
    east = math.degrees(math.asin(math.sin(angle) / math.cos(math.radians(latitude)))) * 1.000001 + 1e-9
    for grid, size in enumerate(GRIDS):
        rows = range(math.floor((latitude - north) * size), math.floor((latitude + north) * size) + 1)
        columns = range(math.floor((longitude - east) * size), math.floor((longitude + east) * size) + 1)
        if len(rows) * len(columns) <= MOST:
            return [f"{grid}|{row}|{column % (360 * size)}" for row in rows for column in columns]
    return []


def metres(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The distance of two points in degrees, by the haversine formula."""
    a, b = math.radians(latitude), math.radians(other_latitude)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(other_longitude - longitude) / 2) ** 2
    return 2 * EARTH * math.asin(math.sqrt(min(1.0, half)))


def present(parameter: Parameter) -> Condition:
    return KeyRange(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": within}
