"""What search parameters mean, said slowly and straight from search.html.

Knows nothing of keys, entries and intervals: it looks at values as they stand in a resource, compares times
as aware datetimes, numbers as fractions, strings word by word, and places as vectors.
"""

import math
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
OWN = "https://dossier.example/fhir"
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
GRAMS = {"g": Fraction(1), "kg": Fraction(1000), "mg": Fraction(1, 1000), "[oz_av]": Fraction("28.349523125")}


def escaped(text: str) -> str:
    for character in "\\,$|":
        text = text.replace(character, "\\" + character)
    return text


def plain(text: str) -> list[str]:
    """The words of a text without case, accents and punctuation."""
    decomposed = unicodedata.normalize("NFD", text.lower().replace("œ", "oe"))
    letters = (c for c in decomposed if unicodedata.category(c) != "Mn")
    return "".join(c if c.isalnum() else " " for c in letters).split()


def string_matches(modifier: str, value: str, asked: str) -> bool:
    if modifier == ":exact":
        return value == asked
    in_value, searched = plain(value), " ".join(plain(asked))
    if modifier == ":contains":
        return searched in " ".join(in_value)
    starts = [i for i, word in enumerate(in_value) if i == 0 or len(word) > 1]
    return any(" ".join(in_value[i:]).startswith(searched) for i in starts[:8])


def token_matches(element: Mapping[str, Any], system: str | None, code: str | None, any_system: bool) -> bool:
    """An Identifier or a Coding against system|code; without a code any of the system."""
    same_system = any_system or element.get("system") == system
    return same_system and (code is None or element.get("value", element.get("code")) == code)


def reference_matches(value: str, asked: str) -> bool:
    value, asked = value.removeprefix(f"{OWN}/"), asked.removeprefix(f"{OWN}/")
    if "/" not in asked:
        return value.partition("/_history/")[0] in (f"Patient/{asked}", f"Group/{asked}")
    return value == asked if "/_history/" in asked else value.partition("/_history/")[0] == asked


# --- dates


def span(text: str) -> tuple[datetime, datetime]:
    """A date as two aware datetimes, the second one not in it."""
    if "T" in text:
        low = datetime.fromisoformat(text)
        low = low if low.tzinfo else low.replace(tzinfo=PARIS)
        low = low.astimezone(UTC)
        return low, low + (timedelta(seconds=1) if text[16:17] == ":" else timedelta(minutes=1))
    year, month, day = [int(n) for n in text.split("-")] + [0] * (2 - text.count("-"))
    low = datetime(year, month or 1, day or 1, tzinfo=PARIS)
    if day:
        high = low + timedelta(days=1)
    elif month:
        high = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=PARIS)
    else:
        high = datetime(year + 1, 1, 1, tzinfo=PARIS)
    return low.astimezone(UTC), high.astimezone(UTC)


def date_matches(prefix: str, low: datetime, high: datetime, asked: str) -> bool:
    a, b = span(asked)
    contained = a <= low and high <= b
    starts_after, ends_before = low >= b, high <= a
    match prefix:
        case "" | "eq":
            return contained
        case "ne":
            return not contained
        case "gt":
            return high > b
        case "lt":
            return low < a
        case "ge":
            return high > b or contained or (high > a and not ends_before)
        case "le":
            return low < a or contained or (low < b and not starts_after)
        case "sa":
            return starts_after
        case "ap":
            # At the server's discretion; here a tenth of the time between now and then on either side.
            gap = max(timedelta(), a - datetime.now(UTC), datetime.now(UTC) - b) / 10
            return low < b + gap and high > a - gap
        case _:
            return ends_before


# --- numbers and quantities


def number_matches(low: Fraction, high: Fraction, prefix: str, written: Decimal) -> bool:
    """A number or a range (both ends in it) against one that reaches half of its last digit either way."""
    asked = Fraction(written)
    half = Fraction(10) ** int(written.as_tuple().exponent) / 2
    inside = asked - half <= low and high < asked + half
    tenth = abs(asked) / 10
    return {
        "": inside,
        "eq": inside,
        "ne": not inside,
        "gt": high > asked,
        "lt": low < asked,
        "ge": high >= asked,
        "le": low <= asked,
        "sa": low > asked,
        "eb": high < asked,
        "ap": low <= asked + tenth and high >= asked - tenth,
    }[prefix]


def quantity_matches(value: Fraction, prefix: str, written: Decimal, grams: Fraction) -> bool:
    """A mass in grams against a number of a unit of so many grams."""
    scale = value / grams
    return number_matches(scale, scale, prefix, written)


# --- uris


def uri_matches(modifier: str, value: str, asked: str) -> bool:
    if modifier == ":below":
        return value.startswith(asked)
    if modifier == ":above":
        return asked == value or (asked.startswith(value) and (value[-1] == "/" or asked[len(value)] == "/"))
    return value == asked


# --- places


def metres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The angle between two directions from the middle of the Earth, times its mean radius."""
    (a, b, c), (x, y, z) = map(_direction, (one, other))
    cross = math.hypot(b * z - c * y, c * x - a * z, a * y - b * x)
    return 6_371_008.8 * math.atan2(cross, a * x + b * y + c * z)


def _direction(place: tuple[float, float]) -> tuple[float, float, float]:
    latitude, longitude = map(math.radians, place)
    return (
        math.cos(latitude) * math.cos(longitude),
        math.cos(latitude) * math.sin(longitude),
        math.sin(latitude),
    )


def below(parents: Mapping[str, str | None], id: str) -> set[str]:
    """What is part of ``id`` at any depth, and itself; ``parents`` says what each is part of."""
    return {id} | {one for one in parents if id in above(parents, one)}


def above(parents: Mapping[str, str | None], id: str) -> set[str]:
    found = {id}
    parent = parents.get(id)
    while parent and parent not in found:
        found.add(parent)
        parent = parents.get(parent)
    return found


def refers(parents: Mapping[str, str | None], to: Iterable[str]) -> set[str]:
    """What is directly part of one of these."""
    return {one for one, parent in parents.items() if parent in set(to)}
