"""String parameters: the start of a value, without case, accents and punctuation.

Each value is one entry of ``sorted``, ``family|durand\\x1fDURAND``: folded, then as it was written. So one
range finds by prefix, a narrower one exactly, and a pattern up to the \\x1f finds inside. As the standard
advises for "Carreno Quinones", a value is also found by the start of each of its first words (``given=marie``
finds "DOMINIQUE MARIE-LOUISE"): these are entries of the folded text from that word on,
``given|marie louise\\x1f``. https://hl7.org/fhir/R4/search.html#string
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

from fhirserver.errors import BadRequest
from fhirserver.search.parameters import Parameter, Site
from fhirserver.search.query import Condition, Index, Range
from fhirserver.search.text import END, exactly, fold, tails
from fhirserver.search.types import sorting
from fhirserver.search.values import shown, unescape

WORDS = 8
"""So many words of a value start an entry."""

_WRITTEN = "\x1f"
_PARTS = ("text", "family", "given", "prefix", "suffix")
_ADDRESS_PARTS = ("text", "line", "city", "district", "state", "postalCode", "country")


def entries(index: Index, code: str, type: str, value: Any, site: Site) -> None:
    """Index one value: a string, or the string parts of a HumanName or an Address."""
    for text in texts(type, value):
        folded, starts = _starts(text)
        index.sorted += [f"{code}|{start}" for start in starts]
        sorting.note(index, code, folded)


def texts(type: str, value: Any) -> list[str]:
    """The strings of a value: it is one itself, or a HumanName or an Address that has some."""
    match type:
        case "HumanName":
            return list(_texts(value, _PARTS))
        case "Address":
            return list(_texts(value, _ADDRESS_PARTS))
        case _:
            return [value]


def without_repetition(entries: list[str]) -> list[str]:
    """The entries of ``sorted`` without those from a later word that begin another entry as well."""
    ordered = sorted(set(entries))
    return [
        entry
        for entry, following in pairwise([*ordered, ""])
        if entry[-1] != _WRITTEN or not following.startswith(entry[:-1])
    ]


@lru_cache(maxsize=8192)
def _starts(text: str) -> tuple[str, tuple[str, ...]]:
    folded = fold(text)
    whole = f"{folded}{_WRITTEN}{exactly(text)}"
    return folded, (whole, *(f"{tail}{_WRITTEN}" for tail in tails(folded, WORDS)))


def _texts(element: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        part = element.get(name)
        if type(part) is list:
            yield from (text for text in part if text is not None)
        elif part is not None:
            yield part


def starts_with(parameter: Parameter, value: str, site: Site) -> Condition:
    low = f"{parameter.code}|{folded(value)}"
    return Range(low, low + END)


def contains(parameter: Parameter, value: str, site: Site) -> Condition:
    pattern = rf"^{re.escape(parameter.code)}\|[^{_WRITTEN}]*{re.escape(folded(value))}"
    return Range(f"{parameter.code}|", f"{parameter.code}}}", pattern)


def exact(parameter: Parameter, value: str, site: Site) -> Condition:
    text = unescape(value)
    low = f"{parameter.code}|{fold(text)}{_WRITTEN}{exactly(text)}"
    return Range(low, low + "\x01")


def present(parameter: Parameter) -> Condition:
    return Range(f"{parameter.code}|", f"{parameter.code}}}")


MODIFIERS = {"": starts_with, "contains": contains, "exact": exact}


def folded(value: str) -> str:
    """A searched value without escapes, folded.

    Raises:
        BadRequest: nothing is left to search for.
    """
    text = fold(unescape(value))
    if not text:
        raise BadRequest(f"{shown(value)} has no letter and no digit to search for")
    return text
