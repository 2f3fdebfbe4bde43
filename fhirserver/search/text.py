"""How strings are made comparable: without case, accents and punctuation.

https://hl7.org/fhir/R4/search.html#string
"""

import hashlib
import re
import unicodedata
from functools import lru_cache

LENGTH = 200
"""Longer strings are compared by their first so many characters (and a hash, for ``:exact``)."""

END = "\U0010ffff"
"""Sorts after every character that text has: ``[x, x + END)`` are the texts that start with x."""

_LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"})
_gaps = re.compile(r"[\W_]+")


@lru_cache(maxsize=8192)
def fold(text: str) -> str:
    """``"Œuvres de l'Haÿ-les-Roses"`` -> ``"oeuvres de l hay les roses"``."""
    return fold_all(text[: 2 * LENGTH])[:LENGTH].rstrip()


def fold_all(text: str) -> str:
    """As ``fold``, of a text of any length."""
    text = text.casefold()
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text.translate(_LETTERS))
        text = "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
    return _gaps.sub(" ", text).strip()


def tails(folded: str, words: int) -> list[str]:
    """The text from its second word on, from its third ..., so that each of the first ``words`` starts one.

    Words of one letter start none: they are what is left of l' and d'.
    """
    found: list[str] = []
    position = folded.find(" ")
    for _ in range(words - 1):
        if position == -1:
            break
        following = folded.find(" ", position + 1)
        if (following if following != -1 else len(folded)) - position > 2:
            found.append(folded[position + 1 :])
        position = following
    return found


def exactly(text: str) -> str:
    """The text itself, or a digest of one that is too long for an index entry."""
    return text if len(text) <= LENGTH else hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
