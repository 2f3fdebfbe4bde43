import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from fhirserver import search
from fhirserver.errors import BadRequest
from fhirserver.search.types.near import metres

Finds = Callable[[dict[str, Any], str], bool]

EIFFEL = (Decimal("48.85826"), Decimal("2.294499"))
FIJI = (Decimal("-17.0"), Decimal("179.99"))
POLE = (Decimal("89.9"), Decimal("10"))


def location(latitude: Any, longitude: Any) -> dict[str, Any]:
    return {"resourceType": "Location", "position": {"latitude": latitude, "longitude": longitude}}


@pytest.mark.parametrize(
    ("place", "asked", "found"),
    [
        # Notre-Dame is 4,096 m away.
        (EIFFEL, "near=48.852968|2.349902|4.1|km", True),
        (EIFFEL, "near=48.852968|2.349902|4.09|km", False),
        (EIFFEL, "near=48.852968|2.349902|4097|m", True),
        (EIFFEL, "near=48.852968|2.349902|4095|m", False),
        (EIFFEL, "near=48.852968|2.349902|2.55|[mi_i]", True),
        (EIFFEL, "near=48.852968|2.349902|2.54|[mi_i]", False),
        (EIFFEL, "near=48.852968|2.349902|4.1", True),  # kilometres
        (EIFFEL, "near=48.852968|2.349902", True),
        (EIFFEL, "near=48.852968|2.349902||", True),
        (EIFFEL, "near=43.3|5.4", False),
        (EIFFEL, "near=48.85826|2.294499|0", True),
        (EIFFEL, "near=43.3|5.4|10|km,48.85|2.29|10|km", True),
        (EIFFEL, "near=43.3|5.4|664|km", True),
        (EIFFEL, "near=43.3|5.4|661|km", False),
        (EIFFEL, "near=-48|-177|20016|km", True),  # everything is within half of the circumference
        (EIFFEL, "near:missing=false", True),
        # 180 degrees east are 180 degrees west.
        (FIJI, "near=-17|-179.99|3|km", True),
        (FIJI, "near=-17|-179.99|2|km", False),
        # Over the pole it is 22 km to the other side.
        (POLE, "near=89.9|-170|23|km", True),
        (POLE, "near=89.9|-170|22|km", False),
        ((48, 2), "near=48|2|1|m", True),
        ((48, 2), '_filter=near eq "48|2|1|km"', True),
        ((48, 2), '_filter=near eq "49|2|1|km"', False),
    ],
)
def test_what_is_near(finds: Finds, place: tuple[Any, Any], asked: str, found: bool) -> None:
    assert finds(location(*place), asked) is found


@pytest.mark.parametrize("position", [{}, {"latitude": 91, "longitude": 0}, {"longitude": 0}])
def test_no_place_is_near_nothing(finds: Finds, position: dict[str, Any]) -> None:
    resource = {"resourceType": "Location", "position": position}
    assert not finds(resource, "near=0|0|30000|km")
    assert finds(resource, "near:missing=true")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("near=48", "is not latitude|longitude|distance|unit"),
        ("near=a|2", "'a' is not a number"),
        ("near=NaN|2", "'NaN' is not a number"),
        ("near=91|2", "a latitude is from -90 to 90"),
        ("near=1|181", "a longitude from -180 to 180"),
        ("near=1|2|x|km", "'x' is not a number"),
        ("near=1|2|-3|km", "not negative"),
        ("near=1|2|3|kg", "'kg' is not a UCUM unit of length"),
        ("near=1|2|3|miles", "'miles' is not a UCUM unit of length"),
        ("near=1|2|3|km|x", "is not latitude|longitude|distance|unit"),
        ("near:exact=1|2", "has no modifier ':exact'"),
        ("_sort=near", "cannot be sorted by 'near'"),
    ],
)
def test_refused(indexer: search.Indexer, asked: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=re.escape(reason)):
        search.compile("Location", [asked.split("=", 1)], indexer=indexer)  # type: ignore[list-item] # a pair


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        ((0, 0), (0, 1), 111.195),
        ((0, 0), (0, 180), 20015.1),
        ((90, 0), (-90, 77), 20015.1),
        ((45, 7), (45, 7), 0),
    ],
)
def test_distances_on_the_globe(
    one: tuple[float, float], other: tuple[float, float], kilometres: float
) -> None:
    assert math.isclose(metres(*one, *other) / 1000, kilometres, abs_tol=0.1)
